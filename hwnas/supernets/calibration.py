"""Statistics of batch normalisation for one network of many that share their weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hwnas.training import ImageData, Split, prepared, torch_threads

_BATCH = 128
_SEED = 0  # one part of the images for every run, so that runs can be compared


def fixed_part(data: ImageData, n: int) -> Split:
    """Some of the training images, the same ones every time; all of them where there are no more than ``n``."""
    picked = np.random.default_rng(_SEED).permutation(len(data.train.images))[:n]
    return Split(data.train.images[picked], data.train.labels[picked])


@torch.no_grad()
def recalibrate(module: nn.Module, data: ImageData, *, size: int, images: int) -> None:
    """Takes the statistics of every batch normalisation anew, and leaves the module in evaluation mode.

    They are the plain means over the batches, in one pass without learning.

    Args:
        module: Whose.
        data: A fixed part of its training images is used, the same for every network.
        size: Height and width of the images in pixels.
        images: How many.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    before = [part.momentum for part in norms]
    for part in norms:
        part.reset_running_stats()
        part.momentum = None  # a plain mean over batches
    module.train()
    shown = prepared(fixed_part(data, images).images, data, size=size)
    batches = max(1, round(len(shown) / _BATCH))  # of nearly equal size: batch normalisation dislikes tiny batches
    with torch_threads(1):
        for batch in shown.tensor_split(batches):
            module(batch)
    for part, momentum in zip(norms, before, strict=True):
        part.momentum = momentum
    module.eval()
