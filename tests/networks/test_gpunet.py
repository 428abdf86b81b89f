"""The networks of the ``gpunet`` space: what stages are, and that tables hold what is deployed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from hwnas.conversion.onnx_model import to_onnx
from hwnas.conversion.quantising import rounded
from hwnas.core import Architecture, Value
from hwnas.networks import Block, NetworkFamily, network_family
from hwnas.networks.gpunet import FusedResidual
from hwnas.networks.layers import Classifier, Conv, SqueezeExcite
from hwnas.networks.morphisms import is_exact
from profilers import OnnxRuntimeBackend, RunPlan, converted
from profilers.coverage import inspect
from profilers.kernels import block_kernels

PLAN = RunPlan(warmup_runs=1, runs=1)


@pytest.fixture(scope="module")
def family() -> NetworkFamily:
    return network_family("gpunet:tiny", channels=1, classes=10)


def network(family: NetworkFamily, *, resolution: int = 32, depth: int = 2, **every: Value) -> Architecture:
    """The last option of every choice, but for what is given for all stages alike."""
    values = {choice.name: choice.options[-1] for choice in family.space.choices}
    values |= {f"s{stage}.depth": depth for stage in range(5) if f"s{stage}.depth" in values}
    for name, value in every.items():
        values |= {key: value for key in values if key.endswith(f".{name}")}
    return family.space.architecture({**values, "resolution": resolution})


def kernels(model: bytes) -> Counter[str]:
    return Counter(use.key for use in OnnxRuntimeBackend().profile(model, {"": "all"}, PLAN).uses)


def described(blocks: tuple[Block, ...]) -> list[str]:
    return [block.key.partition("(")[0] for block in blocks]


def test_stages_are_convolutions_fused_and_depthwise_residuals_and_all_layers_of_one_are_alike(
    family: NetworkFamily,
) -> None:
    blocks = family.blocks(network(family))
    assert described(blocks) == ["conv"] * 3 + ["fmb"] * 2 + ["mb"] * 4 + ["head"]
    assert [block.residual for block in blocks] == [False] * 4 + [True] + [False, True, True, True] + [False]
    assert [block.size for block in blocks] == [32, 16, 16, 16, 8, 8, 4, 4, 4, 4]
    assert blocks[-2].key == blocks[-3].key  # of the last stage, which strides by 1 from as many channels


def test_a_stage_that_is_left_out_hands_on_what_the_one_before_wrote(family: NetworkFamily) -> None:
    values = dict(network(family, filters=16))
    without = family.space.architecture(
        {name: value for name, value in values.items() if not name.startswith("s4.")} | {"s4.depth": 0}
    )
    (head,) = family.blocks(without)[-1:]
    assert isinstance(head.layers[0], Conv)
    assert head.layers[0].in_channels == values["s3.filters"]
    assert len(family.blocks(without)) == len(family.blocks(network(family))) - 2


def test_a_fused_residual_is_a_dense_convolution_a_gate_and_a_narrow_one() -> None:
    part = FusedResidual(
        in_channels=16, out_channels=16, kernel=5, stride=1, expansion=4, squeezed=16, activation="swish", size=8
    )
    wide, gate, narrow = part.block().layers
    assert isinstance(wide, Conv)
    assert (wide.out_channels, wide.kernel, wide.groups, wide.activation) == (64, 5, 1, "swish")
    assert gate == SqueezeExcite(channels=64, squeezed=16)
    assert isinstance(narrow, Conv)
    assert (narrow.out_channels, narrow.activation) == (16, "none")
    assert part.block().residual
    assert part.block().key == "fmb(in=16,out=16,k=5,s=1,e=4,se=1,act=swish,px=8)"


def test_a_block_becomes_the_same_kernels_wherever_it_stands() -> None:
    family, backend = network_family("gpunet:small", channels=1, classes=10), OnnxRuntimeBackend()
    found: dict[str, set[tuple[str, ...]]] = {}
    for seed in range(8):
        workload = family.workload(family.space.sample(np.random.default_rng(seed)))
        uses = inspect(backend, workload, "isolated").uses
        for key, kernels_of in block_kernels(uses, workload.parts):
            found.setdefault(key, set()).add(tuple(sorted(kernels_of.elements())))
    assert len(found) > 60
    assert all(len(seen) == 1 for seen in found.values())


def test_covering_networks_are_few_and_each_brings_something_new() -> None:
    for preset, most in (("tiny", 200), ("small", 500)):
        covering = network_family(f"gpunet:{preset}").covering()
        assert len({one.id for one in covering}) == len(covering) <= most


def test_the_largest_network_of_the_paper_has_the_head_and_the_depth_of_its_table() -> None:
    family = network_family("gpunet:paper")
    largest = family.space.architecture({choice.name: choice.options[-1] for choice in family.space.choices})
    blocks = family.blocks(largest)
    assert len(blocks) == 1 + 4 + 8 + 8 + 10 + 15 + 15 + 15 + 1
    assert blocks[-1].layers[-1] == Classifier(in_features=1792, classes=1000)
    assert (blocks[0].size, blocks[-1].size) == (512, 16)


@pytest.mark.filterwarnings(r"ignore:.isinstance\(treespec, LeafSpec\). is deprecated:FutureWarning")  # inside torch
def test_a_swish_is_profiled_as_it_is_exported(family: NetworkFamily) -> None:
    architecture = network(family, activation="swish", se=True, kernel=3, depth=1)
    module = family.module(architecture, seed=0).eval()
    with torch.no_grad():
        for name, values in module.named_parameters():
            if name.endswith("bias"):  # the exporter drops those that are zero throughout
                values.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(1))
    image = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    exported = to_onnx(module, image, exporter="dynamo")
    assert kernels(family.workload(architecture).model) == kernels(exported)
    assert any("QuickGelu" in key for key in kernels(exported))


def test_tables_of_int8_hold_the_kernels_of_an_export_with_swishes(family: NetworkFamily) -> None:
    architecture = network(family, resolution=16, activation="swish", se=True, depth=1)
    images = np.random.default_rng(0).standard_normal((4, 1, 16, 16)).astype(np.float32)
    module = family.module(architecture, seed=0)
    exported = rounded(to_onnx(module, torch.from_numpy(images[:1]), exporter="torchscript"), images)
    assert kernels(exported) == kernels(converted(family.workload(architecture), "int8").model)


def test_more_layers_filters_and_gates_are_exact_steps_another_activation_is_none(family: NetworkFamily) -> None:
    before = dict(network(family, depth=1, filters=16, kernel=3, activation="relu", se=False))

    def exact(**changes: Value) -> bool:
        changed = {**before, **{name.replace("_", "."): value for name, value in changes.items()}}
        return is_exact(family, family.space.architecture(before), family.space.architecture(changed))

    assert exact(s2_depth=2)
    assert exact(s3_se=True)
    assert exact(s2_kernel=5)
    assert exact(s1_kernel=5)
    assert not exact(s2_activation="swish")
    assert not exact(s1_depth=2)  # a convolution has no way around it
    assert not exact(resolution=16)
