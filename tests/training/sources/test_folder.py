"""Folders of images: what is read, what is told, and what is refused with which words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hwnas.core import DataError, UsageError
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
    Image.fromarray(pictures(1, channels=3)[0]).convert("CMYK").save(tmp_path / "cat" / "print.jpg")
    assert len(pairs(*splits(load_data(str(tmp_path))))) == 16


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
    image_folder(tmp_path / "test", n=3, seed=1)
    data = load_data(str(tmp_path))
    assert [len(split.labels) for split in splits(data)] == [16, 4, 6]
    assert data.class_names == ("cat", "dog")


def test_test_folders_may_lack_a_class(tmp_path: Path) -> None:
    image_folder(tmp_path / "train", classes=("ant", "cat", "dog"))
    image_folder(tmp_path / "test", classes=("cat",), seed=1)
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


# --- parts


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Validation"])
def test_a_validation_folder_by_any_of_its_names_is_the_validation_part(tmp_path: Path, name: str) -> None:
    for seed, (part, n) in enumerate({"train": 10, name: 4, "test": 3}.items()):
        image_folder(tmp_path / part, n=n, seed=seed)
    data = load_data(str(tmp_path))
    assert [len(split.labels) for split in splits(data)] == [20, 8, 6]
    assert data.notes == ()


def test_parts_that_are_missing_are_split_off(tmp_path: Path) -> None:
    image_folder(tmp_path / "train", n=10)
    assert [len(split.labels) for split in splits(load_data(str(tmp_path)))] == [12, 4, 4]
    image_folder(tmp_path / "val", n=4, seed=1)
    assert [len(split.labels) for split in splits(load_data(str(tmp_path)))] == [16, 8, 4]


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    image_folder(tmp_path, classes=("bus", "train"))
    assert load_data(str(tmp_path)).class_names == ("bus", "train")


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("val", "test"), "has a folder test, but none named train: expected train/CLASS/1.png"),
        (("cat", "dog", "test"), "has a folder test, but none named train"),
        (("train", "val", "valid", "test"), "has val and valid: expected one validation folder"),
        (("training", "Train"), "has Train and training: expected one train folder"),
    ],
)
def test_parts_that_leave_room_for_doubt_are_refused(tmp_path: Path, folders: tuple[str, ...], message: str) -> None:
    for seed, folder in enumerate(folders):
        image_folder(tmp_path / folder, seed=seed)
    with pytest.raises(DataError, match=message):
        load_data(str(tmp_path))


def test_a_copy_of_the_training_folder_as_test_folder_is_refused(tmp_path: Path) -> None:
    image_folder(tmp_path / "train")
    image_folder(tmp_path / "test")
    with pytest.raises(DataError, match="10 of 12 test images are also training images"):
        load_data(str(tmp_path))


# --- what a user is told


def test_what_is_passed_over_is_told(tmp_path: Path) -> None:
    image_folder(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("nothing to see", encoding="utf-8")
    (tmp_path / "cat" / ".hidden.txt").write_text("nothing to see", encoding="utf-8")
    Image.fromarray(pictures(1)[0]).save(tmp_path / "stray.png")
    (note,) = load_data(str(tmp_path)).notes
    assert "2 entries" in note
    assert "(.png: 1, .txt: 1;" in note
    assert str(tmp_path / "cat" / "notes.txt") in note


def test_a_folder_beside_the_parts_is_told(tmp_path: Path) -> None:
    for seed, part in enumerate(("train", "test", "raw")):
        image_folder(tmp_path / part, seed=seed)
    assert "(folder: 1;" in load_data(str(tmp_path)).notes[0]


@pytest.mark.parametrize("other", ["vaild", "holdout"])
def test_a_part_by_another_name_is_no_class(tmp_path: Path, other: str) -> None:
    for seed, part in enumerate(("train", other)):
        image_folder(tmp_path / part, seed=seed)
    with pytest.raises(DataError, match=rf"train and .*{other} both have a folder cat, .*: expected val or test for"):
        load_data(str(tmp_path))


def test_a_class_of_trains_may_have_folders_of_its_own(tmp_path: Path) -> None:
    image_folder(tmp_path / "train")
    image_folder(tmp_path / "made").rename(tmp_path / "bus")
    (tmp_path / "bus" / "cat").rename(tmp_path / "bus" / "red")
    (tmp_path / "bus" / "dog").rename(tmp_path / "bus" / "blue")
    assert load_data(str(tmp_path)).class_names == ("bus", "train")


@pytest.mark.parametrize("made", ["dataset_dict.json", "state.json"])
def test_a_saved_data_set_is_told_from_a_folder_of_images(tmp_path: Path, made: str) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / made).write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=rf"`datasets` has saved: expected hf: before it, hf:{tmp_path}"):
        load_data(str(tmp_path))


# --- the file system


def test_the_order_in_which_files_are_listed_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_folder(tmp_path / "photos", n=9)
    image_folder(tmp_path / "photos" / "cat" / "more")
    before = load_data(str(tmp_path / "photos"))
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda folder: reversed(list(listed(folder))))
    assert load_data(str(tmp_path / "photos")).fingerprint == before.fingerprint


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    image_folder(tmp_path / "elsewhere")
    image_folder(tmp_path / "photos", seed=1)
    (tmp_path / "photos" / "cat" / "more").symlink_to(tmp_path / "elsewhere" / "cat")
    (tmp_path / "photos" / "eel").symlink_to(tmp_path / "elsewhere" / "dog")
    data = load_data(str(tmp_path / "photos"))
    assert data.class_names == ("cat", "dog", "eel")
    assert len(pairs(*splits(data))) == 24


def test_a_link_that_leads_back_is_refused(tmp_path: Path) -> None:
    image_folder(tmp_path)
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat")
    with pytest.raises(DataError, match=f"{re.escape(str(tmp_path / 'cat' / 'again'))} is a link back to .*: remove"):
        load_data(str(tmp_path))


def test_a_link_to_nothing_or_itself_is_named(tmp_path: Path) -> None:
    image_folder(tmp_path)
    link = tmp_path / "cat" / "gone.png"
    for target in ("nowhere.png", "gone.png"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with pytest.raises(DataError, match=re.escape(str(link))):
            load_data(str(tmp_path))


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_folder(tmp_path)

    def refused(folder: Path) -> Any:
        if folder.name == "dog":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(DataError, match=r"cannot list .*dog: .*Permission denied.*Give yourself the right"):
        load_data(str(tmp_path))


# --- sizes and depths


def test_the_size_can_be_asked_for(tmp_path: Path) -> None:
    image_folder(tmp_path, size=(200, 300))
    for side in (16, 128):
        assert load_data(f"{tmp_path}?size={side}").train.images.shape[1:3] == (side, side)


@pytest.mark.parametrize("size", ["0", "3", "1025", "-8", "big", "", "8.5"])
def test_a_size_that_is_none_is_refused(tmp_path: Path, size: str) -> None:
    with pytest.raises(UsageError, match="expected size=PIXELS, 4 to 1024, received"):
        load_data(f"{image_folder(tmp_path)}?size={size}")


def test_images_that_would_fill_the_memory_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_folder(tmp_path)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 20_000_000}))
    with pytest.raises(DataError, match=r"12 images of 1024 x 1024 pixels takes 12 MiB .* give fewer images, or a sma"):
        load_data(f"{tmp_path}?size=1024")


@pytest.mark.parametrize("side", [9_500, 14_000])
def test_an_image_that_is_a_bomb_is_named(tmp_path: Path, side: int) -> None:
    image_folder(tmp_path)
    victim = tmp_path / "dog" / "3.png"
    Image.new("1", (side, side)).save(victim)
    assert victim.stat().st_size < 100_000
    with pytest.raises(DataError, match=f"cannot read {re.escape(str(victim))} as an image: Image size .* exceeds"):
        load_data(str(tmp_path))


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((9, 9), np.nan, dtype=np.float32), "floats of unknown range: save it with 8 or 16 bits"),
        (np.full((9, 9), 70_000, dtype=np.int32), "from 70000 to 70000: save it with 8 or 16 bits"),
        (np.full((9, 9), -1, dtype=np.int32), "from -1 to -1: save it with 8 or 16 bits"),
    ],
)
def test_an_image_of_pixels_without_a_known_white_is_named(tmp_path: Path, pixels: NDArray[Any], message: str) -> None:
    image_folder(tmp_path, kind="tif")
    Image.fromarray(pixels).save(tmp_path / "cat" / "deep.tif")
    with pytest.raises(DataError, match=f"cannot decode {re.escape(str(tmp_path / 'cat' / 'deep.tif'))}: .*{message}"):
        load_data(str(tmp_path))


def test_an_image_of_a_kind_that_cannot_be_read_is_named_and_not_dropped(tmp_path: Path) -> None:
    image_folder(tmp_path)
    (tmp_path / "cat" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(DataError, match=r"cannot read .*phone\.HEIC as an image"):
        load_data(str(tmp_path))


def test_a_file_damaged_anywhere_is_refused_with_its_name_or_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("png", "jpg", "gif", "tif", "webp", "bmp"):
        image_folder(tmp_path / kind, n=5, mode="RGB", kind=kind)
        victim = tmp_path / kind / "cat" / f"0.{kind}"
        content = victim.read_bytes()
        for place in rng.integers(0, len(content), 12):
            damaged = bytearray(content)
            damaged[place] ^= 0x55
            victim.write_bytes(damaged)
            try:
                load_data(str(tmp_path / kind))
            except DataError as error:
                assert str(victim) in str(error)  # noqa: PT017  (most damaged files are read)
