"""Accuracy by training: the same whenever it is asked for, also after an interruption."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwnas.core import Architecture, GradualEvaluator, UsageError
from hwnas.evaluators import TrainedEvaluator, checkpoint_of, outcome_of
from hwnas.networks import NetworkFamily
from hwnas.training import ImageData, Recipe, Split, load_data, loop

RECIPE = Recipe(epochs=3, batch=32, device="cpu")


@pytest.fixture(scope="module")
def few() -> ImageData:
    digits = load_data("digits")
    part = Split(digits.train.images[:100], digits.train.labels[:100])
    return ImageData(
        name="few", class_names=digits.class_names, train=part, validation=digits.validation, test=digits.test
    )


@pytest.fixture(scope="module")
def smallest(tiny_family: NetworkFamily) -> Architecture:
    return tiny_family.space.architecture({choice.name: choice.options[0] for choice in tiny_family.space.choices})


def test_a_training_that_was_cut_off_goes_on_and_comes_to_the_same_accuracy(
    tiny_family: NetworkFamily, few: ImageData, smallest: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_CHECKPOINT_EVERY_S", 0.0)
    whole = TrainedEvaluator(family=tiny_family, data=few, recipe=RECIPE, seed=0).evaluate(smallest)
    epochs: list[int] = []
    epoch = loop.Training.epoch

    def stopping(self: loop.Training) -> float:
        epochs.append(self.epochs_done)
        if epochs == [0, 1]:
            raise KeyboardInterrupt
        return epoch(self)

    monkeypatch.setattr(loop.Training, "epoch", stopping)
    kept = TrainedEvaluator(family=tiny_family, data=few, recipe=RECIPE, seed=0, folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        kept.evaluate(smallest)
    assert [file.name for file in tmp_path.iterdir()] == [f"{smallest.id}.safetensors"]
    assert kept.evaluate(smallest)["accuracy"] == whole["accuracy"]
    assert epochs == [0, 1, 1, 2]
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_that_distils_is_followed_with_the_teacher_given(
    tiny_family: NetworkFamily, few: ImageData, smallest: Architecture
) -> None:
    recipe = Recipe(epochs=1, batch=32, distillation=0.5, device="cpu")
    teacher = tiny_family.module(smallest, seed=5)
    found = TrainedEvaluator(family=tiny_family, data=few, recipe=recipe, seed=0, teacher=teacher).evaluate(smallest)
    assert 0 <= found["accuracy"] <= 1
    with pytest.raises(UsageError, match="expected a teacher"):
        TrainedEvaluator(family=tiny_family, data=few, recipe=recipe, seed=0).evaluate(smallest)


def test_a_training_judged_halfway_goes_on_to_the_same_accuracy(
    tiny_family: NetworkFamily, few: ImageData, smallest: Architecture, tmp_path: Path
) -> None:
    whole = TrainedEvaluator(family=tiny_family, data=few, recipe=RECIPE, seed=0)
    halting = TrainedEvaluator(family=tiny_family, data=few, recipe=RECIPE, seed=0, folder=tmp_path)
    assert isinstance(halting, GradualEvaluator)
    first = halting.evaluate_at(smallest, epochs=1)
    assert first["accuracy"] == halting.evaluate_at(smallest, epochs=1)["accuracy"]
    assert first["accuracy"] == whole.evaluate_at(smallest, epochs=1)["accuracy"]
    assert checkpoint_of(tmp_path, smallest) == next(tmp_path.iterdir())
    assert halting.evaluate(smallest)["accuracy"] == whole.evaluate(smallest)["accuracy"]
    with pytest.raises(UsageError, match="expected an epoch from 1 to 3, received 4"):
        whole.evaluate_at(smallest, epochs=4)


def test_only_what_trains_can_be_asked_halfway(smallest: Architecture) -> None:
    asked = outcome_of(Fixed, smallest, epochs=1)
    assert asked.failed == "UsageError: expected an evaluator that trains, received Fixed: it has no epochs"
    assert outcome_of(Fixed, smallest).values == {"accuracy": 0.5}


class Fixed:
    def evaluate(self, architecture: Architecture) -> dict[str, float]:
        return {"accuracy": 0.5}
