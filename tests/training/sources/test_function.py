"""Functions that return data: what is taken, and what is refused with which words."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from hwnas.core import DataError, UsageError
from hwnas.training import ImageData, Split, load_data
from hwnas.training.data import checked
from hwnas.training.sources.function import as_data
from tests.training.made import pairs, pictures, splits, with_test

Write = Callable[[str], str]
LABELS = np.arange(30) % 3


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module into the current folder and gives its name."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)

    def write(text: str, name: str = "my_data") -> str:
        sys.modules.pop(name, None)
        Path(f"{name}.py").write_text("import numpy as np\n" + text, encoding="utf-8")
        return name

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]


def tensors(n: int = 30, *, channels: int = 3, seed: int = 0) -> TensorDataset:
    """Images as torch has them, floats 0 to 1, with labels."""
    images = torch.from_numpy(pictures(n, channels=channels, seed=seed)).permute(0, 3, 1, 2) / 255
    return TensorDataset(images, torch.from_numpy(np.arange(n) % 3))


class Listed(Dataset[Any]):
    """Items in a list."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        if isinstance(self.items[i], Exception):
            raise self.items[i]
        return self.items[i]


class Stream(IterableDataset[Any]):
    """Items one after another, in an order that may change."""

    def __init__(self, items: list[Any], *, shuffled: bool = False) -> None:
        self.items, self.rng = items, np.random.default_rng(0) if shuffled else None

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items if self.rng is None else [self.items[i] for i in self.rng.permutation(len(self.items))])


class Once(Stream):
    """Items that are there once."""

    def __iter__(self) -> Iterator[Any]:
        while self.items:
            yield self.items.pop(0)


class Noisy(Listed):
    """Other images at each reading."""

    def __getitem__(self, i: int) -> Any:
        image, label = self.items[i]
        return torch.rand(image.shape), label


def items(n: int = 30, seed: int = 0) -> list[tuple[torch.Tensor, int]]:
    return [(image, int(label)) for image, label in tensors(n, seed=seed)]


def by_name(batch: list[Any]) -> Any:
    return torch.stack([image for image, _ in batch]), {"a": 1}


def photos(n: int = 30, *, seed: int = 0, size: tuple[int, int] = (10, 12)) -> Listed:
    """Images of PIL, as torchvision's data sets give them."""
    found = pictures(n, channels=3, seed=seed, size=size)
    return Listed([(Image.fromarray(image), i % 3) for i, image in enumerate(found)])


# --- where functions are found


def test_a_function_of_a_module_in_the_current_folder_is_called(module: Write) -> None:
    module("IMAGES = np.arange(30 * 20).reshape(30, 4, 5) % 251", name="my_arrays")
    name = module("def make():\n    import my_arrays\n    return my_arrays.IMAGES, np.arange(30) % 2")
    before = list(sys.path)
    data = load_data(f"{name}:make")
    assert (data.name, data.classes, data.train.images.shape) == ("my_data:make", 2, (18, 4, 5, 1))
    assert sys.path == before


def test_a_function_of_a_module_in_a_package_is_called(module: Write) -> None:
    Path("my_package").mkdir()
    module("def make():\n    return np.arange(600).reshape(30, 4, 5) % 251, np.arange(30) % 2", name="my_package/inner")
    assert load_data("my_package.inner:make").classes == 2


def test_an_error_of_our_own_inside_the_function_is_told_as_it_is(module: Write) -> None:
    name = module("from hwnas import load_data\ndef make():\n    return load_data('digits?x=1')")
    with pytest.raises(UsageError, match=r"^data digits"):
        load_data(f"{name}:make")


