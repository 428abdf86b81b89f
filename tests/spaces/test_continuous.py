"""Continuous choices: what a space with an interval does, and what says that it cannot."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import Objective, Trial, UsageError
from hwnas.objectives import lowest
from hwnas.searchers import SearchProblem
from hwnas.searchers.history import History
from hwnas.searchers.inner import leftovers
from hwnas.spaces import (
    ArchitectureCodes,
    Choice,
    Encoding,
    Interval,
    SearchSpace,
    nasbench201_space,
    read_architecture,
)

MIXED = SearchSpace("mixed", (Interval("x", -5.0, 10.0), Choice(name="k", options=(3, 5, 7)), Interval("y", 0.0, 1.0)))
seeds = st.integers(0, 2**32 - 1)
intervals = st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)).map(lambda ends: Interval("x", ends[0], sum(ends)))


@given(intervals, seeds, st.floats(-20, 20))
@settings(max_examples=100, deadline=None)
def test_what_is_drawn_and_stepped_stays_in_the_interval(interval: Interval, seed: int, tilt: float) -> None:
    rng = np.random.default_rng(seed)
    value = interval.drawn(rng, tilt=tilt)
    for found in (value, interval.stepped(value, rng), *interval.near(value)):
        assert interval.low <= found <= interval.high
        assert interval.value(found) == found
    assert value not in interval.near(value)
    assert interval.at(interval.scaled(value)) == pytest.approx(value)


def test_neighbours_are_steps_of_several_sizes_each_way_and_the_bound_where_a_step_would_leave() -> None:
    assert Interval("x", 0.0, 10.0).near(5.0) == pytest.approx([2.5, 7.5, 4.5, 5.5, 4.9, 5.1, 4.99, 5.01])
    assert Interval("x", 0.0, 10.0).near(0.0) == pytest.approx([2.5, 0.5, 0.1, 0.01])


def test_a_tilt_reaches_the_ends_and_none_is_uniform() -> None:
    rng, interval = np.random.default_rng(0), Interval("x", 0.0, 1.0)
    means = [np.mean([interval.drawn(rng, tilt=tilt) for _ in range(2000)]) for tilt in (-8.0, 0.0, 8.0)]
    assert means == pytest.approx([1 / 8, 0.5, 7 / 8], abs=0.03)


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_a_mixed_space_samples_mutates_and_encodes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    here = MIXED.sample(rng)
    for found in (here, MIXED.mutate(here, rng), *MIXED.neighbors(here)):
        assert MIXED.architecture(dict(found)) == found
    mutant = MIXED.mutate(here, rng)
    assert len([name for name in here if here[name] != mutant[name]]) == 1
    codes = Encoding(MIXED).encode([here])
    assert codes.shape == (1, 3)
    assert codes[0] == pytest.approx(
        [(float(here["x"]) + 5) / 15, (3, 5, 7).index(int(here["k"])) / 3 + 1 / 3, here["y"]]
    )


def test_a_mixed_space_is_infinite_and_cannot_be_listed_or_numbered() -> None:
    assert MIXED.size == math.inf
    assert not MIXED.is_enumerable
    assert nasbench201_space().is_enumerable
    with pytest.raises(UsageError, match=r"mixed cannot be listed: choice 'x' is continuous.* -5 to 10; draw a sample"):
        MIXED.enumerate()
    with pytest.raises(UsageError, match=r"choice 'x' is continuous.*needs a search space of finite choices"):
        ArchitectureCodes(MIXED)


@pytest.mark.parametrize("value", [11, -6.0, math.nan, math.inf, "3", True, None])
def test_a_value_outside_of_the_interval_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="choice 'x' of space mixed: expected a number from -5 to 10, received"):
        MIXED.architecture({"x": value, "k": 3, "y": 0.5})  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="'y' of space mixed has no value: give a number from 0 to 1"):
        MIXED.architecture({"x": 1, "k": 3})


def test_whole_numbers_become_numbers_of_the_interval() -> None:
    assert MIXED.architecture({"x": 1, "k": 3, "y": 0}) == MIXED.architecture({"x": 1.0, "k": 3, "y": 0.0})
    assert read_architecture(MIXED, '{"x": 1, "k": 3, "y": 0}')["x"] == 1.0
    with pytest.raises(UsageError, match=r'Expected a JSON object .* such as \{"x": '):
        read_architecture(MIXED, "[]")


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (0.0, math.inf)])
def test_bounds_out_of_order_or_not_finite_are_refused(low: float, high: float) -> None:
    with pytest.raises(UsageError, match="interval 'x': expected two finite bounds, the lower first"):
        Interval("x", low, high)


def test_the_lowest_of_a_continuous_cost_is_found_to_the_smallest_step() -> None:
    found = lowest(MIXED, lambda batch: np.array([(float(a["x"]) - 2) ** 2 + float(a["y"]) + a["k"] for a in batch]))
    assert found["k"] == 3
    assert found["y"] == 0.0
    assert float(found["x"]) == pytest.approx(2.0, abs=0.015)


def test_an_interval_is_restricted_to_new_bounds_within_the_old() -> None:
    assert MIXED.restrict({"x": (0, 5)}).by_name["x"] == Interval("x", 0.0, 5.0)
    with pytest.raises(UsageError, match="expected a number from -5 to 10, received 11"):
        MIXED.restrict({"x": (0, 11)})
    with pytest.raises(UsageError, match="choice 'x' of space mixed is continuous: expected its new bounds"):
        MIXED.restrict({"x": (0, 1, 2)})


def test_what_is_left_of_a_continuous_space_is_walked_to_over_neighbours() -> None:
    goal = Objective(name="value", unit="", direction="minimize", known="trained")
    history = History(SearchProblem(space=MIXED, objectives=(goal,), reference=np.array([1.0])))
    start = MIXED.sample(np.random.default_rng(0))
    history.replace([Trial(number=0, architecture=start, values={"value": 0.5})])
    found = leftovers(5, history, np.random.default_rng(1), taken={start.id})
    assert len({one.id for one in found} - {start.id}) == 5
    assert all(MIXED.architecture(dict(one)) == one for one in found)
