"""Searches by estimates: the best candidates are trained, and rank by that; nothing is trained twice."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hwnas.core import Architecture, RunMismatchError, UsageError
from hwnas.evaluators import EvaluatorSource
from hwnas.executors import ExecutorSettings
from hwnas.pareto import non_dominated
from hwnas.reports import report
from hwnas.study import Run, SearchProgress, open_run
from hwnas.training import TrainingDivergedError
from tests.study.conftest import FakeTrainer
from tests.study.sources import accuracy_by_id

Begin = Callable[..., Run]


class Guess:
    """Stands for an evaluator with shared weights: the truth, with the ranks turned round."""

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        return {"accuracy": 1 - accuracy_by_id(architecture)}


@pytest.fixture
def guess(begin: Begin, trainer: FakeTrainer, monkeypatch: pytest.MonkeyPatch) -> Begin:
    honest = EvaluatorSource.made

    def made(self: EvaluatorSource, *arguments: object, **named: object) -> object:
        return Guess() if self.name == "supernet" else honest(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(EvaluatorSource, "made", made)
    return lambda **changes: begin(**{"evaluator": "supernet", "algorithm": "mutation", "trials": 40, **changes})


def test_the_front_is_that_of_the_candidates_that_were_trained(guess: Begin, trainer: FakeTrainer) -> None:
    run = guess()
    trained = run.trained()
    assert {run.pick(str(number)).architecture.id for number in trained} == set(trainer.evaluated)
    assert len(trained) == len(trainer.evaluated) <= 24
    by_guess = run.trials()
    first = {t.number for t, good in zip(by_guess, non_dominated(run.cost_matrix(by_guess)), strict=True) if good}
    assert first <= set(trained)
    assert {trial.number for trial in run.front()} <= set(trained)
    for trial in run.front():
        assert trial.values["accuracy"] == accuracy_by_id(trial.architecture)
        assert trial.values["estimated_accuracy"] == 1 - accuracy_by_id(trial.architecture)
    rows = list(csv.DictReader((run.folder / "front.csv").read_text().splitlines()))
    assert [float(row["accuracy"]) for row in rows] == [trial.values["accuracy"] for trial in run.front()]


def test_what_is_trained_is_not_trained_again_and_a_larger_budget_trains_what_is_new(
    guess: Begin, trainer: FakeTrainer
) -> None:
    before = guess(trials=15).trained()
    guess(trials=15)
    assert len(trainer.evaluated) == len(before)
    after = guess(trials=40).trained()
    assert before.items() <= after.items()
    assert len(trainer.evaluated) == len(set(trainer.evaluated)) == len(after)


def test_the_training_of_the_winners_goes_on_where_it_was_cut_off(guess: Begin, trainer: FakeTrainer) -> None:
    def interrupted(architecture: Architecture) -> float:
        if len(trainer.evaluated) == 3:
            raise KeyboardInterrupt
        return accuracy_by_id(architecture)

    trainer.accuracy = interrupted
    with pytest.raises(KeyboardInterrupt):
        guess()
    trainer.accuracy = accuracy_by_id
    seen: list[SearchProgress] = []
    run = guess(on_progress=seen.append)
    assert [progress.stage for progress in seen] == ["winners"] * (len(run.trained()) - 1)
    assert [progress.done for progress in seen] == list(range(len(run.trained()) - 1))
    assert len(set(trainer.evaluated)) == len(run.trained())


def test_a_winner_that_cannot_be_trained_is_left_out_with_the_reason(guess: Begin, trainer: FakeTrainer) -> None:
    def diverges(architecture: Architecture) -> float:
        if len(trainer.evaluated) == 2:
            raise TrainingDivergedError("the loss became nan")
        return accuracy_by_id(architecture)

    trainer.accuracy = diverges
    run = guess()
    assert list(run.untrainable().values()) == ["TrainingDivergedError: the loss became nan"]
    assert not run.untrainable().keys() & {trial.number for trial in run.front()}
    guess()
    assert len(trainer.evaluated) == len(run.trained()) + 1


def test_the_report_says_which_accuracies_are_estimates(guess: Begin) -> None:
    run = guess()
    page = report(run).read_text()
    assert f"of {len(run.trained())} trials found by training, which alone make the front" in page
    assert "--evaluator supernet" in page


def test_a_run_does_not_go_on_with_another_evaluator(guess: Begin) -> None:
    guess(trials=3)
    with pytest.raises(RunMismatchError, match="evaluator: recorded 'supernet', asked for 'trained'"):
        guess(trials=3, evaluator="trained")
    with pytest.raises(UsageError, match=r"unknown evaluator 'supernets'.*Did you mean 'supernet'"):
        guess(evaluator="supernets")


def test_a_function_finds_the_accuracies_here_and_in_other_processes(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def quality(architecture):\n    return {'accuracy': 0.5 + len(architecture) / 1000, 'mine': 7}\n"
    )
    function = f"{tmp_path / 'mine.py'}:quality"
    two = ExecutorSettings(name="processes", workers=2)
    for name, where in (("here", None), ("there", two)):
        run = begin(evaluator=function, algorithm="random", trials=4, executor=where, out=tmp_path / name)
        assert all(
            trial.values["accuracy"] == 0.5 + len(trial.architecture) / 1000 and trial.values["mine"] == 7
            for trial in run.front()
        )
    with pytest.raises(UsageError, match="has no function 'other': it has quality"):
        begin(evaluator=f"{tmp_path / 'mine.py'}:other", out=tmp_path / "other")


@pytest.mark.parametrize("name", ["supernet", "few-shot"])
def test_a_search_by_shared_weights_runs_to_its_end_for_real(begin: Begin, name: str) -> None:
    run = begin(evaluator=name, supernet_epochs=1, algorithm="random", trials=4)
    assert run.trained()
    assert (run.folder / name).is_dir()
    assert len(open_run(run.folder).front()) == len(run.front()) > 0
