"""Data: what is read, how it is split, and what is refused with which words."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from hwnas.core import DataError, MachineError, UsageError
from hwnas.training import ImageData, Split, load_data
from hwnas.training.data import checked

Arrays = Mapping[str, NDArray[Any]]


def pictures(
    n: int, *, channels: int | None = None, size: tuple[int, int] = (6, 7), seed: int = 0
) -> NDArray[np.uint8]:
    """Random images, all different."""
    shape = (n, *size) if channels is None else (n, *size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def own(n: int = 30, classes: int = 3, **changes: Any) -> dict[str, NDArray[Any]]:
    """Arrays that make a sound data set, with changes; ``None`` leaves an array out."""
    arrays = {"images": pictures(n), "labels": np.arange(n) % classes} | changes
    return {name: array for name, array in arrays.items() if array is not None}


def with_test(**changes: Any) -> dict[str, NDArray[Any]]:
    """Arrays with test images of their own, with changes."""
    return own(
        images=None,
        labels=None,
        **(
            {
                "train_images": pictures(30),
                "train_labels": np.arange(30) % 3,
                "test_images": pictures(9, seed=1),
                "test_labels": np.arange(9) % 3,
            }
            | changes
        ),
    )


def splits(data: ImageData) -> tuple[Split, Split, Split]:
    return data.train, data.validation, data.test


def pairs(*parts: Split) -> list[tuple[bytes, int]]:
    """Every image with its label, sorted."""
    return sorted((image.tobytes(), int(label)) for s in parts for image, label in zip(s.images, s.labels, strict=True))


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Arrays], ImageData]:
    """Writes arrays to an .npz file and reads that as data."""

    def read(arrays: Arrays) -> ImageData:
        np.savez(tmp_path / "arrays.npz", **arrays)  # type: ignore[arg-type]
        return load_data(str(tmp_path / "arrays.npz"))

    return read


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
    test = (images[:3], labels[:3]) if own_test else None
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
        (own(images=pictures(30)[None, ..., None]), r"expected images .*received shape \(1, 30, 6, 7, 1\)"),
        (own(images=pictures(30, channels=2)), r"1 or 3\), received shape \(30, 6, 7, 2\)"),
        (own(images=pictures(30, channels=4)), r"1 or 3\), received shape \(30, 6, 7, 4\)"),
        (own(images=pictures(30).transpose(1, 0, 2)), r"one label for each of 6 images, received shape \(30,\)"),
        (own(images=pictures(30, size=(3, 9))), r"at least 4 x 4 pixels, received shape \(30, 3, 9\)"),
        (own(images=pictures(0), labels=np.zeros(0, dtype=int)), "at least 4 x 4 pixels, received shape"),
        (own(images=pictures(30).astype(int) - 9), "pixel values 0 to 255, or floats 0 to 1, received -9 to 246"),
        (own(images=pictures(30).astype(np.uint16) * 200), "pixel values 0 to 255.*received 0 to 51000"),
        (own(images=pictures(30) / 255 - 0.5), "floats 0 to 1, received -0.5 to 0.5"),
        (own(images=pictures(30).astype(complex)), "expected numbers as pixels, received complex128"),
        (own(images=pictures(30).astype(str)), "expected numbers as pixels, received <U"),
        (own(labels=np.arange(30) % 3 + 0.5), "whole numbers from 0 as labels, received float64"),
        (own(labels=np.where(np.arange(30) % 3, np.nan, 1.0)), "whole numbers from 0 as labels, received float64"),
        (own(labels=(np.arange(30) % 3).astype(str)), "whole numbers from 0 as labels, received <U"),
        (own(labels=np.arange(30) % 3 - 1), "expected labels from 0, received -1 to 1"),
        (own(labels=np.arange(30) % 3 * 10**6), "expected labels from 0, received 0 to 2000000"),
        (own(labels=np.arange(29) % 3), r"one label for each of 30 images, received shape \(29,\)"),
        (own(labels=np.eye(3)[np.arange(30) % 3]), r"one label for each of 30 images, received shape \(30, 3\)"),
        (own(labels=None), "holds images: expected images and labels, or train_images"),
        (own(images=None), "holds labels: expected images and labels"),
        (own(images=None, labels=None), "holds no arrays: expected images and labels"),
        (own(images=None, labels=None, x=np.zeros(1), y=np.ones(1)), "holds x, y: expected images and labels"),
        (own(labels=np.array([0] * 26 + [1] * 4)), "class '1' has 4 images; each class needs at least 5"),
        (own(labels=np.arange(30) % 3 * 2), "class '1' has 0 images; each class needs at least 5"),
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


# --- files that are none


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"\x93NUMPY", b"\x80\x04N."], ids=["empty", "text", "npy", "pickle"]
)
def test_a_file_that_is_no_archive_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "arrays.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(path))):
        load_data(str(path))


def test_a_single_array_is_no_archive(tmp_path: Path) -> None:
    with (tmp_path / "arrays.npz").open("wb") as stream:
        np.save(stream, pictures(30))
    with pytest.raises(DataError, match=r"arrays\.npz"):
        load_data(str(tmp_path / "arrays.npz"))


def test_an_archive_cut_off_anywhere_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    np.savez_compressed(path, **own())  # type: ignore[arg-type]
    content = path.read_bytes()
    for cut in [1, 2, 4, 30, *np.linspace(40, len(content) - 1, 12).round().astype(int).tolist()]:
        path.write_bytes(content[:cut])
        with pytest.raises(DataError, match=re.escape(str(path))) as caught:
            load_data(str(path))
        assert caught.value.exit_code == 2


def test_an_archive_with_a_changed_byte_is_refused_or_the_same(tmp_path: Path) -> None:
    path, rng = tmp_path / "arrays.npz", np.random.default_rng(0)
    np.savez_compressed(path, **own())  # type: ignore[arg-type]
    content, expected = path.read_bytes(), load_data(str(path)).fingerprint
    for place in rng.integers(0, len(content), 40):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            assert load_data(str(path)).fingerprint == expected


def test_a_missing_file_is_refused_with_what_is_expected(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path / "none"):
        with pytest.raises(DataError, match=rf"no data at {re.escape(str(path))}: expected an \.npz file, or a folder"):
            load_data(str(path))
    with pytest.raises(DataError, match=r"no data at none\.npz"):
        load_data("none.npz")


# --- folders of images

COLOURS = {"L": 1, "RGB": 3}


def image_folder(
    root: Path,
    *,
    classes: tuple[str, ...] = ("cat", "dog"),
    n: int = 6,
    mode: str = "L",
    kind: str = "png",
    size: tuple[int, int] = (12, 10),
) -> Path:
    """Images of random noise, a sub-folder a class."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        noise = pictures(n, channels=COLOURS[mode], size=(size[1], size[0]), seed=label)
        for i, pixels in enumerate(noise):
            Image.fromarray(pixels.squeeze()).save(root / name / f"{i}.{kind}")
    return root


