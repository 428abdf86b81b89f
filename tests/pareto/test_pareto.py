"""Laws of dominance and of the hypervolume, against definitions slow enough to be obviously right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwnas.pareto import dominance_counts, dominates, hypervolume, knee, levels, non_dominated
from hwnas.pareto.dominance import Costs

dimensions = st.sampled_from([2, 3, 4])


@st.composite
def grids(draw: st.DrawFn, low: int = -1, high: int = 5, fewest: int = 0) -> Costs:
    """Points with whole coordinates: ties and duplicates are common."""
    shape = draw(st.tuples(st.integers(fewest, 8), dimensions))
    return draw(arrays(np.float64, shape, elements=st.integers(low, high).map(float)))


@st.composite
def clouds(draw: st.DrawFn) -> Costs:
    shape = draw(st.tuples(st.integers(1, 5), dimensions))
    return draw(arrays(np.float64, shape, elements=st.floats(-2, 2, allow_subnormal=False)))


def counted_volume(costs: Costs, reference: Costs) -> float:
    """Unit cells whose lower corner some point weakly dominates."""
    low = int(min(costs.min(initial=0), 0))
    cells = itertools.product(*(range(low, int(bound)) for bound in reference))
    return float(sum(any((point <= np.array(cell)).all() for point in costs) for cell in cells))


def included_and_excluded(costs: Costs, reference: Costs) -> float:
    """Volume of a union of boxes by inclusion and exclusion."""
    total = 0.0
    for size in range(1, len(costs) + 1):
        for chosen in itertools.combinations(costs, size):
            total -= (-1) ** size * float(np.prod(np.maximum(reference - np.max(chosen, axis=0), 0)))
    return total


def naive_non_dominated(costs: Costs) -> list[bool]:
    def beaten(j: int) -> bool:
        pairs = [list(zip(costs[i], costs[j], strict=True)) for i in range(len(costs)) if i != j]
        return any(all(a <= b for a, b in pair) and any(a < b for a, b in pair) for pair in pairs)

    return [not beaten(j) for j in range(len(costs))]


# --- hypervolume


@given(grids(), st.lists(st.integers(1, 5), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_hypervolume_of_whole_points_is_the_number_of_cells(costs: Costs, bounds: list[int]) -> None:
    reference = np.array(bounds[: costs.shape[1]], dtype=np.float64)
    assert hypervolume(costs, reference) == pytest.approx(counted_volume(costs, reference), abs=1e-9)


@given(clouds())
@settings(max_examples=100, deadline=None)
def test_the_hypervolume_agrees_with_inclusion_and_exclusion(costs: Costs) -> None:
    reference = np.linspace(1.0, 1.5, costs.shape[1])
    assert hypervolume(costs, reference) == pytest.approx(included_and_excluded(costs, reference), abs=1e-9)


@given(st.lists(st.integers(-1, 6), max_size=6))
@settings(max_examples=30, deadline=None)
def test_with_one_objective_the_hypervolume_is_a_distance(values: list[int]) -> None:
    costs = np.array(values, dtype=np.float64).reshape(-1, 1)
    assert hypervolume(costs, np.array([4.0])) == max([0, *(4 - value for value in values)])


@given(grids(), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_order_of_points_does_not_change_the_hypervolume(costs: Costs, seed: int) -> None:
    reference = np.full(costs.shape[1], 4.0)
    shuffled = costs[np.random.default_rng(seed).permutation(len(costs))]
    assert hypervolume(shuffled, reference) == pytest.approx(hypervolume(costs, reference), abs=1e-9)
    assert hypervolume(costs[::-1], reference) == pytest.approx(hypervolume(costs, reference), abs=1e-9)


@given(clouds())
@settings(max_examples=60, deadline=None)
def test_the_order_of_objectives_does_not_change_the_hypervolume(costs: Costs) -> None:
    reference = np.linspace(1.0, 1.5, costs.shape[1])
    assert hypervolume(costs[:, ::-1], reference[::-1]) == pytest.approx(hypervolume(costs, reference), abs=1e-9)


@given(clouds())
@settings(max_examples=60, deadline=None)
def test_one_more_point_never_shrinks_the_hypervolume(costs: Costs) -> None:
    reference = np.ones(costs.shape[1])
    volumes = [hypervolume(costs[:n], reference) for n in range(len(costs) + 1)]
    assert volumes[0] == 0
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(volumes))


@given(grids(fewest=1), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_dominated_and_repeated_points_add_no_volume(costs: Costs, worse: int) -> None:
    reference = np.full(costs.shape[1], 4.0)
    more = np.concatenate([costs, costs[:1] + worse, costs[-1:]])
    volume = hypervolume(costs, reference)
    assert hypervolume(more, reference) == pytest.approx(volume, abs=1e-9)
    assert hypervolume(costs[non_dominated(costs)], reference) == pytest.approx(volume, abs=1e-9)


@given(grids(), st.integers(0, 3), st.integers(4, 9))
@settings(max_examples=60, deadline=None)
def test_points_at_or_beyond_the_reference_add_no_volume(costs: Costs, objective: int, beyond: int) -> None:
    assume(objective < costs.shape[1])
    reference = np.full(costs.shape[1], 4.0)
    outside = np.full((1, costs.shape[1]), -1.0)
    outside[0, objective] = beyond
    more = np.concatenate([outside, costs])
    assert hypervolume(outside, reference) == 0
    assert hypervolume(more, reference) == pytest.approx(hypervolume(costs, reference), abs=1e-9)


@given(clouds(), st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=60, deadline=None)
def test_the_hypervolume_scales_and_shifts_with_the_points(costs: Costs, factor: float, shift: float) -> None:
    reference = np.ones(costs.shape[1])
    moved = hypervolume(factor * costs + shift, factor * reference + shift)
    assert moved == pytest.approx(hypervolume(costs, reference) * factor ** costs.shape[1], rel=1e-9, abs=1e-6)


def test_a_front_of_many_points_is_measured_exactly() -> None:
    steps = np.arange(200.0)
    front = np.column_stack([steps, 199 - steps])
    assert hypervolume(front, np.array([200.0, 200.0])) == sum(range(1, 201))


def test_no_points_have_no_volume() -> None:
    for empty in (np.zeros((0, 2)), np.zeros((0, 3)), np.zeros(0)):
        assert hypervolume(empty, np.ones(2)) == 0


def test_a_cost_that_is_no_number_is_refused() -> None:
    for m in (2, 3):
        costs = np.zeros((3, m))
        costs[1, 0] = np.nan
        with pytest.raises(ValueError, match="received NaN; leave failed evaluations out"):
            hypervolume(costs, np.ones(m))
        with pytest.raises(ValueError, match="received NaN; leave failed evaluations out"):
            hypervolume(np.zeros((3, m)), costs[1])


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_an_infinitely_bad_point_adds_no_volume(m: int) -> None:
    costs, reference = np.random.default_rng(m).random((4, m)), np.ones(m)
    worse = costs.copy()
    worse[:2, -1] = np.inf
    assert hypervolume(worse, reference) == hypervolume(costs[2:], reference) > 0


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_a_volume_without_bounds_is_refused_or_infinite_and_never_no_number(m: int) -> None:
    costs = np.random.default_rng(m).random((4, m))
    endless, beyond = costs.copy(), np.ones(m)
    endless[:, 0] = -np.inf
    beyond[0] = np.inf
    for points, reference in ((endless, np.ones(m)), (costs, beyond)):
        try:
            volume = hypervolume(points, reference)
        except ValueError:
            continue
        assert volume == np.inf


@pytest.mark.parametrize(
    ("costs", "reference"),
    [
        (np.zeros((2, 3)), np.ones(2)),
        (np.zeros((2, 2)), np.ones(3)),
        (np.zeros((2, 2)), np.ones((1, 2))),
        (np.zeros((2, 2)), np.array(1.0)),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_both(costs: Costs, reference: Costs) -> None:
    with pytest.raises(ValueError, match="expected costs") as caught:
        hypervolume(costs, reference)
    assert str(costs.shape) in str(caught.value)
    assert str(reference.shape) in str(caught.value)


@given(clouds())
@settings(max_examples=20, deadline=None)
def test_no_argument_is_changed(costs: Costs) -> None:
    before, reference = costs.copy(), np.ones(costs.shape[1])
    hypervolume(costs, reference)
    knee(costs)
    assert np.array_equal(costs, before)
    assert (reference == 1).all()


# --- dominance


@given(grids())
@settings(max_examples=100, deadline=None)
def test_the_non_dominated_are_those_that_no_other_point_beats(costs: Costs) -> None:
    assert non_dominated(costs).tolist() == naive_non_dominated(costs)


@given(grids(fewest=1))
@settings(max_examples=60, deadline=None)
def test_dominance_is_a_strict_order(costs: Costs) -> None:
    beats = dominates(costs)
    assert not beats.diagonal().any()
    assert not (beats & beats.T).any()
    assert not (((beats.astype(int) @ beats.astype(int)) > 0) & ~beats).any()  # transitive


@given(grids(fewest=1))
@settings(max_examples=60, deadline=None)
def test_counts_say_how_many_points_dominate_each(costs: Costs) -> None:
    expected = [sum((a <= b).all() and (a < b).any() for a in costs) for b in costs]
    assert dominance_counts(costs).tolist() == expected


@given(grids(fewest=1))
@settings(max_examples=60, deadline=None)
def test_some_point_is_never_dominated_and_equal_points_share_their_fate(costs: Costs) -> None:
    kept = non_dominated(costs)
    assert kept.any()
    assert non_dominated(np.concatenate([costs, costs])).tolist() == [*kept, *kept]


@pytest.mark.parametrize("m", [1, 2, 3])
def test_dominance_refuses_what_is_no_number(m: int) -> None:
    for position in range(3):
        costs = np.arange(3.0 * m).reshape(3, m)
        costs[position, -1] = np.nan
        for ask in (dominates, dominance_counts, non_dominated):
            with pytest.raises(ValueError, match="received NaN; leave failed evaluations out"):
                ask(costs)
    with pytest.raises(ValueError, match="received NaN"):
        non_dominated(np.full((1, m), np.nan))


def test_an_infinite_cost_is_worse_than_every_other() -> None:
    costs = np.array([[0.0, np.inf], [0.0, 1.0], [-np.inf, 2.0], [np.inf, np.inf]])
    assert dominance_counts(costs).tolist() == [2, 0, 0, 3]
    assert non_dominated(costs).tolist() == naive_non_dominated(costs)


# --- knee


def test_the_knee_is_nearest_to_the_ideal_point() -> None:
    costs = np.array([[0.0, 10.0], [0.2, 1.0], [0.5, 0.5], [1.0, 0.0], [0.2, 1.1]])
    assert knee(costs) == 1


def test_the_knee_does_not_depend_on_units() -> None:
    costs = np.array([[0.0, 10.0], [0.2, 1.0], [0.5, 0.5], [1.0, 0.0]])
    assert knee(costs * [1000, 0.001] + [7, -3]) == 1


@given(grids(fewest=1))
@settings(max_examples=100, deadline=None)
def test_the_knee_is_non_dominated_and_nearest_after_scaling(costs: Costs) -> None:
    chosen, members = knee(costs), np.flatnonzero(naive_non_dominated(costs))
    assert chosen in members
    distances = {}
    for i in members:
        low, high = costs[members].min(axis=0), costs[members].max(axis=0)
        steps = [(c - a) / (b - a) for c, a, b in zip(costs[i], low, high, strict=True) if b > a]
        distances[i] = sum(step**2 for step in steps)
    assert distances[chosen] == pytest.approx(min(distances.values()), abs=1e-12)


def test_an_objective_without_differences_does_not_count() -> None:
    costs = np.array([[0.0, 1.0, 5.0], [0.4, 0.4, 5.0], [1.0, 0.0, 5.0]])
    assert knee(costs) == 1
    assert knee(np.full((3, 2), 7.0)) == 0


def test_no_points_have_no_knee() -> None:
    with pytest.raises(ValueError, match="expected at least one point to find a knee, and finite costs"):
        knee(np.zeros((0, 2)))


@pytest.mark.parametrize("cost", [np.nan, np.inf, -np.inf])
def test_a_knee_of_costs_that_are_not_finite_is_refused(cost: float) -> None:
    for row, column in itertools.product(range(3), range(2)):
        costs = np.array([[0.0, 1.0], [0.4, 0.4], [1.0, 0.0]])
        costs[row, column] = cost
        with pytest.raises(ValueError, match="finite costs"):
            knee(costs)
    with pytest.raises(ValueError, match="finite costs"):
        knee(np.array([[cost, 1.0]]))


def test_no_points_have_no_front() -> None:
    assert non_dominated(np.zeros((0, 2))).shape == (0,)


@given(grids())
def test_levels_are_the_fronts_peeled_off_one_by_one(costs: Costs) -> None:
    found, left, level = levels(costs), np.arange(len(costs)), 0
    while len(left):
        front = left[non_dominated(costs[left])]
        assert (found[front] == level).all()
        left, level = np.setdiff1d(left, front), level + 1
    assert found.shape == (len(costs),)
