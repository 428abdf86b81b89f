"""Image data sets: checked, and split once and for all into training, validation and test images.

The search sees the validation images, the report gives figures of the test images, and nothing mixes them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import DataError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

_SPLIT_SEED = 0  # one split for every run, so that runs can be compared
_VALIDATION_SHARE = 0.2
_TEST_SHARE = 0.2
_SMALLEST_CLASS = 5  # images: one at least has to reach each part of the split


@dataclass(frozen=True)
class Split:
    """Images with their labels.

    Attributes:
        images: Shape ``(n, h, w, c)``, 0 to 255.
        labels: Shape ``(n,)``, from 0.
    """

    images: Images
    labels: Labels


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """A data set for classification.

    Attributes:
        name: What it is called on the command line.
        class_names: Name of each class.
        train: What networks learn from.
        validation: What a search compares them on.
        test: What is reported, never searched on.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    validation: Split
    test: Split

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return int(self.train.images.shape[-1])

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @cached_property
    def mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel over the training images, for values scaled to [0, 1]."""
        values = self.train.images.reshape(-1, self.channels) / 255.0
        std = np.maximum(values.std(axis=0), 1e-3)
        return tuple(values.mean(axis=0).round(6).tolist()), tuple(std.round(6).tolist())

    @cached_property
    def fingerprint(self) -> str:
        """Hash of images, labels and split: two runs saw the same data when it is equal."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            digest.update(split.images.tobytes())
            digest.update(split.labels.tobytes())
        return digest.hexdigest()


def checked(
    name: str,
    images: NDArray[Any],
    labels: NDArray[Any],
    *,
    class_names: tuple[str, ...] | None = None,
    test: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> ImageData:
    """Checks raw arrays and splits them.

    Args:
        name: For messages and records.
        images: Shape ``(n, h, w)`` or ``(n, h, w, c)``; whole numbers 0 to 255, or floats 0 to 1.
        labels: Shape ``(n,)``, whole numbers from 0.
        class_names: Name of each class; numbers where there are none.
        test: Test images and labels, where the data come with them; otherwise they are split off.

    Raises:
        DataError: Wrong shape or type, not finite, out of range, one class only, or too few images of a class.
    """
    pixels, targets = _pixels(name, images), _targets(name, labels, len(images))
    names = class_names or tuple(str(i) for i in range(int(targets.max()) + 1))
    counts = np.bincount(targets, minlength=len(names))
    if len(counts) > len(names):
        raise DataError(f"data {name}: label {len(counts) - 1} has no class name: there are {len(names)} names")
    if np.count_nonzero(counts) < 2:
        raise DataError(
            f"data {name}: expected at least two classes, received only class {names[int(counts.argmax())]!r}"
        )
    if counts.min() < _SMALLEST_CLASS:
        raise DataError(
            f"data {name}: class {names[int(counts.argmin())]!r} has {counts.min()} images; each class needs at least "
            f"{_SMALLEST_CLASS}, to be trained, validated and tested on"
        )
    rng = np.random.default_rng(_SPLIT_SEED)
    if test is None:
        rest, held_out = _stratified(targets, _TEST_SHARE, rng)
        test_split = Split(pixels[held_out], targets[held_out])
    else:
        test_split = Split(_pixels(f"{name} (test)", test[0]), _targets(f"{name} (test)", test[1], len(test[0])))
        if test_split.images.shape[1:] != pixels.shape[1:]:
            raise DataError(
                f"data {name}: training images are {pixels.shape[1:]}, test images {test_split.images.shape[1:]}"
            )
        if test_split.labels.max() >= len(names):
            raise DataError(f"data {name}: test label {test_split.labels.max()} does not occur in training")
        rest = np.arange(len(targets))
    share = _VALIDATION_SHARE * len(targets) / len(rest)
    learned, validated = _stratified(targets[rest], share, rng)
    return ImageData(
        name=name,
        class_names=names,
        train=Split(pixels[rest[learned]], targets[rest[learned]]),
        validation=Split(pixels[rest[validated]], targets[rest[validated]]),
        test=test_split,
    )


def _stratified(labels: Labels, share: float, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Two disjoint index sets; the second holds ``share`` of each class, at least one image."""
    second = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        second.append(members[: max(1, round(share * len(members)))])
    taken = np.sort(np.concatenate(second))
    return np.setdiff1d(np.arange(len(labels)), taken), taken


def _pixels(name: str, images: NDArray[Any]) -> Images:
    if images.ndim not in {3, 4} or (images.ndim == 4 and images.shape[-1] not in {1, 3}):
        raise DataError(
            f"data {name}: expected images (n, height, width) or (n, height, width, 1 or 3), "
            f"received shape {images.shape}"
        )
    if len(images) == 0 or min(images.shape[1:3]) < 4:
        raise DataError(f"data {name}: expected images of at least 4 x 4 pixels, received shape {images.shape}")
    if images.dtype == np.uint8:
        pixels = images
    elif np.issubdtype(images.dtype, np.integer) or np.issubdtype(images.dtype, np.floating):
        if not np.isfinite(images).all():
            raise DataError(f"data {name}: {int((~np.isfinite(images)).sum())} pixel values are NaN or infinite")
        top = 1.0 if np.issubdtype(images.dtype, np.floating) and images.max() <= 1.0 else 255.0
        if images.min() < 0 or images.max() > top:
            raise DataError(
                f"data {name}: expected pixel values 0 to 255, or floats 0 to 1, "
                f"received {images.min():g} to {images.max():g}"
            )
        pixels = np.rint(images * (255.0 / top)).astype(np.uint8)
    else:
        raise DataError(f"data {name}: expected numbers as pixels, received {images.dtype}")
    return pixels if pixels.ndim == 4 else pixels[..., None]


def _targets(name: str, labels: NDArray[Any], n: int) -> Labels:
    if labels.shape != (n,):
        raise DataError(f"data {name}: expected one label for each of {n} images, received shape {labels.shape}")
    real = np.issubdtype(labels.dtype, np.integer) or np.issubdtype(labels.dtype, np.floating)
    if not real or not np.isfinite(labels).all() or (labels % 1 != 0).any():
        raise DataError(f"data {name}: expected whole numbers from 0 as labels, received {labels.dtype}")
    if labels.min() < 0 or labels.max() > 100_000:
        raise DataError(f"data {name}: expected labels from 0, received {labels.min()} to {labels.max()}")
    return labels.astype(np.int64)
