"""Grey-box search as an inner searcher: contract, fallbacks, and what it is for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from hwnas.core import Architecture, Objective, Trial
from hwnas.pareto import hypervolume
from hwnas.searchers import SearchProblem
from hwnas.searchers.greybox import GreyBoxInner
from hwnas.searchers.greybox.model import Candidates, Model
from hwnas.searchers.history import History
from hwnas.searchers.inner import InnerSearcher, MutationInner, Request
from hwnas.searchers.plain import PlainSearcher
from hwnas.searchers.tree import LaMOO
from hwnas.spaces import Choice, Encoding, SearchSpace, mobilenet_space
from hwnas.surrogates.surrogate import informative, tuning_size
from tests.searchers.problems import ACCURACY, accuracy_of, evaluated, made_up_problem, size_cost

SPACE = SearchSpace(
    "mixed",
    (
        Choice(name="act", options=("relu", "swish", "gelu"), ordinal=False),
        Choice(name="depth", options=(1, 2, 3)),
        *(Choice(name=f"k{i}", options=(3, 5, 7), parent="depth", when=frozenset(range(i, 4))) for i in (1, 2, 3)),
        Choice(name="width", options=(8, 16, 24, 32)),
    ),
)
PROBLEM = made_up_problem(SPACE)


def some(n: int, *, space: SearchSpace = SPACE, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return list({a.id: a for a in (space.sample(rng) for _ in range(9 * n))}.values())[:n]


def trials_of(problem: SearchProblem, n: int, *, seed: int = 0) -> list[Trial]:
    return evaluated(problem, some(n, space=problem.space, seed=seed), accuracy_of(problem.space))


def request_of(
    problem: SearchProblem,
    trials: Sequence[Trial],
    *,
    accept: Callable[[Sequence[Architecture]], np.ndarray] | None = None,
    pending: Sequence[Architecture] = (),
) -> Request:
    history = History(problem)
    history.replace(trials)
    return Request(
        history=history,
        accept=accept or problem.feasible,
        taken=history.seen | {a.id for a in pending},
        pending=tuple(pending),
        rng=np.random.default_rng(1),
    )


def test_proposals_are_new_accepted_and_a_function_of_the_request() -> None:
    trials, pending = trials_of(PROBLEM, 20), some(3, seed=7)

    def narrow(batch: Sequence[Architecture]) -> np.ndarray:
        return np.array([a["act"] != "relu" for a in batch], dtype=bool)

    inner, answers = GreyBoxInner(), []
    for proposer in (inner, inner, GreyBoxInner()):
        request = request_of(PROBLEM, trials, accept=narrow, pending=pending)
        before = set(request.taken)
        found = proposer.propose(6, request)
        assert len({a.id for a in found} - before) == 6
        assert {a.id for a in found} <= request.taken
        assert narrow(found).all()
        answers.append([a.id for a in found])
    assert answers[0] == answers[1] == answers[2]


def test_what_was_asked_before_makes_no_difference() -> None:
    trials = trials_of(PROBLEM, 30)
    used = GreyBoxInner()
    for n in (10, 16, 23):
        used.propose(2, request_of(PROBLEM, trials[:n]))
    later = used.propose(4, request_of(PROBLEM, trials))
    assert later == GreyBoxInner().propose(4, request_of(PROBLEM, trials))


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_evaluations_are_enough(n: int) -> None:
    request = request_of(PROBLEM, trials_of(PROBLEM, n))
    assert len(GreyBoxInner().propose(5, request)) == 5
    assert ("surrogate" in request.notes) == (n < 3)


def test_constant_objectives_lead_to_proposals_all_the_same() -> None:
    same = [Trial(number=i, architecture=a, values={"accuracy": 0.5, "cost": 1.0}) for i, a in enumerate(some(15))]
    assert len(GreyBoxInner().propose(5, request_of(PROBLEM, same))) == 5


def test_a_surrogate_that_cannot_be_fitted_gives_way_to_mutants_and_the_reason_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise FloatingPointError("no likelihood")

    monkeypatch.setattr("hwnas.searchers.greybox.model.learn", broken)
    searcher = PlainSearcher(PROBLEM, GreyBoxInner(), seed=0)
    searcher.tell(trials_of(PROBLEM, 20))
    for proposal in searcher.ask(3, pending=[]):
        assert "could not be fitted (no likelihood)" in proposal.why["surrogate"]
    tree = LaMOO(PROBLEM, GreyBoxInner(), seed=0)
    tree.tell(trials_of(PROBLEM, 20))
    assert all("could not be fitted" in proposal.why["surrogate"] for proposal in tree.ask(3, pending=[]))


def test_where_nothing_can_improve_mutants_are_proposed_and_it_is_said() -> None:
    hopeless = SearchProblem(
        space=SPACE,
        objectives=PROBLEM.objectives,
        reference=np.array([0.0, 0.01]),  # below every cost there is
        feasible=PROBLEM.feasible,
        known=PROBLEM.known,
    )
    request = request_of(hopeless, trials_of(PROBLEM, 20))
    assert len(GreyBoxInner().propose(3, request)) == 3
    assert "no improvement" in str(request.notes["surrogate"])


def test_one_proposal_in_five_explores_however_they_are_asked_for() -> None:
    inner = GreyBoxInner()
    for start in (15, 17):
        asked = [inner._explored(1, request_of(PROBLEM, trials_of(PROBLEM, start + i))) for i in range(10)]
        assert sum(asked) == 2
        assert inner._explored(10, request_of(PROBLEM, trials_of(PROBLEM, start))) == 2
    assert GreyBoxInner(explore_every=0)._explored(10, request_of(PROBLEM, trials_of(PROBLEM, 15))) == 0


def test_what_is_found_by_local_search_is_never_exploratory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()
    choose = Model.choose

    def told(model: Model, n: int, candidates: Candidates, *, bold: int = 0) -> list[int]:
        asked.append(bold)
        return choose(model, n, candidates, bold=bold)

    monkeypatch.setattr(Model, "choose", told)
    GreyBoxInner(explore_every=1).propose(2, request_of(PROBLEM, trials_of(PROBLEM, 20)))
    monkeypatch.setattr("hwnas.searchers.greybox.inner.MOST_LISTED", 10)
    GreyBoxInner(explore_every=1).propose(2, request_of(PROBLEM, trials_of(PROBLEM, 20)))
    assert asked == [2, 0]


def test_pending_architectures_and_the_batch_itself_are_counted_on() -> None:
    trials = trials_of(PROBLEM, 25)
    best = GreyBoxInner(explore_every=0).propose(1, request_of(PROBLEM, trials))
    next_best = GreyBoxInner(explore_every=0).propose(1, request_of(PROBLEM, trials, pending=best))
    batch = GreyBoxInner(explore_every=0).propose(2, request_of(PROBLEM, trials))
    assert batch == [*best, *next_best]


def run(inner: InnerSearcher, problem: SearchProblem, n: int, *, seed: int = 0) -> float:
    """Hypervolume after ``n`` evaluations in batches of four, the first eight random."""
    accuracy = accuracy_of(problem.space)
    trials = trials_of(problem, 8, seed=seed)
    searcher = PlainSearcher(problem, inner, seed=seed)
    while len(trials) < n:
        searcher.tell(trials)
        found = [p.architecture for p in searcher.ask(4, pending=[])]
        trials = evaluated(problem, [*(t.architecture for t in trials), *found], accuracy)
    return hypervolume(problem.costs(trials), problem.reference)


@pytest.mark.parametrize("known", [True, False])
def test_few_evaluations_find_most_of_the_front_of_a_space(known: bool) -> None:
    problem = made_up_problem(SPACE, known=known)
    everything = evaluated(problem, list(SPACE.enumerate()), accuracy_of(SPACE))
    most = hypervolume(problem.costs(everything), problem.reference)
    assert run(GreyBoxInner(), problem, 40) > 0.985 * most


@pytest.mark.science
def test_a_surrogate_beats_mutation_in_hypervolume_over_ten_seeds() -> None:
    wins = sum(run(GreyBoxInner(), PROBLEM, 32, seed=s) > run(MutationInner(), PROBLEM, 32, seed=s) for s in range(10))
    assert wins >= 9


def test_local_search_finds_what_a_look_through_the_whole_space_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = trials_of(PROBLEM, 20)
    whole = GreyBoxInner(explore_every=0).propose(1, request_of(PROBLEM, trials))
    monkeypatch.setattr("hwnas.searchers.greybox.inner.MOST_LISTED", 10)
    assert GreyBoxInner(explore_every=0).propose(1, request_of(PROBLEM, trials)) == whole


def test_large_spaces_are_searched_where_proposals_may_lie() -> None:
    space = mobilenet_space("small")
    cost = size_cost(space)
    problem = made_up_problem(space, limit=20.0)
    request = request_of(problem, trials_of(problem, 12))
    found = GreyBoxInner().propose(2, request)
    assert len(found) == 2
    assert (cost(found) <= 20.0).all()
    assert "surrogate" not in request.notes


def test_three_objectives_two_of_them_exact() -> None:
    size = Objective(name="size", unit="M", direction="minimize", known="modelled")
    cost = size_cost(SPACE)
    encoding = Encoding(SPACE)

    def known(batch: Sequence[Architecture]) -> np.ndarray:
        return np.column_stack([cost(batch), encoding.encode(batch)[:, -1]])

    problem = SearchProblem(
        space=SPACE,
        objectives=(PROBLEM.objectives[1], ACCURACY, size),
        reference=np.array([9.0, 0.0, 1.1]),
        known=known,
    )
    trials = [
        Trial(number=i, architecture=a, values={"accuracy": accuracy_of(SPACE)(a), "cost": c, "size": s})
        for i, a in enumerate(some(20))
        for c, s in known([a]).tolist()
    ]
    assert problem.paid == (1,)
    assert len(GreyBoxInner().propose(4, request_of(problem, trials))) == 4


# --- what a surrogate learns from


def test_hyperparameters_are_learned_at_steps_that_depend_on_the_number_of_evaluations_alone() -> None:
    sizes = [tuning_size(n) for n in range(1, 400)]
    assert all(0 < size <= n for n, size in enumerate(sizes, start=1))
    assert sizes == sorted(sizes)
    assert all(size > 0.8 * n for n, size in enumerate(sizes, start=1))
    assert len(set(sizes)) < 45


def test_of_many_evaluations_the_front_and_a_spread_of_the_rest_are_learned_from() -> None:
    costs = np.random.default_rng(0).random((500, 2))
    kept = informative(costs, 90)
    assert len(kept) <= 90
    assert (np.diff(kept) > 0).all()
    beaten = ((costs[:, None] <= costs[None]).all(axis=2) & (costs[:, None] < costs[None]).any(axis=2)).sum(axis=0)
    assert set(np.flatnonzero(beaten == 0)) <= set(kept)
    assert beaten[kept].max() > np.median(beaten)
    assert informative(costs, 500).tolist() == list(range(500))
