"""LEMONADE: what is rare among the known costs is preferred, first as a parent, then as a child."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from hwnas.core import Architecture, Objective, Trial
from hwnas.searchers import SearchProblem
from hwnas.searchers.evolution import LemonadeInner
from hwnas.searchers.evolution.density import Density
from hwnas.searchers.history import History
from hwnas.searchers.inner import Request
from hwnas.spaces import Choice, SearchSpace

SPACE = SearchSpace("line", (Choice(name="x", options=tuple(range(400))), Choice(name="y", options=(0, 1))))


def cost(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    """Known: ten to the hundredth of ``x``."""
    return np.array([[10 ** (float(one["x"]) / 100)] for one in architectures]).reshape(-1, 1)


PROBLEM = SearchProblem(
    space=SPACE,
    objectives=(
        Objective(name="error", unit="", direction="minimize", known="trained"),
        Objective(name="cost", unit="", direction="minimize", known="tabulated"),
    ),
    reference=np.array([1000.0, 1e5]),
    known=cost,
)


def request(xs: Sequence[int], *, seed: int = 0, problem: SearchProblem = PROBLEM) -> Request:
    """After trials at some places, all on the front."""
    found = [SPACE.architecture({"x": x, "y": 0}) for x in xs]
    history = History(problem)
    history.replace(
        [
            Trial(number=i, architecture=one, values={"error": 400.0 - int(one["x"]), "cost": float(cost([one])[0, 0])})
            for i, one in enumerate(found)
        ]
    )
    rng = np.random.default_rng(seed)
    return Request(history=history, accept=problem.feasible, taken=set(history.seen), rng=rng)


def test_the_density_is_that_of_a_gaussian_kernel_of_scotts_width() -> None:
    rng = np.random.default_rng(0)
    points, asked = rng.standard_normal((30, 1)), np.linspace(-3, 3, 7)[:, None]
    points -= points.mean()
    ours = Density.of(points).at(asked)
    deviation = points.std()
    theirs = gaussian_kde(points[:, 0] / deviation, bw_method=30**-0.2 / np.std(points / deviation, ddof=1))
    expected = theirs(asked[:, 0] / deviation)
    assert ours / ours.sum() == pytest.approx(expected / expected.sum(), rel=1e-9)


@settings(max_examples=50)
@given(
    points=arrays(np.float64, (6, 2), elements=st.floats(-1e9, 1e9)),
    asked=arrays(np.float64, (5, 2), elements=st.floats(-1e12, 1e12)),
)
def test_chances_are_chances_whatever_the_costs(points: NDArray[np.float64], asked: NDArray[np.float64]) -> None:
    chances = Density.of(points).chances(asked)
    assert (chances > 0).all()
    assert chances.sum() == pytest.approx(1.0)


@settings(max_examples=20)
@given(factor=st.floats(1e-6, 1e6))
def test_units_do_not_matter(factor: float) -> None:
    points = 10 ** np.random.default_rng(1).normal(size=(12, 2))
    asked = 10 ** np.random.default_rng(2).normal(size=(4, 2))
    mine, scaled = Density.of(points).chances(asked), Density.of(factor * points).chances(factor * asked)
    assert mine == pytest.approx(scaled, rel=1e-6)


def test_the_lonelier_a_point_the_higher_its_chance() -> None:
    points = np.array([[1.0], [1.1], [1.2], [1.3], [50.0]])
    chances = Density.of(points).chances(points)
    assert chances.argmax() == 4
    assert chances[1] == chances.min() or chances[2] == chances.min()


def test_lonely_parents_have_more_children() -> None:
    crowd = [*range(11), 200]
    inner = {by_density: LemonadeInner(children=1, by_density=by_density) for by_density in (True, False)}
    lonely = dict.fromkeys(inner, 0)
    for by_density, one in inner.items():
        for seed in range(60):
            (child,) = one.propose(1, request(crowd, seed=seed))
            lonely[by_density] += child["x"] == 200  # the other choice was changed
    assert lonely[True] > 2 * lonely[False] > 0


def test_children_in_empty_parts_are_preferred() -> None:
    crowd = list(range(0, 40, 2))

    def far(children: int) -> float:
        inner = LemonadeInner(children=children)
        found = [inner.propose(1, request(crowd, seed=seed))[0] for seed in range(60)]
        return float(np.mean([int(one["x"]) > 100 for one in found]))

    assert far(20) > far(1) + 0.1


def test_only_what_is_proposed_is_taken_and_every_child_is_one_step_from_the_front() -> None:
    asked = request(range(0, 120, 10))
    before = set(asked.taken)
    found = LemonadeInner().propose(4, asked)
    assert asked.taken - before == {one.id for one in found}
    front = asked.history.front()
    assert all(min(sum(one[name] != parent[name] for name in one) for parent in front) == 1 for one in found)


def test_where_no_cost_is_known_all_objectives_tell_who_is_rare() -> None:
    blind = replace(PROBLEM, known=None)
    found = LemonadeInner().propose(3, request(range(0, 120, 10), problem=blind))
    assert len({one.id for one in found}) == 3
