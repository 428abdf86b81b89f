"""Data in an ``.npz`` file: arrays, or JPEG files one after another."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hwnas.core import DataError
from hwnas.training.arrays import require_room
from hwnas.training.data import ImageData
from hwnas.training.sources.parts import Part, assembled
from hwnas.training.sources.pictures import Picture

Arrays = Mapping[str, NDArray[Any]]

_PREFIXES = {"train": "train", "validation": "val", "test": "test"}


def read_archive(path: Path, *, name: str) -> ImageData:
    """Reads an ``.npz`` file.

    Raises:
        DataError: It is no such file, is damaged, would fill the memory, or holds other arrays.
    """
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            wanted_bytes = sum(entry.file_size for entry in archive.infolist())
        require_room(str(path), wanted_bytes, cure="put fewer images into it")
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays: Arrays = {key: archive[key] for key in archive.files}
    except DataError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path} as an .npz file of plain arrays: {error}") from error
    except Exception as error:  # zlib raises its own kinds for damaged archives
        raise DataError(f"{path} is damaged: {error}") from error
    return from_arrays(name, arrays, where=str(path))


def from_arrays(name: str, arrays: Arrays, *, where: str) -> ImageData:
    """Data from arrays under the names that docs/data.md lists.

    Args:
        name: For messages and records.
        arrays: By name.
        where: What holds them, for messages.

    Raises:
        DataError: Some are missing, or the data cannot be learned from.
    """
    left = dict(arrays)
    for entry in ("images", "labels"):
        if entry in left:
            left.setdefault(f"train_{entry}", left.pop(entry))
    parts = {}
    for part, prefix in _PREFIXES.items():
        found = _part(prefix, left, where=where)
        if found is not None:
            parts[part] = found
    if "train" not in parts:
        raise DataError(
            f"{where} holds {', '.join(sorted(arrays)) or 'no arrays'}: expected images and labels, or train_images, "
            "train_labels, test_images and test_labels"
        )
    names = _class_names(name, left.pop("class_names")) if "class_names" in left else None
    notes = (f"{where} holds {', '.join(sorted(left))}, which nothing reads",) if left else ()
    return assembled(name, parts, class_names=names, notes=notes)


def _part(prefix: str, left: dict[str, NDArray[Any]], *, where: str) -> Part | None:
    """A part's images and labels, taken out of ``left``; ``None`` where there are neither."""
    found = {kind: left.pop(f"{prefix}_{kind}", None) for kind in ("images", "labels", "jpeg", "offsets")}
    labels, content, offsets = found["labels"], found["jpeg"], found["offsets"]
    images: NDArray[Any] | list[Picture] | None = found["images"]
    if images is None and content is not None and offsets is not None:
        images = _jpegs(content, offsets, where=f"{where}: {prefix}_jpeg")
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        if prefix == "train":
            return None
        raise DataError(f"{where} holds only one of {prefix}_images and {prefix}_labels: expected both or neither")
    return Part(images=images, labels=labels)


def _jpegs(content: NDArray[Any], offsets: NDArray[Any], *, where: str) -> list[Picture]:
    """Files that stand one after another: file ``i`` is ``content[offsets[i]:offsets[i + 1]]``."""
    ascending = offsets.ndim == 1 and np.issubdtype(offsets.dtype, np.integer) and (np.diff(offsets) > 0).all()
    if content.dtype != np.uint8 or content.ndim != 1 or not ascending or not len(offsets):
        raise DataError(f"{where}: expected bytes of shape (b,) and ascending offsets, file i from i to i + 1")
    if offsets[0] != 0 or offsets[-1] != len(content):
        raise DataError(f"{where}: expected offsets from 0 to {len(content)}, received {offsets[0]} to {offsets[-1]}")

    def opened(i: int) -> Image.Image:
        return Image.open(io.BytesIO(content[offsets[i] : offsets[i + 1]].tobytes()))

    return [Picture(where=f"{where}, image {i}", opened=partial(opened, i)) for i in range(len(offsets) - 1)]


def _class_names(name: str, found: NDArray[Any]) -> tuple[str, ...]:
    decoded = np.char.decode(found, "utf-8") if found.dtype.kind == "S" else found
    if found.ndim != 1 or len(set(decoded.tolist())) != len(found):
        raise DataError(f"data {name}: expected class_names of shape (classes,), all different, received {found.shape}")
    return tuple(str(entry) for entry in decoded)
