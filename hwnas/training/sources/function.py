"""What a function of the user's returns: arrays, PyTorch data sets or loaders, or data ready for use."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.core import DataError, HwnasError, UsageError
from hwnas.training.arrays import Split
from hwnas.training.data import ImageData, checked
from hwnas.training.sources.archive import from_arrays
from hwnas.training.sources.hub import from_datasets, is_dataset
from hwnas.training.sources.items import image_array, is_array, label_array, read_items
from hwnas.training.sources.parts import Part, assembled

_PARTS = {"train": "train", "validation": "validation", "val": "validation", "valid": "validation", "test": "test"}
_ARRAYS = ("images", "labels", "test_images", "test_labels")
_TOLD = 4  # entries of a list that are told in a message
_EXPECTED = (
    "expected PyTorch data sets or loaders (train, validation, test), the last two optional; arrays (images, labels) "
    "or (images, labels, test_images, test_labels); a mapping of either by name; or an ImageData"
)


def read_function(source: str) -> ImageData:
    """Calls ``FUNCTION`` of ``MODULE``, in the current folder or an installed package: as ``python -m`` finds it.

    Args:
        source: ``MODULE:FUNCTION``; the function is called without arguments.

    Raises:
        UsageError: The module cannot be imported, or has no such function.
        DataError: The function raised something, or what it returned cannot be used.
    """
    module, _, name = source.partition(":")
    with _current_folder_importable():
        make = _found(module, name)
        try:
            returned = make()
        except HwnasError:
            raise
        except (Exception, SystemExit) as error:  # the user's own code raises anything
            raise DataError(f"{source}, called without arguments, raised {_told(error)}") from error
        return as_data(source, returned)


def as_data(name: str, returned: object) -> ImageData:
    """Data of what a function returned.

    Args:
        name: For messages and records.
        returned: An ``ImageData``; arrays ``(images, labels)``, with ``test_images, test_labels`` or a pair of them
            after these; PyTorch data sets or loaders ``(train, validation, test)``, the last two optional or ``None``,
            where a pair of arrays may stand for each; a mapping of arrays by the names of an ``.npz``, or of such parts
            by theirs.

    Raises:
        DataError: It is something else, or cannot be learned from.
    """
    if isinstance(returned, ImageData):
        return checked(
            name,
            *_pair_of(name, returned.train),
            class_names=tuple(returned.class_names),
            validation=_pair_of(name, returned.validation),
            test=_pair_of(name, returned.test),
            notes=returned.notes,
        )
    if isinstance(returned, Mapping):
        return _from_mapping(name, returned)
    if isinstance(returned, (tuple, list)):
        if len(returned) > 1 and is_array(returned[0]) and is_array(returned[1]):
            return _from_mapping(name, _by_name(name, returned))
        if not 1 <= len(returned) <= 3 or isinstance(returned[0], str):
            raise DataError(f"{name} returned {_shape_of(returned)}: {_EXPECTED}")
        return _from_parts(name, dict(zip(("train", "validation", "test"), returned, strict=False)))
    if isinstance(returned, str) or not (hasattr(returned, "__getitem__") or hasattr(returned, "__iter__")):
        raise DataError(f"{name} returned {_shape_of(returned)}: {_EXPECTED}")
    return _from_parts(name, {"train": returned})


def _from_mapping(name: str, returned: Mapping[Any, Any]) -> ImageData:
    if any(is_dataset(value) for value in returned.values()):
        return from_datasets(name, returned, {})
    if "train" not in returned:
        odd = [str(key) for key, value in returned.items() if not is_array(value) and key != "class_names"]
        if odd or not returned:
            raise DataError(f"{name} returned a mapping of {', '.join(map(str, returned)) or 'nothing'}: {_EXPECTED}")
        arrays = {str(key): (image_array if str(key).endswith("images") else label_array)(value)
                  for key, value in returned.items()}  # fmt: skip
        return from_arrays(name, arrays, where=name)
    names = returned.get("class_names")
    parts: dict[str, object] = {}
    for key, value in returned.items():
        if key != "class_names":
            if key not in _PARTS or _PARTS[key] in parts:
                raise DataError(f"{name} returned {key!r} beside the other parts: expected train, validation and test")
            parts[_PARTS[key]] = value
    return _from_parts(name, parts, class_names=tuple(map(str, names)) if names is not None else None)


def _from_parts(name: str, parts: Mapping[str, object], *, class_names: tuple[str, ...] | None = None) -> ImageData:
    if any(is_dataset(value) for value in parts.values()):
        return from_datasets(name, {part: value for part, value in parts.items() if value is not None}, {})
    read = {part: _part(f"{name} ({part})", value) for part, value in parts.items() if value is not None}
    if "train" not in read:
        raise DataError(f"{name} returned no training images: {_EXPECTED}")
    return assembled(name, read, class_names=class_names)


def _part(where: str, value: Any) -> Part:
    if isinstance(value, Split):
        value = (value.images, value.labels)
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(map(is_array, value)):
        return Part(images=image_array(value[0]), labels=label_array(value[1]))
    return read_items(where, value)


def _by_name(name: str, returned: Sequence[Any]) -> dict[str, Any]:
    """Arrays in a row, by their names; a pair of test arrays may stand for the last two."""
    pair = returned[2] if len(returned) == 3 else None
    flat = [*returned[:2], *pair] if isinstance(pair, (tuple, list)) and len(pair) == 2 else list(returned)
    if len(flat) not in {2, 4} or not all(map(is_array, flat)):
        raise DataError(f"{name} returned {_shape_of(returned)}: {_EXPECTED}")
    return dict(zip(_ARRAYS, flat, strict=False))


def _pair_of(name: str, split: object) -> tuple[Any, Any]:
    if not isinstance(split, Split) or not is_array(split.images) or not is_array(split.labels):
        raise DataError(f"{name} returned an ImageData with a part that is {type(split).__name__}: expected a Split")
    clips = np.ndim(split.images) == 4 and split.images.shape[-1] not in {1, 3}
    return np.moveaxis(split.images, -1, 1)[..., None] if clips else split.images, split.labels


def _found(module: str, name: str) -> Callable[[], object]:
    importlib.invalidate_caches()  # the file may be younger than what Python knows of its folder
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            named = module.removesuffix(".py")
            file = named.replace(".", "/") + ".py"
            cure = "" if named == module else f". A module is named without its ending: {named}:{name}"
            raise UsageError(
                f"no module {module}: expected {file} in the current folder, {Path.cwd()}, or an installed package"
                f"{cure}"
            ) from error
        raise UsageError(f"importing {module} raised {_told(error)}") from error
    except (Exception, SystemExit) as error:  # the user's own code raises anything
        raise UsageError(f"importing {module} raised {_told(error)}") from error
    where = getattr(imported, "__file__", None) or module
    if not hasattr(imported, name):
        functions = sorted(key for key, value in vars(imported).items() if callable(value) and not key.startswith("_"))
        listed = f"; it has {', '.join(functions[:8])}" if functions else ""
        raise UsageError(f"{where} has no function {name}{listed}")
    found = getattr(imported, name)
    if not callable(found):
        raise UsageError(f"{name} in {where} is {_shape_of(found)}: expected a function that returns the data")
    return found  # type: ignore[no-any-return]  # it is callable; what it returns is looked at


def _told(error: BaseException) -> str:
    """An exception, and the place in the user's code that it comes from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if len(frames) > 1 else ""
    return f"{type(error).__name__}: {error}{place}"


def _shape_of(value: object) -> str:
    if isinstance(value, (tuple, list)):
        kinds = [type(entry).__name__ for entry in value]
        more = f" and {len(kinds) - _TOLD} more" if len(kinds) > _TOLD else ""
        return f"a {type(value).__name__} of {', '.join(kinds[:_TOLD]) or 'nothing'}{more}"
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    """Puts the current folder first where modules are looked for, as ``python -m`` does, for a while."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
