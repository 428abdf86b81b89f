"""Data known by a name."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hwnas.core import DataError, MachineError, UsageError
from hwnas.training import load_data
from tests.training.made import pictures, require_file, splits, with_test


@pytest.mark.parametrize("name", ["digit", "Digits", "cifar-10", "fashion_mnist"])
def test_an_unknown_name_is_refused_with_the_known_ones_and_a_hint(name: str) -> None:
    with pytest.raises(UsageError, match=f"unknown data {name!r}: expected one of .*Did you mean") as caught:
        load_data(name)
    for known in (*FILES, "digits", "PATH.npz", "IMAGE-FOLDER", "torchvision:NAME", "hf:NAME", "MODULE:FUNCTION"):
        assert known in str(caught.value)
    assert caught.value.exit_code == 2
    assert not isinstance(caught.value, DataError)


FILES = {
    "fashion-mnist": "fashion_mnist.npz",
    "cifar10-small": "cifar10_small.npz",
    "cifar10": "cifar10.npz",
}
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
    ("name", "shape", "least"), [("fashion-mnist", (28, 28, 1), 60_000), ("cifar10-small", (32, 32, 3), 10_000)]
)
def test_the_real_data_sets_are_read(name: str, shape: tuple[int, ...], least: int) -> None:
    require_file(FILES[name])
    data = load_data(name)
    assert data.classes == 10
    assert data.train.images.shape[1:] == data.test.images.shape[1:] == shape
    assert len(data.train.labels) + len(data.validation.labels) == least
    assert len(data.validation.labels) == pytest.approx(len(data.train.labels) / 4, rel=0.01)
    for split in splits(data):
        assert len(split.images) == len(split.labels)
        counts = np.bincount(split.labels)
        assert len(counts) == 10
        assert counts.max() - counts.min() <= 0.01 * len(split.labels)
    assert all(0.05 < std < 0.5 for std in data.mean_std[1])


# --- the whole of CIFAR-10, as JPEG files one after another


def jpegs(images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """The files of images, one after another, and where each begins."""
    files = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, format="JPEG", quality=100, subsampling=0)
        files.append(stream.getvalue())
    content = np.frombuffer(b"".join(files), dtype=np.uint8)
    return {"jpeg": content, "offsets": np.cumsum([0, *map(len, files)])}


def archive(folder: Path, **changes: Any) -> Path:
    """A small ``cifar10_jpeg.npz``, with changes."""
    arrays: dict[str, Any] = {"class_names": np.array(["cat", "dog"])}
    for seed, (part, n) in enumerate({"train": 20, "test": 6}.items()):
        found = jpegs(pictures(n, channels=3, size=(16, 16), seed=seed))
        arrays |= {f"{part}_{kind}": value for kind, value in found.items()}
        arrays[f"{part}_labels"] = (np.arange(n) % 2).astype(np.uint8)
    np.savez(folder / "cifar10_jpeg.npz", **(arrays | changes))
    return folder / "cifar10_jpeg.npz"


def test_cifar10_is_the_whole_set_decoded_from_jpeg_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWNAS_DATA", str(tmp_path))
    archive(tmp_path)
    data = load_data("cifar10")
    assert [split.images.shape for split in splits(data)] == [(n, 16, 16, 3) for n in (16, 4, 6)]
    assert (data.name, data.class_names) == ("cifar10", ("cat", "dog"))
    expected = pictures(6, channels=3, size=(16, 16), seed=1).astype(float)
    assert abs(data.test.images - expected).mean() < 3
    assert abs(data.test.images[::-1] - expected).mean() > 60


def test_the_official_images_are_taken_where_they_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWNAS_DATA", str(tmp_path))
    archive(tmp_path)
    np.savez(tmp_path / "cifar10.npz", **with_test())  # type: ignore[arg-type]
    assert load_data("cifar10").classes == 3


def test_a_jpeg_that_does_not_decode_is_told_by_its_number(tmp_path: Path) -> None:
    found = jpegs(pictures(20, channels=3, size=(16, 16)))
    damaged = found["jpeg"].copy()
    damaged[found["offsets"][7] + 300 : found["offsets"][8]] = 0
    with pytest.raises(DataError, match=r"train_jpeg, image 7: .*\. Remove it or replace it"):
        load_data(str(archive(tmp_path, train_jpeg=damaged)))
    damaged[found["offsets"][4] : found["offsets"][5]] = 0
    with pytest.raises(DataError, match=r"cannot read .*train_jpeg, image 4 as an image"):
        load_data(str(archive(tmp_path, train_jpeg=damaged)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_offsets": np.arange(21)}, r"expected offsets from 0 to \d+, received 0 to 20"),
        ({"train_offsets": np.zeros(21, dtype=int)}, "ascending offsets"),
        ({"train_offsets": np.zeros(0, dtype=int)}, "ascending offsets"),
        ({"test_jpeg": np.zeros(9)}, "test_jpeg: expected bytes"),
        ({"test_labels": np.arange(5)}, "one label for each of 6 images"),
    ],
)
def test_files_that_do_not_fit_their_offsets_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(str(archive(tmp_path, **changes)))


def test_the_real_cifar10_is_whole() -> None:
    require_file("cifar10_jpeg.npz")
    with np.load(Path(os.environ["HWNAS_DATA"], "cifar10_jpeg.npz")) as arrays:
        assert (len(arrays["train_labels"]), len(arrays["test_labels"])) == (50_000, 10_000)
        content, offsets = arrays["test_jpeg"], arrays["test_offsets"]
    image = Image.open(io.BytesIO(content[offsets[9_999] : offsets[10_000]].tobytes()))
    assert (image.size, image.mode) == ((32, 32), "RGB")


@pytest.mark.parametrize("name", ["digits", "cifar10-small"])
def test_named_data_take_no_options(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} takes no options, received 'size'"):
        load_data(f"{name}?size=9")
