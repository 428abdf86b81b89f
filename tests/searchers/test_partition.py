"""The partition that LaMOO learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import Trial
from hwnas.objectives import lowest
from hwnas.pareto import dominance_counts, hypervolume
from hwnas.searchers.inner import MutationInner, spread
from hwnas.searchers.tree import BySize, LaMOO, PartitionTree, dominance_halves
from hwnas.spaces import Encoding, mobilenet_space
from tests.searchers.problems import accuracy_of, evaluated, made_up_problem, size_cost

SPACE = mobilenet_space("tiny")
PROBLEM = made_up_problem(SPACE)


def some_trials(n: int, seed: int = 0) -> list[Trial]:
    rng = np.random.default_rng(seed)
    unique = {a.id: a for a in (SPACE.sample(rng) for _ in range(2 * n))}
    return evaluated(PROBLEM, list(unique.values())[:n], accuracy_of(SPACE))


def tree_of(trials: list[Trial], pending: int = 0) -> PartitionTree:
    encoding = Encoding(SPACE)
    codes = encoding.encode([t.architecture for t in trials])
    waiting = encoding.encode([t.architecture for t in some_trials(pending, seed=9)]) if pending else None
    return PartitionTree(codes, PROBLEM.costs(trials), PROBLEM.reference, pending=waiting)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40))
def test_halves_follow_dominance_and_never_tear_equals_apart(points: list[tuple[int, int]]) -> None:
    costs = np.array(points, dtype=float)
    labels, counts = dominance_halves(costs), dominance_counts(costs)
    for label in (0, 1):
        assert not set(counts[labels == label]) & set(counts[labels != label])
    if labels.any():
        assert counts[labels == 0].max() < counts[labels == 1].min()
    else:
        assert len(set(counts)) == 1


def test_leaves_partition_the_samples_and_every_sample_lies_in_its_leaf_region() -> None:
    trials = some_trials(80)
    tree = tree_of(trials)
    leaves = [leaf for leaf, _ in tree.leaves()]
    codes = Encoding(SPACE).encode([t.architecture for t in trials])
    assert len(leaves) > 2
    assert sorted(int(i) for leaf in leaves for i in leaf.members) == list(range(80))
    for leaf in leaves:
        inside = np.flatnonzero(leaf.region.contains(codes))
        assert inside.tolist() == sorted(leaf.members.tolist())


def test_bounds_are_value_plus_exploration_with_the_constant_from_the_hypervolume_found() -> None:
    trials = some_trials(60)
    tree = tree_of(trials)
    total = hypervolume(PROBLEM.costs(trials), PROBLEM.reference)
    assert tree.constant == pytest.approx(0.1 * total)
    first, bound = tree.leaves()[0]
    parent = tree.root
    while parent.children[0].children:
        parent = parent.children[0]
    expected = first.value + 2 * tree.constant * math.sqrt(2 * math.log(parent.visits) / first.visits)
    assert bound == pytest.approx(expected)
    assert tree.best_leaf()[1] == max(b for _, b in tree.leaves())


def test_pending_architectures_count_as_visits() -> None:
    trials = some_trials(60)
    assert tree_of(trials, pending=7).root.visits == 67
    assert sum(leaf.visits for leaf, _ in tree_of(trials, pending=7).leaves()) == 67


def test_too_few_or_equal_samples_are_not_split() -> None:
    few = some_trials(BySize().min_split - 1)
    assert tree_of(few).root.children == []
    codes = np.random.default_rng(0).random((30, 5))
    equal = PartitionTree(codes, np.ones((30, 2)), np.array([2.0, 2.0]))
    assert equal.root.children == []
    assert equal.best_leaf()[0].region.sides == "all"


def test_a_deeper_decision_takes_as_many_more_samples_as_the_settings_say() -> None:
    growth = BySize(min_split=10, deeper=8.0)
    least = [10, 80, 640]
    assert all(growth.may_split(samples, depth=depth, nodes=1) for depth, samples in enumerate(least))
    assert not any(growth.may_split(samples - 1, depth=depth, nodes=1) for depth, samples in enumerate(least))


def test_relaxing_drops_the_last_decision_until_the_whole_space_is_left() -> None:
    leaf, _ = tree_of(some_trials(80)).best_leaf()
    region = leaf.region
    codes = np.random.default_rng(1).random((200, Encoding(SPACE).width))
    while region.path:
        larger = region.relax()
        assert (larger.contains(codes) >= region.contains(codes)).all()
        region = larger
    assert region.contains(codes).all()


def test_proposals_lie_in_the_region_that_is_recorded_as_their_reason() -> None:
    searcher = LaMOO(PROBLEM, MutationInner(), seed=0)
    searcher.tell(some_trials(60))
    leaf, _ = searcher.partition().best_leaf()
    for proposal in searcher.ask(5, pending=[]):
        assert proposal.why["region"] == leaf.region.sides
        if proposal.why["relaxed"] == 0:
            assert leaf.region.contains(Encoding(SPACE).encode([proposal.architecture]))[0]


def test_the_first_designs_hold_the_cheapest_architecture_and_spread_over_the_cost() -> None:
    designs = spread(10, PROBLEM, seed=1)
    cost = size_cost(SPACE)(designs)
    assert cost.min() == pytest.approx(size_cost(SPACE)([lowest(SPACE, size_cost(SPACE))])[0])
    everything = size_cost(SPACE)(list(SPACE.enumerate()))
    assert np.ptp(cost) > 0.6 * np.ptp(everything)
    assert len({d.id for d in designs}) == 10


def test_without_a_known_cost_the_first_designs_are_random_and_feasible() -> None:
    problem = made_up_problem(SPACE, limit=8.0, known=False)
    designs = spread(10, problem, seed=1)
    assert len(designs) == 10
    assert problem.feasible(designs).all()
