"""Data sets known by a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial

import numpy as np

from hwnas.core import in_data_folder, named_data_folder
from hwnas.training.data import ImageData, checked
from hwnas.training.sources.archive import read_archive
from hwnas.training.sources.clips import moving_spots

_ARRAYS = "arrays train_images, train_labels, test_images, test_labels; see docs/data.md"


@cache  # nobody changes its arrays, and reading them takes longer than many a trial
def _digits() -> ImageData:
    from sklearn.datasets import load_digits  # noqa: PLC0415  (slow to import, needed for this data set alone)

    found = load_digits()
    return checked("digits", np.rint(found.images * (255 / 16)).astype(np.uint8), found.target)


def _from_data_folder(name: str, file: str) -> ImageData:
    return read_archive(in_data_folder(file, purpose=f"data {name!r}", about=_ARRAYS), name=name)


def _cifar10() -> ImageData:
    """The whole set: the official images where they are there, else the same as JPEG files."""
    folder = named_data_folder()
    files = ("cifar10.npz", "cifar10_jpeg.npz")
    there = [file for file in files if folder is not None and (folder / file).is_file()]
    return _from_data_folder("cifar10", there[0] if there else files[0])


NAMED: Mapping[str, Callable[[], ImageData]] = {
    "digits": _digits,
    "clips": moving_spots,
    "fashion-mnist": partial(_from_data_folder, "fashion-mnist", "fashion_mnist.npz"),
    "cifar10": _cifar10,
    "cifar10-small": partial(_from_data_folder, "cifar10-small", "cifar10_small.npz"),
}
