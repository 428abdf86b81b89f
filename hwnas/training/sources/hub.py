"""Data sets of Hugging Face's ``datasets``: saved in a folder, or from the hub."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hwnas.core import DataError, MachineError, unknown
from hwnas.training.data import ImageData
from hwnas.training.sources.options import may_download, path_of, require_known, side_of
from hwnas.training.sources.parts import Part, assembled
from hwnas.training.sources.pictures import Picture

_USUAL = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
_OPTIONS = ("image", "label", *_USUAL, "config", "size", "download")


def read_hub(source: str, place: str, options: Mapping[str, str]) -> ImageData:
    """Reads a folder that ``save_to_disk`` made, a folder that ``load_dataset`` knows, or a data set of the hub.

    Args:
        source: As the user gave it, for messages and records.
        place: The folder, or the name on the hub.
        options: ``image`` and ``label`` name the columns; ``train``, ``validation`` and ``test`` the splits, an empty
            one leaves its part out; ``config`` a configuration; ``size`` in pixels; ``download=yes`` allows the hub.

    Raises:
        UsageError: An unknown option.
        MachineError: The package ``datasets`` is not there.
        DataError: There is no such data set, a column or split cannot be told, or it cannot be learned from.
    """
    require_known(source, options, _OPTIONS)
    allowed = may_download(source, options)
    try:
        import datasets  # noqa: PLC0415  (an extra, and slow to import)
    except ImportError as error:
        raise MachineError(f"data {source} needs the package datasets: pip install 'hwnas[huggingface]'") from error
    folder = path_of(place)
    if not place or not (folder.is_dir() or allowed):
        raise DataError(
            f"data {source}: there is no folder {place!r}. To fetch {place!r} from the hub, or from its cache on this "
            "machine, add ?download=yes"
        )
    try:
        if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
            found = datasets.load_from_disk(str(folder))
        else:
            found = datasets.load_dataset(str(folder) if folder.is_dir() else place, options.get("config"))
    except Exception as error:  # files, networks and builders raise their own kinds
        raise DataError(f"data {source}: datasets cannot load it: {type(error).__name__}: {error}") from error
    return from_datasets(source, found if isinstance(found, Mapping) else {"train": found}, options)


def is_dataset(value: object) -> bool:
    """Whether it is a data set of the package ``datasets``."""
    return hasattr(value, "features") and hasattr(value, "cast_column")


def from_datasets(source: str, found: Mapping[str, Any], options: Mapping[str, str]) -> ImageData:
    """Data of splits by name.

    Args:
        source: For messages and records.
        found: Each a ``datasets.Dataset``.
        options: As in ``read_hub``.

    Raises:
        DataError: A column or split cannot be told, an image is damaged, or the data cannot be learned from.
    """
    splits = _splits(source, found, options)
    streamed = [name for name, split in splits.items() if not hasattr(split, "__len__")]
    if streamed:
        raise DataError(f"data {source}: the {streamed[0]} part is a stream: load it without streaming=True")
    image, label = _columns(source, splits["train"].features, options)
    for name, split in splits.items():
        if not {image, label} <= set(split.column_names):
            raise DataError(f"data {source}: the {name} part lacks {image!r} or {label!r}")
    labels = {name: _labels(f"data {source} ({name})", split, label) for name, split in splits.items()}
    names = _class_names(splits["train"].features[label], labels["train"])
    parts = {
        name: Part(images=_pictures(f"{source} ({name})", split, image), labels=_numbered(source, labels[name], names))
        for name, split in splits.items()
    }
    used = {options.get(part, "") for part in _USUAL} | {usual for choices in _USUAL.values() for usual in choices}
    left = sorted(set(found) - used)
    notes = (f"{source} has {', '.join(left)}, which nothing reads",) if left else ()
    return assembled(source, parts, class_names=names, side=side_of(source, options), notes=notes)


def _splits(source: str, found: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    splits = {}
    for part, usual in _USUAL.items():
        name = options.get(part)
        if name and name not in found:
            raise unknown(f"split of {source}:", name, found)
        if name is None:
            name = next((candidate for candidate in usual if candidate in found), None)
        if name:
            splits[part] = found[name]
    if "train" not in splits:
        raise DataError(
            f"data {source} has {', '.join(map(str, found)) or 'no splits'}: expected a split named train; name "
            "another one as in ?train=NAME"
        )
    return splits


def _columns(source: str, features: Mapping[str, Any], options: Mapping[str, str]) -> tuple[str, str]:
    """The columns of images and labels: as named, else the only ones of their kinds."""
    chosen = []
    for option, kind, allowed in (("image", "Image", {"Image"}), ("label", "ClassLabel", {"ClassLabel", "Value"})):
        name = options.get(option)
        if name is not None and name not in features:
            raise unknown(f"column of {source}:", name, features)
        candidates = [name] if name else [key for key, value in features.items() if type(value).__name__ == kind]
        if len(candidates) != 1 or type(features[candidates[0]]).__name__ not in allowed:
            listing = ", ".join(f"{key} ({_kind(value)})" for key, value in features.items())
            raise DataError(
                f"data {source}: expected one column of type {kind}, received {listing}. Name the one that is meant as "
                f"in ?{option}=COLUMN"
            )
        chosen.append(candidates[0])
    return chosen[0], chosen[1]


def _kind(feature: Any) -> str:
    return str(getattr(feature, "dtype", None) or "") if type(feature).__name__ == "Value" else type(feature).__name__


def _labels(where: str, split: Any, column: str) -> list[Any]:
    values = list(split[column])
    missing = next((i for i, value in enumerate(values) if value is None), None)
    if missing is not None:
        raise DataError(f"{where}: row {missing} has no {column}: remove it")
    return values


def _class_names(feature: Any, labels: Sequence[Any]) -> tuple[str, ...] | None:
    """The names that come with the labels; of texts, the texts themselves; ``None`` of bare numbers."""
    named = getattr(feature, "names", None)
    if named:
        return tuple(named)
    return tuple(sorted(set(labels))) if labels and isinstance(labels[0], str) else None


def _numbered(source: str, labels: Sequence[Any], names: tuple[str, ...] | None) -> NDArray[Any]:
    if not labels or not isinstance(labels[0], str) or names is None:
        return np.array(labels)
    numbers = {name: i for i, name in enumerate(names)}
    strange = next((label for label in labels if label not in numbers), None)
    if strange is not None:
        raise DataError(f"data {source}: label {strange!r} does not occur in training")
    return np.array([numbers[label] for label in labels])


def _pictures(where: str, split: Any, column: str) -> list[Picture]:
    import datasets  # noqa: PLC0415  (an extra, and slow to import)

    encoded = split.select_columns([column]).cast_column(column, datasets.Image(decode=False))

    def opened(i: int) -> Image.Image:
        content = encoded[i][column]
        if content is None:
            raise ValueError("there is none")
        return Image.open(io.BytesIO(content["bytes"]) if content["bytes"] is not None else content["path"])

    return [Picture(where=f"{where}, row {i}", opened=partial(opened, i)) for i in range(len(split))]
