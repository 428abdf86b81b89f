"""Once-for-all's networks at the size of ImageNet: counts as published, and what is profiled is what is exported."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from hwnas.core import Architecture, Value
from hwnas.networks import Block, NetworkFamily, macs_m, network_family, params_m
from hwnas.networks.layers import SqueezeExcite
from profilers import OnnxRuntimeBackend, RunPlan
from tests.networks.weights import load, runtime

PLAN = RunPlan(warmup_runs=0, runs=1, least_runs=1)
# published networks: resolution, width, MACs in millions, and kernel and expansion of each block of each stage
PUBLISHED = [
    (224, 1.2, 389.487856, "33 33", "53 56 33", "54 54 33", "56 54 34 34", "36 36 76 33"),
    (224, 1.2, 482.413168, "53 33 33", "54 34 54 33", "54 56 33 33", "56 76 36 54", "76 36 36 33"),
    (224, 1.2, 339.352816, "33 33", "54 33 34", "54 54 33", "36 34 34", "36 36 34 33"),
    (224, 1.0, 237.063424, "33 33", "53 34 34", "74 54 54", "54 36 34", "36 36 36 33"),
    (192, 1.0, 162.464384, "33 33", "53 54 34 33", "54 54 33", "54 54 33", "36 74 54 33"),
    (176, 1.0, 109.607488, "33 33", "54 34", "54 34", "34 33 33", "34 54 54"),
    (160, 1.0, 75.80288, "33 33", "33 34", "34 33 33", "33 34", "34 54"),
]


@pytest.fixture(scope="module")
def family() -> NetworkFamily:
    return network_family("mobilenet:ofa")


def chosen(family: NetworkFamily, resolution: int, width: float, stages: Iterable[Sequence[str]]) -> Architecture:
    """An architecture from the kernel and expansion of each block of each stage."""
    values: dict[str, Value] = {"resolution": resolution, "width": width}
    for stage, blocks in enumerate(stages, start=1):
        values[f"s{stage}.depth"] = len(blocks)
        for index, (kernel, expansion) in enumerate(blocks, start=1):
            values |= {f"s{stage}.b{index}.kernel": int(kernel), f"s{stage}.b{index}.expansion": int(expansion)}
    return family.space.architecture(values)


def gates_m(blocks: Sequence[Block]) -> float:
    """The products of squeeze-and-excitation's gates, which published counts leave out, in millions."""
    total = 0
    for block in blocks:
        size = block.size
        for layer in block.layers:
            total += layer.channels * size**2 if isinstance(layer, SqueezeExcite) else 0
            size = layer.out_size(size)
    return total / 1e6


def rows_of(name: str, columns: Sequence[str], *, n: int) -> Iterator[dict[str, str]]:
    file = Path(os.environ.get("HWNAS_DATA", ""), name)
    if not file.is_file():
        pytest.skip(f"needs {name} in the folder that HWNAS_DATA names")
    parquet = pytest.importorskip("pyarrow.parquet")
    yield from parquet.read_table(file, columns=list(columns)).slice(0, n).to_pylist()


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row[2]:.0f}M")
def test_published_networks_have_their_published_operations(family: NetworkFamily, row: tuple[Any, ...]) -> None:
    resolution, width, published_m, *stages = row
    blocks = family.blocks(chosen(family, resolution, width, [stage.split() for stage in stages]))
    assert macs_m(blocks) - gates_m(blocks) == pytest.approx(published_m, rel=1e-12)
    assert gates_m(blocks) < 0.01 * published_m


@pytest.mark.parametrize(
    ("name", "width"), [("ofa_mbv3_w10_measured_top1.parquet", 1.0), ("ofa_mbv3_note10_sample.parquet", 1.2)]
)
def test_counts_are_those_of_published_tables(family: NetworkFamily, name: str, width: float) -> None:
    for row in rows_of(name, ("ks", "e", "d", "r", "macs_m", "params_m"), n=800):
        pairs = list(zip(row["ks"].split(), row["e"].split(), strict=True))
        stages = [pairs[4 * i : 4 * i + int(depth)] for i, depth in enumerate(row["d"].split())]
        blocks = family.blocks(chosen(family, int(row["r"]), width, stages))
        assert macs_m(blocks) - gates_m(blocks) == pytest.approx(row["macs_m"], rel=1e-12)
        assert params_m(blocks) == pytest.approx(row["params_m"], rel=1e-12)


def test_the_covering_networks_have_every_key_of_random_ones(family: NetworkFamily) -> None:
    covering, rng = family.design.covering(), np.random.default_rng(0)
    covered = {key for architecture in covering for key in family.block_keys(architecture)}
    assert len(covering) == 9 * 5 * 2
    for _ in range(200):
        assert covered.issuperset(family.block_keys(family.space.sample(rng)))


def test_activation_and_gates_are_fixed_by_stage(family: NetworkFamily) -> None:
    blocks = family.blocks(family.design.covering()[0])
    assert blocks[0].key == "stem(in=3,out=16,act=hswish,px=160)"
    assert blocks[1].key == "mb(in=16,out=16,k=3,s=1,e=1,se=0,act=relu,px=80)"
    assert blocks[1].residual
    assert blocks[-1].key == "head(in=160,features=960,mixed=1280,classes=1000,act=hswish,px=5)"
    stages = [blocks[2 + 4 * i : 6 + 4 * i] for i in range(5)]
    assert [{block.key.split("act=")[1].split(",")[0] for block in stage} for stage in stages] == [
        {"relu"}, {"relu"}, {"hswish"}, {"hswish"}, {"hswish"},
    ]  # fmt: skip
    assert [{"se=0" in block.key for block in stage} for stage in stages] == [{True}, {False}, {True}, {False}, {False}]


def test_models_are_written_when_they_are_wanted_so_that_many_large_ones_take_no_memory(family: NetworkFamily) -> None:
    workload = family.workloads()[0]
    assert workload.model is not workload.model
    assert workload.model == workload.model
    assert len(workload.model) > 10_000_000


@pytest.mark.filterwarnings(r"ignore:.isinstance\(treespec, LeafSpec\). is deprecated:FutureWarning")  # inside torch
def test_what_is_profiled_is_what_torch_exports_and_computes_the_same(family: NetworkFamily) -> None:
    small = chosen(family, 160, 1.0, [["33", "53"], ["74", "36"], ["33", "54"], ["73", "34"], ["56", "34"]])
    blocks, workload = family.blocks(small), family.workload(small)
    module = family.module(small, seed=0).eval()
    assert [block.params for block in blocks] == [sum(p.numel() for p in part.parameters()) for part in module]
    model = onnx.load_from_string(workload.model)
    load(module, model, blocks)
    image = torch.randn(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = module(image).numpy()
    found = runtime(workload.model).run(None, {"image": image.numpy()})[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    program = torch.onnx.export(module, (image,), dynamo=True, opset_version=18, verbose=False)
    assert program is not None
    backend = OnnxRuntimeBackend()
    profiled = Counter(use.key for use in backend.profile(workload.model, workload.parts, PLAN).uses)
    exported = program.model_proto.SerializeToString()
    assert profiled == Counter(use.key for use in backend.profile(exported, {"": "all"}, PLAN).uses)