@pytest.mark.parametrize("kind", ["png", "jpg", "JPEG", "bmp"])
@pytest.mark.parametrize("mode", list(COLOURS))
def test_folders_of_grey_and_colour_images_are_read(tmp_path: Path, mode: str, kind: str) -> None:
    data = load_data(str(image_folder(tmp_path / "photos", mode=mode, kind=kind)))
    assert data.class_names == ("cat", "dog")
    assert [split.images.shape for split in splits(data)] == [(n, 10, 10, COLOURS[mode]) for n in (8, 2, 2)]
    assert data.name == str(tmp_path / "photos")


def test_one_colour_image_makes_all_of_them_colour(tmp_path: Path) -> None:
    image_folder(tmp_path)
    Image.fromarray(pictures(1, channels=3)[0]).save(tmp_path / "cat" / "colour.png")
    assert load_data(str(tmp_path)).channels == 3


def test_images_with_transparency_and_a_palette_are_read(tmp_path: Path) -> None:
    image_folder(tmp_path, mode="RGB")
    for kind in ("RGBA", "P", "LA"):
        Image.fromarray(pictures(1, channels=3)[0]).convert(kind).save(tmp_path / "cat" / f"{kind}.png")
    assert len(pairs(*splits(load_data(str(tmp_path))))) == 15


