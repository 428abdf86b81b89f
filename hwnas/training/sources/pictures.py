"""Image files to arrays of one size and one kind, or a message that names the file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hwnas.core import DataError
from hwnas.training.arrays import Images, require_room

LARGEST_DEFAULT_SIDE = 64  # pixels: the default space searches up to 32, and memory grows with the square

_GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N"}
_DEEP = {"I", "I;16", "I;16B", "I;16L", "I;16N"}  # more than 8 bits a pixel


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image that has not been decoded.

    Attributes:
        where: What it is called in messages.
        opened: Opens it; what it gives is closed after use.
        head: Shorter side in pixels and mode, where they are known already.
    """

    where: str
    opened: Callable[[], Image.Image]
    head: tuple[int, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Form:
    """What all images become.

    Attributes:
        side: Height and width in pixels.
        mode: ``L`` for grey, ``RGB`` for colour.
    """

    side: int
    mode: str


def common_form(pictures: Sequence[Picture], *, side: int | None = None) -> Form:
    """The form that suits images: grey if all are grey.

    Args:
        pictures: At least one.
        side: Height and width in pixels; by default the median of the shorter sides, 8 to 64.

    Raises:
        DataError: One cannot be opened.
    """
    sides, modes = [], set()
    for picture in pictures:
        shorter, mode = picture.head or _head(picture)
        sides.append(shorter)
        modes.add("L" if mode in _GREY else "RGB")
    chosen = int(np.clip(np.median(sides), 8, LARGEST_DEFAULT_SIDE)) if side is None else side
    return Form(side=chosen, mode="L" if modes == {"L"} else "RGB")


def decoded(name: str, pictures: Sequence[Picture], form: Form) -> Images:
    """All images in one array.

    Args:
        name: Of all of them, for messages.
        pictures: What to decode.
        form: What they become; images that are not square are squeezed.

    Returns:
        Shape ``(n, side, side, 1 or 3)``.

    Raises:
        DataError: One cannot be opened or decoded, or all together would fill the memory.
    """
    channels = 1 if form.mode == "L" else 3
    shape = (len(pictures), form.side, form.side, channels)
    require_room(
        f"data {name}: {shape[0]} images of {form.side} x {form.side} pixels",
        int(np.prod(shape, dtype=np.int64)),
        cure="give fewer images, or a smaller ?size=",
    )
    images = np.empty(shape, dtype=np.uint8)
    for i, picture in enumerate(pictures):
        images[i] = _decoded(picture, form).reshape(shape[1:])
    return images


def _head(picture: Picture) -> tuple[int, str]:
    with _opened(picture) as image:
        return min(image.size), image.mode


def _decoded(picture: Picture, form: Form) -> Images:
    with _opened(picture) as image:
        try:
            square = _eight_bit(image).convert(form.mode).resize((form.side, form.side), Image.Resampling.BILINEAR)
        except Exception as error:  # each format's reader raises its own kinds for damaged files
            raise DataError(f"cannot decode {picture.where}: {error}. Remove it or replace it.") from error
        return np.asarray(square, dtype=np.uint8)


def _eight_bit(image: Image.Image) -> Image.Image:
    """The image itself; with 16 bits a pixel, its upper 8, which ``convert`` would clip instead of scale."""
    if image.mode == "F":
        raise ValueError("its pixels are floats of unknown range: save it with 8 or 16 bits a pixel")
    if image.mode not in _DEEP:
        return image
    values = np.asarray(image)
    if values.min() < 0 or values.max() >= 2**16:
        raise ValueError(f"its pixels go from {values.min()} to {values.max()}: save it with 8 or 16 bits a pixel")
    return Image.fromarray((values >> 8).astype(np.uint8))


def _opened(picture: Picture) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # an image that fills the memory
            return picture.opened()
    except DataError:
        raise
    except Exception as error:  # as above
        raise DataError(f"cannot read {picture.where} as an image: {error}. Remove it or replace it.") from error
