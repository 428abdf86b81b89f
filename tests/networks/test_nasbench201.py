"""The networks of NAS-Bench-201: counts as published, keys that say what runs, and cells without anything in them."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from hwnas.core import Architecture
from hwnas.networks import NetworkFamily, macs_m, network_family, params_m
from hwnas.spaces import architecture_string, from_string
from profilers import OnnxRuntimeBackend, RunPlan
from profilers.kernels import block_kernels
from tests.networks.weights import load, runtime

FAMILY = network_family("nasbench201")
PLAN = RunPlan(warmup_runs=0, runs=1, least_runs=1)
NOTHING = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
DEAD = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|"
COPY = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
LONE = "|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
RICH = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
SHARED = "|avg_pool_3x3~0|+|avg_pool_3x3~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"
PUBLISHED = {  # MACs and parameters in millions, from the benchmark's tables
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|": (
        15.64736, 0.129306,
    ),
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|": (
        113.95136, 0.802426,
    ),
    "|nor_conv_1x1~0|+|none~0|nor_conv_1x1~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|": (23.51168, 0.185306),
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|": (
        220.11968, 1.531546,
    ),
}  # fmt: skip

Counts = dict[str, tuple[float, float, frozenset[str]]]


@pytest.fixture(scope="module")
def everything() -> Counts:
    """MACs, parameters and keys of all networks, by the names of their architectures."""
    found = {}
    for architecture in FAMILY.space.enumerate():
        blocks = FAMILY.blocks(architecture)
        keys = frozenset(key for block in dict.fromkeys(blocks) for key in block.parts.values())
        found[architecture_string(architecture)] = macs_m(blocks), params_m(blocks), keys
    return found


# --- counts


def test_published_counts_are_met_and_dead_edges_are_in_them() -> None:
    for text, counts in PUBLISHED.items():
        blocks = FAMILY.blocks(from_string(text))
        assert (macs_m(blocks), params_m(blocks)) == pytest.approx(counts, rel=1e-12)
    nothing, dead = (FAMILY.blocks(from_string(text)) for text in (NOTHING, DEAD))
    assert macs_m(nothing) == pytest.approx(7.78304, rel=1e-12)
    assert macs_m(dead) - macs_m(nothing) == pytest.approx(2 * 9 * 3.93216, rel=1e-12)


def test_counts_of_all_architectures_follow_from_their_convolutions(everything: Counts) -> None:
    """A 3x3 convolution counts nine times a 1x1, of which one an edge costs 3.93216 M; the rest is the same for all."""
    for text, (macs, params, _) in everything.items():
        ones, threes = text.count("nor_conv_1x1"), text.count("nor_conv_3x3")
        assert macs == pytest.approx(7.78304 + 3.93216 * (ones + 9 * threes), rel=1e-12)
        assert params == pytest.approx(0.073306 + 0.028 * ones + 0.24304 * threes, rel=1e-12)


def test_counts_are_those_of_the_benchmark_for_all_its_architectures(everything: Counts) -> None:
    file = Path(os.environ.get("HWNAS_DATA", ""), "nasbench201.parquet")
    if not file.is_file():
        pytest.skip("needs nasbench201.parquet in the folder that HWNAS_DATA names")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(file, columns=["arch_str", "flops_m", "params_m"]).to_pydict()
    assert set(rows["arch_str"]) == set(everything)
    found = np.array([everything[text][:2] for text in rows["arch_str"]])  # (n, 2)
    np.testing.assert_allclose(found, np.transpose([rows["flops_m"], rows["params_m"]]), rtol=1e-12)


# --- keys


def test_the_covering_networks_have_every_key_of_the_space(everything: Counts) -> None:
    covering = FAMILY.design.covering()
    seen = Counter(key for architecture in covering for key in set(FAMILY.block_keys(architecture)))
    assert set(seen) == frozenset().union(*(keys for _, _, keys in everything.values()))
    assert len(covering) == len({architecture.id for architecture in covering}) == 30
    assert sum(n > 1 for n in seen.values()) > 0.7 * len(seen)


def test_an_edge_of_one_key_becomes_the_same_kernels_wherever_it_stands() -> None:
    """On ONNX Runtime's CPU provider; then the covering networks hold every kernel of the space, too."""
    backend, rng = OnnxRuntimeBackend(), np.random.default_rng(1)
    variants: dict[str, set[frozenset[tuple[str, int]]]] = defaultdict(set)
    fresh = [FAMILY.space.sample(rng) for _ in range(36)]
    for architecture in [*FAMILY.design.covering(), *fresh]:
        workload = FAMILY.workload(architecture)
        uses = backend.profile(workload.model, workload.parts, PLAN).uses
        for key, kernels in block_kernels(uses, workload.parts):
            variants[key].add(frozenset(kernels.items()))
    assert {len(found) for found in variants.values()} == {1}
    assert len(variants) > 150


