"""Accuracy by training that begins with the weights of a network that is nearly the same."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from hwnas.core import Architecture, Finding, StudyError
from hwnas.evaluators.inheritance import InheritanceStore, Kept
from hwnas.evaluators.outcome import COURSE, PARENT
from hwnas.evaluators.trained import checkpoint_of, training_seed
from hwnas.networks import NetworkFamily
from hwnas.networks.inheriting import inherit
from hwnas.networks.morphisms import is_exact
from hwnas.training import ImageData, Recipe, Teacher, accuracy, train

_FARTHEST = 3  # choices in which parent and child may differ; of strangers there is too little to inherit
_CHILDHOOD = 3  # a child is trained for one epoch in so many of the recipe's
_EXACT_RATE = 0.5  # of the recipe's learning rate: where all is in place, it is not to be shaken off
_FROM_PARENT = 0.5  # share of the loss that is the distance to the parent, where that had to be changed


@dataclass(frozen=True, kw_only=True)
class InheritedEvaluator:
    """Trains a network from the weights of the nearest network there is, and keeps its own for those to come.

    The nearest network differs in the fewest choices; among equals one counts more that the child can be exactly, then
    the more accurate. A child is trained for a third of the recipe's epochs. Where it cannot be what its parent is (see
    ``hwnas.networks.morphisms.is_exact``), it learns from the parent's answers too. A network with no parent within
    three choices is trained by the whole recipe.

    Unlike that of other evaluators, the accuracy of a network depends on those before it: a long line has been trained
    for long. Once found it stays, for it is kept with the weights.

    Attributes:
        family: Builds the networks.
        data: What to learn from.
        recipe: How a network without a parent is trained; of a child's training, the rest.
        seed: With the architecture it fixes what is new in a network, and the order of the images.
        folder: Where weights are kept, and trainings under way.
    """

    family: NetworkFamily
    data: ImageData
    recipe: Recipe
    seed: int
    folder: Path

    @cached_property
    def store(self) -> InheritanceStore:
        """The weights that there are."""
        about = {
            "space": self.family.space.name,
            "data_sha256": self.data.fingerprint,
            "recipe": self.recipe.to_json(),
            "seed": self.seed,
        }
        return InheritanceStore(self.folder, about)

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy`` on the validation images (0 to 1), and how it came about.

        ``train_s`` are the seconds it took, ``train_epochs`` the epochs, ``lineage_epochs`` those of all it inherits
        from among them. Of a child ``parent_distance`` is the number of choices in which it differs from its parent,
        and ``parent_exact`` is 1 where it began as what its parent was. ``parents_lost`` counts nearer parents whose
        weights are missing or damaged, where there are such; the next one takes their place.

        Raises:
            TrainingDivergedError: The loss became NaN or infinite.
            RunMismatchError: The folder holds weights of other data, another space, recipe or seed.
            StudyError: The list of weights is damaged.
            CheckpointError: What a training that was cut off left behind is damaged.
            MachineError: The recipe wants a GPU and there is none, or memory does not do.
            OSError: The folder cannot be written.
        """
        return self.find(architecture).values

    def find(self, architecture: Architecture) -> Finding:
        """The same, with the course of the training, and the id of the parent where there is one.

        Raises:
            TrainingDivergedError: As of ``evaluate``; the others, too.
        """
        kept = self.store.find(architecture) or self._trained(architecture)
        parent = {} if kept.parent is None else {PARENT: kept.parent}
        course = {COURSE: kept.course} if kept.course else {}
        return Finding(values=kept.values, notes={**parent, **course})

    def _trained(self, architecture: Architecture) -> Kept:
        """A network that is trained and kept now."""
        start = time.monotonic()
        seed = training_seed(self.seed, architecture)
        found = self._parent(architecture)
        module, recipe, teacher, values = self._begun(architecture, found, seed=seed)
        size = self.family.resolution(architecture)
        under_way = self.folder / "trainings" / (found.kept.architecture.id if found.kept else "none")
        checkpoint = checkpoint_of(under_way, architecture)
        course = train(module, self.data, recipe, size=size, seed=seed, teacher=teacher, checkpoint=checkpoint)
        values["accuracy"] = accuracy(module, self.data.validation, self.data, size=size)
        values["train_s"] = round(time.monotonic() - start, 3)
        parent = found.kept.architecture.id if found.kept else None
        told = course.judged(recipe.epochs, values["accuracy"]).brief().to_json()
        return self.store.keep(architecture, module.state_dict(), values, parent=parent, course=told)

    def _parent(self, child: Architecture) -> _Found:
        """The nearest network whose weights can be read."""
        ranked = sorted(
            (distance, not is_exact(self.family, kept.architecture, child), -kept.values["accuracy"], number, kept)
            for number, kept in enumerate(self.store.networks())
            if (distance := changed(kept.architecture, child)) <= _FARTHEST
        )
        lost = 0
        for *_, kept in ranked:
            try:
                return _Found(kept=kept, weights=self.store.weights(kept), lost=lost)
            except StudyError:
                lost += 1
        return _Found(kept=None, weights={}, lost=lost)

    def _begun(
        self, child: Architecture, found: _Found, *, seed: int
    ) -> tuple[nn.Sequential, Recipe, Teacher | None, dict[str, float]]:
        """The network before its training, how and from whom it learns, and what is known of it by then."""
        lost = {"parents_lost": float(found.lost)} if found.lost else {}
        if found.kept is None:
            epochs = float(self.recipe.epochs)
            values = {"train_epochs": epochs, "lineage_epochs": epochs, **lost}
            return self.family.module(child, seed=seed), self.recipe, None, values
        parent = found.kept.architecture
        heir = inherit(self.family, parent, child, found.weights, seed=seed)
        recipe = child_recipe(self.recipe, exact=heir.exact)
        values = {
            "train_epochs": float(recipe.epochs),
            "lineage_epochs": recipe.epochs + found.kept.values["lineage_epochs"],
            "parent_distance": float(changed(parent, child)),
            "parent_exact": float(heir.exact),
            **lost,
        }
        return heir.module, recipe, None if heir.exact else self._teacher(parent, found.weights), values

    def _teacher(self, parent: Architecture, weights: Mapping[str, torch.Tensor]) -> Teacher:
        module = self.family.module(parent, seed=0)
        module.load_state_dict(dict(weights))
        return _AtItsSize(module, self.family.resolution(parent))


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A parent.

    Attributes:
        kept: Itself; ``None`` where there is none.
        weights: Its own.
        lost: Nearer ones whose weights could not be read.
    """

    kept: Kept | None
    weights: Mapping[str, torch.Tensor]
    lost: int


class _AtItsSize(nn.Module):
    """A network that is shown images at the size that it has learned from, whatever they come in."""

    def __init__(self, module: nn.Module, size: int) -> None:
        super().__init__()
        self.module, self.size = module, size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[-1] != self.size:
            images = nn.functional.interpolate(
                images, size=(self.size, self.size), mode="bilinear", antialias=True, align_corners=False
            )
        logits: torch.Tensor = self.module(images)
        return logits


def child_recipe(recipe: Recipe, *, exact: bool) -> Recipe:
    """How a child is trained.

    Args:
        recipe: How a network without a parent is.
        exact: Whether it begins as what its parent is, and then learns more slowly; otherwise it learns from the
            parent, too.
    """
    return replace(
        recipe,
        epochs=math.ceil(recipe.epochs / _CHILDHOOD),
        learning_rate=(_EXACT_RATE if exact else 1.0) * recipe.learning_rate,
        distillation=0.0 if exact else _FROM_PARENT,
    )


def changed(parent: Architecture, child: Architecture) -> int:
    """Choices that both have and have made differently; what came to life by them does not count again."""
    return sum(child[name] != value for name, value in parent.items() if name in child)
