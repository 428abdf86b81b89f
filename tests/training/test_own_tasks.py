"""Tasks: what is learned and judged is the task's, and all else of a training is what it is for classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hwnas.core import UsageError
from hwnas.evaluators import ProxyEvaluator, SupernetEvaluator, TrainedEvaluator
from hwnas.networks import network_family
from hwnas.study import search
from hwnas.supernets import SupernetRecipe
from hwnas.training import CLASSIFICATION, Classification, ImageData, Recipe, Split, Task, Training, load_data
from tests.builders import made_up_table
from tests.training.trainings import few_digits

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = Recipe(epochs=6, batch=32, device="cpu", label_smoothing=0.0)


@dataclass(frozen=True)
class Ink:
    """Where the ink of an image is: two numbers from 0 to 1, down and to the right."""

    name: str = "where the ink is"

    def require(self, recipe: Recipe) -> None:
        if recipe.flip != "never" or recipe.crop_padding:
            raise UsageError(f"{self.name} is elsewhere in an image that was moved or mirrored: take neither")

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, recipe: Recipe) -> torch.Tensor:
        return torch.nn.functional.mse_loss(outputs, targets)

    def distance(self, outputs: torch.Tensor, wanted: torch.Tensor, recipe: Recipe) -> torch.Tensor:
        return torch.nn.functional.mse_loss(outputs, wanted)

    def mixable(self, targets: torch.Tensor, *, outputs: int) -> torch.Tensor:
        return targets

    def scores(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (1 - 10 * (outputs - targets).abs().amax(dim=1)).clamp(min=0)


def centres(split: Split) -> Split:
    """The same images with the centres of their ink for labels."""
    weights = split.images[..., 0].astype(np.float64)
    sides = [np.linspace(0, 1, n) for n in weights.shape[1:]]
    total = weights.sum(axis=(1, 2))
    found = [(weights.sum(axis=2 - axis) * sides[axis]).sum(axis=1) / total for axis in (0, 1)]
    labels: NDArray[np.float32] = np.stack(found, axis=1).astype(np.float32)
    return Split(split.images, labels)  # type: ignore[arg-type]  (of another task)


@pytest.fixture(scope="module")
def ink() -> ImageData:
    digits = load_data("digits")
    parts = {name: centres(getattr(digits, name)) for name in ("train", "validation", "test")}
    return replace(digits, name="ink", class_names=("down", "right"), task=Ink(), **parts)


def evaluator(data: ImageData, recipe: Recipe, **changes: object) -> TrainedEvaluator:
    family = network_family("mobilenet:tiny", channels=data.channels, classes=data.classes)
    return TrainedEvaluator(family=family, data=data, recipe=recipe, seed=0, **changes)  # type: ignore[arg-type]


def test_a_task_of_ones_own_is_learned_judged_and_goes_on_from_where_it_was_cut_off(
    ink: ImageData, tmp_path: Path
) -> None:
    own = evaluator(ink, RECIPE)
    architecture = own.family.space.sample(np.random.default_rng(3))
    assert isinstance(ink.task, Task)
    begun = Training(own.untrained(architecture), ink, RECIPE, size=own.family.resolution(architecture), seed=0)
    before = begun.accuracy(ink.validation)
    after = own.evaluate(architecture)["accuracy"]
    assert before < 0.3 < after < 1
    kept = replace(own, folder=tmp_path)
    assert 0 < kept.evaluate_at(architecture, epochs=3)["accuracy"] < 1
    assert kept.evaluate(architecture)["accuracy"] == after


def test_recipes_mix_and_distil_in_the_terms_of_the_task(ink: ImageData) -> None:
    own = evaluator(ink, replace(RECIPE, epochs=1, mixup=0.2))
    architecture = own.family.space.sample(np.random.default_rng(3))
    assert 0 <= own.evaluate(architecture)["accuracy"] < 1

    def teacher(images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images), 2), 0.5)

    taught = evaluator(ink, replace(RECIPE, distillation=1.0), teacher=teacher)
    module = taught.module(architecture)[0]
    black = torch.zeros((4, 1, *[taught.family.resolution(architecture)] * 2))
    assert module(black).detach().numpy() == pytest.approx(np.full((4, 2), 0.5), abs=0.2), "labels are not heard"
    with pytest.raises(UsageError, match="elsewhere in an image that was moved or mirrored"):
        evaluator(ink, replace(RECIPE, crop_padding=0.1)).evaluate(architecture)


def test_what_needs_classes_says_so_and_what_else_to_do(ink: ImageData, tmp_path: Path) -> None:
    family = network_family("mobilenet:tiny", channels=1, classes=2)
    shared = SupernetEvaluator(family=family, data=ink, recipe=SupernetRecipe(epochs=1), seed=0)
    for what, asked in {
        "hwnas.search": lambda: search(table=made_up_table(family), out=tmp_path, space="mobilenet:tiny", data=ink),
        "a supernet": lambda: shared.evaluate(family.space.sample(np.random.default_rng(0))),
        "a proxy": lambda: ProxyEvaluator(family=family, data=ink, seed=0),
    }.items():
        with pytest.raises(
            UsageError, match=f"{what} is for classification, .* ink is where the ink is: .*--evaluator"
        ):
            asked()


def test_classification_is_what_data_are_for_where_nothing_else_is_said() -> None:
    assert few_digits().task == CLASSIFICATION == Classification()
    outputs = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    assert CLASSIFICATION.scores(outputs, torch.tensor([0, 1])).tolist() == [1.0, 0.0]
    assert CLASSIFICATION.mixable(torch.tensor([2, 0]), outputs=3).tolist() == [[0, 0, 1], [1, 0, 0]]
