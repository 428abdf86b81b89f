"""Folders of images: a sub-folder for each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from hwnas.core import DataError
from hwnas.training.data import ImageData
from hwnas.training.sources.listing import entries, files, folders
from hwnas.training.sources.parts import Part, assembled
from hwnas.training.sources.pictures import Picture

_KINDS = {
    *(".png", ".jpg", ".jpeg", ".jfif", ".jp2", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".tga"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".avif", ".heic", ".heif"),
}
_SAVED = ("dataset_dict.json", "state.json")  # in folders that Hugging Face's save_to_disk made
_PARTS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def read_folder(path: Path, *, name: str, side: int | None = None) -> ImageData:
    """Reads ``path/CLASS/*.png`` and the like; folders ``train``, ``val`` and ``test`` in ``path`` are the split.

    All images become squares of one size; grey if all training images are grey.

    Args:
        path: The folder.
        name: For messages and records.
        side: Height and width in pixels; by default the median of the shorter sides, at most 64.

    Raises:
        DataError: No images, one class only, a split without training images, a folder beside ``train`` that may be a
            part of the split by another name, a folder that cannot be listed, or an image that cannot be read; the
            message names it.
    """
    if any((path / made).is_file() for made in _SAVED):
        raise DataError(f"{path} is a data set that `datasets` has saved: expected hf: before it, hf:{name}")
    places = _places(path)
    classes = _classes(places["train"])
    for place in places.values():
        strangers = sorted(set(_classes(place)) - set(classes))
        if strangers:
            raise DataError(f"{place} has class {strangers[0]!r}, which {places['train']} lacks")
    passed_over: list[Path] = [entry for place in {path, *places.values()} for entry in entries(place) if _loose(entry)]
    parts = {part: _part(place, classes, passed_over) for part, place in places.items()}
    if len(places) > 1:
        passed_over.extend(entry for entry in folders(path) if entry not in places.values())
    return assembled(name, parts, class_names=classes, side=side, notes=_told(path, passed_over))


def _places(path: Path) -> dict[str, Path]:
    """The folders of the parts there are; ``path`` itself as ``train`` where it holds the classes.

    Raises:
        DataError: Parts without training images, two folders for one part, or one that may be a part by another name.
    """
    found: dict[str, Path] = {}
    for entry in folders(path):
        for part, names in _PARTS.items():
            if entry.name.lower() in names:
                if part in found:
                    raise DataError(f"{path} has {found[part].name} and {entry.name}: expected one {part} folder")
                found[part] = entry
    if not found.keys() - {"train"} and ("train" not in found or len(folders(path)) > 1):
        if "train" in found:
            _require_class(found["train"], beside=folders(path))
        return {"train": path}  # `train` alone beside others is a class: of vehicles, say
    if "train" not in found:
        raise DataError(
            f"{path} has a folder {next(iter(found.values())).name}, but none named train: expected train/CLASS/1.png "
            "beside it. A class of that name has to be called otherwise"
        )
    return {part: found[part] for part in _PARTS if part in found}


def _require_class(train: Path, *, beside: Iterable[Path]) -> None:
    """Refuses what is no class of that name but one part of a split, with another part by a name that is not known.

    Raises:
        DataError: A folder beside it has sub-folders of the same names.
    """
    inside = {entry.name for entry in folders(train)}
    for other in beside:
        shared = sorted(inside & {entry.name for entry in folders(other)}) if other != train else []
        if shared:
            raise DataError(
                f"{train} and {other} both have a folder {shared[0]}, as parts of a split have: expected val or test "
                f"for {other.name}, or that folder elsewhere. Where these two are classes, put their images right "
                "inside them"
            )


def _classes(path: Path) -> tuple[str, ...]:
    names = tuple(entry.name for entry in folders(path))
    if not names:
        raise DataError(f"{path} has no sub-folders: expected one for each class, with its images inside")
    return names


def _part(path: Path, names: tuple[str, ...], passed_over: list[Path]) -> Part:
    pictures: list[Picture] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        for file in files(path / name) if (path / name).is_dir() else ():
            if file.suffix.lower() in _KINDS:
                pictures.append(Picture(where=str(file), opened=partial(Image.open, file)))
                labels.append(label)
            else:
                passed_over.append(file)
    if not pictures:
        raise DataError(f"{path} holds no images: expected files like {path / names[0]}/one.png")
    return Part(images=pictures, labels=np.array(labels, dtype=np.int64))


def _loose(entry: Path) -> bool:
    """Whether it is an image that lies in no class."""
    return entry.suffix.lower() in _KINDS and not entry.is_dir()


def _told(path: Path, passed_over: Iterable[Path]) -> tuple[str, ...]:
    """What was not read: a sentence, with the kinds and the first of them."""
    found = sorted(passed_over)
    if not found:
        return ()
    kinds = Counter("folder" if entry.is_dir() else entry.suffix.lower() or "no ending" for entry in found)
    told = ", ".join(f"{kind}: {n}" for kind, n in sorted(kinds.items()))
    return (f"{len(found)} entries of {path} are no images in a class and were passed over ({told}; {found[0]} first)",)
