"""Data sets of Hugging Face, real ones that are made here: which columns and splits are taken, and what is refused."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hwnas.core import DataError, MachineError, UsageError
from hwnas.training import load_data
from hwnas.training.sources.function import as_data
from tests.training.made import pictures, splits

datasets = pytest.importorskip("datasets")

NAMES = ["cat", "dog", "eel"]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No progress bars, and no cache outside the test's own folder."""
    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def files(n: int, *, seed: int = 0) -> list[dict[str, Any]]:
    found = []
    for image in pictures(n, channels=3, size=(10, 12), seed=seed):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, format="PNG")
        found.append({"bytes": stream.getvalue(), "path": None})
    return found


def made(n: int = 30, *, seed: int = 0, label: Any = None, labels: Any = None, **columns: Any) -> Any:
    """A data set with columns ``img`` and ``breed``, and others."""
    features = {"img": datasets.Image(), "breed": label or datasets.ClassLabel(names=NAMES)}
    values = {"img": files(n, seed=seed), "breed": labels if labels is not None else [i % 3 for i in range(n)]}
    for name, feature in columns.items():
        features[name], values[name] = feature, values["breed"]
    return datasets.Dataset.from_dict(values, features=datasets.Features(features))


def saved(path: Path, **parts: Any) -> str:
    datasets.DatasetDict(parts or {"train": made()}).save_to_disk(str(path))
    return f"hf:{path}"


def test_a_saved_data_set_with_splits_is_read(tmp_path: Path) -> None:
    source = saved(tmp_path / "set", train=made(), validation=made(12, seed=1), test=made(9, seed=2))
    data = load_data(source)
    assert (data.name, data.class_names, data.notes) == (source, tuple(NAMES), ())
    assert [split.images.shape for split in splits(data)] == [(n, 10, 10, 3) for n in (30, 12, 9)]
    assert all(np.array_equal(split.labels, np.arange(len(split.labels)) % 3) for split in splits(data))
    assert load_data(source).fingerprint == data.fingerprint


def test_pixels_and_labels_arrive_as_they_are_in_the_file(tmp_path: Path) -> None:
    data = load_data(f"{saved(tmp_path / 'set', train=made(), valid=made(9, seed=1), test=made(9, seed=2))}?size=64")
    grown = Image.fromarray(pictures(9, channels=3, size=(10, 12), seed=2)[4])
    assert np.array_equal(data.test.images[4], np.asarray(grown.resize((64, 64), Image.Resampling.BILINEAR)))


def test_a_saved_data_set_without_splits_is_split_here(tmp_path: Path) -> None:
    made().save_to_disk(str(tmp_path / "set"))
    assert [len(split.labels) for split in splits(load_data(f"hf:{tmp_path / 'set'}"))] == [18, 6, 6]


