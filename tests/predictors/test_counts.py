"""Kernels counted from codes are those of the graph that ONNX Runtime makes of the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import Architecture
from hwnas.networks import NetworkFamily, network_family
from hwnas.predictors import KernelCounts
from hwnas.spaces import ArchitectureCodes
from latency_tables import BlockRow, LatencyTable, MissingRowError
from profilers import OnnxRuntimeBackend
from profilers.coverage import inspect
from profilers.kernels import block_kernels
from tests.builders import made_up_manifest, made_up_table

BACKEND = OnnxRuntimeBackend()


def compiled(family: NetworkFamily, architecture: Architecture) -> Counter[str]:
    """The slow way: an ONNX graph, compiled by the runtime, its nodes counted."""
    return Counter(use.key for use in inspect(BACKEND, family.workload(architecture), "isolated").uses)


def table_of(family: NetworkFamily, architectures: Sequence[Architecture]) -> LatencyTable:
    """The blocks of some networks, compiled; nothing is timed."""
    rows = []
    for architecture in architectures:
        workload = family.workload(architecture)
        for block, kernels in block_kernels(inspect(BACKEND, workload, "isolated").uses, workload.parts):
            rows.append(BlockRow(key=block, kernels=kernels))
    return LatencyTable.from_rows(made_up_manifest(), rows)


def one_size(family: NetworkFamily) -> Callable[[Architecture], bool]:
    """One resolution and width of the once-for-all space: a tenth of its blocks, and every choice but these."""
    first = family.design.covering()[0]
    return lambda a: "width" not in a or all(a[name] == first[name] for name in ("resolution", "width"))


@pytest.fixture(scope="module", params=["mobilenet:tiny", "nasbench201", "mobilenet:ofa"])
def known(request: pytest.FixtureRequest) -> tuple[NetworkFamily, KernelCounts, list[Architecture]]:
    """A family, its kernels, and architectures to count them in."""
    family = network_family(request.param)
    wanted = one_size(family) if request.param == "mobilenet:ofa" else lambda _: True
    covering = [architecture for architecture in family.design.covering() if wanted(architecture)]
    rng, drawn = np.random.default_rng(4), list[Architecture]()
    while len(drawn) < 40:
        architecture = family.space.sample(rng)
        if request.param == "mobilenet:ofa":
            size = {name: covering[0][name] for name in ("resolution", "width")}
            architecture = family.space.architecture({**architecture, **size})
        drawn.append(architecture)
    return family, KernelCounts(table_of(family, covering), family), drawn


@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_the_direct_path_counts_what_the_runtime_compiles(
    known: tuple[NetworkFamily, KernelCounts, list[Architecture]], data: st.DataObject
) -> None:
    family, kernels, drawn = known
    architecture = data.draw(st.sampled_from(drawn))
    codes = ArchitectureCodes(family.space).encode([architecture])
    counted = dict(zip(kernels.keys, kernels.counts(codes)[0].tolist(), strict=True))
    assert Counter({key: count for key, count in counted.items() if count}) == compiled(family, architecture)


def test_counts_times_rows_are_the_sums_that_predictions_are_made_of(tiny_family: NetworkFamily) -> None:
    table = made_up_table(tiny_family, networks=0)
    kernels, codes = KernelCounts(table, tiny_family), ArchitectureCodes(tiny_family.space)
    drawn = codes.sample(np.random.default_rng(0), 50)
    row_ms = np.array([table.kernels[key].timing.latency_ms for key in kernels.keys])
    sums = [sum(table.block_cost(key)[0] for key in tiny_family.block_keys(a)) for a in codes.decode(drawn)]
    np.testing.assert_allclose(kernels.counts(drawn) @ row_ms, sums)


def test_a_block_that_is_missing_is_named(tiny_family: NetworkFamily) -> None:
    table = made_up_table(tiny_family, networks=0)
    gone = next(key for key in table.blocks if key.startswith("head("))
    lacking = LatencyTable.from_rows(table.manifest, [row for row in table.rows() if row.key != gone])
    with pytest.raises(MissingRowError) as caught:
        KernelCounts(lacking, tiny_family).counts(ArchitectureCodes(tiny_family.space).enumerate())
    assert caught.value.missing == (gone,)
