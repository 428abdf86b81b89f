"""A search in which networks inherit weights: whole, with its record, and after it was cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hwnas.evaluators import COURSE, PARENT, inherited
from hwnas.study import Run
from hwnas.training import Course, Recipe
from tests.evaluators.test_conformance import few
from tests.study.conftest import FakeTrainer

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = Recipe(epochs=1, batch=48, device="cpu")
LASTING = ("accuracy", "train_epochs", "lineage_epochs", "parent_distance", "parent_exact")


def told(run: Run) -> list[tuple[object, ...]]:
    return [(trial.architecture.id, *(trial.values.get(name) for name in LASTING)) for trial in run.trials()]


def test_children_inherit_winners_are_trained_from_scratch_and_a_search_that_was_cut_off_comes_to_the_same(
    begin: Callable[..., Run], trainer: FakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"algorithm": "lemonade", "evaluator": "inherited", "data": few(), "recipe": RECIPE, "trials": 14}
    run = begin(**settings)
    trials = run.trials()
    ids = {trial.architecture.id for trial in trials}
    evaluator = run.folder / "inherited"
    assert {file.stem for file in (evaluator / "networks").iterdir()} == ids
    assert all(trial.values["parent_distance"] == 1 for trial in trials[10:])
    assert trials[-1].values["lineage_epochs"] > 1
    noted, numbers = run.record.attributes(), {trial.architecture.id: trial.number for trial in trials}
    assert all(numbers[noted[trial.number][PARENT]] < trial.number for trial in trials[10:])
    assert {len(noted[trial.number][COURSE]) for trial in trials} == {1}
    assert set(trainer.evaluated) == {run.pick(str(number)).architecture.id for number in run.retrained.accuracies()}
    assert {trial.number for trial in run.front()} <= set(run.retrained.accuracies())

    train, trained = inherited.train, list[int]()

    def interrupted(*arguments: object, **named: object) -> Course:
        trained.append(len(trained))
        if len(trained) == 12:
            raise KeyboardInterrupt
        return train(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(inherited, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        begin(**settings, out=tmp_path / "cut")
    again = begin(**settings, out=tmp_path / "cut")
    assert told(again) == told(run)
    assert len(trained) == 15  # each once, and the one that was cut off