def test_pixels_arrive_as_they_are_in_the_file(tmp_path: Path) -> None:
    image_folder(tmp_path, mode="RGB", size=(9, 9))
    expected = [pictures(6, channels=3, size=(9, 9), seed=label) for label in (0, 1)]
    found = pairs(*splits(load_data(str(tmp_path))))
    assert found == sorted((image.tobytes(), label) for label in (0, 1) for image in expected[label])


def test_all_images_get_the_median_of_the_shorter_sides_within_limits(tmp_path: Path) -> None:
    for i, (size, expected) in enumerate([((30, 20), 20), ((5, 4), 8), ((200, 300), 64)]):
        data = load_data(str(image_folder(tmp_path / str(i), size=size)))
        assert data.train.images.shape[1:3] == (expected, expected)
    image_folder(tmp_path / "mixed", size=(16, 16))
    Image.fromarray(pictures(1, size=(99, 99))[0]).save(tmp_path / "mixed" / "dog" / "big.png")
    assert load_data(str(tmp_path / "mixed")).train.images.shape[1:3] == (16, 16)


def test_images_of_16_bits_keep_their_greys(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (2, 6, 9, 9)).astype(np.uint16)
    for label, images in enumerate(noise):
        (tmp_path / "ab"[label]).mkdir()
        for i, pixels in enumerate(images):
            Image.fromarray(pixels).save(tmp_path / "ab"[label] / f"{i}.png")
    found = pairs(*splits(load_data(str(tmp_path))))
    expected = (noise >> 8).astype(np.uint8)
    assert found == sorted((image.tobytes(), label) for label in (0, 1) for image in expected[label])


def test_an_image_of_absurd_size_is_named(tmp_path: Path) -> None:
    image_folder(tmp_path, kind="bmp")
    victim = tmp_path / "dog" / "3.bmp"
    content = bytearray(victim.read_bytes())
    content[18:26] = (10**6).to_bytes(4, "little") * 2  # width and height
    victim.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(victim))):
        load_data(str(tmp_path))


def test_folders_train_and_test_are_the_split(tmp_path: Path) -> None:
    image_folder(tmp_path / "train", n=10)
    image_folder(tmp_path / "test", n=3)
    data = load_data(str(tmp_path))
    assert [len(split.labels) for split in splits(data)] == [16, 4, 6]
    assert data.class_names == ("cat", "dog")


def test_test_folders_may_lack_a_class(tmp_path: Path) -> None:
    image_folder(tmp_path / "train", classes=("ant", "cat", "dog"))
    image_folder(tmp_path / "test", classes=("cat",))
    data = load_data(str(tmp_path))
    assert set(data.test.labels.tolist()) == {1}
    assert data.classes == 3


