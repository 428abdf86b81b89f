"""Training a network from beginning to end, in one call."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from hwnas.core import UsageError
from hwnas.training.checkpoints import read_checkpoint, write_checkpoint
from hwnas.training.course import Course
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
) -> Course:
    """Trains a module in place on the training images and leaves it in evaluation mode, on the device it was on.

    Where that costs little it is judged on its way, which changes nothing of its course.

    Args:
        module: Maps ``(b, c, size, size)`` to what the task of the data takes, of classification logits
            ``(b, classes)``.
        data: What to learn from.
        recipe: How.
        size: Height and width of the images in pixels.
        seed: Of the order of the images and their variations.
        teacher: What to learn from beside the labels, where the recipe distils.
        checkpoint: A file to go on from where it is there. It is written after an epoch, twice a minute at most, and
            removed when the training has ended.
        on_epoch: Called with the number of finished epochs.

    Returns:
        How it went, with what was before an interruption.

    Raises:
        UsageError: The recipe distils and there is no teacher, or the other way round; or the task of the data cannot
            do with it.
        MachineError: The recipe wants a GPU and torch can use none, or memory does not do for two images.
        TrainingDivergedError: The loss became NaN or infinite.
        RunMismatchError: The checkpoint is of a training with other settings.
        CheckpointError: It cannot be read, or is of another network.
        OSError: It cannot be written.
    """
    training = Training(module, data, recipe, size=size, seed=seed, teacher=teacher)
    _advance(training, recipe.epochs, checkpoint, on_epoch)
    training.finish()
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return training.course


def train_to(  # noqa: PLR0913  (keywords of the verb)
    module: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    size: int,
    seed: int,
    epochs: int,
    teacher: Teacher | None = None,
    checkpoint: Path | None = None,
) -> Training:
    """Trains a module up to some epoch of its recipe; ``train`` with the same arguments then goes on from there.

    Args:
        module: As of ``train``.
        data: What to learn from.
        recipe: How; its schedule is that of all its epochs.
        size: Height and width of the images in pixels.
        seed: Of the order of the images and their variations.
        epochs: Where to stop, at most the recipe's.
        teacher: What to learn from beside the labels, where the recipe distils.
        checkpoint: A file to go on from where it is there and no further; it is left behind.

    Returns:
        The training, to be judged, or gone on with.

    Raises:
        UsageError: As of ``train``, or the recipe has not so many epochs.
        MachineError: As of ``train``.
        TrainingDivergedError: The loss became NaN or infinite.
        RunMismatchError: The checkpoint is of a training with other settings.
        CheckpointError: It cannot be read, or is of another network.
        OSError: It cannot be written.
    """
    if not 1 <= epochs <= recipe.epochs:
        raise UsageError(f"expected an epoch from 1 to {recipe.epochs}, received {epochs}")
    training = Training(module, data, recipe, size=size, seed=seed, teacher=teacher)
    if _advance(training, epochs, checkpoint, None) and checkpoint is not None:
        write_checkpoint(training.state(), checkpoint)
    return training


def _advance(training: Training, epochs: int, checkpoint: Path | None, on_epoch: Callable[[int], None] | None) -> bool:
    """Trains up to an epoch, from the checkpoint where that is not beyond it; whether anything was left to do."""
    if checkpoint is not None and checkpoint.exists():
        state = read_checkpoint(checkpoint)
        if state.values.get("epochs_done", 0) <= epochs:
            training.load(state)
    written_s, moved = time.monotonic(), training.epochs_done < epochs
    marks = training.marks
    while training.epochs_done < epochs:
        training.epoch()
        if training.epochs_done in marks:
            with suppress(torch.OutOfMemoryError):  # no training is to fail for a mark
                training.judge()
        if checkpoint is not None and time.monotonic() - written_s >= _CHECKPOINT_EVERY_S:
            write_checkpoint(training.state(), checkpoint)
            written_s = time.monotonic()
        if on_epoch is not None:
            on_epoch(training.epochs_done)
    return moved
