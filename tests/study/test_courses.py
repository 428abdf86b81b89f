"""Courses of trainings in the record of a search: of candidates and winners, of the stopped, and from workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hwnas.core import Architecture, Finding
from hwnas.evaluators import COURSE
from hwnas.executors import ExecutorSettings
from hwnas.study import Run
from tests.study.conftest import FakeTrainer
from tests.study.sources import TellingSource, accuracy_by_id, told

Begin = Callable[..., Run]


def test_workers_deliver_courses_and_the_same_searches_without_them_have_the_same_trials(
    begin: Begin, trainer: FakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = begin(algorithm="mutation", trials=4, out=tmp_path / "plain")
    monkeypatch.setattr("hwnas.study.searching.EvaluatorSource", lambda **_: TellingSource())
    run = begin(algorithm="mutation", trials=4, executor=ExecutorSettings(name="processes"))
    attributes = run.record.attributes()
    assert [trial.architecture.id for trial in run.trials()] == [trial.architecture.id for trial in plain.trials()]
    for trial in run.trials():
        assert attributes[trial.number][COURSE] == told(trial.values["accuracy"])
    assert all(COURSE not in one for one in plain.record.attributes().values())


def test_a_trial_that_is_stopped_early_keeps_its_course(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    class Halting(TellingSource):
        def evaluate_at(self, architecture: Architecture, *, epochs: int) -> Mapping[str, float]:
            return self.find_at(architecture, epochs=epochs).values

        def find_at(self, architecture: Architecture, *, epochs: int) -> Finding:
            accuracy = accuracy_by_id(architecture) / 2
            return Finding(values={"accuracy": accuracy, "train_s": 0.1}, notes={COURSE: [[epochs, 2.0, 0.01]]})

    monkeypatch.setattr("hwnas.study.searching.EvaluatorSource", lambda **_: Halting())
    run = begin(algorithm="random", trials=16, halving=3)
    attributes = run.record.attributes()
    stopped = [trial for trial in run.record.finished() if trial.stopped]
    assert stopped
    assert all(attributes[trial.number][COURSE] == [[2, 2.0, 0.01]] for trial in stopped)
    assert all(attributes[trial.number][COURSE] == told(trial.values["accuracy"]) for trial in run.trials())


def test_winners_of_a_search_by_estimates_have_the_course_of_their_training(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwnas.study.searching.EvaluatorSource", lambda **_: TellingSource())
    run = begin(evaluator="proxy", trials=4)
    assert run.retrained.courses().keys() == run.retrained.accuracies().keys() != set()
    trained = run.retrained.accuracies()
    assert all(run.retrained.courses()[number] == told(accuracy) for number, accuracy in trained.items())
