"""What a searcher is told one time after another is what it would know if it had been told the last of it alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import hwnas.searchers.problem as module
from hwnas.core import Objective, Proposal, Trial, cost_matrix
from hwnas.pareto import non_dominated
from hwnas.searchers import DesignsFirst, make_searcher
from hwnas.searchers.history import History, added
from hwnas.spaces import mobilenet_space
from tests.searchers.problems import accuracy_of, evaluated, made_up_problem

PROBLEM = made_up_problem(mobilenet_space("tiny"))
_RNG = np.random.default_rng(0)
DRAWN = list({one.id: one for one in (PROBLEM.space.sample(_RNG) for _ in range(40))}.values())


def trial_of(number: int, accuracy: float | None, cost: int) -> Trial:
    """A trial; one that failed without an accuracy."""
    values = {} if accuracy is None else {"accuracy": accuracy, "cost": float(cost)}
    return Trial(number=number, architecture=DRAWN[number], values=values, failed="no" if accuracy is None else None)


accuracies = st.sampled_from([None, 0.1, 0.2, 0.3, 0.4, float("nan"), float("inf")])
studies = st.lists(st.tuples(accuracies, st.integers(0, 4)), max_size=20).map(
    lambda rows: [trial_of(number, *row) for number, row in enumerate(rows)]
)


def known(history: History) -> tuple[list[Trial], list[list[float]], set[str], list[str]]:
    return history.trials, history.costs.tolist(), history.seen, [one.id for one in history.front()]


def plain(trials: Sequence[Trial]) -> tuple[list[Trial], list[list[float]], set[str], list[str]]:
    """The same by definition."""
    valued = sorted((one for one in trials if one.complete), key=lambda one: one.number)
    finite = [one for one in valued if np.isfinite(PROBLEM.costs([one])).all()]
    costs = PROBLEM.costs(finite)
    front = [one.architecture.id for one, good in zip(finite, non_dominated(costs), strict=True) if good]
    return finite, costs.tolist(), {one.architecture.id for one in trials}, front


@given(studies, st.data())
@settings(max_examples=200, deadline=None)
def test_a_study_that_grows_is_known_as_if_it_had_been_told_at_once(study: list[Trial], data: st.DataObject) -> None:
    """Trials end in any order, several between one time of telling and the next."""
    order = data.draw(st.permutations(study))
    times = sorted(data.draw(st.lists(st.integers(0, len(study)), max_size=6)))
    history, before = History(PROBLEM), list[tuple[NDArray[np.float64], list[list[float]]]]()
    for ended in (*times, len(study)):
        told = sorted(order[:ended], key=lambda one: one.number)
        history.replace(told)
        assert known(history) == plain(told)
        before.append((history.costs, history.costs.tolist()))
    assert all(costs.tolist() == copied for costs, copied in before), "who keeps costs keeps what they were"


@given(studies, st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_is_told_replaces_what_was_told_before(study: list[Trial], data: st.DataObject) -> None:
    history = History(PROBLEM)
    for _ in range(3):
        told = data.draw(st.permutations(study))[: data.draw(st.integers(0, len(study)))]
        history.replace(told)
        assert known(history) == plain(told)


@given(studies, st.data())
@settings(max_examples=100, deadline=None)
def test_what_was_added_is_told_apart_from_what_is_another_study(study: list[Trial], data: st.DataObject) -> None:
    before = [one for one in study if data.draw(st.booleans())]
    new = added(before, study)
    assert new == [one for one in study if all(one is not other for other in before)]
    if before:
        gone = data.draw(st.sampled_from(before))
        assert added(before, [one for one in study if one is not gone]) is None


def test_a_trial_told_with_other_values_counts_with_those() -> None:
    history = History(PROBLEM)
    history.replace([trial_of(0, 0.1, 1), trial_of(1, 0.2, 2)])
    history.replace([trial_of(0, 0.4, 1), trial_of(1, 0.2, 2)])
    assert history.costs.tolist() == [[-0.4, 1.0], [-0.2, 2.0]]
    assert history.front() == [DRAWN[0]]


@pytest.mark.parametrize("late", [1, 4])
def test_a_trial_is_converted_once_however_often_the_study_is_told(late: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With several workers the last few trials end in another order than they began in."""
    rows = []

    def counted(trials: Sequence[Trial], objectives: Sequence[Objective]) -> NDArray[np.float64]:
        rows.append(len(trials))
        return cost_matrix(trials, objectives)

    study = [trial_of(number, 0.1 + number % 7 / 10, number % 5) for number in range(len(DRAWN))]
    order = [i for start in range(0, len(study), late) for i in reversed(range(len(study))[start : start + late])]
    monkeypatch.setattr(module, "cost_matrix", counted)
    history = History(PROBLEM)
    for ended in range(1, len(study) + 1):
        history.replace(sorted((study[i] for i in order[:ended]), key=lambda one: one.number))
        history.front()
    assert sum(rows) == len(study)


def test_designs_that_are_given_are_proposed_again_once_their_trials_are_not_told_any_more() -> None:
    wanted = [Proposal(architecture=one) for one in DRAWN if PROBLEM.feasible([one])[0]][:2]
    searcher = DesignsFirst(make_searcher("random", PROBLEM, seed=0), wanted, problem=PROBLEM)
    trials = evaluated(PROBLEM, [one.architecture for one in wanted], accuracy_of(PROBLEM.space))
    for told, left in (([], wanted), (trials[:1], wanted[1:]), (trials, []), (trials[1:], wanted[:1])):
        searcher.tell(told)
        assert [one for one in searcher.ask(2, pending=[]) if one in wanted] == left
