"""Any ONNX model as a whole and kernel by kernel, on ONNX Runtime's CPU provider.

Times are held against each other within a factor of two at the most: whoever runs this does not have the machine for
himself.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from latency_tables import LatencyTable, read_table, validate, write_table
from profilers import (
    CampaignError,
    CampaignSettings,
    DeviceMemoryError,
    MeasuringProtocol,
    ModelError,
    ModelProfile,
    OnnxRuntimeBackend,
    PluginError,
    Progress,
    RunPlan,
    profile_model,
)
from profilers.backends import TimedRuns
from profilers.models import floor_model, sentinel_model
from profilers.precision import fallbacks
from profilers.testing import chain

PROVIDER = "CPUExecutionProvider"
QUICK = MeasuringProtocol(
    warmup_runs=1,
    profiled_runs=4,
    timed_runs=4,
    least_runs=2,
    budget_ms=50.0,
    rounds=2,
    most_rounds=2,
    sentinel_runs=4,
)
Shape = Sequence[int | str]
Profile = Callable[..., tuple[ModelProfile, LatencyTable]]


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """Writes a model to a file and profiles it."""

    def run(
        model: onnx.ModelProto | bytes,
        *,
        name: str = "net.onnx",
        backend: OnnxRuntimeBackend | None = None,
        precision: str = "fp32",
        method: str | None = None,
        protocol: MeasuringProtocol = QUICK,
        **options: Any,
    ) -> tuple[ModelProfile, LatencyTable]:
        content = model if isinstance(model, bytes) else model.SerializeToString()
        (tmp_path / name).write_bytes(content)
        settings = CampaignSettings(precisions=(precision,), method=method, protocol=protocol)  # type: ignore[arg-type]
        return profile_model(tmp_path / name, backend=backend or OnnxRuntimeBackend(), settings=settings, **options)

    return run


# --- models of every kind


def tensors(*found: tuple[str, Shape], element: int = TensorProto.FLOAT) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, element, shape) for name, shape in found]


def weight(name: str, *shape: int, kind: type[np.floating[Any]] = np.float32) -> onnx.TensorProto:
    values = 0.05 * np.random.default_rng(len(name)).standard_normal(shape)
    return numpy_helper.from_array(values.astype(kind), name)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: Sequence[onnx.TensorProto] = (),
    *,
    opset: int = 18,
    domains: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(*one) for one in (domains or {}).items())]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def convolution(shape: Shape = (1, 8, 8, 8), *, names: Sequence[str] = ("", "")) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], names[0], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["out"], names[1]),
    ]
    return model_of(nodes, tensors(("image", shape)), tensors(("out", shape)), [weight("w", 8, 8, 3, 3)])


def weights_among_the_inputs() -> onnx.ModelProto:
    model = convolution()
    model.graph.input.extend(tensors(("w", (8, 8, 3, 3))))
    return model


def several_inputs() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gather", ["words", "ids"], ["found"]),
        helper.make_node("Where", ["mask", "found", "other"], ["chosen"]),
        helper.make_node("MatMul", ["chosen", "w"], ["y"]),
    ]
    inputs = [
        *tensors(("ids", (1, 5)), element=TensorProto.INT64),
        *tensors(("mask", (1, 5, 1)), element=TensorProto.BOOL),
        *tensors(("other", (1, 5, 16))),
    ]
    return model_of(nodes, inputs, tensors(("y", (1, 5, 4))), [weight("words", 100, 16), weight("w", 16, 4)])


def several_outputs() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Sigmoid", ["x"], ["b"]),
        helper.make_node("Split", ["a"], ["c", "d"], axis=1, num_outputs=2),
        helper.make_node("Tanh", ["d"], ["e"]),
    ]
    outputs = [("a", (1, 8)), ("b", (1, 8)), ("c", (1, 4)), ("e", (1, 4))]
    return model_of(nodes, tensors(("x", (1, 8))), tensors(*outputs))


def constants() -> onnx.ModelProto:
    value = numpy_helper.from_array(np.ones(8, np.float32))
    nodes = [
        helper.make_node("Constant", [], ["k"], value=value),
        helper.make_node("Add", ["x", "k"], ["s"]),
        helper.make_node("Constant", [], ["one"], value_float=1.0),
        helper.make_node("Div", ["s", "one"], ["d"]),
        helper.make_node("Softmax", ["d"], ["y"]),
    ]
    return model_of(nodes, tensors(("x", (1, 8))), tensors(("y", (1, 8))))


def loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [helper.make_node("Add", ["held", "x"], ["sum"]), helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            *tensors(("i", ()), element=TensorProto.INT64),
            *tensors(("go", ()), element=TensorProto.BOOL),
            *tensors(("held", (1, 8))),
        ],
        [*tensors(("on", ()), element=TensorProto.BOOL), *tensors(("sum", (1, 8)))],
    )
    nodes = [helper.make_node("Loop", ["n", "", "x"], ["z"], body=body), helper.make_node("Tanh", ["z"], ["y"])]
    times = numpy_helper.from_array(np.array(3, np.int64), "n")
    return model_of(nodes, tensors(("x", (1, 8))), tensors(("y", (1, 8))), [times])


def half_precision() -> onnx.ModelProto:
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4), helper.make_node("Relu", ["c"], ["y"])]
    ends = [tensors((name, (1, 8, 8, 8)), element=TensorProto.FLOAT16) for name in ("x", "y")]
    return model_of(nodes, *ends, [weight("w", 8, 8, 3, 3, kind=np.float16)], opset=19)


def quantised() -> onnx.ModelProto:
    scalars = {"s": np.float32(0.1), "z": np.uint8(128), "ws": np.float32(0.1), "wz": np.int8(0)}
    held = [numpy_helper.from_array(np.array(value), name) for name, value in scalars.items()]
    held.append(numpy_helper.from_array(np.full((8, 8, 3, 3), 3, np.int8), "w"))
    nodes = [helper.make_node("QLinearConv", ["x", "s", "z", "w", "ws", "wz", "s", "z"], ["y"])]
    ends = [tensors((name, (1, 8, n, n)), element=TensorProto.UINT8) for name, n in (("x", 8), ("y", 6))]
    return model_of(nodes, *ends, held)


def recurrent(**attributes: Any) -> onnx.ModelProto:
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=8, **attributes)]
    held = [weight("w", 1, 32, 4), weight("r", 1, 32, 8)]
    return model_of(nodes, tensors(("x", (5, 1, 4))), tensors(("y", (5, 1, 1, 8))), held)


def function() -> onnx.ModelProto:
    steps = [helper.make_node("Relu", ["a"], ["t"]), helper.make_node("Tanh", ["t"], ["b"])]
    model = model_of(
        [helper.make_node("Mine", ["x"], ["y"], domain="mine")],
        tensors(("x", (1, 4))),
        tensors(("y", (1, 4))),
        domains={"mine": 1},
    )
    model.functions.append(helper.make_function("mine", "Mine", ["a"], ["b"], steps, [helper.make_opsetid("", 18)]))
    return model


def pointwise(kind: str, shape: Shape = (1, 8), element: int = TensorProto.FLOAT, **attributes: Any) -> onnx.ModelProto:
    ends = [tensors((name, shape), element=element) for name in ("x", "y")]
    return model_of([helper.make_node(kind, ["x"], ["y"], **attributes)], *ends)


def where_it_is_not_zero() -> onnx.ModelProto:
    nodes = [helper.make_node("NonZero", ["x"], ["y"])]
    return model_of(nodes, tensors(("x", (4, 4))), tensors(("y", (2, "k")), element=TensorProto.INT64))


def unused_input() -> onnx.ModelProto:
    model = pointwise("Relu")
    model.graph.input.extend(tensors(("unused", (3,))))
    return model


ANY: dict[str, tuple[onnx.ModelProto, set[str]]] = {  # model and the operators it must become
    "nodes without names": (convolution(), {"Conv"}),
    "nodes of the same name": (convolution(names=("node", "node")), {"Conv"}),
    "nodes named after tensors": (convolution(names=("out", "c")), {"Conv"}),
    "weights among the inputs": (weights_among_the_inputs(), {"FusedConv"}),
    "open batch": (convolution(("n", 8, 8, 8)), {"Conv"}),
    "ids, mask and numbers": (several_inputs(), {"Gather", "Where", "MatMul"}),
    "several outputs": (several_outputs(), {"Relu", "Sigmoid", "Split", "Tanh"}),
    "constants": (constants(), {"Add", "Softmax"}),
    "loop": (loop(), {"Loop", "Tanh"}),
    "half precision": (half_precision(), {"Conv"}),
    "quantised already": (quantised(), {"QLinearConv"}),
    "double precision": (pointwise("Relu", element=TensorProto.DOUBLE), {"Relu"}),
    "scalar": (pointwise("Relu", ()), {"Relu"}),
    "recurrent": (recurrent(), {"LSTM"}),
    "function": (function(), {"Relu", "Tanh"}),
    "nothing but an identity": (pointwise("Identity"), {"Identity"}),
    "an output of open size": (where_it_is_not_zero(), {"NonZero"}),
    "an input nobody reads": (unused_input(), {"Relu"}),
}


def operator(key: str) -> str:
    return key.partition("(")[0].rpartition(".")[2]


@pytest.mark.parametrize("name", list(ANY))
@pytest.mark.parametrize("method", ["isolated", "in-place"])
def test_any_model_is_measured_as_a_whole_and_kernel_by_kernel(profile: Profile, name: str, method: str) -> None:
    model, kinds = ANY[name]
    found, table = profile(model, method=method)
    assert kinds <= {operator(kernel.key) for kernel in found.kernels}
    assert all(kernel.latency_ms is not None and kernel.latency_ms > 0 for kernel in found.kernels)
    assert {kernel.provider for kernel in found.kernels} == {found.whole.provider} == {PROVIDER}
    assert len({kernel.node for kernel in found.kernels}) == len(found.kernels)
    assert set(table.kernels) == {kernel.key for kernel in found.kernels}
    assert found.whole.timing.latency_ms > 0
    assert found.method == table.manifest.protocol["method"] == method
    assert table.manifest.conditions["unmeasured"] == {}
    assert table.manifest.space == found.model == "net.onnx"
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["sum_over_whole"] == round(found.ratio, 4)


def test_both_methods_tell_the_same_kernels(profile: Profile) -> None:
    alone, in_place = (profile(chain((8, 16, 8)).model, method=method)[0] for method in ("isolated", "in-place"))
    assert {(kernel.node, kernel.key) for kernel in alone.kernels} == {(k.node, k.key) for k in in_place.kernels}


def test_a_profile_adds_up_and_begins_with_the_slowest(profile: Profile) -> None:
    found, table = profile(chain((8, 32, 8, 8)).model)
    times = [kernel.latency_ms or 0.0 for kernel in found.kernels]
    assert times == sorted(times, reverse=True)
    assert found.sum_ms == pytest.approx(sum(times))
    assert sum(kernel.share or 0.0 for kernel in found.kernels) == pytest.approx(1, abs=1e-4)
    assert found.floor_ms == table.floors["call"].timing.latency_ms
    assert found.ratio == pytest.approx((found.sum_ms + found.floor_ms) / found.whole.timing.latency_ms)
    assert found.whole == table.networks["net"]
    assert found.whole.load_ms is not None
    assert found.whole.first_ms is not None


def test_a_kernel_that_occurs_several_times_is_one_row_and_stands_as_often_in_the_profile(profile: Profile) -> None:
    found, table = profile(chain((16, 16, 16, 16)).model)
    convolutions = [kernel for kernel in found.kernels if operator(kernel.key) == "Conv"]
    assert len(convolutions) == 3
    assert len({kernel.key for kernel in convolutions}) == 1
    (row,) = (row for row in table.kernels.values() if operator(row.key) == "Conv")
    assert {kernel.latency_ms for kernel in convolutions} == {row.timing.latency_ms}
    assert table.blocks["net"].kernels[row.key] == 3


@pytest.mark.alone
def test_the_table_of_a_model_is_sound_and_survives_its_file(profile: Profile, tmp_path: Path) -> None:
    _, table = profile(chain((8, 16, 8)).model)
    assert read_table(write_table(table, tmp_path / "t.jsonl")) == table
    assert [finding for finding in validate(table) if finding.severity == "error"] == []


@pytest.mark.skipif(os.name != "posix", reason="names of files are Unicode here")
def test_the_name_of_a_file_need_not_be_unicode(profile: Profile, tmp_path: Path) -> None:
    found, table = profile(convolution(), name=os.fsdecode(b"n\xff.onnx"))
    assert (found.model, list(table.networks)) == ("n\ufffd.onnx", ["n\ufffd"])
    assert read_table(write_table(table, tmp_path / "t.jsonl")) == table


def test_nothing_is_left_behind_and_progress_is_told_to_the_end(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    seen: list[Progress] = []
    profile(convolution(), on_progress=seen.append)
    assert seen[-1].done == seen[-1].total > 0
    assert list(scratch.iterdir()) == []


# --- fusion, and the sum beside the whole


def test_a_convolution_and_its_activation_are_one_kernel_of_the_profile(profile: Profile) -> None:
    found, _ = profile(chain((16, 16, 16)).model)
    assert "Relu" not in {operator(kernel.key) for kernel in found.kernels}
    fused = [kernel for kernel in found.kernels if "activation=Relu" in kernel.key]
    assert len(fused) == 2


@pytest.mark.alone
@pytest.mark.parametrize("network", [chain((16, 32, 32, 16), pixels=32), chain((32,) * 8, pixels=16)], ids=["3", "7"])
def test_kernels_alone_and_the_price_of_a_call_make_the_whole(profile: Profile, network: Any) -> None:
    calmer = MeasuringProtocol(warmup_runs=3, timed_runs=24, rounds=3, most_rounds=3, sentinel_runs=8, budget_ms=200.0)
    for _ in range(3):
        found, _ = profile(network.model, protocol=calmer)
        if 0.5 < found.ratio < 2:
            return
    pytest.fail(f"the kernels and the call make {found.ratio:.2f} of the whole")


# --- batch and shape


def test_an_open_batch_is_measured_at_the_batch_asked_for(profile: Profile) -> None:
    for batch in (1, 8):
        found, table = profile(convolution(("n", 8, 8, 8)), batch=batch)
        assert table.manifest.batches == (batch,)
        assert list(table.networks) == ["net" if batch == 1 else "net@b8"]
        assert any(f"float[{batch}x8x8x8]" in kernel.key for kernel in found.kernels)


def test_shapes_are_given_by_the_name_of_the_input(profile: Profile) -> None:
    model = convolution(("n", 8, "h", "w"))
    found, _ = profile(model, shapes={"image": (1, 8, 5, 7)})
    assert any("float[1x8x5x7]" in kernel.key for kernel in found.kernels)
    with pytest.raises(ModelError, match=r"input 'image' has shape nx8xhxw.*--shape image=1x3x224x224"):
        profile(model)
    with pytest.raises(CampaignError, match="a shape is given for 'x', but the model's inputs are image"):
        profile(model, shapes={"x": (1, 8, 5, 7)})


@pytest.mark.parametrize("options", [{}, {"batch": 4}])
def test_a_batch_that_is_fixed_is_the_models_own(profile: Profile, options: dict[str, int]) -> None:
    found, table = profile(convolution((4, 8, 8, 8)), **options)
    assert (list(table.networks), table.manifest.batches, found.to_json()["batch"]) == (["net@b4"], (4,), 4)


def test_a_batch_that_is_given_as_a_shape_is_that_batch(profile: Profile) -> None:
    found, table = profile(convolution(("n", 8, 8, 8)), shapes={"image": (4, 8, 8, 8)})
    assert (list(table.networks), found.to_json()["batch"]) == (["net@b4"], 4)


def test_a_model_that_takes_sequences_first_is_not_said_to_have_their_length_as_its_batch(profile: Profile) -> None:
    found, table = profile(recurrent())
    assert (list(table.networks), table.manifest.batches, found.to_json()["batch"]) == (["net"], (1,), 1)
    untold = pointwise("Relu", (50, 2, 8))
    assert profile(untold)[0].to_json()["batch"] == 1
    assert profile(untold, batch=50)[0].to_json()["batch"] == 50
    with pytest.raises(CampaignError, match=r"net\.onnx has no batch that its inputs tell: --batch 2 needs a model"):
        profile(untold, batch=2)


def test_a_batch_that_the_model_does_not_have_is_refused(profile: Profile) -> None:
    with pytest.raises(CampaignError, match=r"net\.onnx has a fixed batch of 1: --batch 8 needs a model with an open"):
        profile(convolution((1, 8, 8, 8)), batch=8)


# --- precision


def test_an_int8_model_really_computes_in_integers(profile: Profile) -> None:
    found, table = profile(chain((8, 16, 8)).model, precision="int8")
    convolutions = [kernel for kernel in found.kernels if "Conv" in operator(kernel.key)]
    assert [operator(kernel.key) for kernel in convolutions] == ["QLinearConv"] * 2
    for kernel in convolutions:
        assert kernel.arithmetic == table.kernels[kernel.key].arithmetic == "int8"
        assert "uint8[1x" in kernel.key
        assert "int8[16x8x3x3]" in kernel.key or "int8[8x16x3x3]" in kernel.key
    operators = table.manifest.conditions["operators"]
    assert isinstance(operators, dict)
    assert operators["int8"]["QLinearConv:int8"] == 2  # type: ignore[index,call-overload]
    assert list(table.networks) == ["net@b1,int8"]
    assert table.manifest.precisions == ("int8",)


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="other CPUs compute in half precision")
def test_half_precision_that_is_computed_in_single_is_told_as_a_fallback(profile: Profile) -> None:
    found, table = profile(chain((8, 16, 8)).model, precision="fp16")
    computing = [(operator(kernel.key), kernel.arithmetic) for kernel in found.kernels]
    assert ("Conv", "fp16") not in computing
    assert fallbacks(computing, "fp16") == {"Conv": 2}
    assert {kind for kind, _ in computing} >= {"Cast", "Conv"}
    assert list(table.networks) == ["net@b1,fp16"]


class Counting(OnnxRuntimeBackend):
    """The real one, and how often it was asked for a time."""

    timed = 0

    def time(self, model: bytes, plan: RunPlan) -> TimedRuns:
        self.timed += 1
        return super().time(model, plan)


def test_a_precision_the_runtime_lacks_is_an_error_that_names_the_operator_and_nothing_else_is_measured(
    profile: Profile, tmp_path: Path
) -> None:
    backend = Counting()
    with pytest.raises(ModelError, match=f"has no kernel for Conv on {PROVIDER}, and nothing else is measured") as e:
        profile(chain((8, 8)).model, precision="bf16", backend=backend)
    assert "net@b1,bf16" in str(e.value)
    assert e.value.exit_code == 2
    assert backend.timed == 0
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]


def test_a_model_of_one_precision_is_not_made_another(profile: Profile) -> None:
    with pytest.raises(ModelError, match="expected a model in fp32 to give it the precision int8, but found fp16"):
        profile(half_precision(), precision="int8")


@pytest.mark.parametrize(("model", "precision"), [(half_precision(), "fp16"), (quantised(), "int8")])
def test_the_precision_of_a_model_is_the_one_it_has(profile: Profile, model: onnx.ModelProto, precision: str) -> None:
    assert profile(model)[1].manifest.precisions == (precision,)


# --- memory


def test_memory_grows_with_the_width(profile: Profile) -> None:
    wholes, kernels = [], []
    for width in (16, 32, 64, 128):
        found, table = profile(chain((16, width, 16), pixels=16).model)
        assert found.whole.memory_mib is not None
        wholes.append(found.whole.memory_mib)
        first = next(row for row in table.kernels.values() if f"float[{width}x16x3x3]" in row.key)
        assert first.memory_mib is not None
        kernels.append(first.memory_mib)
        weights_mib = 4 * (2 * 16 * width * 9) / 2**20
        assert found.whole.memory_mib > weights_mib
    assert wholes == sorted(wholes)
    assert kernels == sorted(kernels)
    assert len(set(wholes)) == len(set(kernels)) == 4


def test_memory_of_a_kernel_is_what_it_reads_and_writes(profile: Profile) -> None:
    found, _ = profile(convolution((1, 8, 8, 8)))
    (conv,) = (kernel for kernel in found.kernels if operator(kernel.key) == "Conv")
    sizes = [math.prod(map(int, shape.split("x"))) for shape in re.findall(r"float\[([\dx]+)\]", conv.key)]
    assert len(sizes) == 3  # image, weights, and what is written; all padded to whole vectors where these are used
    assert conv.memory_mib == pytest.approx(4 * sum(sizes) / 2**20, rel=1e-4)


# --- what cannot be measured


def choice() -> onnx.ModelProto:
    """Which of two branches is taken depends on an input; both read a tensor from outside."""
    branches = {
        name: helper.make_graph([helper.make_node(kind, ["x"], [kind])], kind, [], tensors((kind, (1, 8))))
        for name, kind in (("then_branch", "Relu"), ("else_branch", "Sigmoid"))
    }
    nodes = [helper.make_node("If", ["c"], ["z"], **branches), helper.make_node("Tanh", ["z"], ["y"])]
    inputs = [*tensors(("c", ()), element=TensorProto.BOOL), *tensors(("x", (1, 8)))]
    return model_of(nodes, inputs, tensors(("y", (1, 8))))


def test_a_kernel_that_does_not_run_alone_is_named_and_the_others_are_measured(profile: Profile) -> None:
    found, table = profile(choice())
    by_kind = {operator(kernel.key): kernel for kernel in found.kernels}
    assert set(by_kind) == {"If", "Tanh"}
    assert by_kind["Tanh"].latency_ms is not None
    alone = by_kind["If"]
    assert (alone.latency_ms, alone.share, alone.noise, alone.provider) == (None, None, "unmeasured", PROVIDER)
    unmeasured = table.manifest.conditions["unmeasured"]
    assert isinstance(unmeasured, dict)
    (reason,) = unmeasured.values()
    assert "cannot load the model" in str(reason)
    assert list(unmeasured) == [alone.key]
    assert found.kernels[-1] == alone  # behind all that have a time
    in_place, _ = profile(choice(), method="in-place")
    assert all(kernel.latency_ms is not None for kernel in in_place.kernels)


def sequence() -> onnx.ModelProto:
    nodes = [
        helper.make_node("SequenceConstruct", ["x", "x"], ["s"]),
        helper.make_node("ConcatFromSequence", ["s"], ["y"], axis=0),
    ]
    return model_of(nodes, tensors(("x", (1, 4))), tensors(("y", (2, 4))))


def test_a_kernel_of_unknown_types_is_unmeasured_for_a_reason(profile: Profile) -> None:
    found, table = profile(sequence())
    lacking = {kernel.key for kernel in found.kernels if kernel.latency_ms is None}
    assert lacking
    assert set(table.manifest.conditions["unmeasured"]) == lacking  # type: ignore[arg-type]


def test_a_recurrent_layer_with_activations_of_its_own_is_measured(profile: Profile) -> None:
    found, _ = profile(recurrent(activations=["Sigmoid", "Tanh", "Relu"]))
    assert [operator(kernel.key) for kernel in found.kernels] == ["LSTM"]


def skip_normalisation() -> onnx.ModelProto:
    """As the optimiser writes it into transformers: two of four outputs are left out."""
    skip = helper.make_node(
        "SkipLayerNormalization", ["x", "x", "g", "g"], ["z", "", "", "s"], domain="com.microsoft", epsilon=1e-5
    )
    nodes = [skip, helper.make_node("MatMul", ["z", "w"], ["q"]), helper.make_node("Add", ["s", "q"], ["y"])]
    held = [weight("g", 16), weight("w", 16, 16)]
    ends = [tensors((name, (1, 4, 16))) for name in ("x", "y")]
    return model_of(nodes, *ends, held, domains={"com.microsoft": 1})


def test_a_kernel_with_outputs_left_out_is_measured_and_so_is_what_reads_the_others(profile: Profile) -> None:
    found, _ = profile(skip_normalisation())
    assert all(kernel.latency_ms is not None for kernel in found.kernels)


def test_a_node_in_a_branch_is_not_taken_for_one_of_the_same_name_outside(profile: Profile) -> None:
    model = choice()
    model.graph.node[1].CopyFrom(helper.make_node("Concat", ["z", "z"], ["y"], "n", axis=0))
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 2
    for attribute in model.graph.node[0].attribute:
        attribute.g.node[0].name = "n"
    found, _ = profile(model, method="in-place")
    (key,) = (kernel.key for kernel in found.kernels if operator(kernel.key) == "Concat")
    assert key == "Concat(float[1x8],float[1x8])->float[2x8]{axis=0}"


def test_a_model_in_which_nothing_is_left_to_run_is_refused_as_such(profile: Profile) -> None:
    value = numpy_helper.from_array(np.ones(8, np.float32))
    with pytest.raises(ModelError):
        profile(model_of([helper.make_node("Constant", [], ["y"], value=value)], [], tensors(("y", (8,)))))


def test_a_backend_that_times_blocks_times_a_model_as_one_block(profile: Profile) -> None:
    found, table = profile(convolution(), method="blocks")
    assert [kernel.key for kernel in found.kernels] == ["block:net"]
    assert found.kernels[0].latency_ms is not None
    assert table.blocks["net"].kernels == {"block:net": 1}


class Small(OnnxRuntimeBackend):
    """FAKE: a device whose memory holds nothing but what we bring along."""

    def time(self, model: bytes, plan: RunPlan) -> TimedRuns:
        if model not in {floor_model(), sentinel_model()}:
            raise DeviceMemoryError("out of memory: 3 GiB are asked for, 2 GiB are free")
        return super().time(model, plan)


def test_a_model_too_large_for_the_device_is_refused_for_that_reason(profile: Profile) -> None:
    with pytest.raises(DeviceMemoryError, match="out of memory"):
        profile(convolution(), backend=Small())


class Foreign(OnnxRuntimeBackend):
    """FAKE: somebody else's backend, which fails where nobody expects it."""

    __module__ = "somebody.elses"

    def isolate(self, model: bytes, parts: Mapping[str, str]) -> Any:
        raise IndexError("its own fault")


def test_a_third_partys_failure_is_told_as_theirs(profile: Profile) -> None:
    with pytest.raises(PluginError, match="the backend 'onnxruntime' failed: IndexError: its own fault"):
        profile(convolution(), backend=Foreign())