def test_files_of_other_kinds_and_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    image_folder(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("nothing to see", encoding="utf-8")
    (tmp_path / "list.csv").write_text("a,b", encoding="utf-8")
    (tmp_path / ".cache").mkdir()
    assert load_data(str(tmp_path)).class_names == ("cat", "dog")


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("part", ["", "train", "test"])
def test_a_corrupt_image_is_named(tmp_path: Path, part: str, kind: str) -> None:
    for folder in ("train", "test") if part else ("",):
        image_folder(tmp_path / folder, n=6, kind=kind)
    victim = tmp_path / part / "dog" / f"3.{kind}"
    content = victim.read_bytes()
    for cut in (0, 1, 10, len(content) // 2, len(content) - 40):
        victim.write_bytes(content[:cut])
        with pytest.raises(DataError, match=f"{re.escape(str(victim))}.*Remove it or replace it") as caught:
            load_data(str(tmp_path))
        assert caught.value.exit_code == 2
    victim.write_bytes(b"no image at all")
    with pytest.raises(DataError, match=f"cannot read {re.escape(str(victim))} as an image"):
        load_data(str(tmp_path))


def test_folders_that_cannot_be_learned_from_are_refused_with_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "flat").mkdir()
    Image.fromarray(pictures(1)[0]).save(tmp_path / "flat" / "one.png")
    (tmp_path / "bare" / "cat").mkdir(parents=True)
    image_folder(tmp_path / "lonely", classes=("cat",))
    image_folder(tmp_path / "few", n=4)
    image_folder(tmp_path / "hollow")
    (tmp_path / "hollow" / "eel").mkdir()
    expected = {
        "empty": "has no sub-folders: expected one for each class",
        "flat": "has no sub-folders: expected one for each class",
        "bare": "holds no images: expected files like .*cat/one.png",
        "lonely": "at least two classes, received only class 'cat'",
        "few": "class 'cat' has 4 images; each class needs at least 5",
        "hollow": "class 'eel' has 0 images",
    }
    for name, message in expected.items():
        with pytest.raises(DataError, match=message) as caught:
            load_data(str(tmp_path / name))
        assert name in str(caught.value)


def test_a_test_class_that_training_lacks_is_refused(tmp_path: Path) -> None:
    image_folder(tmp_path / "train")
    image_folder(tmp_path / "test", classes=("cat", "eel"))
    with pytest.raises(DataError, match=r"test has class 'eel', which .*train lacks"):
        load_data(str(tmp_path))


def test_a_test_folder_without_images_is_refused(tmp_path: Path) -> None:
    image_folder(tmp_path / "train")
    (tmp_path / "test" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="test holds no images"):
        load_data(str(tmp_path))


# --- data by name


@pytest.mark.parametrize("name", ["digit", "Digits", "cifar-10", "fashion_mnist"])
def test_an_unknown_name_is_refused_with_the_known_ones_and_a_hint(name: str) -> None:
    with pytest.raises(UsageError, match=f"unknown data {name!r}: expected one of .*Did you mean") as caught:
        load_data(name)
    for known in ("digits", "fashion-mnist", "cifar10", "PATH.npz", "IMAGE-FOLDER"):
        assert known in str(caught.value)
    assert caught.value.exit_code == 2
    assert not isinstance(caught.value, DataError)


FILES = {"fashion-mnist": "fashion_mnist.npz", "cifar10": "cifar10_small.npz"}
named = pytest.mark.parametrize(("name", "file"), FILES.items())


@named
@pytest.mark.parametrize("value", [None, ""])
def test_without_the_data_folder_the_variable_is_told(
    name: str, file: str, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv("HWNAS_DATA", raising=False)
    else:
        monkeypatch.setenv("HWNAS_DATA", value)
    with pytest.raises(MachineError, match=f"{name}.*HWNAS_DATA: the folder that holds {file}") as caught:
        load_data(name)
    assert caught.value.exit_code == 3


@named
def test_a_data_folder_without_the_file_is_told(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWNAS_DATA", str(tmp_path))
    with pytest.raises(MachineError, match=f"{re.escape(str(tmp_path / file))} does not exist; HWNAS_DATA") as caught:
        load_data(name)
    assert caught.value.exit_code == 3


@named
def test_a_data_folder_with_the_file_is_used(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWNAS_DATA", str(tmp_path))
    np.savez(tmp_path / file, **with_test())  # type: ignore[arg-type]
    data = load_data(name)
    assert (data.name, data.classes, len(data.test.labels)) == (name, 3, 9)


@pytest.mark.parametrize(
    ("name", "shape", "least"), [("fashion-mnist", (28, 28, 1), 10_000), ("cifar10", (32, 32, 3), 5_000)]
)
def test_the_real_data_sets_are_read(name: str, shape: tuple[int, ...], least: int) -> None:
    if not Path(os.environ.get("HWNAS_DATA") or "/nonexistent", FILES[name]).is_file():
        if os.environ.get("HWNAS_REQUIRE_DATA"):
            pytest.fail(f"HWNAS_REQUIRE_DATA is set, and HWNAS_DATA names no folder with {FILES[name]}")
        pytest.skip(f"HWNAS_DATA names no folder with {FILES[name]}")
    data = load_data(name)
    assert data.classes == 10
    assert data.train.images.shape[1:] == data.test.images.shape[1:] == shape
    assert len(data.train.labels) + len(data.validation.labels) >= least
    assert len(data.validation.labels) == pytest.approx(len(data.train.labels) / 4, rel=0.01)
    for split in splits(data):
        assert len(split.images) == len(split.labels)
        counts = np.bincount(split.labels)
        assert len(counts) == 10
        assert counts.max() - counts.min() <= 0.01 * len(split.labels)
    assert all(0.05 < std < 0.5 for std in data.mean_std[1])
