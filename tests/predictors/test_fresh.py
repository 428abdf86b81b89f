"""Networks to judge by: new to the table, different, and the chosen ones really chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from hwnas.core import Architecture, UsageError
from hwnas.networks import NetworkFamily, macs_m, network_family
from hwnas.pareto import non_dominated
from hwnas.predictors import chosen_networks, random_networks, signature
from hwnas.spaces import Choice, SearchSpace

PAIR = SearchSpace("pair", (Choice(name="a", options=(1, 2, 3)), Choice(name="b", options=(1, 2))))


def keys(architecture: Architecture) -> list[str]:
    return [f"{name}{value}" for name, value in architecture.items()]


def test_random_networks_are_different_new_and_the_same_for_the_same_seed(tiny_family: NetworkFamily) -> None:
    marks = lambda found: [signature(tiny_family.block_keys(one)) for one in found]  # noqa: E731
    draw = lambda taken, seed: random_networks(  # noqa: E731
        tiny_family.space, tiny_family.block_keys, n=40, taken=taken, rng=np.random.default_rng(seed)
    )
    first = draw([], 3)
    assert len(set(marks(first))) == 40
    assert draw([], 3) == first
    assert not set(marks(first)) & set(marks(draw(marks(first), 4)))


def test_random_networks_reach_the_ends_of_the_space() -> None:
    family = network_family("mobilenet:small")
    found = random_networks(family.space, family.block_keys, n=100, taken=[], rng=np.random.default_rng(0))
    sizes = np.array([macs_m(family.blocks(one)) for one in found])
    rng = np.random.default_rng(0)
    uniform = np.array([macs_m(family.blocks(family.space.sample(rng))) for _ in range(100)])
    assert sizes.min() < uniform.min()
    assert sizes.max() > uniform.max()


def test_networks_of_equal_blocks_are_one_to_a_table() -> None:
    assert signature(["a", "b", "a"]) == signature(["a", "a", "b"]) != signature(["a", "b"])
    with pytest.raises(UsageError, match=r"expected 2 networks of space pair that are new .*, found 1.*--networks"):
        random_networks(PAIR, lambda one: ["same"], n=2, taken=[], rng=np.random.default_rng(0))


def test_a_space_that_has_too_few_says_how_many() -> None:
    taken = [signature(keys(PAIR.architecture({"a": 1, "b": 1})))]
    found = random_networks(PAIR, keys, n=5, taken=taken, rng=np.random.default_rng(0))
    assert len({one.id for one in found}) == 5
    with pytest.raises(UsageError, match="found 5"):
        random_networks(PAIR, keys, n=6, taken=taken, rng=np.random.default_rng(0))


def test_chosen_networks_are_not_dominated_and_lie_along_the_first_cost(tiny_family: NetworkFamily) -> None:
    def costs(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        work = np.array([macs_m(tiny_family.blocks(one)) for one in architectures])
        kernels = np.array([len(tiny_family.block_keys(one)) for one in architectures])
        return np.column_stack([0.01 * kernels + 0.1 * work**0.7, -work])

    found = chosen_networks(
        tiny_family.space, tiny_family.block_keys, costs, n=12, taken=[], rng=np.random.default_rng(0)
    )
    values = costs(found)
    assert 3 <= len(found) <= 12
    assert non_dominated(values).all()
    assert (np.diff(values[:, 0]) >= 0).all()
    rng = np.random.default_rng(1)
    others = costs([tiny_family.space.sample(rng) for _ in range(300)])
    dominating = [((others <= mine).all(axis=1) & (others < mine).any(axis=1)).sum() for mine in values]
    assert sum(dominating) <= 3  # a short evolution, not a proof


def test_chosen_networks_leave_out_what_is_taken_and_may_be_none() -> None:
    def costs(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        return np.array([[float(one["a"]), -float(one["b"])] for one in architectures])

    best = PAIR.architecture({"a": 1, "b": 2})
    assert chosen_networks(PAIR, keys, costs, n=5, taken=[], rng=np.random.default_rng(0)) == [best]
    rest = chosen_networks(PAIR, keys, costs, n=5, taken=[signature(keys(best))], rng=np.random.default_rng(0))
    assert {(one["a"], one["b"]) for one in rest} == {(1, 1), (2, 2)}
    everything = [signature(keys(one)) for one in PAIR.enumerate()]
    assert chosen_networks(PAIR, keys, costs, n=5, taken=everything, rng=np.random.default_rng(0)) == []
