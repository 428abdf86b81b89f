"""The data sets of torchvision, from a folder that they lie in."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from hwnas.core import DataError, MachineError, UsageError, named_data_folder, unknown
from hwnas.training.data import ImageData
from hwnas.training.sources.items import read_items
from hwnas.training.sources.options import may_download, path_of, require_known, side_of
from hwnas.training.sources.parts import assembled

_OURS = ("root", "download", "size")
_BASES = {"VisionDataset", "ImageFolder", "DatasetFolder"}
_FUNCTIONS = {"transform", "target_transform", "transforms", "loader", "is_valid_file"}  # no text can stand for them
_SPLITS: Mapping[str, Mapping[str, str]] = {  # of classes whose splits are not called train and test
    "CLEVRClassification": {"train": "train", "test": "val"},
    "Country211": {"train": "train", "validation": "valid", "test": "test"},
    "DTD": {"train": "train", "validation": "val", "test": "test"},
    "FGVCAircraft": {"train": "train", "validation": "val", "test": "test"},
    "Flowers102": {"train": "train", "validation": "val", "test": "test"},
    "ImageNet": {"train": "train", "test": "val"},
    "Imagenette": {"train": "train", "test": "val"},
    "OxfordIIITPet": {"train": "trainval", "test": "test"},
    "PCAM": {"train": "train", "validation": "val", "test": "test"},
    "Places365": {"train": "train-standard", "test": "val"},
    "RenderedSST2": {"train": "train", "validation": "val", "test": "test"},
}
_USUAL_SPLITS = {"train": "train", "test": "test"}


def read_vision(source: str, name: str, options: Mapping[str, str]) -> ImageData:
    """Reads a data set of ``torchvision.datasets`` whose items are an image and a label.

    Args:
        source: As the user gave it, for messages and records.
        name: Of the class, for example ``CIFAR10``.
        options: ``root`` is the folder the files lie in, by default the one that ``HWNAS_DATA`` names;
            ``download=yes`` fetches what is missing; ``size`` in pixels; others are arguments of the class.

    Raises:
        UsageError: No such class or argument, or no folder is named.
        MachineError: torchvision is not there, or does not go with this build of torch.
        DataError: The files are not in the folder, or cannot be learned from.
    """
    module = _torchvision_datasets(source)
    known = [entry for entry in module.__all__ if isinstance(getattr(module, entry), type) and entry not in _BASES]
    if name not in known:
        raise unknown("data set of torchvision:", name, known)
    made = getattr(module, name)
    parameters = _parameters(made)
    fixed: dict[str, Any] = {}
    if "root" in parameters:
        fixed["root"] = str(_root(source, options))
    if may_download(source, options):
        if "download" not in parameters:
            raise UsageError(f"data {source}: torchvision cannot download {name}; see its documentation")
        fixed["download"] = True
    arguments = _parts(name, parameters)
    own = set(parameters).difference(_OURS, *arguments.values())
    require_known(source, options, {*_OURS, *own})
    fixed.update({key: int(text) if text.isdecimal() else text for key, text in options.items() if key in own})
    sets = {part: _opened(source, made, {**fixed, **chosen}) for part, chosen in arguments.items()}
    return assembled(
        source,
        {part: read_items(f"{source} ({part})", found) for part, found in sets.items()},
        class_names=_class_names(sets["train"]),
        side=side_of(source, options),
    )


def _torchvision_datasets(source: str) -> ModuleType:
    try:
        import torchvision.datasets  # noqa: PLC0415  (an extra, and slow to import)
    except ModuleNotFoundError as error:
        raise MachineError(f"data {source} needs torchvision: pip install 'hwnas[vision]'") from error
    except Exception as error:  # a build for another torch fails in its own ways
        import torch  # noqa: PLC0415  (slow to import)

        raise MachineError(
            f"data {source}: torchvision does not go with torch {torch.__version__} ({error}): install the two from "
            "one place, for a CPU build with pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu"
        ) from error
    return torchvision.datasets  # type: ignore[no-any-return]  # an untyped package


def _parameters(made: type) -> dict[str, inspect.Parameter]:
    """The arguments a class takes, with those it hands on to the classes it is made from."""
    found: dict[str, inspect.Parameter] = {}
    for base in made.__mro__:
        own = inspect.signature(base.__init__).parameters  # type: ignore[misc]  # of the class, not of an instance
        found = {**{key: value for key, value in own.items() if key != "self"}, **found}
        if not any(value.kind is inspect.Parameter.VAR_KEYWORD for value in own.values()):
            break
    hidden = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {key: value for key, value in found.items() if value.kind not in hidden and key not in _FUNCTIONS}


def _parts(name: str, parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The arguments that choose each part."""
    if "train" in parameters:
        return {"train": {"train": True}, "test": {"train": False}}
    if "split" in parameters:
        return {part: {"split": split} for part, split in _SPLITS.get(name, _USUAL_SPLITS).items()}
    return {"train": {}}


def _root(source: str, options: Mapping[str, str]) -> Path:
    root = path_of(options["root"]) if options.get("root") else named_data_folder()
    if root is None:
        raise UsageError(
            f"data {source}: expected the folder of its files, as in {source.partition('?')[0]}?root=~/data, or in the "
            "environment variable HWNAS_DATA"
        )
    return root


def _opened(source: str, made: type, arguments: Mapping[str, Any]) -> Any:
    try:
        return made(**arguments)
    except Exception as error:  # each class raises its own kinds
        asked = arguments.get("download") or "download" not in _parameters(made)
        cure = "" if asked else ". To fetch what is missing, add download=yes to its options"
        raise DataError(f"data {source}: torchvision cannot open it: {type(error).__name__}: {error}{cure}") from error


def _class_names(found: Any) -> tuple[str, ...] | None:
    """The names of the classes, where the data set has a text for each."""
    names = getattr(found, "classes", None)
    if isinstance(names, (list, tuple)) and all(isinstance(entry, str) for entry in names) and names:
        return tuple(names) if len(set(names)) == len(names) else None
    return None
