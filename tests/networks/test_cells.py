"""Laws of cells: what is dead, what is left out, and what runs as one with what."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.networks.cells import Cell, Edge
from hwnas.networks.fusion import Kinds, entering, label, with_keys
from hwnas.networks.layers import AveragePool, Conv, PlainLayer, Relu
from hwnas.spaces.nasbench201 import EDGES

COPY: tuple[PlainLayer, ...] = ()
POOL = (AveragePool(kernel=3),)
NAMES = {COPY: "copy", POOL: "pool"}


def conv(kernel: int) -> tuple[PlainLayer, ...]:
    return Relu(), Conv(in_channels=1, out_channels=1, kernel=kernel)


def cell(*operations: tuple[PlainLayer, ...] | None) -> Cell:
    """A cell of four nodes from the layers of its six edges; ``None`` is no edge."""
    wired = zip(EDGES, operations, strict=True)
    return Cell(nodes=4, edges=tuple(Edge(source=i, target=j, layers=x) for (i, j), x in wired if x is not None))


# each edge may be missing, a copy, a pool, or a convolution that is like no other
cells = st.tuples(*(st.sampled_from([None, COPY, POOL, conv(2 * i + 1)]) for i in range(len(EDGES)))).map(
    lambda operations: cell(*operations)
)


def applied(layers: Sequence[PlainLayer], x: float) -> float:
    """Something made up that differs for different layers."""
    for layer in layers:
        x = {Relu: abs, AveragePool: math.tanh}.get(type(layer), lambda y: math.sin(y + layer.kernel))(x)  # noqa: B023
    return x


def computed(cell: Cell, edges: Sequence[Edge]) -> float | None:
    """The last node along some edges; ``None`` when nothing gets there."""
    nodes: dict[int, float] = {0: 0.7}
    for edge in edges:
        if edge.source in nodes:
            nodes[edge.target] = nodes.get(edge.target, 0.0) + applied(edge.layers, nodes[edge.source])
    return nodes.get(cell.nodes - 1)


@given(cells)
@settings(max_examples=300, deadline=None)
def test_dead_edges_and_simplifying_change_nothing(cell: Cell) -> None:
    expected = computed(cell, cell.edges)
    assert computed(cell, [cell.edges[i] for i in cell.live]) == pytest.approx(expected)
    simple = cell.simplified
    assert computed(simple, [simple.edges[i] for i in simple.live]) == pytest.approx(expected)
    assert [edge.target for edge in simple.edges] == sorted(edge.target for edge in simple.edges)
    assert (simple.params, simple.macs(8), simple.out_size(8)) == (cell.params, cell.macs(8), cell.out_size(8))


@given(cells)
@settings(max_examples=300, deadline=None)
def test_without_any_one_live_edge_something_is_missing(cell: Cell) -> None:
    live = [cell.edges[i] for i in cell.live]
    for left_out in live:
        found = computed(cell, [edge for edge in live if edge is not left_out])
        assert found is None or found != pytest.approx(computed(cell, live), rel=1e-12)


def test_edges_that_nothing_reaches_or_that_reach_nothing_are_dead() -> None:
    assert cell(conv(1), None, None, POOL, None, None).live == (1,)  # node 1 leads nowhere
    assert cell(None, None, conv(1), POOL, conv(3), None).live == (1,)  # node 1 is empty
    assert cell(conv(1), None, conv(3), None, None, None).live == ()
    assert cell(None, None, None, None, None, None).live == ()
    assert cell(POOL, None, None, None, POOL, None).live == (0, 1)


def test_copies_leave_no_nodes_and_no_sums_behind() -> None:
    simple = cell(COPY, None, POOL, None, conv(1), COPY).simplified  # node 1 is the input, node 2 goes into node 3
    assert [(edge.source, edge.target, edge.layers) for edge in simple.edges] == [(0, 3, POOL), (0, 3, conv(1))]


def keys(cell: Cell, *to: str) -> list[str | None]:
    simple = cell.simplified
    names = NAMES | {edge.layers: f"conv{i}" for i, edge in enumerate(simple.edges) if edge.layers not in NAMES}
    keyed = with_keys(simple, Kinds(to), names=names, at="x")
    return [None if key is None else key.replace("edge(op=", "").replace(",x", "") for key in
            (edge.key for edge in keyed.edges)]  # fmt: skip


def test_keys_say_what_an_edge_adds_to_and_what_reads_the_sum() -> None:
    assert keys(cell(None, None, None, conv(1), None, None), "relu") == ["conv0,onto=none,to=relu)"]
    assert keys(cell(conv(1), None, None, POOL, conv(3), None), "other") == [
        "conv0,onto=none,to=relu)", "pool,onto=none,to=sum)", "conv2,onto=sum,to=other)",
    ]  # fmt: skip


def test_of_two_convolutions_in_a_sum_either_may_take_it() -> None:
    assert keys(cell(COPY, None, None, conv(1), conv(3), None), "norm") == [
        "conv0,onto=none,to=sum:norm)", "conv1,onto=conv,to=norm)",
    ]  # fmt: skip


def test_equal_things_are_computed_once() -> None:
    twice = cell(COPY, None, None, POOL, POOL, None)
    assert keys(twice, "relu") == ["pool,onto=none,to=other)", "copy,onto=sum,to=relu)"]


def test_dead_edges_have_no_key() -> None:
    assert keys(cell(conv(1), None, None, POOL, None, None), "relu") == [None, "pool,onto=none,to=relu)"]


def test_what_reads_the_input_is_told_to_the_block_before() -> None:
    assert entering(cell(conv(1), None, None, conv(3), COPY, None), Kinds({"norm"})) == {"relu"}
    assert entering(cell(conv(1), None, None, COPY, COPY, None), Kinds({"norm"})) == {"relu", "other"}
    assert entering(cell(None, None, None, COPY, None, None), Kinds({"norm"})) == {"norm"}  # a copy passes it on
    assert label(Kinds({"relu", "other"})) == "other+relu"
