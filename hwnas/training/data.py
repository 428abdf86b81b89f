"""Image data sets: checked, and split once and for all into training, validation and test images.

The search sees the validation images, the report gives figures of the test images, and nothing mixes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import DataError, UsageError
from hwnas.training.arrays import Images, Labels, Split, as_pixels, as_targets, brightest
from hwnas.training.duplicates import shared_images
from hwnas.training.tasks import CLASSIFICATION, Classification, Task

_SPLIT_SEED = 0  # one split for every run, so that runs can be compared
_VALIDATION_SHARE = 0.2
_TEST_SHARE = 0.2
_SMALLEST_CLASS = 5  # images: one at least has to reach each part of the split


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """A data set.

    Attributes:
        name: What it is called on the command line.
        class_names: Name of each class, or of each output where the task is another one.
        train: What networks learn from.
        validation: What a search compares them on.
        test: What is reported, never searched on.
        notes: What a user should know about the data: sentences.
        task: What is learned from them.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    notes: tuple[str, ...] = ()
    task: Task = CLASSIFICATION

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour; of clips the number of frames."""
        return int(self.train.images.shape[-1])

    @property
    def classes(self) -> int:
        """Number of classes, which is that of a network's outputs."""
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


def require_classification(data: ImageData, what: str) -> None:
    """Refuses data of another task.

    Args:
        data: The data.
        what: Who needs classes, to begin a sentence.

    Raises:
        UsageError: The task is another one.
    """
    if not isinstance(data.task, Classification):
        raise UsageError(
            f"{what} is for classification, and the task of data {data.name} is {data.task.name}: give the search a "
            "function of yours that trains and judges (`--evaluator FILE.py:FUNCTION`, see docs/training.md)"
        )


Pair = tuple[NDArray[Any], NDArray[Any]]  # images and their labels, as they came


def checked(
    name: str,
    images: NDArray[Any],
    labels: NDArray[Any],
    *,
    class_names: tuple[str, ...] | None = None,
    validation: Pair | None = None,
    test: Pair | None = None,
    notes: tuple[str, ...] = (),
) -> ImageData:
    """Checks raw arrays and splits them.

    Args:
        name: For messages and records.
        images: Shape ``(n, h, w)`` or ``(n, h, w, c)``, or clips ``(n, frames, h, w, 1)``; whole numbers 0 to 255, or
            floats 0 to 1.
        labels: Shape ``(n,)``, whole numbers from 0.
        class_names: Name of each class; numbers where there are none.
        validation: Validation images and labels, where the data come with them; otherwise they are split off.
        test: The same of test images.
        notes: What a user should know; what is found here is added.

    Raises:
        DataError: Wrong shape or type, not finite, out of range, one class only, too few images of a class, or a part
            that is mostly in another one.
    """
    parts = {"validation": validation, "test": test}
    given = {part: pair for part, pair in parts.items() if pair is not None}
    pixels, targets = as_pixels(name, images), as_targets(name, labels, len(images))
    names = class_names or tuple(str(i) for i in range(int(targets.max()) + 1))
    _require_classes(name, targets, names, numbered=class_names is None, whole=len(given) == len(parts))
    splits = {part: _alike(name, part, pair, pixels, names) for part, pair in given.items()}
    _require_one_scale(name, {"training": images} | {part: pair[0] for part, pair in given.items()})
    rng = np.random.default_rng(_SPLIT_SEED)
    rest = np.arange(len(targets))
    for part, share in (("test", _TEST_SHARE), ("validation", _VALIDATION_SHARE)):
        if part not in splits:
            kept, taken = _stratified(targets[rest], share * len(targets) / len(rest), rng)
            splits[part] = Split(pixels[rest[taken]], targets[rest[taken]])
            rest = rest[kept]
    learned = Split(pixels[rest], targets[rest]) if len(rest) < len(targets) else Split(pixels, targets)
    ordered = {"training": learned, "validation": splits["validation"], "test": splits["test"]}
    return ImageData(
        name=name,
        class_names=names,
        train=learned,
        validation=splits["validation"],
        test=splits["test"],
        notes=tuple(dict.fromkeys((*notes, *_lacking(splits, names), *shared_images(name, ordered, given=given)))),
    )


def _require_classes(name: str, targets: Labels, names: tuple[str, ...], *, numbered: bool, whole: bool) -> None:
    """Refuses labels without a name, a single class, and classes too small to be split."""
    counts = np.bincount(targets, minlength=len(names))
    if len(counts) > len(names):
        raise DataError(f"data {name}: label {len(counts) - 1} has no class name: there are {len(names)} names")
    if np.count_nonzero(counts) < 2:
        raise DataError(
            f"data {name}: expected at least two classes, received only class {names[int(counts.argmax())]!r}"
        )
    least = 1 if whole else _SMALLEST_CLASS
    if counts.min() < least:
        gap = numbered and counts.min() == 0
        raise DataError(
            f"data {name}: class {names[int(counts.argmin())]!r} has {counts.min()} images; each class needs at least "
            f"{least}, to be {'trained on' if whole else 'trained, validated and tested on'}"
            + (". Labels have no gaps: renumber them with np.unique(labels, return_inverse=True)[1]" if gap else "")
        )


def _require_one_scale(name: str, parts: Mapping[str, NDArray[Any]]) -> None:
    """Refuses floats of which one part goes to 1 and another to 255: they cannot mean the same grey."""
    scales = {part: brightest(found) for part, found in parts.items() if np.issubdtype(found.dtype, np.floating)}
    if len(set(scales.values())) > 1:
        told = ", ".join(f"{part} images 0 to {scale:g}" for part, scale in scales.items())
        raise DataError(f"data {name}: expected floats of one range in all parts, received {told}")


def _alike(name: str, part: str, pair: Pair, pixels: Images, names: tuple[str, ...]) -> Split:
    """A part that came with the data, refused where it does not go with the training images."""
    about = f"{name} ({part})"
    split = Split(as_pixels(about, pair[0]), as_targets(about, pair[1], len(pair[0])))
    if split.images.shape[1:] != pixels.shape[1:]:
        raise DataError(f"data {name}: training images are {pixels.shape[1:]}, {part} images {split.images.shape[1:]}")
    if split.labels.max() >= len(names):
        raise DataError(f"data {name}: {part} label {split.labels.max()} does not occur in training")
    return split


def _lacking(splits: Mapping[str, Split], names: tuple[str, ...]) -> tuple[str, ...]:
    """A sentence for each part that has no image of some class."""
    notes = []
    for part in ("validation", "test"):
        absent = [names[i] for i in np.setdiff1d(np.arange(len(names)), splits[part].labels)]
        if absent:
            few = ", ".join(repr(label) for label in absent[:5]) + (", …" if len(absent) > 5 else "")
            notes.append(f"no {part} image is of class {few}")
    return tuple(notes)


def _stratified(labels: Labels, share: float, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Two disjoint index sets; the second holds ``share`` of each class, at least one image."""
    second = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        second.append(members[: max(1, round(share * len(members)))])
    taken = np.sort(np.concatenate(second))
    return np.setdiff1d(np.arange(len(labels)), taken), taken
