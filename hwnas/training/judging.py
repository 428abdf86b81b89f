"""What networks read, and how they are judged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from hwnas.training.arrays import Split
from hwnas.training.data import ImageData
from hwnas.training.devices import repeatable, torch_threads

_BATCH = 256
_HELD_BYTES = 2**30  # of images ready to be read; more are made ready batch by batch


def prepared(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], data: ImageData, *, size: int) -> torch.Tensor:
    """Images as networks read them: resized, scaled to [0, 1], normalised by the training images.

    Args:
        images: Shape ``(n, h, w, c)``.
        data: For mean and standard deviation.
        size: Height and width in pixels to resize to.

    Returns:
        Shape ``(n, c, size, size)``.
    """
    return _as_read(torch.from_numpy(np.ascontiguousarray(images)), data, size=size)


def black(data: ImageData) -> torch.Tensor:
    """A black pixel as networks read it, shape ``(c,)``."""
    return prepared(np.zeros((1, 4, 4, data.channels), dtype=np.uint8), data, size=4)[0, :, 0, 0]


class HeldImages:
    """Images on a device, copied there once.

    They are held as networks read them, or where that would take more than a gibibyte, as bytes.

    Args:
        images: Shape ``(n, h, w, c)``.
        data: For mean and standard deviation.
        size: Height and width in pixels to resize to.
        device: Where to hold them.
    """

    def __init__(
        self,
        images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
        data: ImageData,
        *,
        size: int,
        device: torch.device,
    ) -> None:
        self._data = data
        self._size = size
        raw = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        self._ready = 4 * len(images) * data.channels * size**2 <= _HELD_BYTES
        self._images = _as_read(raw, data, size=size) if self._ready else raw

    def __len__(self) -> int:
        return len(self._images)

    def at(self, picked: torch.Tensor) -> torch.Tensor:
        """Some of the images as networks read them, shape ``(b, c, size, size)``.

        Args:
            picked: Their numbers, shape ``(b,)``.
        """
        found = self._images[picked]
        return found if self._ready else _as_read(found, self._data, size=self._size)


def _as_read(images: torch.Tensor, data: ImageData, *, size: int) -> torch.Tensor:
    tensor = images.permute(0, 3, 1, 2).float() / 255
    if tensor.shape[-2:] != (size, size):
        tensor = nn.functional.interpolate(tensor, (size, size), mode="bilinear", align_corners=False, antialias=True)
    mean, std = (torch.tensor(values, device=tensor.device).view(1, -1, 1, 1) for values in data.mean_std)
    return ((tensor - mean) / std).contiguous()


@torch.no_grad()
def logits(module: nn.Module, images: torch.Tensor, *, batch: int = _BATCH) -> torch.Tensor:
    """Outputs of a module in evaluation mode, shape ``(n, ...)``; computed on one thread, whatever the machine."""
    module.eval()
    with torch_threads(1):
        return torch.cat([module(images[i : i + batch]) for i in range(0, len(images), batch)])


def accuracy(module: nn.Module, split: Split, data: ImageData, *, size: int) -> float:
    """Mean score in the task of the data: of classification the share of the images that are given the right class.

    It is computed where the module is.
    """
    total = 0.0
    for outputs, labels in _answers(module, split, data, size=size):
        total += float(data.task.scores(outputs, labels).sum(dtype=torch.float64))
    return total / len(split.images)


def judged(module: nn.Module, split: Split, data: ImageData, *, size: int) -> tuple[float, float]:
    """The accuracy of a classifier, and the mean probability that it gives the right class."""
    right, given = 0.0, 0.0
    for outputs, labels in _answers(module, split, data, size=size):
        right += float(data.task.scores(outputs, labels).sum(dtype=torch.float64))
        given += float(outputs.double().softmax(dim=1).gather(1, labels[:, None]).sum())
    return right / len(split.images), given / len(split.images)


def _answers(
    module: nn.Module, split: Split, data: ImageData, *, size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Outputs for some images after the others, on the CPU, and their labels."""
    device = device_holding(module)
    for i in range(0, len(split.images), _BATCH):
        images = prepared(split.images[i : i + _BATCH], data, size=size).to(device)
        with repeatable(device):
            found = logits(module, images).cpu()
        yield found, torch.from_numpy(split.labels[i : i + _BATCH])


def device_holding(module: nn.Module) -> torch.device:
    """Where the parameters of a module are; the CPU for one without."""
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
