"""Training of a supernet, step by step the same for the same seed, and resumable at every epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hwnas.spaces import SearchSpace
from hwnas.supernets.checkpoint import read_checkpoint, write_checkpoint
from hwnas.supernets.paths import has_order, networks_of_a_step
from hwnas.supernets.recipe import SupernetRecipe
from hwnas.supernets.supernet import Supernet
from hwnas.training import ImageData, TrainingDivergedError, prepared, require_classification
from hwnas.training.devices import torch_threads

_IMAGES, _PATHS = 0, 1  # streams of random numbers


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What a supernet learns, and how long.

    Attributes:
        space: Networks that learn: all of the supernet's, or a part.
        data: Their training images are learned from.
        recipe: How.
        steps: How many; the recipe's epochs say what is usual.
        seed: Of the order of the images and of the networks drawn.
    """

    space: SearchSpace
    data: ImageData
    recipe: SupernetRecipe
    steps: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """What decides the outcome, for the record."""
        return {
            "space": self.space.name,
            "choices": {choice.name: list(choice.options) for choice in self.space.choices},
            "data_sha256": self.data.fingerprint,
            "recipe": self.recipe.to_json(),
            "steps": self.steps,
            "seed": self.seed,
        }


def learn(
    supernet: Supernet,
    learning: Learning,
    *,
    checkpoint: Path | None = None,
    about: Mapping[str, Any] | None = None,
    on_epoch: Callable[[int], None] = lambda _: None,
) -> None:
    """Trains a supernet in place.

    Args:
        supernet: Begins with the weights it has, or those of the checkpoint where that is there.
        learning: What, and how long.
        checkpoint: File that is written after every epoch. A training that was cut off goes on from it as if it had not
            been, bit by bit; one that was finished is only read.
        about: What else decides the outcome, in JSON's terms: where the first weights came from.
        on_epoch: Called with the number of finished steps, after each epoch.

    Raises:
        UsageError: The data are of another task than classification.
        TrainingDivergedError: The loss became NaN or infinite.
        RunMismatchError: The checkpoint is of other settings.
        StudyError: The checkpoint is damaged.
        OSError: It cannot be read or written.
    """
    require_classification(learning.data, "a supernet")
    recipe = learning.recipe
    optimizer = torch.optim.AdamW(supernet.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    known = {**learning.to_json(), "shape": str(supernet.family.shape), **(about or {})}
    step = read_checkpoint(checkpoint, supernet, optimizer, about=known) if checkpoint else 0
    pass_length = recipe.steps_an_epoch(learning.data)
    supernet.train()
    with torch_threads(recipe.threads):
        while step < learning.steps:
            order = _stream(learning.seed, _IMAGES, step // pass_length).permutation(len(learning.data.train.images))
            for _ in range(min(pass_length - step % pass_length, learning.steps - step)):
                place = step % pass_length
                picked = order[place * recipe.batch : (place + 1) * recipe.batch]
                for group in optimizer.param_groups:
                    group["lr"] = recipe.rate(step, total=learning.steps)
                optimizer.zero_grad()
                _backward(supernet, learning, picked, step)
                optimizer.step()
                step += 1
            if checkpoint:
                write_checkpoint(checkpoint, supernet, optimizer, step=step, about=known)
            on_epoch(step)
    supernet.eval()


def _stream(seed: int, *keys: int) -> np.random.Generator:
    """Random numbers of their own for each step, so that nothing of a generator has to be kept."""
    return np.random.default_rng([seed % 2**32, *keys])


def _backward(
    supernet: Supernet, learning: Learning, picked: np.ndarray[tuple[int], np.dtype[np.int64]], step: int
) -> None:
    """Gradients of all networks of a step; in a space with order all learn from the first one's answers."""
    data, recipe = learning.data, learning.recipe
    images, labels = data.train.images[picked], torch.from_numpy(data.train.labels[picked])
    right, alike = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing), nn.CrossEntropyLoss()
    rng = _stream(learning.seed, _PATHS, step)
    networks = networks_of_a_step(learning.space, rng, random_paths=recipe.random_paths)
    answers: torch.Tensor | None = None
    for architecture in networks:
        shown = prepared(images, data, size=supernet.family.resolution(architecture))
        logits = supernet(shown, architecture)
        loss = right(logits, labels) if answers is None else alike(logits, answers)
        if not torch.isfinite(loss):
            raise TrainingDivergedError(
                f"the loss of the supernet became {loss.item()} in step {step + 1}: "
                f"lower the learning rate ({recipe.learning_rate})"
            )
        (loss / len(networks)).backward()
        if answers is None and has_order(learning.space):
            answers = logits.detach().softmax(dim=1)
