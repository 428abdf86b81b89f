"""Box decompositions and contributions: laws, and agreement with BoTorch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwnas.pareto import Boxes, hypervolume, hypervolume_contributions, non_dominated, non_dominated_boxes
from hwnas.pareto.dominance import Costs

FLOOR = -10.0  # below every point of the tests, so that open boxes have a volume


@st.composite
def grids(draw: st.DrawFn) -> Costs:
    """Points with whole coordinates: ties and duplicates are common."""
    shape = draw(st.tuples(st.integers(0, 8), st.sampled_from([1, 2, 3, 4, 5])))
    return draw(arrays(np.float64, shape, elements=st.integers(0, 4).map(float)))


def spheres(n: int, m: int, *, seed: int = 0) -> Costs:
    """Points none of which dominates another."""
    raw = np.abs(np.random.default_rng(seed).normal(size=(n, m)))
    return np.asarray(1 - raw / np.linalg.norm(raw, axis=1, keepdims=True))


def volume(boxes: Boxes) -> float:
    return float(np.prod(boxes.upper - np.maximum(boxes.lower, FLOOR), axis=1).sum())


@given(grids(), st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_boxes_and_dominated_volume_fill_all_that_is_below_the_reference(costs: Costs, along: int) -> None:
    reference = np.full(costs.shape[1], 3.0)
    boxes = non_dominated_boxes(costs, reference, along=along % costs.shape[1])
    everything = float(np.prod(reference - FLOOR))
    assert volume(boxes) + hypervolume(costs, reference) == pytest.approx(everything)


@given(grids(), st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_every_cell_that_is_not_dominated_lies_in_one_box_and_no_other_in_any(costs: Costs, along: int) -> None:
    m = costs.shape[1]
    boxes = non_dominated_boxes(costs, np.full(m, 3.0), along=along % m)
    cells = np.random.default_rng(0).integers(-1, 4, size=(60, m)) + 0.5
    holding = ((boxes.lower <= cells[:, None]) & (cells[:, None] <= boxes.upper)).all(axis=2).sum(axis=1)
    dominated = np.array([any((point <= cell).all() for point in costs) for cell in cells])
    open_ = ~dominated & (cells < 3).all(axis=1)
    assert holding.tolist() == open_.astype(int).tolist()


@given(grids(), st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_the_height_of_a_column_is_the_best_cost_of_what_dominates_it_in_the_others(costs: Costs, along: int) -> None:
    m = costs.shape[1]
    along, reference = along % m, np.full(m, 3.0)
    boxes = non_dominated_boxes(costs, reference, along=along)
    assert np.isneginf(boxes.lower[:, along]).all()
    others = [j for j in range(m) if j != along]
    inside = costs[(costs < reference).all(axis=1)]
    for low, height in zip(boxes.lower, boxes.heights, strict=True):
        below = (inside[:, others] <= low[others]).all(axis=1)
        assert height == inside[below, along].min(initial=3.0)


def test_two_objectives_take_one_column_a_point_and_one_more() -> None:
    costs = np.array([[3.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 3.0]])
    boxes = non_dominated_boxes(costs, np.array([5.0, 4.0]))
    order = np.argsort(boxes.upper[:, 1])
    assert boxes.upper[order].tolist() == [[5.0, 1.0], [3.0, 2.0], [2.0, 3.0], [1.0, 4.0]]
    assert boxes.lower[order, 1].tolist() == [-np.inf, 1.0, 2.0, 3.0]


def test_without_points_everything_below_the_reference_is_open() -> None:
    boxes = non_dominated_boxes(np.zeros((0, 3)), np.ones(3), along=1)
    assert boxes.upper.tolist() == [[1.0, 1.0, 1.0]]
    assert np.isneginf(boxes.lower).all()


def test_a_cost_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="received NaN; leave failed evaluations out"):
        non_dominated_boxes(np.array([[np.nan, 1.0]]), np.ones(2))


@given(grids())
@settings(max_examples=40, deadline=None)
def test_a_contribution_is_what_the_hypervolume_loses_without_the_point(costs: Costs) -> None:
    reference = np.full(costs.shape[1], 3.0)
    total = hypervolume(costs, reference)
    lost = [total - hypervolume(np.delete(costs, i, axis=0), reference) for i in range(len(costs))]
    assert hypervolume_contributions(costs, reference) == pytest.approx(np.array(lost), abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(40, 2), (40, 3), (25, 4), (12, 5), (7, 6)])
def test_hypervolume_and_boxes_agree_with_botorch(n: int, m: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what BoTorch imports
        torch = pytest.importorskip("torch")
        theirs = pytest.importorskip("botorch.utils.multi_objective.box_decompositions")
    costs, reference = spheres(n, m), np.full(m, 1.05)
    mirrored, corner = torch.from_numpy(-costs), torch.from_numpy(-reference)
    dominated = theirs.DominatedPartitioning(ref_point=corner, Y=mirrored).compute_hypervolume()
    assert hypervolume(costs, reference) == pytest.approx(float(dominated), rel=1e-9)
    bounds = theirs.FastNondominatedPartitioning(ref_point=corner, Y=mirrored).get_hypercell_bounds().numpy()
    open_volume = np.prod(np.minimum(bounds[1], -FLOOR) - bounds[0], axis=1).sum()
    assert volume(non_dominated_boxes(costs, reference)) == pytest.approx(float(open_volume), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(200, 2), (120, 3), (80, 4), (50, 6)])
def test_large_fronts_are_measured_and_cut(n: int, m: int) -> None:
    costs, reference = spheres(n, m, seed=1), np.full(m, 1.05)
    assert non_dominated(costs).all()
    boxes = non_dominated_boxes(costs, reference, along=m - 1)
    assert volume(boxes) + hypervolume(costs, reference) == pytest.approx(float(np.prod(reference - FLOOR)))


@pytest.mark.parametrize("m", [2, 3, 5])
def test_the_front_of_many_points_is_that_of_all_pairs(m: int) -> None:
    costs = np.random.default_rng(m).integers(0, 6, size=(300, m)).astype(float)
    beaten = ((costs[:, None] <= costs[None]).all(axis=2) & (costs[:, None] < costs[None]).any(axis=2)).any(axis=0)
    assert non_dominated(costs).tolist() == (~beaten).tolist()
    costs[7, 1] = np.nan
    with pytest.raises(ValueError, match="received NaN"):
        non_dominated(costs)
