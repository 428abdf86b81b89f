"""How far a search is: what is told in each stage, and what the time left is learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from hwnas.core import Architecture
from hwnas.study import Run, SearchProgress
from hwnas.study.progress import Progress
from tests.study.conftest import FakeTrainer
from tests.study.sources import accuracy_by_id

Begin = Callable[..., Run]


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_every_trial_is_told_with_what_was_found(begin: Begin) -> None:
    seen: list[SearchProgress] = []
    run = begin(on_progress=seen.append)
    assert [(told.stage, told.done, told.total) for told in seen] == [("trials", i, 15) for i in range(16)]
    assert seen[0].eta_s is None
    assert all(told.eta_s is not None and told.eta_s >= 0 and told.ahead == () for told in seen[1:])
    assert seen[-1].eta_s == 0
    found = seen[-1].found
    assert found is not None
    assert found.front_size == len(run.front())
    assert found.hypervolume == run.hypervolume(run.trials())
    assert found.best["accuracy"] == max(trial.values["accuracy"] for trial in run.trials())


def test_a_search_that_goes_on_is_timed_by_what_this_process_does(
    begin: Begin, finished: Run, trainer: FakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(Progress.__init__, "__kwdefaults__", {"clock": clock})

    def slowly(architecture: Architecture) -> float:
        clock.now += 10.0
        return accuracy_by_id(architecture)

    trainer.accuracy = slowly
    seen: list[SearchProgress] = []
    begin(trials=19, on_progress=seen.append)
    assert [(told.done, told.eta_s) for told in seen] == [(15, None), (16, 30.0), (17, 20.0), (18, 10.0), (19, 0.0)]


@pytest.mark.parametrize(("evaluator", "ahead"), [("supernet", ("trials", "winners")), ("tabular", ("trials",))])
def test_steps_of_learning_are_timed_from_where_a_stage_begins(
    finished: Run, evaluator: str, ahead: tuple[str, ...]
) -> None:
    clock, seen = Clock(), list[SearchProgress]()
    run = replace(finished, settings=replace(finished.settings, evaluator=evaluator))
    progress = Progress(run, seen.append, clock=clock)
    for stage, done, seconds in (
        ("supernet", 500, 1),
        ("supernet", 600, 50),
        ("part 1 of 2", 800, 9),
        ("part 1 of 2", 900, 50),
    ):
        clock.now += seconds
        progress.steps(stage, done, 1000)
    assert [told.eta_s for told in seen] == [None, 200.0, 100.0, 50.0]
    assert all(told.ahead == ahead and told.found is None for told in seen)


def test_networks_judged_for_the_scale_of_few_supernets_have_a_pace_of_their_own(finished: Run) -> None:
    clock, seen = Clock(), list[SearchProgress]()
    run = replace(finished, settings=replace(finished.settings, evaluator="few-shot"))
    progress = Progress(run, seen.append, clock=clock)
    for stage, done, total, seconds in (
        ("part 4 of 4", 60, 64, 0),  # as many steps in all as there are networks
        ("part 4 of 4", 64, 64, 100),
        ("scale", 0, 64, 0),
        ("scale", 1, 64, 2),
    ):
        clock.now += seconds
        progress.steps(stage, done, total)
    assert [told.eta_s for told in seen] == [None, 0.0, None, 126.0]
    assert [told.ahead[0] for told in seen] == ["scale", "scale", "trials", "trials"]
