"""A front that is kept up point by point, against the plain one of all points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwnas.pareto import Front, hypervolume, non_dominated
from hwnas.pareto.dominance import Costs


@st.composite
def grids(draw: st.DrawFn) -> Costs:
    """Points with whole coordinates, some of them infinite: ties and duplicates are common."""
    shape = draw(st.tuples(st.integers(0, 20), st.sampled_from([1, 2, 3, 4])))
    return draw(arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, np.inf])))


def kept_up(costs: Costs, first: int) -> Front[int]:
    """The first points at once, the others one after another."""
    front = Front(range(first), costs[:first])
    for i, cost in enumerate(costs[first:], start=first):
        front.add(i, cost)
    return front


@given(grids(), st.integers(0, 20))
@settings(max_examples=200, deadline=None)
def test_a_front_kept_up_is_the_non_dominated_set_in_the_order_the_points_came(costs: Costs, first: int) -> None:
    plain = np.flatnonzero(non_dominated(costs))
    front = kept_up(costs, min(first, len(costs)))
    assert list(front.members) == plain.tolist()
    assert np.array_equal(front.costs, costs[plain])


@given(grids())
@settings(max_examples=100, deadline=None)
def test_its_hypervolume_is_that_of_all_points_to_the_last_bit(costs: Costs) -> None:
    reference = np.linspace(3.3, 3.9, costs.shape[1])
    assert hypervolume(kept_up(costs, 0).costs, reference) == hypervolume(costs, reference)


@given(grids(), st.data())
@settings(max_examples=100, deadline=None)
def test_what_it_admits_is_what_none_of_all_points_dominates(costs: Costs, data: st.DataObject) -> None:
    point = np.array(data.draw(st.lists(st.integers(-1, 5), min_size=costs.shape[1], max_size=costs.shape[1])), float)
    front = kept_up(costs, 0)
    before = front.members, front.costs.copy()
    admitted = front.admits(point)
    assert admitted == non_dominated(np.vstack([costs, point]))[-1]
    assert front.members == before[0]
    assert np.array_equal(front.costs, before[1])
    assert front.add(-1, point) == admitted == (-1 in front.members)


def test_what_is_no_point_is_refused() -> None:
    front = Front("a", np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"expected a point of shape \(2,\), received \(3,\)"):
        front.add("b", [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="expected numbers as costs, received NaN"):
        front.admits([np.nan, 0.0])
    with pytest.raises(ValueError, match="expected a member for each of 1 points, received 2"):
        Front("ab", np.zeros((1, 2)))
