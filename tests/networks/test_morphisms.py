"""Morphisms: a child that can be its parent begins as its parent, and what is new in it can learn."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hwnas.core import Architecture, UsageError, Value
from hwnas.networks import Block, NetworkFamily, network_family
from hwnas.networks.cells import Cell, Edge
from hwnas.networks.family import ImageShape
from hwnas.networks.inheriting import inherit
from hwnas.networks.layers import AveragePool, Classifier, Conv, Normalise, PlainLayer, Relu, Zero
from hwnas.networks.morphisms import Pair, is_exact, pairs
from hwnas.spaces import SearchSpace, Share, nasbench201_space
from hwnas.spaces.nasbench201 import EDGES, NODES

OPERATIONS: Mapping[str, tuple[PlainLayer, ...]] = {
    "skip_connect": (),
    "avg_pool_3x3": (AveragePool(kernel=3),),
    "nor_conv_1x1": (Relu(), Conv(in_channels=6, out_channels=6, kernel=1)),
    "nor_conv_3x3": (Relu(), Conv(in_channels=6, out_channels=6, kernel=3)),
}


class Graphs:
    """Networks of a stem, one cell that is any graph of four nodes, and a classifier."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def shares(self, shape: ImageShape) -> tuple[Share[tuple[Block, ...]], ...]:
        def network(values: Mapping[str, Value]) -> tuple[Block, ...]:
            stem = Conv(in_channels=shape.channels, out_channels=6, kernel=3)
            ends = Normalise(channels=6), Relu(), Classifier(in_features=6, classes=shape.classes)
            made = {"stem": (stem,), "cell": (graph(values),), "head": ends}
            return tuple(Block(key=key, layers=layers, size=8) for key, layers in made.items())

        return (Share(tuple(choice.name for choice in self.space.choices), network),)

    def covering(self) -> list[Architecture]:
        return []


def graph(values: Mapping[str, Value]) -> Cell:
    edges = [
        Edge(source=i, target=j, layers=OPERATIONS[name], place=f"{i}_{j}")
        for i, j in EDGES
        if (name := str(values[f"edge_{i}_{j}"])) != "none"
    ]
    if not Cell(nodes=NODES, edges=tuple(edges)).live:
        edges.append(Edge(source=0, target=NODES - 1, layers=(Zero(),)))
    return Cell(nodes=NODES, edges=tuple(edges)).simplified


TINY, SMALL, REAL_CELLS = (
    network_family(name, channels=1, classes=5) for name in ("mobilenet:tiny", "mobilenet:small", "nasbench201")
)
CELLS = NetworkFamily(nasbench201_space(), ImageShape(channels=1, classes=5), Graphs(nasbench201_space()))
MIDDLE: Mapping[str, Value] = {
    **{choice.name: choice.options[0] for choice in TINY.space.choices},
    "s1.depth": 2,
    "s2.depth": 2,
}
seeds = st.integers(0, 2**31)


def lived_in(family: NetworkFamily, architecture: Architecture, *, seed: int) -> nn.Sequential:
    """A network none of whose weights is as it was at the beginning, with statistics that belong to them."""
    module, generator = family.module(architecture, seed=seed), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = None
        module.train()
        module(images(family, architecture, seed=seed + 1))
    return module


