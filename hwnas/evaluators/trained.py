"""Accuracy by really training each candidate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from hwnas.core import Architecture, Finding
from hwnas.evaluators.outcome import COURSE
from hwnas.networks import NetworkFamily
from hwnas.training import Course, ImageData, Recipe, Teacher, accuracy, train, train_to


@dataclass(frozen=True, kw_only=True)
class TrainedEvaluator:
    """Trains an architecture from scratch and gives its accuracy on the validation images.

    Attributes:
        family: Builds the network.
        data: What to learn from.
        recipe: How long and how fast.
        seed: With the architecture it fixes initial weights and the order of the images, so an architecture has the
            same accuracy whenever it is evaluated.
        teacher: What networks learn from beside the labels, where the recipe distils.
        folder: Where trainings under way are kept, so that one that was cut off goes on; ``None`` to begin it anew.
    """

    family: NetworkFamily
    data: ImageData
    recipe: Recipe
    seed: int
    teacher: Teacher | None = None
    folder: Path | None = None

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy`` on the validation images (0 to 1) and ``train_s``, the seconds it took, this time.

        Raises:
            UsageError: The recipe distils and there is no teacher, or the other way round.
            TrainingDivergedError: The loss became NaN or infinite.
            MachineError: The recipe wants a GPU and there is none, or memory does not do.
            CheckpointError: What a training that was cut off left behind is damaged.
            OSError: The folder cannot be written.
        """
        return self.find(architecture).values

    def find(self, architecture: Architecture) -> Finding:
        """The same, with the course of the training.

        Raises:
            UsageError: As of ``evaluate``; the others, too.
        """
        start = time.monotonic()
        module, course = self.module(architecture)
        found = accuracy(module, self.data.validation, self.data, size=self.family.resolution(architecture))
        values = {"accuracy": found, "train_s": round(time.monotonic() - start, 3)}
        return Finding(values=values, notes=noted(course.judged(self.recipe.epochs, found)))

    def untrained(self, architecture: Architecture) -> nn.Module:
        """The network as its training begins."""
        return self.family.module(architecture, seed=training_seed(self.seed, architecture))

    def module(self, architecture: Architecture) -> tuple[nn.Module, Course]:
        """The trained network, in evaluation mode, and how its training went.

        Raises:
            UsageError: As of ``evaluate``; the others, too.
        """
        module = self.untrained(architecture)
        course = train(
            module,
            self.data,
            self.recipe,
            size=self.family.resolution(architecture),
            seed=training_seed(self.seed, architecture),
            teacher=self.teacher,
            checkpoint=checkpoint_of(self.folder, architecture),
        )
        return module, course

    def evaluate_at(self, architecture: Architecture, *, epochs: int) -> Mapping[str, float]:
        """The same after some of the recipe's epochs; with a folder, the training goes on from there the next time.

        The schedule is that of the whole recipe, and ``evaluate`` comes to the same accuracy with or without. For this
        judgement statistics of batch normalisation are taken anew from training images: in the first epochs those that
        run along lag so far behind that networks cannot be ranked by them.

        Args:
            architecture: What to train.
            epochs: How far, at most as far as the recipe goes.

        Raises:
            UsageError: As of ``evaluate``, or the recipe has not so many epochs.
            TrainingDivergedError: As of ``evaluate``; the others, too.
        """
        return self.find_at(architecture, epochs=epochs).values

    def find_at(self, architecture: Architecture, *, epochs: int) -> Finding:
        """The same, with the course of the training so far.

        Raises:
            UsageError: As of ``evaluate_at``; the others, too.
        """
        start = time.monotonic()
        seed = training_seed(self.seed, architecture)
        training = train_to(
            self.untrained(architecture),
            self.data,
            self.recipe,
            size=self.family.resolution(architecture),
            seed=seed,
            epochs=epochs,
            teacher=self.teacher,
            checkpoint=checkpoint_of(self.folder, architecture),
        )
        values = {"accuracy": training.judge(), "train_s": round(time.monotonic() - start, 3)}
        return Finding(values=values, notes=noted(training.course))


def checkpoint_of(folder: Path | None, architecture: Architecture) -> Path | None:
    """Where the training of an architecture is kept; ``None`` without a folder."""
    return folder / f"{architecture.id}.safetensors" if folder else None


def noted(course: Course) -> dict[str, Any]:
    """What the record keeps of a training; nothing of one that told nothing."""
    return {COURSE: course.brief().to_json()} if course.epochs else {}


def training_seed(seed: int, architecture: Architecture) -> int:
    """The seed an architecture is trained with in a run of a given seed."""
    return (int(architecture.id, 16) + 1_000_003 * seed) % 2**31
