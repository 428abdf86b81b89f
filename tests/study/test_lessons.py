"""Searches by predictions: what they learn from, what they refuse to learn from, and that the winners are trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hwnas.core import Architecture, RunMismatchError, UsageError
from hwnas.evaluators import PredictorEvaluator
from hwnas.executors import ExecutorSettings
from hwnas.reports import report
from hwnas.study import Run, open_run, search
from hwnas.training import Recipe
from latency_tables import LatencyTable
from tests.study.conftest import FakeTrainer

Begin = Callable[..., Run]


def by_size(architecture: Architecture) -> float:
    """An accuracy that can be learned."""
    return 0.5 + 0.1 * float(architecture["width"]) + 0.02 * float(architecture["s1.depth"]) + 0.01 * len(architecture)


@pytest.fixture(scope="module")
def taught(tiny_table: LatencyTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An earlier run of 20 trainings."""
    out = tmp_path_factory.mktemp("taught") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hwnas.evaluators.sources.TrainedEvaluator", FakeTrainer(by_size, []))
        search(table=tiny_table, out=out, space="mobilenet:tiny", trials=20, algorithm="random").record.close()
    return out


@pytest.fixture
def predict(begin: Begin, trainer: FakeTrainer, taught: Path) -> Begin:
    trainer.accuracy = by_size
    return lambda **changes: begin(
        **{"evaluator": "predictor", "learn_from": taught, "algorithm": "random", "trials": 40, **changes}
    )


def test_trials_are_predictions_and_the_front_is_trained(
    predict: Begin, trainer: FakeTrainer, taught: Path, tmp_path: Path
) -> None:
    run = predict()
    source = open_run(taught)
    predictor = PredictorEvaluator.fit(source.trials(), family=source.family)
    for trial in run.trials():
        assert trial.values["accuracy"] == pytest.approx(predictor.evaluate(trial.architecture)["accuracy"])
        assert trial.values["accuracy_deviation"] > 0
    assert set(run.retrained.accuracies()) >= {trial.number for trial in run.front()}
    assert len(trainer.evaluated) == len(run.retrained.accuracies()) <= 24
    assert all(trial.values["accuracy"] == by_size(trial.architecture) for trial in run.front())
    assert run.judgement() == predictor.judgement
    page = report(run).read_text()
    assert "predictor learned from 20 trials: Kendall&#39;s tau" in page
    assert f"--learn-from {taught.resolve()}" in page
    assert predict().retrained.accuracies() == run.retrained.accuracies()


def test_predictions_are_made_in_other_processes_too(predict: Begin, tmp_path: Path) -> None:
    here = predict(trials=4)
    there = predict(trials=4, out=tmp_path / "there", executor=ExecutorSettings(name="processes"))
    values = [{trial.architecture.id: trial.values["accuracy"] for trial in run.trials()} for run in (here, there)]
    assert values[0] == pytest.approx(values[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learn_from": None}, "the evaluator predictor learns from the trials of an earlier run: name its folder"),
        ({"evaluator": "trained"}, "--learn-from is for --evaluator predictor; the evaluator trained does not"),
        ({"recipe": Recipe(epochs=5)}, "cannot learn from .*: the recipe: expected epochs 5, received epochs 6"),
        ({"learn_from": "nowhere"}, "nowhere is no run folder"),
        ({"halving": 3}, "which the evaluator predictor does not make"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_before_anything_is_begun(
    predict: Begin, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        predict(**change)
    assert not (tmp_path / "run").exists()


def test_a_run_of_few_trials_or_by_predictions_teaches_nothing(predict: Begin, begin: Begin, tmp_path: Path) -> None:
    few = begin(out=tmp_path / "few", trials=9, algorithm="random")
    with pytest.raises(UsageError, match="expected at least 10 trials that were trained to their end, received 9"):
        predict(learn_from=few.folder)
    guessed = predict(trials=12, out=tmp_path / "guessed")
    with pytest.raises(UsageError, match="--evaluator of the earlier run: expected trained, received predictor"):
        predict(learn_from=guessed.folder)


def test_a_run_goes_on_with_the_lessons_that_it_began_with_wherever_they_lie(
    predict: Begin, begin: Begin, taught: Path, tmp_path: Path
) -> None:
    predict(trials=2)
    moved = tmp_path / "moved"
    taught.rename(moved)
    try:
        predict(trials=3, learn_from=moved)
    finally:
        moved.rename(taught)
    other = begin(out=tmp_path / "other", trials=11, algorithm="random")
    with pytest.raises(RunMismatchError, match="learned_sha256"):
        predict(trials=3, learn_from=other.folder)
