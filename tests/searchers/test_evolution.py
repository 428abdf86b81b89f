"""Inner searchers without a surrogate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.pareto import hypervolume_contributions, levels, non_dominated
from hwnas.searchers.evolution import (
    CmaEsInner,
    LemonadeInner,
    LocalSearchInner,
    Nsga2Inner,
    RegularizedEvolutionInner,
    WarmCmaEsInner,
)
from hwnas.searchers.evolution.ranking import best_first, crowding
from hwnas.searchers.evolution.told import Told, told
from hwnas.searchers.inner import InnerSearcher, RandomInner
from hwnas.searchers.plain import PlainSearcher
from hwnas.searchers.tree import LaMOO
from hwnas.spaces import Choice, Encoding, SearchSpace, mobilenet_space
from tests.searchers.requests import (
    MIXED,
    Cost,
    history_of,
    narrow,
    nothing,
    problem_of,
    request_of,
    some,
    two_costs,
)

INNERS = [CmaEsInner, LemonadeInner, LocalSearchInner, Nsga2Inner, RegularizedEvolutionInner, WarmCmaEsInner]
inners = pytest.mark.parametrize("inner", [kind() for kind in INNERS], ids=lambda inner: inner.name)

points = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20)


@settings(deadline=None, max_examples=50)
@given(points)
def test_the_best_comes_first(rows: list[tuple[int, int, int]]) -> None:
    costs, reference = np.array(rows, dtype=float), np.full(3, 5.0)
    order = best_first(costs, reference)
    assert sorted(order.tolist()) == list(range(len(costs)))
    ranked = levels(costs)[order]
    assert (np.diff(ranked) >= 0).all()
    front = order[ranked == 0]
    assert (np.diff(hypervolume_contributions(costs[front], reference)) <= 1e-9).all()


def test_contributions_are_what_only_that_point_covers() -> None:
    costs = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [9.0, 0.5]])
    assert hypervolume_contributions(costs, np.array([4.0, 4.0])).tolist() == [1.0, 1.0, 1.0, 0.0]


def test_crowding_is_the_gap_between_the_two_next_to_a_point() -> None:
    costs = np.array([[0.0, 4.0], [1.0, 3.0], [4.0, 0.0], [3.0, 1.0]])
    assert crowding(costs).tolist() == [np.inf, 1.5, np.inf, 1.5]
    assert crowding(np.ones((3, 2))).tolist() == [0.0, 0.0, 0.0]


def two_costs_and_a_third(architecture: object) -> tuple[float, float, float]:
    first, second = two_costs(architecture)  # type: ignore[arg-type]
    return first, second, (first - second) ** 2


COSTS: dict[str, Cost] = {
    "one": lambda a: two_costs(a)[:1],
    "two": two_costs,
    "three": two_costs_and_a_third,
    "constant": lambda _: (1.0, 1.0),
    "beyond the reference": lambda a: [1e6 + c for c in two_costs(a)],
    "some not finite": lambda a: (np.nan if a["op_1"] == "a" else 1.0, np.inf if a["op_2"] == "b" else 1.0),
}


@inners
@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_proposals_are_new_legal_and_a_function_of_the_request(inner: InnerSearcher, cost: Cost) -> None:
    history, pending = history_of(some(40), cost), some(3, seed=5)
    request = request_of(history, pending=pending)
    found = inner.propose(6, request)
    ids = {architecture.id for architecture in found}
    assert len(ids) == 6
    assert not ids & (history.seen | {a.id for a in pending})
    assert ids <= request.taken
    assert all(MIXED.architecture(a) == a for a in found)
    assert found == type(inner)().propose(6, request_of(history, pending=pending))
    assert found != inner.propose(6, request_of(history, pending=pending, seed=1))


@inners
def test_proposals_lie_in_the_region(inner: InnerSearcher) -> None:
    history = history_of(some(40), two_costs)
    assert narrow(inner.propose(8, request_of(history, accept=narrow))).all()
    outside = history_of([a for a in some(60) if not narrow([a])[0]], two_costs)
    assert narrow(inner.propose(8, request_of(outside, accept=narrow))).all()
    assert inner.propose(3, request_of(history, accept=nothing)) == []


@inners
@pytest.mark.parametrize("told_of", [0, 1, 3])
def test_few_trials_lead_to_random_proposals(inner: InnerSearcher, told_of: int) -> None:
    history = history_of(some(told_of), two_costs)
    assert inner.propose(5, request_of(history)) == RandomInner().propose(5, request_of(history))


@inners
@pytest.mark.parametrize("told_of", [0, 1, 2, 10, 12])
def test_a_space_of_one_choice_is_searched_to_its_end(inner: InnerSearcher, told_of: int) -> None:
    space = SearchSpace("line", (Choice(name="x", options=tuple(range(12))),))
    history = history_of(list(space.enumerate())[:told_of], lambda a: (float(a["x"]),), space=space)
    found = inner.propose(20, request_of(history))
    assert len(found) == 12 - told_of


@inners
def test_process_wide_randomness_is_left_as_it_was(inner: InnerSearcher) -> None:
    before = np.random.get_state()  # noqa: NPY002
    inner.propose(5, request_of(history_of(some(60), two_costs)))
    after = np.random.get_state()  # noqa: NPY002
    assert before[2] == after[2]  # type: ignore[index]
    assert (before[1] == after[1]).all()  # type: ignore[index]


@inners
def test_what_was_learned_leads_to_better_proposals_than_chance(inner: InnerSearcher) -> None:
    space = mobilenet_space("small")

    def cost(architecture: object) -> tuple[float]:
        values = np.array([float(v) for v in architecture.values() if not isinstance(v, str)])  # type: ignore[attr-defined]
        return (-float(values.sum()),)

    history = history_of(some(100, space=space), cost, space=space)
    found = [cost(a)[0] for a in inner.propose(20, request_of(history))]
    chance = [cost(a)[0] for a in RandomInner().propose(20, request_of(history))]
    assert np.mean(found) < np.mean(chance) - np.std(chance) / 2


@inners
def test_with_the_whole_space_as_region_it_is_a_searcher(inner: InnerSearcher) -> None:
    history = history_of(some(30), two_costs)
    searcher = PlainSearcher(history.problem, inner, seed=0)
    searcher.tell(history.trials)
    assert [p.why["inner"] for p in searcher.ask(4, pending=[])] == [inner.name] * 4


@inners
def test_in_a_learned_region_it_proposes_there(inner: InnerSearcher) -> None:
    history = history_of(some(60), two_costs)
    searcher = LaMOO(history.problem, inner, seed=0)
    searcher.tell(history.trials)
    leaf, _ = searcher.partition().best_leaf()
    assert leaf.region.path
    proposals = searcher.ask(3, pending=[])
    inside = leaf.region.contains(Encoding(MIXED).encode([p.architecture for p in proposals if not p.why["relaxed"]]))
    assert len(proposals) == 3
    assert inside.all()


def test_the_survivors_of_nsga2_hold_the_front_however_old_it_is() -> None:
    architectures = some(90)
    known = told(request_of(history_of(architectures, two_costs)), initial=0)
    assert known is not None
    front = {architectures[i].id for i in np.flatnonzero(non_dominated(known.costs))}
    survivors = Nsga2Inner(population=25).survivors(known)
    assert len(front) <= 25 == len(survivors)
    assert front == {a.id for a in survivors.architectures[: len(front)]}


def test_children_of_nsga2_take_their_values_from_survivors() -> None:
    history = history_of(some(90), two_costs)
    inner = Nsga2Inner(population=8)
    known = told(request_of(history), initial=0)
    assert known is not None
    parents = inner.survivors(known)
    foreign = [
        sum(all(parent.get(name) != value for parent in parents.architectures) for name, value in child.items())
        for child in inner.propose(30, request_of(history))
    ]
    assert np.mean(foreign) < 1.0


def test_regularised_evolution_forgets_the_old_however_good() -> None:
    best_first_ones = sorted(some(60), key=two_costs)
    history = history_of(best_first_ones, two_costs)
    youngest = best_first_ones[-5:]
    near = {neighbor.id for one in youngest for neighbor in MIXED.neighbors(one)}
    for child in RegularizedEvolutionInner(population=5, tournament=2).propose(10, request_of(history)):
        same = [one for one in youngest if one["depth"] != child["depth"]]
        assert child.id in near or same  # what comes to life by a mutation is random, not the first option


def test_tournaments_are_won_by_the_lowest_cost_where_there_is_one() -> None:
    history = history_of(some(50), lambda a: (two_costs(a)[0],))
    best = min((t.architecture for t in history.trials), key=lambda a: two_costs(a)[0])
    children = RegularizedEvolutionInner(tournament=500).propose(5, request_of(history))
    assert all(sum(best.get(name) != child.get(name) for name in MIXED.by_name) <= 2 for child in children)


def test_local_search_looks_next_to_the_front_and_elsewhere_once_that_is_known() -> None:
    history = history_of(some(60), two_costs)
    front = history.front()
    near = {n.id for one in front for n in MIXED.neighbors(one)} - history.seen
    found = {a.id for a in LocalSearchInner().propose(len(near), request_of(history))}
    assert found == near
    assert len(LocalSearchInner().propose(len(near) + 5, request_of(history))) == len(near) + 5


def test_the_strategy_replays_the_last_generations_of_a_long_run_only() -> None:
    architectures = some(400)
    inner = CmaEsInner(population=10, generations=20)
    long = history_of(architectures, two_costs)
    whole = inner._strategy(Told(architectures, long.costs), request_of(long), size=10)
    part = inner._strategy(Told(architectures[-200:], long.costs[-200:]), request_of(long), size=10)
    assert np.allclose(whole.mean, part.mean)
    assert whole.countiter == 20


def test_single_objective_runs_get_to_the_optimum() -> None:
    problem = problem_of(MIXED, 1)
    best = min(two_costs(a)[0] for a in MIXED.enumerate())
    for kind in INNERS:
        searcher = PlainSearcher(problem, kind(), seed=0)
        architectures: list = []
        for _ in range(20):
            history = history_of(architectures, lambda a: two_costs(a)[:1])
            searcher.tell(history.trials)
            architectures += [p.architecture for p in searcher.ask(10, pending=[])]
        assert min(two_costs(a)[0] for a in architectures) == best, kind