@pytest.mark.parametrize(
    ("text", "source", "message"),
    [
        ("", "my_other:make", r"no module my_other: expected my_other\.py in the current folder, .*, or an installed"),
        ("", "my_data.py:make", r"no module my_data\.py: .*\. A module is named without its ending: my_data:make"),
        ("", "my_data.inner:make", r"no module my_data\.inner: expected my_data/inner\.py"),
        ("import my_missing", "my_data:make", r"raised ModuleNotFoundError: .*'my_missing' \(.*my_data.py, line 2"),
        ("x = 1 / 0", "my_data:make", r"importing my_data raised ZeroDivisionError: .*\(.*my_data\.py, line 2\)"),
        ("def f(", "my_data:make", "importing my_data raised SyntaxError"),
        ("exit(3)", "my_data:make", "importing my_data raised SystemExit: 3"),
        ("def other(): ...\ndef _no(): ...", "my_data:make", r"my_data\.py has no function make; it has other$"),
        ("make = 3", "my_data:make", "make in .* is a value of type int: expected a function that returns the data"),
        ("def make(x): ...", "my_data:make", "my_data:make, called without arguments, raised TypeError: .*'x'"),
        ("def make():\n    raise SystemExit(3)", "my_data:make", "called without arguments, raised SystemExit: 3"),
        ("def make():\n    return [{}] * 60", "my_data:make", "returned a list of dict, dict, dict, dict and 56 more"),
        ("def make():\n    return {}['a']", "my_data:make", r"raised KeyError: 'a' \(.*my_data\.py, line 3\)"),
        ("def make(): ...", "my_data:make", "my_data:make returned nothing: expected PyTorch data sets or loaders"),
        ("def make(): ...", "my_data:make?size=3", "my_data:make takes no options, received 'size'"),
    ],
)  # fmt: skip
def test_a_function_that_does_not_do_is_refused_with_what_is_wrong(
    module: Write, text: str, source: str, message: str
) -> None:
    module(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_data(source)
    assert caught.value.exit_code == 2


# --- arrays


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_arrays_are_taken_in_each_form(kind: Callable[[Any], Any]) -> None:
    arrays = {name: kind(array) for name, array in with_test().items()}
    images, labels, test_images, test_labels = arrays.values()
    expected = as_data("made up", arrays)
    assert expected.fingerprint == as_data("x", (images, labels, test_images, test_labels)).fingerprint
    assert expected.fingerprint == as_data("x", [images, labels, (test_images, test_labels)]).fingerprint
    assert as_data("x", (images, labels)).fingerprint == as_data("x", {"images": images, "labels": labels}).fingerprint
    assert len(as_data("x", (images, labels)).test.labels) == 6


def test_tensors_have_their_channels_before_the_pixels_and_arrays_after_them() -> None:
    images = pictures(30, channels=3)
    expected = as_data("x", (images, LABELS))
    moved = torch.from_numpy(images).permute(0, 3, 1, 2)
    assert as_data("x", (moved, torch.from_numpy(LABELS))).fingerprint == expected.fingerprint
    assert as_data("x", (torch.from_numpy(images), torch.from_numpy(LABELS))).fingerprint == expected.fingerprint


def test_data_that_are_ready_for_use_are_taken_and_checked() -> None:
    images = pictures(30)
    images[3] = images[0]
    made = checked("made up", images, LABELS, class_names=("a", "b", "c"))
    found = as_data("x", made)
    assert found.notes == made.notes
    assert (found.name, found.fingerprint, found.class_names) == ("x", made.fingerprint, made.class_names)
    nothing = Split(made.test.images[:0], made.test.labels[:0])
    floats = Split(made.test.images / -255.0, made.test.labels)  # type: ignore[arg-type]
    for part, message in (
        (nothing, r"x \(test\): expected images"),
        (floats, "received -1 to"),
        (None, "part that is"),
    ):
        broken = ImageData(name="y", class_names=("a", "b", "c"), train=made.train, validation=made.train, test=part)  # type: ignore[arg-type]
        with pytest.raises(DataError, match=message):
            as_data("x", broken)


# --- data sets and loaders

MADE: dict[str, Callable[..., Any]] = {
    "data set of tensors": tensors,
    "data set of arrays": lambda n=30, seed=0: Listed(list(zip(pictures(n, channels=3, seed=seed), np.arange(n) % 3))),  # noqa: B905
    "loader": lambda n=30, seed=0: DataLoader(tensors(n, seed=seed), batch_size=7),
    "loader that shuffles": lambda n=30, seed=0: DataLoader(tensors(n, seed=seed), batch_size=7, shuffle=True),
    "loader that drops": lambda n=30, seed=0: DataLoader(tensors(n, seed=seed), batch_size=7, drop_last=True),
    "loader of one": lambda n=30, seed=0: DataLoader(tensors(n, seed=seed)),
    "stream": lambda n=30, seed=0: Stream(items(n, seed)),
    "loader of a stream": lambda n=30, seed=0: DataLoader(Stream(items(n, seed)), batch_size=7),
    "joined": lambda n=30, seed=0: ConcatDataset([Listed(items(n, seed)[:9]), Listed(items(n, seed)[9:])]),
    "pair of arrays": lambda n=30, seed=0: (pictures(n, channels=3, seed=seed), np.arange(n) % 3),
    "split": lambda n=30, seed=0: Split(pictures(n, channels=3, seed=seed), np.arange(n) % 3),
}


@pytest.mark.parametrize("make", MADE.values(), ids=list(MADE))
def test_data_sets_and_loaders_of_every_kind_give_the_same_data(make: Callable[..., Any]) -> None:
    arrays = [(pictures(n, channels=3, seed=seed), np.arange(n) % 3) for seed, n in enumerate((30, 12, 9))]
    data = as_data("x", (make(), make(12, seed=1), make(9, seed=2)))
    for split, (images, labels) in zip(splits(data), arrays, strict=True):
        assert np.array_equal(split.images, images)
        assert np.array_equal(split.labels, labels)
    named = as_data(
        "x", {"train": make(), "val": make(12, seed=1), "test": make(9, seed=2), "class_names": list("abc")}
    )
    assert (named.fingerprint, named.class_names) == (data.fingerprint, ("a", "b", "c"))


def test_what_is_not_returned_is_split_off() -> None:
    assert [len(split.labels) for split in splits(as_data("x", tensors()))] == [18, 6, 6]
    assert [len(split.labels) for split in splits(as_data("x", (tensors(), tensors(12, seed=1))))] == [24, 12, 6]
    assert [len(split.labels) for split in splits(as_data("x", (tensors(), None, tensors(12, seed=1))))] == [24, 6, 12]


def test_process_wide_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    as_data("x", DataLoader(tensors(), batch_size=7, shuffle=True))
    assert torch.equal(before, torch.get_rng_state())


def test_loaders_that_share_a_data_set_give_their_own_items() -> None:
    whole = tensors(42)
    first, second = (SubsetRandomSampler(list(indices)) for indices in (range(30), range(30, 42)))
    data = as_data("x", (DataLoader(whole, 7, sampler=first), DataLoader(whole, 7, sampler=second)))
    assert data.notes == ()
    assert (len(data.train.labels) + len(data.test.labels), len(data.validation.labels)) == (30, 12)
    images = pictures(42, channels=3)
    assert pairs(data.validation) == pairs(Split(images[30:], np.arange(30, 42) % 3))


def test_a_collate_function_of_the_loader_is_used() -> None:
    def darker(batch: list[Any]) -> Any:
        return torch.stack([image for image, _ in batch]) / 2, torch.tensor([label for _, label in batch])

    data = as_data("x", DataLoader(Listed(items()), batch_size=7, collate_fn=darker))
    assert max(split.images.max() for split in splits(data)) == 128


def test_images_of_pil_become_squares_of_one_size() -> None:
    found = photos()
    data = as_data("x", (found, photos(12, seed=1, size=(30, 20))))
    assert [split.images.shape[1:] for split in splits(data)] == [(10, 10, 3)] * 3
    assert found.items[0][0].getpixel((0, 0))  # the user's images are open still


def test_floats_0_to_255_and_every_float_type_are_taken() -> None:
    expected = as_data("x", tensors()).fingerprint
    for change in (
        lambda image: image * 255,
        lambda image: image.double(),
        lambda image: (image * 255).to(torch.uint8),
    ):
        assert as_data("x", Listed([(change(image), label) for image, label in items()])).fingerprint == expected


BAD: dict[str, tuple[Any, str]] = {
    "nothing": (None, "returned nothing: expected PyTorch data sets or loaders"),
    "number": (3, "returned a value of type int: expected"),
    "text": ("digits", "returned a value of type str: expected"),
    "texts": (("a", "b"), "returned a tuple of str, str: expected"),
    "no train": ((None, tensors()), "returned no training images"),
    "too many": ((tensors(),) * 4, "returned a tuple of TensorDataset, TensorDataset, TensorDataset, TensorDataset"),
    "empty tuple": ((), "returned a tuple of nothing"),
    "three arrays": ((pictures(3),) * 3, "returned a tuple of ndarray, ndarray, ndarray"),
    "empty mapping": ({}, "returned a mapping of nothing"),
    "odd mapping": ({"x": 3}, "returned a mapping of x: expected"),
    "arrays without labels": ({"images": pictures(3)}, "holds images: expected images and labels"),
    "odd part": ({"train": tensors(), "extra": tensors()}, "returned 'extra' beside the other parts"),
    "one part twice": ({"train": tensors(), "val": 1, "valid": 2}, "returned 'valid' beside the other parts"),
    "part that is none": ((tensors(), 7), r"x \(validation\): expected a PyTorch data set or loader, .* received int"),
    "generator": ((i for i in items()), r"x \(train\): expected a PyTorch data set .* received generator"),
    "empty set": (Listed([]), r"x \(train\) is empty"),
    "empty stream": (Stream([]), r"x \(train\) is empty"),
    "mappings": (Listed([{"image": 1}]), r"expected items \(image, label\), received dict"),
    "triples": (Listed([(1, 2, 3)]), r"expected items \(image, label\), received 3 values"),
    "no image": (Listed([("a.png", 1)]), "expected an image as tensor, array or PIL image, received str"),
    "raises": (Listed([*items(9), ValueError("no such file: 9.png")]), "item 9 raised ValueError: no such file: 9.png"),
    "loader raises": (DataLoader(Listed([*items(9), KeyError("nine")]), 4), "raised KeyError while it was read"),
    "mixed sizes": (Listed([*items(9), (torch.zeros(3, 9, 9), 1)]), r"one shape, received \(6, 7, 3\) and \(9, 9"),
    "mixed kinds": (Listed([*photos(9).items, *items(9)]), "item 0 is an image of PIL, item 9 is Tensor"),
    "no label": (Listed([*items(9), (torch.zeros(3, 6, 7), None)]), "a whole number as each label, received 0"),
    "text labels": (Listed([(image, str(label)) for image, label in items()]), "received <U1: number the classes"),
    "one-hot": (Listed([(image, np.eye(3)[label]) for image, label in items()]), r"give labels\.argmax\(axis=1\)"),
    "float labels": (Listed([(image, label + 0.5) for image, label in items()]), "whole numbers from 0 as labels"),
    "normalised": (Listed([(image * 2 - 1, label) for image, label in items()]), "If they were normalised, leave"),
    "NaN": (Listed([(image * np.nan, label) for image, label in items()]), "pixel values are NaN or infinite"),
    "flat": (Listed([(image.flatten(), label) for image, label in items()]), r"expected images \(n, height, width\)"),
    "random": (Noisy(items()), "gives other images at a second reading.*Leave random transforms and shuffling out"),
    "random stream": (Stream(items(), shuffled=True), "gives other images at a second reading"),
    "random batches": (DataLoader(Noisy(items()), 7), "gives other images at a second reading"),
    "stream that ends for good": (Once(items()), "gives other images at a second reading"),
    "labels by name": (Stream([(torch.zeros(9, 3, 6, 7), {"a": 1})]), r"a whole number as each label"),
    "batches by name": (DataLoader(Listed(items()), 9, collate_fn=by_name), r"for each of 9 images of a batch, .*'a'"),
    "weighted": (DataLoader(tensors(), 7, sampler=WeightedRandomSampler([1.0] * 30, 30)), "its WeightedRandomSampler"),
    "own batches": (DataLoader(tensors(), batch_sampler=[[0, 1]]), "its list does not tell which images"),
    "the same twice": ((tensors(), tensors()), "validation images are also training images"),
    "arrays and pictures": ((tensors(), photos()), "all as arrays, received validation as images"),
    "one class": (Listed([(image, 0) for image, _ in items()]), "at least two classes"),
}  # fmt: skip


@pytest.mark.parametrize(("returned", "message"), BAD.values(), ids=list(BAD))
def test_what_cannot_be_used_is_refused_with_what_is_wrong(returned: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        as_data("x", returned)
    assert caught.value.exit_code == 2


def test_a_random_transform_of_pictures_is_found() -> None:
    class Flipping(Listed):
        flips = 0

        def __getitem__(self, i: int) -> Any:
            image, label = self.items[i]
            self.flips += 1
            return (image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.flips % 3 == 0 else image), label

    with pytest.raises(DataError, match="gives other images at a second reading"):
        as_data("x", Flipping(photos().items))


def test_a_picture_that_is_damaged_is_told_by_its_number(tmp_path: Path) -> None:
    class Files(Listed):
        def __getitem__(self, i: int) -> Any:
            path, label = self.items[i]
            return Image.open(io.BytesIO(path.read_bytes())), label

    paths = [tmp_path / f"{i}.png" for i in range(30)]
    for (image, _), path in zip(photos().items, paths, strict=True):
        image.save(path)
    for i in (3, 20):
        whole = paths[i].read_bytes()
        paths[i].write_bytes(whole[:-60])
        with pytest.raises(DataError, match=rf"x \(train\), item {i}.*: .*Remove it or replace it"):
            as_data("x", Files([(path, i % 3) for i, path in enumerate(paths)]))
        paths[i].write_bytes(whole)


def test_a_stream_without_end_is_stopped_by_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(IterableDataset[Any]):
        def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], int]]:
            while True:
                yield np.zeros((32, 32), dtype=np.uint8), 0

    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 4_000_000}))
    with pytest.raises(DataError, match=r"the part read so far takes .* give fewer or smaller images"):
        as_data("x", Endless())
