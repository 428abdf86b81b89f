"""Images and data sets that the tests of this room make up."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hwnas.training import ImageData, Split

Arrays = Mapping[str, NDArray[Any]]


def pictures(
    n: int, *, channels: int | None = None, size: tuple[int, int] = (6, 7), seed: int = 0
) -> NDArray[np.uint8]:
    """Random images, all different."""
    shape = (n, *size) if channels is None else (n, *size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def own(n: int = 30, classes: int = 3, **changes: Any) -> dict[str, NDArray[Any]]:
    """Arrays that make a sound data set, with changes; ``None`` leaves an array out."""
    arrays = {"images": pictures(n), "labels": np.arange(n) % classes} | changes
    return {name: array for name, array in arrays.items() if array is not None}


def with_test(**changes: Any) -> dict[str, NDArray[Any]]:
    """Arrays with test images of their own, with changes."""
    return own(
        images=None,
        labels=None,
        **(
            {
                "train_images": pictures(30),
                "train_labels": np.arange(30) % 3,
                "test_images": pictures(9, seed=1),
                "test_labels": np.arange(9) % 3,
            }
            | changes
        ),
    )


def splits(data: ImageData) -> tuple[Split, Split, Split]:
    return data.train, data.validation, data.test


def pairs(*parts: Split) -> list[tuple[bytes, int]]:
    """Every image with its label, sorted."""
    return sorted((image.tobytes(), int(label)) for s in parts for image, label in zip(s.images, s.labels, strict=True))


COLOURS = {"L": 1, "RGB": 3}


def image_folder(
    root: Path,
    *,
    classes: tuple[str, ...] = ("cat", "dog"),
    n: int = 6,
    mode: str = "L",
    kind: str = "png",
    size: tuple[int, int] = (12, 10),
    seed: int = 0,
) -> Path:
    """Images of random noise, a sub-folder a class; other images for another seed."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        noise = pictures(n, channels=COLOURS[mode], size=(size[1], size[0]), seed=100 * seed + label)
        for i, pixels in enumerate(noise):
            Image.fromarray(pixels.squeeze()).save(root / name / f"{i}.{kind}")
    return root


def require_file(name: str) -> None:
    """Skips a test that needs a file of the data folder; fails it where ``HWNAS_REQUIRE_DATA`` says so."""
    if not Path(os.environ.get("HWNAS_DATA") or "/nonexistent", name).is_file():
        if os.environ.get("HWNAS_REQUIRE_DATA"):
            pytest.fail(f"HWNAS_REQUIRE_DATA is set, and HWNAS_DATA names no folder with {name}")
        pytest.skip(f"HWNAS_DATA names no folder with {name}")
