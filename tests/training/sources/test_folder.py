"""Folders of images: what is read, what is told, and what is refused with which words."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hwnas.core import DataError
from hwnas.training import load_data
from tests.training.made import COLOURS, image_folder, pairs, pictures, splits


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
