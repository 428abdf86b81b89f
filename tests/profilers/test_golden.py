"""What real GPU runtimes said, word for word: no test here needs a GPU. `tests/golden/README.md` tells how it was made.

The laws: real descriptions are understood whole, and what two runtimes tell of one network agrees with the network.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from latency_tables import read_table, resolve, validate
from profilers import BackendSettings
from profilers.backends.tensorrt_layers import layer_uses, read_layers
from profilers.kernels import NodeRun, TensorType, kernel_uses
from profilers.models import parse_model, prepared
from profilers.testing import chain

GOLDEN = Path(__file__).parents[1] / "golden"
TENSORRT = GOLDEN / "tensorrt-8.5.3"
ONNXRUNTIME = GOLDEN / "onnxruntime-1.30.0-cuda"


def told(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def operators() -> dict[str, str]:
    """Of the network that was measured, which was as deep and wider."""
    named = parse_model(prepared(parse_model(chain((2, 2, 2, 2)).model)))
    return {node.name: node.op_type for node in named.graph.node}


def test_layers_of_a_real_engine_are_one_fused_convolution_for_each_part(operators: dict[str, str]) -> None:
    layers = read_layers((TENSORRT / "tensorrt-8.5.3-layers.json").read_text(encoding="utf-8"))
    timed = [name for name, _ in told(TENSORRT / "tensorrt-8.5.3-times.json")[0]]
    uses, shared = layer_uses(layers, timed, operators=operators, parts=dict.fromkeys(("p0", "p1", "p2"), "conv"))
    assert [use.part for use in uses] == ["p0", "p1", "p2"]
    assert {use.key for use in uses} == {
        (
            "TensorRT.Convolution(float[1x256x56x56])->float[1x256x56x56]{Activation=RELU,Bias=Floatx0,Dilation=1x1,"
            "Groups=1,Kernel=3x3,OutMaps=256,PaddingMode=kEXPLICIT_ROUND_DOWN,PostPadding=1x1,PrePadding=1x1,Stride=1x1,"
            "Weights=Floatx589824,ops=Conv+Relu}"
        )
    }
    assert shared == 0


def test_a_graph_that_the_cuda_provider_optimised_has_keys_for_all_its_nodes() -> None:
    model = onnx.load(ONNXRUNTIME / "optimised.onnx")
    ran = {node.name: NodeRun(outputs=(TensorType(element="float", shape=(1, 8, 8, 8)),)) for node in model.graph.node}
    uses = kernel_uses(model, ran, {"p0": "conv", "p1": "conv"})
    assert [use.part for use in uses] == ["p0", "p0", "p1", "p1"]
    keys = [use.key for use in uses]
    convolution = "Conv(float[1x8x8x8],float[8x8x3x3])->float[1x8x8x8]{pads=1x1x1x1}"
    assert keys == [convolution, "Relu(float[1x8x8x8])->float[1x8x8x8]"] * 2


@pytest.mark.parametrize(
    ("name", "provider", "kernels"),
    [
        ("h100-ortcuda-nasbench201-fp32", "CUDAExecutionProvider", 29),
        ("h100-tensorrt-nasbench201-fp32", "TensorRT", 190),
    ],
)
def test_a_table_made_on_a_gpu_is_sound_and_every_row_tells_what_ran_it(name: str, provider: str, kernels: int) -> None:
    table = read_table(resolve(name))
    assert not [finding for finding in validate(table) if finding.severity == "error"]
    rows = [*table.kernels.values(), *table.networks.values()]
    assert (len(table.kernels), len(table.networks)) == (kernels, 20)
    assert {row.provider for row in rows} == {table.manifest.provider} == {provider}
    assert {row.arithmetic for row in table.kernels.values()} == {"fp32"}
    assert BackendSettings.recorded(table.manifest.fingerprint) == BackendSettings(device="gpu", cuda_graph=True)


@pytest.mark.parametrize("folder", [TENSORRT, ONNXRUNTIME], ids=lambda folder: folder.name)
def test_the_settings_of_a_backend_are_read_back_from_its_real_fingerprint(folder: Path) -> None:
    assert BackendSettings.recorded(told(folder / "conditions.json")) == BackendSettings(device="gpu")
