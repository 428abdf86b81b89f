"""What evaluators tell beside values: how a training went, and from whom a network has its weights."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from hwnas.core import Architecture, TellingEvaluator, TellingGradualEvaluator
from hwnas.evaluators import COURSE, PARENT, InheritedEvaluator, MixedEvaluator, TrainedEvaluator, outcome_of
from hwnas.networks import network_family
from hwnas.spaces import PRECISION
from hwnas.training import Course, Recipe, Training
from tests.evaluators.test_conformance import DATA, FAMILY

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = Recipe(epochs=3, batch=24, device="cpu")
NETWORK = FAMILY.space.architecture({choice.name: choice.options[0] for choice in FAMILY.space.choices})
CHILD = FAMILY.space.architecture({**NETWORK, "s1.b1.kernel": 5})
MIXED = network_family("mobilenet:tiny", channels=1, classes=10, precisions=("fp32", "int8"))


def trained(folder: Path | None = None) -> TrainedEvaluator:
    return TrainedEvaluator(family=FAMILY, data=DATA, recipe=RECIPE, seed=0, folder=folder)


def inherited(folder: Path) -> InheritedEvaluator:
    return InheritedEvaluator(family=FAMILY, data=DATA, recipe=RECIPE, seed=0, folder=folder)


def mixed(folder: Path) -> MixedEvaluator:
    whole = TrainedEvaluator(family=MIXED, data=DATA, recipe=RECIPE, seed=0)
    return MixedEvaluator(trained=whole, weights=folder)


def in_precision(name: str) -> Architecture:
    return MIXED.space.architecture({**NETWORK, PRECISION: name})


MAKERS: dict[str, tuple[Callable[[Path], TellingEvaluator], Architecture, str]] = {
    "trained": (trained, NETWORK, "accuracy"),
    "inherited": (inherited, NETWORK, "accuracy"),
    "mixed": (mixed, in_precision("int8"), "float_accuracy"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_whatever_trains_tells_the_course_with_its_values_and_also_from_another_process(
    kind: str, tmp_path: Path
) -> None:
    make, network, accuracy = MAKERS[kind]
    outcome = pickle.loads(pickle.dumps(outcome_of(lambda: make(tmp_path), network)))  # noqa: S301  (as executors do)
    course = Course.from_json(outcome.notes[COURSE])
    assert [one.number for one in course.epochs] == [1, 2, 3]
    assert course.epochs[0].loss > course.epochs[-1].loss > 0
    assert course.accuracies[3] == pytest.approx(outcome.values[accuracy], abs=1e-4)
    assert json.loads(json.dumps(outcome.notes)) == outcome.notes
    assert make(tmp_path).evaluate(network)["accuracy"] == outcome.values["accuracy"]


def test_a_training_that_halts_tells_its_course_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Training, "marks", frozenset({1}))
    evaluator = trained(tmp_path)
    assert isinstance(evaluator, TellingGradualEvaluator)
    first = outcome_of(lambda: evaluator, NETWORK, epochs=2)
    begun = Course.from_json(first.notes[COURSE])
    assert list(begun.accuracies) == [1, 2]
    assert begun.accuracies[2] == pytest.approx(first.values["accuracy"], abs=1e-4)
    whole = Course.from_json(evaluator.find(NETWORK).notes[COURSE])
    assert list(whole.accuracies) == [1, 3]
    assert [one.loss for one in whole.epochs[:2]] == [one.loss for one in begun.epochs]
    assert whole == Course.from_json(trained().find(NETWORK).notes[COURSE])


def test_a_child_tells_its_parent_and_its_own_course_also_when_it_is_asked_again(tmp_path: Path) -> None:
    evaluator = inherited(tmp_path)
    assert PARENT not in evaluator.find(NETWORK).notes
    found = evaluator.find(CHILD)
    assert found.notes[PARENT] == NETWORK.id
    assert len(found.notes[COURSE]) == found.values["train_epochs"] == 1
    assert inherited(tmp_path).find(CHILD) == found


def test_what_was_kept_before_courses_were_is_still_read(tmp_path: Path) -> None:
    inherited(tmp_path).evaluate(NETWORK)
    (entry,) = (tmp_path / "networks").iterdir()
    held = json.loads(entry.read_text())
    del held["course"]
    entry.write_text(json.dumps(held))
    assert inherited(tmp_path).find(NETWORK).notes == {}


def test_twins_share_the_course_of_their_training(tmp_path: Path) -> None:
    first, second = (mixed(tmp_path).find(in_precision(name)) for name in ("fp32", "int8"))
    assert first.notes == second.notes
    assert first.values["float_accuracy"] == second.values["float_accuracy"]


def test_an_evaluator_that_only_evaluates_has_no_notes() -> None:
    class Plain:
        def evaluate(self, architecture: Architecture) -> dict[str, float]:
            return {"accuracy": len(architecture) / 100}

    assert outcome_of(Plain, NETWORK).notes == {}
