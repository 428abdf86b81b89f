"""PyTorch data sets and loaders, read once, always in the same order.

A loader's own order does not matter here: what it would shuffle is read by index, so that every run sees the same data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
)

from hwnas.core import DataError, HwnasError
from hwnas.training.arrays import as_pixels, brightest, require_room
from hwnas.training.sources.parts import Part
from hwnas.training.sources.pictures import Picture

_CHUNK = 256  # images that are held as they come, before they become bytes
_PROBE = 16  # pictures that are read twice: of random flips, one in 65,536 sets of them looks the same


def is_array(value: object) -> bool:
    """Whether it is a numpy array or a torch tensor."""
    return isinstance(value, (np.ndarray, torch.Tensor))


def image_array(value: Any) -> NDArray[Any]:
    """Images, or one of them, as an array with its channels last; in tensors they stand before the pixels."""
    array = label_array(value)
    if isinstance(value, torch.Tensor) and array.ndim >= 3 and array.shape[-3] in {1, 3}:
        return np.moveaxis(array, -3, -1)
    return array


def label_array(value: Any) -> NDArray[Any]:
    """Labels, or one of them, as an array."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return np.asarray((value.float() if value.is_floating_point() else value).numpy())
    return np.asarray(value)


def read_items(where: str, given: Any) -> Part:
    """Reads a data set or a loader of ``(image, label)``.

    Args:
        where: What it is called in messages.
        given: A ``DataLoader``, or a data set with items by number or one after another. Images are tensors
            ``(c, h, w)``, arrays ``(h, w)`` or ``(h, w, c)``, or PIL images.

    Raises:
        DataError: It is something else, raises, is empty, gives another image at a second reading, or a loader's order
            cannot be known.
    """
    if isinstance(given, DataLoader):
        return _from_batches(where, partial(_in_order, where, given))
    if isinstance(given, IterableDataset):
        return _from_batches(where, lambda: _chunks(where, given))
    if not hasattr(given, "__getitem__") or not hasattr(given, "__len__"):
        raise DataError(
            f"{where}: expected a PyTorch data set or loader, or a pair of arrays, received {type(given).__name__}"
        )
    if not len(given):
        raise DataError(f"{where} is empty: expected items (image, label)")
    if isinstance(_item(where, given, 0)[0], Image.Image):
        return _from_pictures(where, given)
    return _from_batches(where, lambda: _chunks(where, (_item(where, given, i) for i in range(len(given)))))


def _from_pictures(where: str, given: Any) -> Part:
    pictures, labels = [], []
    for i in range(len(given)):
        image, label = _item(where, given, i)
        if not isinstance(image, Image.Image):
            raise DataError(f"{where}: item 0 is an image of PIL, item {i} is {type(image).__name__}: give one kind")
        if i < _PROBE and _pixels(where, given, i) != _pixels(where, given, i):
            raise _changing(where)
        # a copy: what is closed after use belongs to the data set
        opened = partial(lambda at: _item(where, given, at)[0].copy(), i)
        head = (min(image.size), image.mode)
        pictures.append(Picture(where=f"{where}, item {i}", opened=opened, head=head))
        labels.append(label)
    return Part(images=pictures, labels=_stacked(where, labels, kind="label"))


def _pixels(where: str, given: Any, i: int) -> bytes:
    image = _item(where, given, i)[0]
    try:
        return bytes(image.tobytes())
    except Exception as error:  # each format's reader raises its own kinds for damaged files
        raise DataError(f"cannot decode {where}, item {i}: {error}. Remove it or replace it.") from error


def _from_batches(where: str, read: Callable[[], Iterator[Any]]) -> Part:
    """Joins batches; each becomes bytes at once, so that floats of all images are never held together."""
    images: list[NDArray[Any]] = []
    labels: list[NDArray[Any]] = []
    first, white, held = None, None, 0
    for batch in _guarded(where, read):
        pixels, targets = _pair(where, batch)
        found, numbers = image_array(pixels), label_array(targets)
        if first is None:
            first, white = found, brightest(found) if found.dtype.kind == "f" else None
        if numbers.ndim == 0 or numbers.dtype.kind == "O" or len(numbers) != len(found):
            raise DataError(
                f"{where}: expected a whole number for each of {len(found)} images of a batch, received {targets!r:.80}"
            )
        images.append(as_pixels(where, found, white=white))
        labels.append(numbers)
        if images[-1].shape[1:] != images[0].shape[1:] or numbers.shape[1:] != labels[0].shape[1:]:
            raise _unlike(where, images[0].shape[1:], images[-1].shape[1:])
        held += images[-1].nbytes
        require_room(f"{where}: the part read so far", held, cure="give fewer or smaller images")
    if first is None:
        raise DataError(f"{where} is empty: expected items (image, label)")
    second = next(_guarded(where, read), None)
    if second is None:
        raise _changing(where)
    again = image_array(_pair(where, second)[0])
    if first.shape != again.shape or not np.array_equal(first, again, equal_nan=True):
        raise _changing(where)
    return Part(images=np.concatenate(images), labels=np.concatenate(labels))


