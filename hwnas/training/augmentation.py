"""Variations of a batch: moved, mirrored, mixed. All at once, all drawn from one generator.

The numbers are drawn on the CPU wherever the images are, so that a seed means the same on every device.
"""

from __future__ import annotations

import torch
from scipy.special import betaincinv

from hwnas.training.recipe import Recipe
from hwnas.training.tasks import Task

_COLOURS = 3  # channels of an image in colour; a clip has as many as frames, and mirrored it moves another way


class Augmentation:
    """What a recipe does to the images of a batch and to their labels.

    Args:
        recipe: Which variations, and how strong.
        size: Height and width of the images in pixels.
        task: What is learned.
        outputs: How many a network has.
        fill: The pixel that flows in from outside an image, shape ``(c,)``.
    """

    def __init__(self, recipe: Recipe, *, size: int, task: Task, outputs: int, fill: torch.Tensor) -> None:
        self._recipe = recipe
        self._task, self._outputs = task, outputs
        self._fill = fill
        self._pad = round(recipe.crop_padding * size)
        self._flip = recipe.flip == "always" or (recipe.flip == "colour" and len(fill) == _COLOURS)

    def __call__(
        self, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Varies a batch.

        Args:
            images: Shape ``(b, c, size, size)``.
            labels: Shape ``(b,)``, or of another task ``(b, ...)``.
            generator: Of the CPU; it is left alone where the recipe varies nothing.

        Returns:
            Images of the same shape, and labels, or where the recipe mixes them what the task mixes: shares of all
            classes, shape ``(b, classes)``.
        """
        if self._pad or self._flip:
            images = moved(images, pad=self._pad, flip=self._flip, fill=self._fill, generator=generator)
        if not (self._recipe.mixup or self._recipe.cutmix):
            return images, labels
        targets = self._task.mixable(labels, outputs=self._outputs).to(images.dtype)
        return mixed(images, targets, self._recipe, generator)


def moved(
    images: torch.Tensor, *, pad: int, flip: bool, fill: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Each image moved by up to ``pad`` pixels, and half of them mirrored.

    Args:
        images: Shape ``(b, c, h, w)``.
        pad: Pixels.
        flip: Whether to mirror.
        fill: What flows in, shape ``(c,)``.
        generator: Of the CPU.
    """
    n, channels, height, width = images.shape
    device = images.device
    down, right = (torch.randint(0, 2 * pad + 1, (n, 1), generator=generator).to(device) for _ in range(2))
    rows = torch.arange(height, device=device).expand(n, height)
    columns = torch.arange(width, device=device).expand(n, width)
    if flip:
        mirrored = (torch.rand((n, 1), generator=generator) < 0.5).to(device)
        columns = torch.where(mirrored, columns.flip(1), columns)
    canvas = fill.to(images).view(1, channels, 1, 1).repeat(n, 1, height + 2 * pad, width + 2 * pad)
    canvas[:, :, pad : pad + height, pad : pad + width] = images
    each = torch.arange(n, device=device).view(n, 1, 1)
    found = canvas[each, :, (rows + down)[:, :, None], (columns + right)[:, None, :]]  # (b, h, w, c)
    return found.permute(0, 3, 1, 2).contiguous()


def mixed(
    images: torch.Tensor, targets: torch.Tensor, recipe: Recipe, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each image mixed with its neighbour in the batch, by mixup or by CutMix, with one share for the whole batch.

    Args:
        images: Shape ``(b, c, h, w)``.
        targets: Shares of the classes, shape ``(b, classes)``.
        recipe: Alphas and probability.
        generator: Of the CPU; five numbers are drawn, whatever comes of them.

    Returns:
        Images and shares of the same shapes.
    """
    mixing, which, share, down, right = torch.rand(5, generator=generator, dtype=torch.float64).tolist()
    if mixing >= recipe.mix_probability:
        return images, targets
    others = images.roll(1, 0)
    blend = recipe.mixup > 0 and (not recipe.cutmix or which < 0.5)
    kept = float(betaincinv(alpha := recipe.mixup if blend else recipe.cutmix, alpha, share))
    if blend:
        images = images * kept + others * (1 - kept)
    else:
        top, bottom, left, end = _box(images.shape[-2], images.shape[-1], cut=1 - kept, down=down, right=right)
        images = images.clone()
        images[:, :, top:bottom, left:end] = others[:, :, top:bottom, left:end]
        kept = 1 - (bottom - top) * (end - left) / (images.shape[-2] * images.shape[-1])
    return images, targets * kept + targets.roll(1, 0) * (1 - kept)


def _box(height: int, width: int, *, cut: float, down: float, right: float) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a box around a point, as far as it lies inside the image.

    Args:
        height: Of the image.
        width: Of the image.
        cut: Share of the image that the whole box takes.
        down: The point's share of the height.
        right: The point's share of the width.
    """
    half_height, half_width = height * cut**0.5 / 2, width * cut**0.5 / 2
    row, column = int(down * height), int(right * width)
    return (
        max(0, round(row - half_height)),
        min(height, round(row + half_height)),
        max(0, round(column - half_width)),
        min(width, round(column + half_width)),
    )
