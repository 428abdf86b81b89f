"""Training, validation and test images, decoded or not, brought to one form and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import DataError
from hwnas.training.data import ImageData, Pair, checked
from hwnas.training.sources.pictures import Picture, common_form, decoded


@dataclass(frozen=True, kw_only=True)
class Part:
    """Images of one part of the data.

    Attributes:
        images: Pictures to be decoded, or an array of shape ``(n, h, w)`` or ``(n, h, w, c)``.
        labels: Shape ``(n,)``.
    """

    images: Sequence[Picture] | NDArray[Any]
    labels: NDArray[Any]


def assembled(
    name: str,
    parts: Mapping[str, Part],
    *,
    class_names: tuple[str, ...] | None = None,
    side: int | None = None,
    notes: tuple[str, ...] = (),
) -> ImageData:
    """Decodes what has to be decoded, all parts alike, and checks it.

    Args:
        name: For messages and records.
        parts: ``train``, and ``validation`` and ``test`` where the data come with them.
        class_names: Name of each class; numbers where there are none.
        side: Height and width that pictures become, in pixels; by default what suits the training images.
        notes: What a user should know.

    Raises:
        DataError: A picture cannot be decoded, some parts are pictures and others arrays, or what ``checked`` refuses.
    """
    arrays = _decoded(name, parts, side=side)
    images, labels = arrays["train"]
    return checked(
        name,
        images,
        labels,
        class_names=class_names,
        validation=arrays.get("validation"),
        test=arrays.get("test"),
        notes=notes,
    )


def _decoded(name: str, parts: Mapping[str, Part], *, side: int | None) -> dict[str, Pair]:
    pictures = {part: found.images for part, found in parts.items() if not isinstance(found.images, np.ndarray)}
    if not pictures:
        return {part: (np.asarray(found.images), found.labels) for part, found in parts.items()}
    if len(pictures) < len(parts):
        raise DataError(
            f"data {name}: expected all parts as images or all as arrays, received {', '.join(pictures)} as images "
            "and the rest as arrays"
        )
    empty = [part for part, found in pictures.items() if len(found) == 0]
    if empty:
        raise DataError(f"data {name}: the {empty[0]} part holds no images")
    form = common_form(pictures["train"], side=side)
    return {part: (decoded(f"{name} ({part})", found, form), parts[part].labels) for part, found in pictures.items()}
