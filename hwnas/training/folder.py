"""Folders of images: a sub-folder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from hwnas.core import DataError
from hwnas.training.data import ImageData, Images, Labels, checked

_KINDS = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
_LARGEST_SIDE = 64  # pixels: the spaces there are search up to 32


def read_folder(path: Path) -> ImageData:
    """Reads ``path/CLASS/*.png`` and the like; with folders ``train`` and ``test`` inside, these are the split.

    All images become squares of one size, the median of their shorter sides, at most 64 pixels; grey if all are grey.

    Raises:
        DataError: No images, one class only, or an image that cannot be read; the message names it.
    """
    if (path / "train").is_dir() and (path / "test").is_dir():
        names = _classes(path / "train")
        strangers = sorted(set(_classes(path / "test")) - set(names))
        if strangers:
            raise DataError(f"{path / 'test'} has class {strangers[0]!r}, which {path / 'train'} lacks")
        train, test = _files(path / "train", names), _files(path / "test", names)
    else:
        names = _classes(path)
        train, test = _files(path, names), []
    size, mode = _common_form([file for file, _ in train])
    images, labels = _read(train, size=size, mode=mode)
    held_out = _read(test, size=size, mode=mode) if test else None
    return checked(str(path), images, labels, class_names=names, test=held_out)


def _classes(path: Path) -> tuple[str, ...]:
    names = tuple(sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")))
    if not names:
        raise DataError(f"{path} has no sub-folders: expected one for each class, with its images inside")
    return names


def _files(path: Path, names: tuple[str, ...]) -> list[tuple[Path, int]]:
    found: list[tuple[Path, int]] = []
    for label, name in enumerate(names):
        if (path / name).is_dir():
            inside = sorted(
                file
                for file in (path / name).rglob("*")
                if file.suffix.lower() in _KINDS
                and not any(part.startswith(".") for part in file.relative_to(path).parts)
            )
            found.extend((file, label) for file in inside)
    if not found:
        raise DataError(f"{path} holds no images: expected files like {path / names[0]}/one.png")
    return found


def _common_form(files: list[Path]) -> tuple[int, str]:
    sides, modes = [], set()
    for file in files:
        with _opened(file) as image:
            sides.append(min(image.size))
            modes.add("L" if image.mode in {"L", "1", "I;16", "LA"} else "RGB")
    size = int(np.clip(np.median(sides), 8, _LARGEST_SIDE))
    return size, "L" if modes == {"L"} else "RGB"


def _read(files: list[tuple[Path, int]], *, size: int, mode: str) -> tuple[Images, Labels]:
    images = []
    for file, _ in files:
        with _opened(file) as image:
            try:
                square = _eight_bit(image).convert(mode).resize((size, size), Image.Resampling.BILINEAR)
            except (OSError, ValueError, SyntaxError) as error:
                raise DataError(f"cannot decode {file}: {error}. Remove it or replace it.") from error
            images.append(np.asarray(square, dtype=np.uint8))
    return np.stack(images), np.array([label for _, label in files], dtype=np.int64)


def _eight_bit(image: Image.Image) -> Image.Image:
    """The image itself; with 16 bits a pixel, its upper 8, which ``convert`` would clip instead of scale."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _opened(file: Path) -> Image.Image:
    try:
        return Image.open(file)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        raise DataError(f"cannot read {file} as an image: {error}. Remove it or replace it.") from error
