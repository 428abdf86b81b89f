"""Training a network, the same way every time for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn

from hwnas.core import HwnasError, UsageError
from hwnas.training.data import ImageData, Split


class TrainingDivergedError(HwnasError, ArithmeticError):
    """The loss became NaN or infinite."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained: AdamW with a one-cycle learning rate (Smith and Topin, 2017, arXiv:1708.07120).

    Attributes:
        epochs: Passes over the training images.
        batch: Images a step.
        learning_rate: The largest; warm-up to it takes 30 % of the steps.
        weight_decay: Decoupled.
        label_smoothing: Share of the target spread over all classes.
        threads: Of torch. The result depends on it in the last digits, so it is part of the recipe and not of the
            machine; small networks gain nothing from more, and lose much on a busy machine.
    """

    epochs: int = 6
    batch: int = 64
    learning_rate: float = 8e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    threads: int = 1

    def to_json(self) -> dict[str, int | float]:
        """Field by field, for the record of a run."""
        return asdict(self)


def prepared(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], data: ImageData, *, size: int) -> torch.Tensor:
    """Images as networks read them: resized, scaled to [0, 1], normalised by the training images.

    Args:
        images: Shape ``(n, h, w, c)``.
        data: For mean and standard deviation.
        size: Height and width in pixels to resize to.

    Returns:
        Shape ``(n, c, size, size)``.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    if tensor.shape[-2:] != (size, size):
        tensor = nn.functional.interpolate(tensor, (size, size), mode="bilinear", align_corners=False, antialias=True)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in data.mean_std)
    return ((tensor - mean) / std).contiguous()


def train(
    module: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    size: int,
    seed: int,
    on_epoch: Callable[[int], None] | None = None,
) -> None:
    """Trains a module in place on the training images and leaves it in evaluation mode.

    Args:
        module: Maps ``(b, c, size, size)`` to logits ``(b, classes)``.
        data: What to learn from.
        recipe: How.
        size: Height and width of the images in pixels.
        seed: Of the order of the images.
        on_epoch: Called with the number of finished epochs.

    Raises:
        UsageError: The recipe has no epoch.
        TrainingDivergedError: The loss became NaN or infinite.
    """
    if recipe.epochs < 1:
        raise UsageError(f"expected at least 1 epoch, received {recipe.epochs}")
    with _torch_threads(recipe.threads):
        _train(module, data, recipe, size=size, seed=seed, on_epoch=on_epoch)
    module.eval()


def _train(
    module: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    size: int,
    seed: int,
    on_epoch: Callable[[int], None] | None,
) -> None:
    images, labels = prepared(data.train.images, data, size=size), torch.from_numpy(data.train.labels)
    generator = torch.Generator().manual_seed(seed)
    batch = min(recipe.batch, len(images))
    steps = max(1, len(images) // batch)  # the rest of an epoch is left out: batch normalisation dislikes tiny batches
    optimizer = torch.optim.AdamW(module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=recipe.epochs * steps)
    loss_function = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    module.train()
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(images), generator=generator)
        for step in range(steps):
            picked = order[step * batch : (step + 1) * batch]
            loss = loss_function(module(images[picked]), labels[picked])
            if not torch.isfinite(loss):
                raise TrainingDivergedError(
                    f"the loss became {loss.item()} in epoch {epoch + 1}: "
                    f"lower the learning rate ({recipe.learning_rate})"
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if on_epoch is not None:
            on_epoch(epoch + 1)


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    """Gives torch so many threads for a while; the process's own setting is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def logits(module: nn.Module, images: torch.Tensor, *, batch: int = 256) -> torch.Tensor:
    """Outputs of a module in evaluation mode, shape ``(n, classes)``; computed on one thread, whatever the machine."""
    module.eval()
    with _torch_threads(1):
        return torch.cat([module(images[i : i + batch]) for i in range(0, len(images), batch)])


def accuracy(module: nn.Module, split: Split, data: ImageData, *, size: int) -> float:
    """Share of the images whose largest logit is at the right class."""
    found = logits(module, prepared(split.images, data, size=size)).argmax(dim=1).numpy()
    return float((found == split.labels).mean())
