"""Statistics of batch normalisation for one network of many that share their weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hwnas import training
from hwnas.training import HeldImages, ImageData, Split
from hwnas.training.devices import torch_threads

_BATCH = 128
_SEED = 0  # one part of the images for every run, so that runs can be compared


def fixed_part(data: ImageData, n: int) -> Split:
    """Some of the training images, the same ones every time; all of them where there are no more than ``n``."""
    picked = np.random.default_rng(_SEED).permutation(len(data.train.images))[:n]
    return Split(data.train.images[picked], data.train.labels[picked])


def recalibrate(module: nn.Module, data: ImageData, *, size: int, images: int) -> None:
    """Takes the statistics of every batch normalisation anew, and leaves the module in evaluation mode.

    Args:
        module: Whose.
        data: A fixed part of its training images is used, the same for every network.
        size: Height and width of the images in pixels.
        images: How many.
    """
    shown = HeldImages(fixed_part(data, images).images, data, size=size, device=torch.device("cpu"))
    with torch_threads(1):
        training.recalibrate(module, shown, count=images, batch=_BATCH)