def images(family: NetworkFamily, architecture: Architecture, *, seed: int) -> torch.Tensor:
    size = family.resolution(architecture)
    return torch.randn(16, family.shape.channels, size, size, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def difference(one: nn.Module, other: nn.Module, shown: torch.Tensor, *, training: bool) -> float:
    """The largest difference between the logits of two networks."""
    first, second = (copy.deepcopy(module).train(training)(shown) for module in (one, other))
    return float((first - second).abs().max())


def line(family: NetworkFamily, seed: int, steps: int) -> list[Architecture]:
    """An architecture and its descendants, each of which can be what the one before is."""
    rng = np.random.default_rng(seed)
    found = [family.space.sample(rng)]
    for _ in range(steps):
        near = [one for one in family.space.neighbors(found[-1]) if is_exact(family, found[-1], one)]
        found += [near[rng.integers(len(near))]] if near else []
    return found


def handed_down(family: NetworkFamily, line: list[Architecture], module: nn.Sequential) -> nn.Sequential:
    """The last of a line, with weights from one to the next."""
    for number, (parent, child) in enumerate(pairwise(line)):
        heir = inherit(family, parent, child, module.state_dict(), seed=number)
        assert heir.exact
        module = heir.module
    return module


@pytest.mark.parametrize(
    ("family", "examples"),
    [(TINY, 15), (SMALL, 3), (CELLS, 40), (REAL_CELLS, 1)],
    ids=["tiny", "small", "graphs", "cells"],
)
def test_an_exact_child_computes_what_its_parent_does(family: NetworkFamily, examples: int) -> None:
    @settings(max_examples=examples)
    @given(seed=seeds, steps=st.integers(1, 3))
    def law(seed: int, steps: int) -> None:
        architectures = line(family, seed, steps)
        module = lived_in(family, architectures[0], seed=seed)
        last = handed_down(family, architectures, module)
        shown = images(family, architectures[0], seed=seed + 2)
        for training in (False, True):
            assert difference(module, last, shown, training=training) < 1e-5

    law()


@settings(max_examples=8)
@given(seed=seeds, steps=st.integers(1, 3))
def test_what_grew_and_shrinks_again_is_what_it_was(seed: int, steps: int) -> None:
    architectures = line(TINY, seed, steps)
    module = lived_in(TINY, architectures[0], seed=seed)
    grown = handed_down(TINY, architectures, module).state_dict()
    before = module.state_dict()
    after = inherit(TINY, architectures[-1], architectures[0], grown, seed=2).module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@settings(max_examples=20)
@given(seed=seeds)
def test_any_network_of_a_family_can_inherit_from_any_other(seed: int) -> None:
    family = (TINY, CELLS)[seed % 2]
    rng = np.random.default_rng(seed)
    parent, child = family.space.sample(rng), family.space.sample(rng)
    weights = family.module(parent, seed=0).state_dict()
    held = {name: one.clone() for name, one in weights.items()}
    heir = inherit(family, parent, child, weights, seed=1)
    assert heir.exact == is_exact(family, parent, child)
    assert all(torch.isfinite(one).all() for one in heir.module.state_dict().values())
    assert all(torch.equal(held[name], one) for name, one in weights.items())


@pytest.mark.parametrize(
    ("choice", "larger"),
    [("s1.b1.kernel", 5), ("s2.b2.expansion", 4), ("width", 2.0), ("s1.se", True), ("s2.depth", 2)],
)
def test_growth_is_exact_what_is_new_can_learn_and_the_way_back_is_not_exact(choice: str, larger: Value) -> None:
    values = {**MIDDLE, choice: 1} if choice == "s2.depth" else dict(MIDDLE)
    parent = TINY.space.architecture(values)
    child = TINY.space.architecture({**MIDDLE, choice: larger})
    assert is_exact(TINY, parent, child)
    assert not is_exact(TINY, child, parent)
    module = lived_in(TINY, parent, seed=0)
    heir = inherit(TINY, parent, child, module.state_dict(), seed=1).module.train()
    untouched = {name: one.detach().clone() for name, one in heir.named_parameters()}
    optimizer = torch.optim.SGD(heir.parameters(), lr=0.1)
    for _ in range(2):  # what reads new channels has to change before what writes them does
        optimizer.zero_grad()
        labels = torch.arange(16) % 5
        nn.functional.cross_entropy(heir(images(TINY, child, seed=2)), labels).backward()
        optimizer.step()
    for name, one in heir.named_parameters():
        if one.ndim == 4:
            assert (one != untouched[name]).float().mean() > 0.5, name  # some rectifiers are dead


@pytest.mark.parametrize(("choice", "other"), [("activation", "hswish"), ("resolution", 16)])
def test_what_changes_the_function_is_no_exact_step(choice: str, other: Value) -> None:
    parent = TINY.space.architecture(MIDDLE)
    assert not is_exact(TINY, parent, TINY.space.architecture({**MIDDLE, choice: other}))


def cell(**operations: str) -> Architecture:
    names = [choice.name for choice in CELLS.space.choices]
    return CELLS.space.architecture({**dict.fromkeys(names, "none"), "edge_0_3": "nor_conv_1x1", **operations})


@pytest.mark.parametrize(
    ("before", "after", "exact"),
    [
        ({}, {"edge_0_3": "nor_conv_3x3"}, True),
        ({"edge_0_3": "nor_conv_3x3"}, {"edge_0_3": "nor_conv_1x1"}, False),
        ({"edge_0_1": "nor_conv_1x1"}, {"edge_0_1": "nor_conv_1x1", "edge_1_3": "nor_conv_3x3"}, True),
        ({"edge_1_3": "nor_conv_1x1"}, {"edge_1_3": "nor_conv_1x1", "edge_0_1": "nor_conv_3x3"}, False),
        ({}, {"edge_1_3": "skip_connect", "edge_0_1": "avg_pool_3x3"}, False),
        ({"edge_0_3": "skip_connect"}, {"edge_0_3": "nor_conv_1x1"}, False),
        ({"edge_0_3": "none"}, {}, False),
    ],
)
def test_an_edge_joins_a_cell_where_another_ends_and_can_be_normalised_to_nothing(
    before: dict[str, str], after: dict[str, str], exact: bool
) -> None:
    parent, child = cell(**before), cell(**after)
    assert is_exact(CELLS, parent, child) == exact
    if exact:
        module = lived_in(CELLS, parent, seed=3)
        heir = inherit(CELLS, parent, child, module.state_dict(), seed=4)
        shown = images(CELLS, parent, seed=5)
        assert max(difference(module, heir.module, shown, training=mode) for mode in (True, False)) < 1e-5


CONV = Conv(in_channels=8, out_channels=8, kernel=3)


@pytest.mark.parametrize(
    ("old", "new", "exact"),
    [
        (CONV, replace(CONV, kernel=5, out_channels=16), True),
        (CONV, replace(CONV, kernel=4), False),
        (CONV, replace(CONV, stride=2), False),
        (CONV, replace(CONV, activation="relu"), False),
        (CONV, replace(CONV, normalised=False), False),
        (CONV, replace(CONV, groups=8), False),
        (replace(CONV, groups=8), Conv(in_channels=16, out_channels=16, kernel=3, groups=16), True),
        (replace(CONV, groups=4), Conv(in_channels=16, out_channels=16, kernel=3, groups=4), False),
        (AveragePool(kernel=3), AveragePool(kernel=5), False),
        (Classifier(in_features=8, classes=5), Classifier(in_features=9, classes=5), True),
        (Classifier(in_features=8, classes=5), Classifier(in_features=8, classes=6), False),
        (Relu(), CONV, False),
    ],
)
def test_what_a_layer_can_grow_into(old: PlainLayer, new: PlainLayer, exact: bool) -> None:
    before, after = (Block(key="made-up", layers=(layer,), size=8) for layer in (old, new))
    assert Pair(old=before, new=after, old_place=0, new_place=0).exact == exact
    assert not Pair(old=before, new=replace(after, size=9), old_place=0, new_place=0).exact
    assert not Pair(old=before, new=replace(after, residual=True), old_place=0, new_place=0).exact


def test_blocks_belong_together_that_come_from_the_same_share() -> None:
    shallow, deep = (TINY.space.architecture({**MIDDLE, "s1.depth": depth}) for depth in (1, 2))
    found = [(pair.old_place if pair.old else None, pair.new_place) for pair in pairs(TINY, shallow, deep)]
    assert found == [(0, 0), (1, 1), (None, 2), (2, 3), (3, 4), (4, 5)]


def test_weights_of_another_network_and_strangers_are_refused() -> None:
    parent = TINY.space.architecture(MIDDLE)
    child = TINY.space.architecture({**MIDDLE, "s1.b1.kernel": 5})
    with pytest.raises(UsageError, match=r"1\.layers\.1\.0\.weight: expected shape \(16, 1, 3, 3\), received shape"):
        inherit(TINY, parent, child, TINY.module(child, seed=0).state_dict(), seed=0)
    few = dict(list(TINY.module(parent, seed=0).state_dict().items())[1:])
    with pytest.raises(UsageError, match=r"0\.layers\.0\.0\.weight: expected shape \(8, 1, 3, 3\), received none"):
        inherit(TINY, parent, child, few, seed=0)
    with pytest.raises(UsageError, match="space mobilenet:tiny has no choice 'edge_0_1'"):
        inherit(TINY, cell(), child, {}, seed=0)