def test_cells_of_one_key_are_one_cell() -> None:
    for text, kinds in ((RICH, 4), (LONE, 6)):  # the last of a stage runs otherwise if not all that reads it is alike
        blocks = FAMILY.blocks(from_string(text))
        seen = {block.key: block for block in blocks}
        assert all(seen[block.key] == block for block in blocks)
        assert len(blocks) == 1 + 15 + 2 + 1
        assert sum(key.startswith("cell(") for key in seen) == kinds


# --- modules and graphs


def same_output(family: NetworkFamily, architecture: Architecture) -> None:
    model = onnx.load_from_string(family.workload(architecture).model)
    module = family.module(architecture, seed=0).eval()
    load(module, model, family.blocks(architecture))
    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    session = runtime(model.SerializeToString())
    found = np.concatenate([session.run(None, {"image": image[i : i + 1].numpy()})[0] for i in range(2)])
    with torch.no_grad():
        np.testing.assert_allclose(found, module(image).numpy(), rtol=1e-3, atol=1e-5)


def test_the_graph_computes_what_the_module_computes() -> None:
    rng = np.random.default_rng(0)
    for text in (NOTHING, DEAD, COPY, LONE, RICH, SHARED):
        same_output(FAMILY, from_string(text))
    for _ in range(6):
        same_output(FAMILY, FAMILY.space.sample(rng))


@pytest.mark.filterwarnings(r"ignore:.isinstance\(treespec, LeafSpec\). is deprecated:FutureWarning")  # inside torch
@pytest.mark.parametrize("text", [NOTHING, LONE, RICH, SHARED], ids=["nothing", "lone", "rich", "shared"])
def test_what_is_profiled_is_what_torch_exports(text: str) -> None:
    architecture = from_string(text)
    module = FAMILY.module(architecture, seed=0)
    generator = torch.Generator().manual_seed(1)
    for name, values in module.state_dict().items():  # nothing is at its initial value after training
        if values.dtype.is_floating_point and values.dim() == 1:
            values.uniform_(0.5, 1.5, generator=generator) if "var" in name else values.normal_(generator=generator)
    program = torch.onnx.export(
        module.eval(), (torch.randn(1, 3, 32, 32),), dynamo=True, opset_version=18, verbose=False
    )
    assert program is not None
    backend, workload = OnnxRuntimeBackend(), FAMILY.workload(architecture)
    profiled = Counter(use.key for use in backend.profile(workload.model, workload.parts, PLAN).uses)
    exported = program.model_proto.SerializeToString()
    assert profiled == Counter(use.key for use in backend.profile(exported, {"": "all"}, PLAN).uses)


def test_a_cell_of_nothing_is_still_a_network_that_learns_and_runs() -> None:
    for text in (NOTHING, DEAD):
        architecture = from_string(text)
        module = FAMILY.module(architecture, seed=0).train()
        loss = module(torch.randn(4, 3, 32, 32)).square().sum()
        loss.backward()
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        assert gradients
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        kinds = Counter(node.op_type for node in onnx.load_from_string(FAMILY.workload(architecture).model).graph.node)
        assert kinds["Mul"] == 15  # one a cell: its input times zero
    parts = FAMILY.workload(from_string(COPY)).parts.values()
    assert [key.partition("(")[0] for key in parts] == ["stem", "reduction", "reduction", "head"]  # and copies are free
