"""Training a network from beginning to end, in one call."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from torch import nn

from hwnas.training.checkpoints import read_checkpoint, write_checkpoint
from hwnas.training.data import ImageData
from hwnas.training.losses import Teacher
from hwnas.training.recipe import Recipe
from hwnas.training.training import Training

_CHECKPOINT_EVERY_S = 30.0  # trainings shorter than that are made again sooner than written


def train(  # noqa: PLR0913  (keywords of the verb)
    module: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    size: int,
    seed: int,
    teacher: Teacher | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[int], None] | None = None,
) -> None:
    """Trains a module in place on the training images and leaves it in evaluation mode, on the device it was on.

    Args:
        module: Maps ``(b, c, size, size)`` to logits ``(b, classes)``.
        data: What to learn from.
        recipe: How.
        size: Height and width of the images in pixels.
        seed: Of the order of the images and their variations.
        teacher: What to learn from beside the labels, where the recipe distils.
        checkpoint: A file to go on from where it is there. It is written after an epoch, twice a minute at most, and
            removed when the training has ended.
        on_epoch: Called with the number of finished epochs.

    Raises:
        UsageError: The recipe distils and there is no teacher, or the other way round.
        MachineError: The recipe wants a GPU and torch can use none, or memory does not do for two images.
        TrainingDivergedError: The loss became NaN or infinite.
        RunMismatchError: The checkpoint is of a training with other settings.
        CheckpointError: It cannot be read, or is of another network.
        OSError: It cannot be written.
    """
    training = Training(module, data, recipe, size=size, seed=seed, teacher=teacher)
    if checkpoint is not None and checkpoint.exists():
        training.load(read_checkpoint(checkpoint))
    written_s = time.monotonic()
    while training.epochs_done < recipe.epochs:
        training.epoch()
        if checkpoint is not None and time.monotonic() - written_s >= _CHECKPOINT_EVERY_S:
            write_checkpoint(training.state(), checkpoint)
            written_s = time.monotonic()
        if on_epoch is not None:
            on_epoch(training.epochs_done)
    training.finish()
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
