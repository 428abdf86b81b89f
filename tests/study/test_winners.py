"""Which candidates of a search by estimates are trained: those that promise most, until the front is settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import Architecture
from hwnas.evaluators import EvaluatorSource
from hwnas.pareto import non_dominated
from hwnas.study import Run
from hwnas.study.winners import MOST, begin_budget, believed, most_left, next_winner
from tests.study.conftest import FakeTrainer

NONE = np.zeros(0, dtype=np.intp)


def made_up(seed: int, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of a cost, and sizes of networks."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.9, -0.3, n), rng.lognormal(0.0, 1.0, (n, 2))


def test_before_anything_was_trained_the_estimates_are_believed_in_their_order() -> None:
    estimates, sizes = made_up(0)
    belief = believed(estimates, sizes, known=NONE, told=np.zeros(0))
    assert np.array_equal(np.argsort(belief.means), np.argsort(estimates))
    assert belief.warp.backward(belief.means) == pytest.approx(estimates, abs=1e-3)
    assert (np.sqrt(belief.variances) >= 1).all()  # in standard deviations of the estimates


@pytest.mark.parametrize("slope", [1.0, 0.3, -1.0])
def test_what_is_wrong_with_estimates_is_learned_where_it_follows_from_them_and_from_sizes(slope: float) -> None:
    estimates, sizes = made_up(1)
    truth = -0.2 + slope * estimates + 0.05 * np.log(sizes[:, 0])
    known = np.arange(16)
    before, after = (believed(estimates, sizes, known=which, told=truth[which]) for which in (NONE, known))
    off_before, off_after = (np.abs(one.warp.backward(one.means) - truth)[16:].max() for one in (before, after))
    assert off_after < 0.06 < off_before
    assert (after.variances < before.variances).all()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), shift=st.floats(-0.3, 0.3), scale=st.floats(0.1, 1.0), trained=st.integers(1, 12)
)
def test_beliefs_do_not_hang_on_the_zero_nor_the_unit_of_accuracy(
    seed: int, shift: float, scale: float, trained: int
) -> None:
    estimates, sizes = made_up(seed)
    known = np.arange(trained)
    told = estimates[known] + 0.05 * np.random.default_rng(seed).standard_normal(trained)
    one = believed(estimates, sizes, known=known, told=told)
    other = believed(shift + scale * estimates, sizes, known=known, told=shift + scale * told)
    moved = shift + scale * one.warp.backward(one.means)
    assert other.warp.backward(other.means) == pytest.approx(moved, abs=1e-6)
    assert other.variances == pytest.approx(one.variances, rel=1e-6)


def test_estimates_that_are_all_the_same_leave_what_sizes_tell() -> None:
    _, sizes = made_up(2)
    known = np.arange(20)
    told = 0.1 * np.log(sizes[known, 0])
    belief = believed(np.full(40, -0.5), sizes, known=known, told=told)
    assert np.isfinite(belief.means).all()
    assert np.corrcoef(belief.means, np.log(sizes[:, 0]))[0, 1] > 0.9


def by_width(architecture: Architecture) -> float:
    """An accuracy that costs of networks have to do with."""
    return 0.4 + 0.2 * float(architecture["width"]) + int(architecture.id, 16) % 97 / 1000


@dataclass(frozen=True)
class Guess:
    """Stands for an evaluator with shared weights."""

    says: Callable[[Architecture], float]

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        return {"accuracy": self.says(architecture)}


@pytest.fixture
def searched_by(
    begin: Callable[..., Run], trainer: FakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Architecture], float]], Run]:
    """A search of 60 trials by an estimate."""
    trainer.accuracy = by_width
    honest = EvaluatorSource.made

    def search(says: Callable[[Architecture], float]) -> Run:
        def made(self: EvaluatorSource, *arguments: object, **named: object) -> object:
            return Guess(says) if self.name == "supernet" else honest(self, *arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(EvaluatorSource, "made", made)
        return begin(evaluator="supernet", algorithm="random", trials=60)

    return search


def test_estimates_that_are_right_settle_the_front_before_all_that_can_be_trained_is(
    searched_by: Callable[[Callable[[Architecture], float]], Run],
) -> None:
    run = searched_by(by_width)
    finished = run.record.finished()
    assert 1 < len(run.trained()) < MOST
    assert most_left(run, finished) == MOST - len(run.trained())
    assert next_winner(run, finished) is None
    of_all = [trial for trial, good in zip(finished, non_dominated(run.cost_matrix(finished)), strict=True) if good]
    assert run.hypervolume(run.front()) > 0.99 * run.hypervolume(of_all)


def test_of_several_trainings_at_once_each_is_another_one_and_no_budget_has_more_than_so_many(
    searched_by: Callable[[Callable[[Architecture], float]], Run],
) -> None:
    run = searched_by(lambda architecture: 1 - by_width(architecture))  # wrong, and so long in doubt
    finished = run.record.finished()
    for number in run.trained():
        run.record.note(f"trained_accuracy_{number}", 0.1)  # worse than anything else is believed to be
    left, busy = most_left(run, finished), list[int]()
    while (trial := next_winner(run, finished, under_way=busy)) is not None:
        assert trial.number not in {*busy, *run.trained()}
        busy.append(trial.number)
    assert len(busy) <= left
    begin_budget(run.with_trials(80))
    assert most_left(run.with_trials(80), finished) == MOST