def test_a_folder_of_parquet_files_is_read(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    made().to_parquet(str(tmp_path / "set" / "train.parquet"))
    assert load_data(f"hf:{tmp_path / 'set'}").class_names == tuple(NAMES)


def test_splits_are_those_that_are_named(tmp_path: Path) -> None:
    source = saved(tmp_path / "set", train=made(), all=made(42, seed=1), extra=made(9, seed=2))
    assert load_data(source).notes == (f"{source} has all, extra, which nothing reads",)
    data = load_data(f"{source}?train=all,test=extra")
    assert (len(data.train.labels) + len(data.validation.labels), len(data.test.labels)) == (42, 9)


def test_a_split_is_left_out_where_an_empty_one_is_named(tmp_path: Path) -> None:
    unknown = made(9, seed=2, labels=[-1] * 9)
    source = saved(tmp_path / "set", train=made(), test=unknown)
    with pytest.raises(DataError, match=r"\(test\): expected labels from 0, .* nobody knows, leave these images out"):
        load_data(source)
    assert len(load_data(f"{source}?test=").test.labels) == 6


@pytest.mark.parametrize("kind", ["number", "text", "other classes"])
def test_the_label_is_the_column_that_is_named(tmp_path: Path, kind: str) -> None:
    feature: Any = {
        "number": datasets.Value("int32"),
        "text": datasets.Value("string"),
        "other classes": datasets.ClassLabel(names=["a", "b", "c"]),
    }[kind]
    source = saved(tmp_path / "set", train=made(owner=feature), test=made(9, seed=1, owner=feature))
    data = load_data(f"{source}?label=owner&image=img")
    assert data.class_names == (("a", "b", "c") if kind == "other classes" else ("0", "1", "2"))
    assert np.array_equal(data.test.labels, np.arange(9) % 3)


def test_a_text_that_training_lacks_is_refused(tmp_path: Path) -> None:
    text = datasets.Value("string")
    labels = [NAMES[i % 3] for i in range(30)]
    parts = {"train": made(label=text, labels=labels), "test": made(9, seed=1, label=text, labels=["fly"] * 9)}
    with pytest.raises(DataError, match="label 'fly' does not occur in training"):
        load_data(f"{saved(tmp_path / 'set', **parts)}?label=breed")


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"owner": True}, "", r"column of type ClassLabel, received img \(Image\), breed \(ClassLabel\), owner \(Cl"),
        ({"text": True}, "?label=img", r"received .*text \(string\)\. Name the one that is meant as in \?label=COLUMN"),
        ({}, "?image=breed", r"expected one column of type Image, received .* as in \?image=COLUMN"),
        ({}, "?label=bred", "unknown column of .*'bred': expected one of breed, img. Did you mean 'breed'"),
        ({}, "?train=trian", "unknown split of .*'trian': expected one of train. Did you mean 'train'"),
        ({}, "?train=", "has train: expected a split named train; name another one as in"),
        ({}, "?labels=x", "unknown option of data .*: 'labels': expected one of .* Did you mean 'label'"),
        ({}, "?download=please", "expected download=yes or download=no, received 'please'"),
        ({}, "?size", r"expected options as in PLACE\?size=96,label=breed, each once, received 'size'"),
        ({}, "?size=9,size=8", "each once, received 'size=8'"),
    ],
)  # fmt: skip
def test_columns_splits_and_options_that_leave_room_for_doubt_are_refused(
    tmp_path: Path, columns: dict[str, bool], options: str, message: str
) -> None:
    kinds = {"owner": datasets.ClassLabel(names=NAMES), "text": datasets.Value("string")}
    source = saved(tmp_path / "set", train=made(**{name: kinds[name] for name in columns}))
    with pytest.raises(UsageError, match=message) as caught:
        load_data(source + options)
    assert caught.value.exit_code == 2


def test_an_image_that_is_damaged_or_missing_is_told_by_its_row() -> None:
    for content in (None, {"bytes": b"no image", "path": None}, {"bytes": None, "path": "/nowhere.png"}):
        rows = made().to_dict()
        rows["img"][7] = content
        broken = datasets.Dataset.from_dict(rows, features=made().features)
        with pytest.raises(DataError, match=r"cannot read .* \(train\), row 7 as an image: .*Remove it or replace it"):
            as_data("x", {"train": broken})


def test_a_label_that_is_missing_is_told_by_its_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\(train\): row 4 has no breed: remove it"):
        load_data(saved(tmp_path / "set", train=made(labels=[0, 1, 2, 0, None] * 6)))


def test_a_part_without_the_columns_is_refused(tmp_path: Path) -> None:
    source = saved(tmp_path / "set", train=made(), test=made(9, seed=1).rename_column("breed", "kind"))
    with pytest.raises(DataError, match="the test part lacks 'img' or 'breed'"):
        load_data(source)


def test_the_hub_is_not_asked_unless_downloads_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def load_dataset(*arguments: Any) -> Any:
        asked.append(arguments)
        if arguments[0] == "someone/gone":
            raise ConnectionError("no way there")
        return datasets.DatasetDict({"train": made()})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError, match=r"there is no folder 'someone/pets'. To fetch .*, add \?download=yes"):
        load_data("hf:someone/pets")
    assert asked == []
    assert load_data("hf:someone/pets?download=yes,config=small").classes == 3
    assert asked == [("someone/pets", "small")]
    with pytest.raises(DataError, match="datasets cannot load it: ConnectionError: no way there"):
        load_data("hf:someone/gone?download=yes")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset_dict.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=f"data hf:{re.escape(str(tmp_path))}: datasets cannot load it"):
        load_data(f"hf:{tmp_path}")


def test_without_the_package_its_extra_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MachineError, match=r"needs the package datasets: pip install 'hwnas\[huggingface\]'") as caught:
        load_data(f"hf:{tmp_path}")
    assert caught.value.exit_code == 3


def test_a_function_may_return_such_data_sets() -> None:
    parts = datasets.DatasetDict({"train": made(), "test": made(9, seed=1)})
    expected = as_data("x", parts)
    assert [len(split.labels) for split in splits(expected)] == [24, 6, 9]
    assert as_data("x", (made(), None, made(9, seed=1))).fingerprint == expected.fingerprint
    with pytest.raises(DataError, match=r"the train part is a stream: load it without streaming=True"):
        as_data("x", made().to_iterable_dataset())