def _guarded(where: str, read: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    try:
        yield from read()
    except HwnasError:
        raise
    except Exception as error:  # the user's own code, and workers of loaders, raise anything
        raise DataError(f"{where} raised {type(error).__name__} while it was read: {error}") from error


def _in_order(where: str, loader: DataLoader[Any]) -> Iterator[Any]:
    """The batches of a loader, by the numbers of their items.

    Raises:
        DataError: Which items it would give is not known.
    """
    dataset, sampler = loader.dataset, loader.sampler
    order: Sequence[int] | None
    if isinstance(dataset, IterableDataset):
        order = None
    elif loader.batch_size is None and loader.batch_sampler is not None:
        raise _unordered(where, loader.batch_sampler)
    elif isinstance(sampler, SubsetRandomSampler):
        order = sorted(int(i) for i in sampler.indices)
    elif type(sampler) is SequentialSampler or (
        type(sampler) is RandomSampler and not sampler.replacement and sampler.num_samples == len(sampler.data_source)
    ):
        order = range(len(dataset))  # type: ignore[arg-type]  # one by number has a length
    else:
        raise _unordered(where, sampler)
    again: DataLoader[Any] = DataLoader(
        dataset,
        batch_size=loader.batch_size,
        sampler=order,
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
        worker_init_fn=loader.worker_init_fn,
        generator=torch.Generator(),
    )
    return iter(again)


def _chunks(where: str, items: Iterable[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Items stacked, some at a time."""
    left = iter(items)
    while pairs := [_pair(where, item) for item in islice(left, _CHUNK)]:
        images = [image_array(image) for image, _ in pairs]
        yield _stacked(where, images, kind="image"), _stacked(where, [label for _, label in pairs], kind="label")


def _stacked(where: str, values: Sequence[Any], *, kind: str) -> NDArray[Any]:
    arrays = [label_array(value) for value in values]
    for array in arrays:
        if array.shape != arrays[0].shape or array.dtype.kind == "O":
            if kind == "image" and array.dtype.kind != "O":
                raise _unlike(where, arrays[0].shape, array.shape)
            raise DataError(f"{where}: expected a whole number as each label, received {values[0]!r} and other kinds")
    return np.stack(arrays)


def _item(where: str, given: Any, i: int) -> tuple[Any, Any]:
    try:
        return _pair(where, given[i])
    except HwnasError:
        raise
    except Exception as error:  # the user's own code raises anything
        raise DataError(f"{where}: item {i} raised {type(error).__name__}: {error}") from error


def _pair(where: str, item: Any) -> tuple[Any, Any]:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        what = f"{len(item)} values" if isinstance(item, (tuple, list)) else type(item).__name__
        raise DataError(f"{where}: expected items (image, label), received {what}")
    if not is_array(item[0]) and not isinstance(item[0], Image.Image):
        raise DataError(f"{where}: expected an image as tensor, array or PIL image, received {type(item[0]).__name__}")
    return item[0], item[1]


def _unlike(where: str, first: tuple[int, ...], other: tuple[int, ...]) -> DataError:
    return DataError(f"{where}: expected images of one shape, received {first} and {other}: resize them all alike")


def _changing(where: str) -> DataError:
    return DataError(
        f"{where} gives other images at a second reading: expected the same ones each time, or no run could be "
        "repeated. Leave random transforms and shuffling out; augmentation belongs to training"
    )


def _unordered(where: str, sampler: object) -> DataError:
    return DataError(
        f"{where}: its {type(sampler).__name__} does not tell which images the loader gives. Return the data set "
        "itself, or a loader without a sampler of its own"
    )
