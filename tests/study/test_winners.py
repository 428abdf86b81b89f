"""Which candidates of a search by estimates are trained: those that promise most, until the front is settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.evaluators import EvaluatorSource
from hwnas.networks import NetworkCosts, NetworkFamily
from hwnas.pareto import hypervolume, levels, non_dominated
from hwnas.spaces import ArchitectureCodes
from hwnas.study import Run
from hwnas.study.folders import with_trials
from hwnas.study.winners import FIRST, MOST, Contest, begin_budget, most_left, next_winner
from tests.study.conftest import FakeTrainer

Values = NDArray[np.float64]


def contest(family: NetworkFamily, seed: int, n: int = 40) -> Contest:
    """Random networks, whose estimates are by their width, their resolution and luck; traded against FLOPs."""
    rng = np.random.default_rng(seed)
    networks = [family.space.sample(rng) for _ in range(n)]
    known = NetworkCosts(family).values(ArchitectureCodes(family.space).encode(networks))
    good = np.array([float(one["width"]) + 0.05 * float(one["resolution"]) for one in networks])
    return Contest(
        space=family.space,
        architectures=networks,
        costs=np.column_stack([-0.3 * good - 0.02 * rng.standard_normal(n), known["flops_m"]]),
        sizes=np.column_stack([known["params_m"], known["flops_m"]]),
        paid=0,
        reference=np.array([0.0, 1.1 * known["flops_m"].max()]),
    )


def trained(among: Contest, truth: Values, *, most: int = MOST) -> dict[int, float]:
    """What is trained, in this order, and what it comes to."""
    told: dict[int, float] = {}
    while len(told) < most and (best := among.best(told)) is not None:
        assert best not in told
        told[best] = float(truth[best])
    return told


def of_front(among: Contest, truth: Values, places: list[int]) -> float:
    return hypervolume(np.column_stack([truth[places], among.costs[places, 1]]), among.reference)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_first_are_spread_over_the_estimated_front_from_end_to_end(tiny_family: NetworkFamily, seed: int) -> None:
    among = contest(tiny_family, seed)
    front = np.flatnonzero(non_dominated(among.costs))
    first = list(trained(among, among.costs[:, 0], most=min(FIRST, len(front))))
    assert set(first) <= set(front.tolist())
    by_estimate = front[np.argsort(among.costs[front, 0])]
    assert [first[0], first[-1]] == [by_estimate[0], by_estimate[-1]]


def test_where_estimates_mislead_is_learned_and_what_is_better_is_found(tiny_family: NetworkFamily) -> None:
    """Here they say the opposite of what the activation is worth; as many in the order of the estimates find less."""
    found, in_order, everything = [], [], []
    for seed in range(3):
        among = contest(tiny_family, seed, n=80)
        hard = np.array([one["activation"] == "hswish" for one in among.architectures])
        truth = among.costs[:, 0] - 0.3 * hard
        misled = replace(among, costs=np.column_stack([among.costs[:, 0] + 0.1 * hard, among.costs[:, 1]]))
        told = trained(misled, truth)
        order = np.lexsort((misled.costs[:, 0], levels(misled.costs)))[: len(told)].tolist()
        for places, kept in ((list(told), found), (order, in_order), (list(range(80)), everything)):
            kept.append(of_front(among, truth, places))
    assert sum(found) > 0.99 * sum(everything)
    assert sum(found) > 1.02 * sum(in_order)


def test_what_cannot_be_learned_from_is_passed_over_in_the_order_of_the_estimates(tiny_family: NetworkFamily) -> None:
    among = contest(tiny_family, 0)
    busy: list[int] = []
    for _ in range(len(among.costs)):  # all are under way, and none has come to its end
        best = among.best({}, under_way=busy)
        assert best is not None
        busy.append(best)
    assert sorted(busy) == list(range(len(among.costs)))
    assert among.best({}, under_way=busy) is None
    front = set(np.flatnonzero(non_dominated(among.costs)).tolist())
    assert set(busy[: len(front)]) == front
    same = trained(among, np.zeros(len(among.costs)), most=8)  # all come to the same
    assert len(same) >= FIRST


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
    assert 1 < len(run.retrained.accuracies()) < MOST
    assert most_left(run, finished) == MOST - len(run.retrained.accuracies())
    assert next_winner(run, finished) is None
    of_all = [trial for trial, good in zip(finished, non_dominated(run.cost_matrix(finished)), strict=True) if good]
    assert run.hypervolume(run.front()) > 0.99 * run.hypervolume(of_all)


def test_of_several_trainings_at_once_each_is_another_one_and_no_budget_has_more_than_so_many(
    searched_by: Callable[[Callable[[Architecture], float]], Run],
) -> None:
    run = searched_by(lambda architecture: 1 - by_width(architecture))  # wrong, and so long in doubt
    finished = run.record.finished()
    for number in run.retrained.accuracies():
        run.record.note(f"trained_accuracy_{number}", 0.1)  # worse than anything else is believed to be
    left, busy = most_left(run, finished), list[int]()
    while (trial := next_winner(run, finished, under_way=busy)) is not None:
        assert trial.number not in {*busy, *run.retrained.accuracies()}
        busy.append(trial.number)
    assert len(busy) <= left
    begin_budget(with_trials(run, 80))
    assert most_left(with_trials(run, 80), finished) == MOST
