"""Where image data come from: names, arrays in files, folders of images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import DataError, UsageError, in_data_folder, unknown
from hwnas.training.data import ImageData, checked
from hwnas.training.folder import read_folder


def load_data(source: str) -> ImageData:
    """Reads a data set by name or path.

    Args:
        source: ``digits`` (comes with scikit-learn), ``fashion-mnist`` or ``cifar10`` (files ``fashion_mnist.npz`` and
            ``cifar10_small.npz`` in the folder that the environment variable ``HWNAS_DATA`` names), the path of an
            ``.npz`` file, or a folder with a sub-folder of images for each class.

    Raises:
        UsageError: No such name, and no such file or folder.
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks the file.
        DataError: The data cannot be learned from; the message says why and what is expected.
    """
    if source in _NAMED:
        return _NAMED[source]()
    if not source:
        raise UsageError("no data named: expected " + ", ".join((*_NAMED, "PATH.npz", "IMAGE-FOLDER")))
    path = Path(source)
    if path.is_dir():
        return read_folder(path)
    if path.suffix == ".npz" and path.is_file():
        return _read_npz(path, name=source)
    if path.suffix == ".npz" or path.is_absolute() or os.sep in source:
        raise DataError(f"no data at {source}: expected an .npz file, or a folder with a sub-folder for each class")
    raise unknown("data", source, (*_NAMED, "PATH.npz", "IMAGE-FOLDER"))


def _read_npz(path: Path, *, name: str) -> ImageData:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays: Mapping[str, NDArray[Any]] = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"cannot read {path} as an .npz file of plain arrays: {error}") from error
    except Exception as error:  # zipfile and zlib raise their own kinds for damaged archives
        raise DataError(f"{path} is damaged: {error}") from error
    images = arrays.get("train_images", arrays.get("images"))
    labels = arrays.get("train_labels", arrays.get("labels"))
    if images is None or labels is None:
        raise DataError(
            f"{path} holds {', '.join(sorted(arrays)) or 'no arrays'}: expected images and labels, or train_images, "
            "train_labels, test_images and test_labels"
        )
    names = _class_names(name, arrays["class_names"]) if "class_names" in arrays else None
    test = None
    if ("test_images" in arrays) != ("test_labels" in arrays):
        raise DataError(f"{path} holds only one of test_images and test_labels: expected both or neither")
    if "test_images" in arrays:
        test = (arrays["test_images"], arrays["test_labels"])
    return checked(name, images, labels, class_names=names, test=test)


def _class_names(name: str, found: NDArray[Any]) -> tuple[str, ...]:
    decoded = np.char.decode(found, "utf-8") if found.dtype.kind == "S" else found
    if found.ndim != 1 or len(set(decoded.tolist())) != len(found):
        raise DataError(f"data {name}: expected class_names of shape (classes,), all different, received {found.shape}")
    return tuple(str(entry) for entry in decoded)


def _digits() -> ImageData:
    from sklearn.datasets import load_digits  # noqa: PLC0415  (slow to import, needed for this data set alone)

    found = load_digits()
    return checked("digits", np.rint(found.images * (255 / 16)).astype(np.uint8), found.target)


def _from_data_folder(name: str, file: str) -> ImageData:
    about = "arrays train_images, train_labels, test_images, test_labels; see docs/data.md"
    return _read_npz(in_data_folder(file, purpose=f"data {name!r}", about=about), name=name)


_NAMED: Mapping[str, Callable[[], ImageData]] = {
    "digits": _digits,
    "fashion-mnist": lambda: _from_data_folder("fashion-mnist", "fashion_mnist.npz"),
    "cifar10": lambda: _from_data_folder("cifar10", "cifar10_small.npz"),
}
