"""A source's text, and the reader it means."""

from __future__ import annotations

import os
import re

from hwnas.core import DataError, UsageError, unknown
from hwnas.training.data import ImageData
from hwnas.training.sources.archive import read_archive
from hwnas.training.sources.folder import read_folder
from hwnas.training.sources.function import read_function
from hwnas.training.sources.hub import read_hub
from hwnas.training.sources.named import NAMED
from hwnas.training.sources.options import path_of, require_known, side_of, split_options
from hwnas.training.sources.vision import read_vision

_READERS = {"torchvision:": read_vision, "hf:": read_hub}
_FORMS = (*NAMED, "PATH.npz", "IMAGE-FOLDER", "torchvision:NAME", "hf:NAME", "MODULE:FUNCTION")
_FUNCTION = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")


def load_data(source: str) -> ImageData:
    """Reads a data set by name, by path, from a library or from a function. docs/data.md shows each.

    Args:
        source: ``digits`` (comes with scikit-learn) or ``clips`` (made up); ``fashion-mnist``, ``cifar10`` or
            ``cifar10-small`` (files in the folder that the environment variable ``HWNAS_DATA`` names); the path of an
            ``.npz`` file, or of a folder of images by class; ``torchvision:NAME``, ``hf:NAME`` or ``hf:FOLDER``;
            ``MODULE:FUNCTION``. Options follow a question mark: ``photos?size=96``.

    Raises:
        UsageError: No such name or option, and no such file or folder.
        MachineError: ``HWNAS_DATA`` is not set, its folder lacks the file, or a library is not there or does not work.
        DataError: The data cannot be learned from; the message says why and what is expected.
    """
    if not source:
        raise UsageError("no data named: expected " + ", ".join(_FORMS))
    options: dict[str, str] = {}
    place = source
    if not path_of(source).exists():  # a path may hold a question mark or a colon
        place, options = split_options(source)
        for prefix, read in _READERS.items():
            if place.startswith(prefix):
                return read(source, place.removeprefix(prefix), options)
    if place in NAMED:
        require_known(source, options, ())
        return NAMED[place]()
    path = path_of(place)
    if path.is_dir():
        require_known(source, options, ("size",))
        return read_folder(path, name=source, side=side_of(source, options))
    require_known(source, options, ())
    if path.suffix == ".npz" and path.is_file():
        return read_archive(path, name=source)
    if path.suffix == ".npz" or path.is_absolute() or os.sep in place:
        raise DataError(f"no data at {source}: expected an .npz file, or a folder with a sub-folder for each class")
    if _FUNCTION.fullmatch(place):
        return read_function(place)
    if path.exists():
        raise DataError(f"{source} is a file of another kind: expected an .npz file, or a folder of images by class")
    raise unknown("data", source, _FORMS)
