"""Raw arrays of images and labels, checked and brought to one form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from hwnas.core import DataError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

_LARGEST_LABEL = 100_000
_ROOM = 0.5  # share of the free memory that images may take: training holds them a second time


@dataclass(frozen=True)
class Split:
    """Images with their labels.

    Attributes:
        images: Shape ``(n, h, w, c)``, 0 to 255; the channels of a clip are its frames.
        labels: Classes of shape ``(n,)``, from 0; of another task what it learns, shape ``(n, ...)``.
    """

    images: Images
    labels: Labels


def brightest(images: NDArray[Any]) -> float:
    """The value that means white: 1 for floats that do not go beyond it, 255 for everything else."""
    return 1.0 if np.issubdtype(images.dtype, np.floating) and images.max(initial=0.0) <= 1.0 else 255.0


def as_pixels(name: str, images: NDArray[Any], *, white: float | None = None) -> Images:
    """Images as bytes, with an axis for their channels; the channels of a clip are its frames.

    Args:
        name: For messages.
        images: Shape ``(n, h, w)`` or ``(n, h, w, 1 or 3)``, or grey clips ``(n, frames, h, w, 1)``; whole numbers 0
            to 255, or floats 0 to 1.
        white: The value that means white, 1 or 255; by default what ``brightest`` finds.

    Returns:
        Shape ``(n, h, w, c)``.

    Raises:
        DataError: Wrong shape or type, not finite, or out of range.
    """
    if not _are_images(images.shape):
        raise DataError(
            f"data {name}: expected images (n, height, width) or (n, height, width, 1 or 3), or grey clips (n, frames, "
            f"height, width, 1), received shape {images.shape}{_about_shape(images.shape)}"
        )
    if images.ndim == 5:
        images = np.ascontiguousarray(np.moveaxis(images[..., 0], 1, -1))
    if len(images) == 0:
        raise DataError(f"data {name}: expected images, received none at all: shape {images.shape}")
    if min(images.shape[1:3]) < 4:
        raise DataError(f"data {name}: expected images of at least 4 x 4 pixels, received shape {images.shape}")
    if images.dtype == np.uint8:
        pixels = images
    elif np.issubdtype(images.dtype, np.integer) or np.issubdtype(images.dtype, np.floating):
        if not np.isfinite(images).all():
            raise DataError(f"data {name}: {int((~np.isfinite(images)).sum())} pixel values are NaN or infinite")
        top = brightest(images) if white is None else white
        if images.min() < 0 or images.max() > top:
            raise DataError(
                f"data {name}: expected pixel values 0 to 255, or floats 0 to 1, "
                f"received {images.min():g} to {images.max():g}{_about_range(images)}"
            )
        pixels = np.rint(images * (255.0 / top)).astype(np.uint8)
    else:
        raise DataError(f"data {name}: expected numbers as pixels, received {images.dtype}")
    return pixels if pixels.ndim == 4 else pixels[..., None]


def as_targets(name: str, labels: NDArray[Any], n: int) -> Labels:
    """Labels of ``n`` images as whole numbers.

    Args:
        name: For messages.
        labels: Shape ``(n,)``, whole numbers from 0 of any type.
        n: Number of images.

    Raises:
        DataError: Wrong shape or type, not whole, or out of range.
    """
    if labels.shape != (n,):
        columns = labels.ndim == 2 and len(labels) == n
        cure = ". If each row is a vector of the classes (one-hot), give labels.argmax(axis=1)" if columns else ""
        raise DataError(f"data {name}: expected one label for each of {n} images, received shape {labels.shape}{cure}")
    real = np.issubdtype(labels.dtype, np.integer) or np.issubdtype(labels.dtype, np.floating)
    if not real or not np.isfinite(labels).all() or (labels % 1 != 0).any():
        texts = labels.dtype.kind in "US"
        cure = ": number the classes from 0, and give their names as class_names" if texts else ""
        raise DataError(f"data {name}: expected whole numbers from 0 as labels, received {labels.dtype}{cure}")
    if labels.min() < 0 or labels.max() > _LARGEST_LABEL:
        unknown = ". If -1 stands for a label that nobody knows, leave these images out" if labels.min() == -1 else ""
        raise DataError(f"data {name}: expected labels from 0, received {labels.min()} to {labels.max()}{unknown}")
    return labels.astype(np.int64)


def require_room(name: str, wanted_bytes: int, *, cure: str) -> None:
    """Refuses, before anything is read, what would fill the memory.

    Args:
        name: What is to be read, for the message.
        wanted_bytes: How much its arrays take.
        cure: What to do about it, the end of the message.

    Raises:
        DataError: It is more than half of the memory that is free.
    """
    free = psutil.virtual_memory().available
    if wanted_bytes > _ROOM * free:
        raise DataError(
            f"{name} takes {wanted_bytes / 2**20:,.0f} MiB of memory as arrays; expected at most half of the "
            f"{free / 2**20:,.0f} MiB that are free: {cure}"
        )


def _are_images(shape: tuple[int, ...]) -> bool:
    if len(shape) == 5:
        return shape[-1] == 1 and shape[1] > 0
    return len(shape) == 3 or (len(shape) == 4 and shape[-1] in {1, 3})


def _about_shape(shape: tuple[int, ...]) -> str:
    if len(shape) == 4 and shape[1] in {1, 3}:
        return ". If the channels stand before the pixels, give images.transpose(0, 2, 3, 1)"
    if len(shape) == 4 and shape[-1] == 4:
        return ". If the fourth channel is transparency, give images[..., :3]"
    if len(shape) == 5 and shape[-1] == 3:
        return ". Frames in colour: make them grey, clips.mean(axis=-1, keepdims=True)"
    if len(shape) == 4 and shape[-1] > 4:
        return ". If these are clips, give clips[..., None]: the last axis says that they are grey"
    return ""


def _about_range(images: NDArray[Any]) -> str:
    if images.dtype == np.uint16:
        return ". Images of 16 bits: give images // 257"
    if np.issubdtype(images.dtype, np.floating) and images.min() < 0:
        return ". If they were normalised, leave that out: mean and deviation are taken from the training images here"
    return ""
