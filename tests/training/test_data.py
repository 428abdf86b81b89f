"""Data: how it is split, and what is refused with which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwnas.core import DataError, UsageError
from hwnas.training import ImageData, Split, load_data
from hwnas.training.data import checked
from tests.training.made import Arrays, own, pairs, pictures, require_file, splits, with_test

# --- digits, and what holds for every split


def test_digits_are_grey_images_of_ten_classes() -> None:
    data = load_data("digits")
    assert (data.name, data.channels, data.classes) == ("digits", 1, 10)
    assert data.class_names == tuple("0123456789")
    assert [len(split.images) for split in splits(data)] == [len(split.labels) for split in splits(data)]
    assert sum(len(split.labels) for split in splits(data)) == 1797
    for split in splits(data):
        assert split.images.shape[1:] == (8, 8, 1)
        assert split.images.dtype == np.uint8
        assert split.labels.dtype == np.int64
    assert (data.train.images.min(), data.train.images.max()) == (0, 255)


def test_digits_are_the_same_every_time() -> None:
    one, other = load_data("digits"), load_data("digits")
    assert one.fingerprint == other.fingerprint
    assert pairs(one.test) == pairs(other.test)


def test_no_image_is_in_two_parts_and_none_is_lost(read: Callable[[Arrays], ImageData]) -> None:
    arrays = own(200, 4)
    data = read(arrays)
    assert pairs(*splits(data)) == pairs(Split(arrays["images"], arrays["labels"]))
    assert len({image for image, _ in pairs(*splits(data))}) == 200


@settings(deadline=None)
@given(sizes=st.lists(st.integers(5, 40), min_size=2, max_size=6), seed=st.integers(0, 2**31), own_test=st.booleans())
def test_splits_are_disjoint_and_hold_a_fifth_of_every_class(sizes: list[int], seed: int, own_test: bool) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    images = np.zeros((len(labels), 4, 4), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(len(labels)) % 256, np.arange(len(labels)) // 256
    test = (images[:3] + np.uint8(9), labels[:3]) if own_test else None
    data = checked("made up", images, labels, test=test)
    parts = (data.train, data.validation) if own_test else splits(data)
    assert pairs(*parts) == pairs(Split(images, labels))
    for label, n in enumerate(sizes):
        in_each = [int((part.labels == label).sum()) for part in parts]
        assert all(abs(held - n / 5) <= 1.0 for held in in_each[1:])
        assert min(in_each) >= 1


def test_mean_and_deviation_are_those_of_the_training_images_alone(read: Callable[[Arrays], ImageData]) -> None:
    data = read(own(images=pictures(30, channels=3)))
    mean, std = data.mean_std
    values = data.train.images.reshape(-1, 3) / 255
    assert mean == pytest.approx(values.mean(axis=0), abs=1e-5)
    assert std == pytest.approx(values.std(axis=0), abs=1e-5)


def test_images_of_one_colour_have_a_deviation_to_divide_by(read: Callable[[Arrays], ImageData]) -> None:
    data = read(own(images=np.full((30, 5, 5), 7, dtype=np.uint8)))
    assert data.mean_std[1] == (0.001,)


@pytest.mark.parametrize("changed", ["images", "labels"])
def test_the_fingerprint_changes_with_a_single_value(read: Callable[[Arrays], ImageData], changed: str) -> None:
    before, arrays = read(own()).fingerprint, own()
    assert read(arrays).fingerprint == before
    arrays[changed] = arrays[changed].copy()
    arrays[changed][3] = 1 if changed == "labels" else arrays[changed][4]
    assert read(arrays).fingerprint != before


# --- your own arrays


@pytest.mark.parametrize(("channels", "shape"), [(None, (6, 7, 1)), (1, (6, 7, 1)), (3, (6, 7, 3))])
def test_grey_and_colour_arrays_are_read(
    read: Callable[[Arrays], ImageData], channels: int | None, shape: tuple[int, ...]
) -> None:
    data = read(own(images=pictures(30, channels=channels)))
    assert [split.images.shape for split in splits(data)] == [(18, *shape), (6, *shape), (6, *shape)]
    assert data.channels == shape[-1]
    assert data.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    "convert",
    [
        lambda images: images,
        lambda images: images.astype(np.int64),
        lambda images: images.astype(np.float64),
        lambda images: images.astype(np.float32) / 255,
        lambda images: images.astype(np.float64) / 255,
        lambda images: (images.astype(np.float64) / 255).astype(np.float16),
    ],
    ids=["uint8", "int64", "float 0 to 255", "float32 0 to 1", "float64 0 to 1", "float16 0 to 1"],
)
def test_whole_numbers_and_floats_of_either_range_give_the_same_images(
    read: Callable[[Arrays], ImageData], convert: Callable[[NDArray[np.uint8]], NDArray[Any]]
) -> None:
    expected, found = read(own()), read(own(images=convert(own()["images"])))
    assert found.train.images.dtype == np.uint8
    assert found.fingerprint == expected.fingerprint


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.uint64, np.float64])
def test_labels_of_any_number_type_are_read(read: Callable[[Arrays], ImageData], kind: type) -> None:
    assert read(own(labels=own()["labels"].astype(kind))).fingerprint == read(own()).fingerprint


def test_test_images_that_come_with_the_data_are_the_test_images(read: Callable[[Arrays], ImageData]) -> None:
    arrays = with_test()
    data = read(arrays)
    assert pairs(data.test) == pairs(Split(arrays["test_images"], arrays["test_labels"]))
    assert pairs(data.train, data.validation) == pairs(Split(arrays["train_images"], arrays["train_labels"]))
    assert len(data.validation.labels) == 6


def test_class_names_are_those_of_the_file(read: Callable[[Arrays], ImageData]) -> None:
    assert read(own(class_names=np.array(["cat", "dog", "eel"]))).class_names == ("cat", "dog", "eel")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (own(labels=np.zeros(30, dtype=int)), "at least two classes, received only class '0'"),
        (own(images=np.where(pictures(30) < 9, np.nan, pictures(30) / 255)), r"\d+ pixel values are NaN or infinite"),
        (own(images=np.where(pictures(30) < 9, np.inf, pictures(30))), r"\d+ pixel values are NaN or infinite"),
        (own(images=pictures(30).reshape(30, -1)), r"images \(n, height, width\).*received shape \(30, 42\)"),
        (own(images=pictures(30)[None, ..., None, None]), r"expected images .*received shape \(1, 30, 6, 7, 1, 1\)"),
        (own(images=pictures(30, channels=3)[:, None]), r"Frames in colour: .* clips\.mean\(axis=-1, keepdims"),
        (own(images=pictures(30, channels=8)), r"If these are clips, give clips\[\.\.\., None\]: the last axis"),
        (own(images=pictures(30, channels=2)), r"1 or 3\), or grey clips .* received shape \(30, 6, 7, 2\)$"),
        (own(images=pictures(30, channels=4)), r"\(30, 6, 7, 4\)\. If .* transparency, give images\[\.\.\., :3\]"),
        (own(images=pictures(30, channels=3).transpose(0, 3, 1, 2)), r"\(30, 3, 6, 7\)\. .*transpose\(0, 2, 3, 1\)"),
        (own(images=pictures(30).transpose(1, 0, 2)), r"one label for each of 6 images, received shape \(30,\)"),
        (own(images=pictures(30, size=(3, 9))), r"at least 4 x 4 pixels, received shape \(30, 3, 9\)"),
        (own(images=pictures(0), labels=np.zeros(0, dtype=int)), "expected images, received none at all: shape"),
        (own(images=pictures(30).astype(int) - 9), "pixel values 0 to 255, or floats 0 to 1, received -9 to 246"),
        (own(images=pictures(30).astype(np.uint16) * 200), "0 to 51000. Images of 16 bits: give images // 257"),
        (own(images=pictures(30) / 255 - 0.5), "received -0.5 to 0.5. If they were normalised, leave that out"),
        (own(images=pictures(30).astype(complex)), "expected numbers as pixels, received complex128"),
        (own(images=pictures(30).astype(str)), "expected numbers as pixels, received <U"),
        (own(labels=np.arange(30) % 3 + 0.5), "whole numbers from 0 as labels, received float64"),
        (own(labels=np.where(np.arange(30) % 3, np.nan, 1.0)), "whole numbers from 0 as labels, received float64"),
        (own(labels=(np.arange(30) % 3).astype(str)), "received <U21: number the classes from 0, and give"),
        (own(labels=np.arange(30) % 3 - 1), "expected labels from 0, received -1 to 1. .*nobody knows, leave these"),
        (own(labels=np.arange(30) % 3 * 10**6), "expected labels from 0, received 0 to 2000000"),
        (own(labels=np.arange(29) % 3), r"one label for each of 30 images, received shape \(29,\)"),
        (own(labels=np.eye(3)[np.arange(30) % 3]), r"received shape \(30, 3\)\. .*labels\.argmax\(axis=1\)"),
        (own(labels=None), "holds images: expected images and labels, or train_images"),
        (own(images=None), "holds labels: expected images and labels"),
        (own(images=None, labels=None), "holds no arrays: expected images and labels"),
        (own(images=None, labels=None, x=np.zeros(1), y=np.ones(1)), "holds x, y: expected images and labels"),
        (own(labels=np.array([0] * 26 + [1] * 4)), "class '1' has 4 images; each class needs at least 5"),
        (own(labels=np.arange(30) % 3 * 2), "class '1' has 0 images; each .* gaps: renumber them with np.unique"),
        (own(class_names=np.array(["cat", "dog"])), "label 2 has no class name: there are 2 names"),
        (own(class_names=np.array(["cat", "dog", "eel", "fly"])), "class 'fly' has 0 images"),
        (own(class_names=np.array([{"a": 1}, "b", "c"], dtype=object)), "file of plain arrays: Object arrays"),
        (own(labels=np.array([0, 1, "two"] * 10, dtype=object)), "file of plain arrays: Object arrays"),
        (with_test(test_images=pictures(9, size=(6, 8))), r"training images are \(6, 7, 1\), test images \(6, 8, 1\)"),
        (with_test(test_images=pictures(9, channels=3)), r"training images are \(6, 7, 1\), test images \(6, 7, 3\)"),
        (with_test(test_labels=np.arange(9)), "test label 8 does not occur in training"),
        (with_test(test_labels=np.arange(8) % 3), r"\(test\): expected one label for each of 9 images"),
        (with_test(test_images=pictures(0), test_labels=np.zeros(0, dtype=int)), r"\(test\): .*shape \(0, 6, 7\)"),
        (with_test(test_images=pictures(9) / 255 * np.nan), r"\(test\): 378 pixel values are NaN"),
    ],
)  # fmt: skip
def test_unusable_arrays_are_refused_with_what_is_wrong(
    read: Callable[[Arrays], ImageData], arrays: Arrays, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(arrays)
    assert "arrays.npz" in str(caught.value)
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, UsageError)


# --- parts that come with the data


def with_all(**changes: Any) -> dict[str, NDArray[Any]]:
    """Arrays with validation and test images of their own, with changes."""
    return with_test(**({"val_images": pictures(12, seed=2), "val_labels": np.arange(12) % 3} | changes))


def test_validation_images_that_come_with_the_data_are_the_validation_images(
    read: Callable[[Arrays], ImageData],
) -> None:
    arrays = with_all()
    data = read(arrays)
    for split, part in zip(splits(data), ("train", "val", "test"), strict=True):
        assert np.array_equal(split.images.squeeze(), arrays[f"{part}_images"])
        assert np.array_equal(split.labels, arrays[f"{part}_labels"])
    assert data.notes == ()


def test_test_images_are_split_off_where_only_validation_images_come_with_the_data(
    read: Callable[[Arrays], ImageData],
) -> None:
    arrays = with_all(test_images=None, test_labels=None)
    data = read(arrays)
    assert pairs(data.train, data.test) == pairs(Split(arrays["train_images"], arrays["train_labels"]))
    assert (len(data.train.labels), len(data.validation.labels), len(data.test.labels)) == (24, 12, 6)


def test_a_class_may_be_as_small_as_one_image_where_nothing_is_split_off(read: Callable[[Arrays], ImageData]) -> None:
    rare = np.array([2] + [0, 1] * 14 + [0])
    assert read(with_all(train_labels=rare)).classes == 3
    with pytest.raises(DataError, match="class '1' has 0 images; each class needs at least 1, to be trained on"):
        read(with_all(train_labels=rare // 2 * 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_images": None}, "only one of val_images and val_labels: expected both or neither"),
        ({"val_images": pictures(12, size=(6, 8))}, r"images are \(6, 7, 1\), validation images \(6, 8, 1\)"),
        ({"val_labels": np.arange(12)}, "validation label 11 does not occur in training"),
        ({"val_images": pictures(12) / 255, "test_images": pictures(9) * 1.0}, "one range.* 1, test images 0 to 255"),
        ({"val_images": pictures(30)[:12]}, "12 of 12 validation images are also training images: expected different"),
        ({"test_images": pictures(30)[:9]}, "9 of 9 test images are also training images"),
        ({"test_images": pictures(12, seed=2)[:9]}, "9 of 9 test images are also validation images"),
    ],
)  # fmt: skip
def test_parts_that_do_not_go_together_are_refused(
    read: Callable[[Arrays], ImageData], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(with_all(**changes))


# --- what a user is told


def test_an_image_in_two_parts_is_told(read: Callable[[Arrays], ImageData]) -> None:
    test = pictures(9, seed=1)
    test[:2] = pictures(30)[:2]
    validation = pictures(12, seed=2)
    validation[3] = test[5]
    labels = np.arange(12) % 3
    labels[3] = 5 % 3
    assert read(with_all(test_images=test, val_images=validation, val_labels=labels)).notes == (
        "2 of 9 test images are also training images, pixel by pixel",
        "1 of 9 test images are also validation images, pixel by pixel",
    )


def test_equal_images_under_different_labels_are_told(read: Callable[[Arrays], ImageData]) -> None:
    images = pictures(30)
    images[1] = images[0]
    assert read(own(images=images)).notes[-1] == "1 images stand in the data more than once, under different labels"


def test_equal_images_of_data_that_are_split_here_are_told_and_kept(read: Callable[[Arrays], ImageData]) -> None:
    data = read(own(images=np.full((30, 5, 5), 7, dtype=np.uint8), labels=np.arange(30) % 2))
    assert sum(len(split.labels) for split in splits(data)) == 30
    assert data.notes[0] == "6 of 6 validation images are also training images, pixel by pixel"


def test_a_class_without_test_images_is_told(read: Callable[[Arrays], ImageData]) -> None:
    assert read(with_test(test_labels=np.zeros(9, dtype=int))).notes == ("no test image is of class '1', '2'",)


def test_what_nothing_reads_is_told(read: Callable[[Arrays], ImageData]) -> None:
    assert "holds test_image, which nothing reads" in read(own(test_image=pictures(3))).notes[0]


# --- what runs have recorded


@pytest.mark.parametrize(
    ("name", "begins"),
    [("digits", "a3ad63ccf017d965"), ("fashion-mnist", "716e72c473f5cc1e"), ("cifar10-small", "739f1292fa39c771")],
)
def test_named_data_are_the_ones_that_runs_have_recorded_and_no_image_is_in_two_parts(name: str, begins: str) -> None:
    if name != "digits":
        require_file(f"{name.replace('-', '_')}.npz")
    data = load_data(name)
    assert data.fingerprint.startswith(begins)
    assert data.notes == ()


def test_the_fingerprint_of_arrays_is_the_one_that_runs_have_recorded() -> None:
    images = np.arange(40 * 5 * 6, dtype=np.int64).reshape(40, 5, 6) * 7919 % 256
    data = checked("made up", images.astype(np.uint8), np.arange(40) % 4)
    assert data.fingerprint.startswith("31d9226b9bd74812")


# --- memory


def test_data_that_would_fill_the_memory_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "zeros.npz", images=np.zeros((10_000, 50, 50), dtype=np.uint8))
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 40_000_000}))
    monkeypatch.setattr("numpy.load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(DataError, match=r"zeros\.npz takes 24 MiB of memory as arrays; expected at most half"):
        load_data(str(tmp_path / "zeros.npz"))
