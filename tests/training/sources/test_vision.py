"""The data sets of torchvision. Its builds go with one build of torch alone, so classes of the same shape stand in."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hwnas.core import DataError, MachineError, UsageError
from hwnas.training import load_data
from tests.training.made import pictures, splits


class Vision:
    """FAKE: what torchvision's data sets have in common."""

    channels: int | None = 3

    def __init__(self, root: str, transform: Any = None, target_transform: Any = None) -> None:
        self.root, self.transform = root, transform

    def _fill(self, seed: int, n: int, *, download: bool = False) -> None:
        stamp = Path(self.root, "files")
        if download:
            stamp.mkdir(parents=True, exist_ok=True)
        if not stamp.is_dir():
            raise RuntimeError("Dataset not found or corrupted.")
        self.images, self.targets = pictures(n, channels=self.channels, seed=seed, size=(12, 14)), np.arange(n) % 3

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        assert self.transform is None
        return Image.fromarray(self.images[i]), int(self.targets[i])


class Pets(Vision):
    """FAKE: chosen by ``train``, with names."""

    classes = ("0 - ant", "1 - bee", "2 - cat")

    def __init__(self, root: str, train: bool = True, transform: Any = None, download: bool = False) -> None:
        super().__init__(root, transform)
        self._fill(int(not train), 30 if train else 9, download=download)


class Letters(Pets):
    """FAKE: hands ``train`` on, and has a ``split`` that is no part."""

    channels = None

    def __init__(self, root: str, split: str, **kwargs: Any) -> None:
        assert split == "letters"
        super().__init__(root, **kwargs)


class DTD(Vision):
    """FAKE: chosen by ``split``, with a validation part."""

    def __init__(self, root: str, split: str = "train", partition: int = 1, download: bool = False) -> None:
        super().__init__(root)
        assert partition in {1, 2}
        self._fill({"train": 10, "val": 20, "test": 30}[split] + partition, 30 if split == "train" else 9)


class Whole(Vision):
    """FAKE: in one part, and not to be downloaded."""

    def __init__(self, root: str, transform: Any = None) -> None:
        super().__init__(root, transform)
        self._fill(7, 30)


class Boxes(Whole):
    """FAKE: labels that are none."""

    def __getitem__(self, i: int) -> Any:
        return Image.fromarray(self.images[i]), {"boxes": []}


@pytest.fixture(autouse=True)
def torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A module with the stand-ins; the folder with their files."""
    package, module = ModuleType("torchvision"), ModuleType("torchvision.datasets")
    made = (Vision, Pets, Letters, DTD, Whole, Boxes)
    module.__dict__.update({kind.__name__: kind for kind in made}, VisionDataset=Vision, wrap=len)
    module.__dict__["__all__"] = [*(kind.__name__ for kind in made), "VisionDataset", "wrap"]
    package.__dict__["datasets"] = module
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)
    (tmp_path / "there" / "files").mkdir(parents=True)
    return tmp_path / "there"


def test_parts_chosen_by_train_are_read_with_the_names_of_the_classes(torchvision: Path) -> None:
    source = f"torchvision:Pets?root={torchvision}"
    data = load_data(source)
    assert (data.name, data.class_names) == (source, Pets.classes)
    assert [split.images.shape for split in splits(data)] == [(n, 12, 12, 3) for n in (24, 6, 9)]
    assert load_data(source).fingerprint == data.fingerprint
    assert load_data(f"{source},size=20").train.images.shape[1:3] == (20, 20)


def test_parts_chosen_by_split_are_read_with_their_validation_part(torchvision: Path) -> None:
    one, two = (load_data(f"torchvision:DTD?root={torchvision},partition={i}") for i in (1, 2))
    assert [len(split.labels) for split in splits(one)] == [30, 9, 9]
    assert one.class_names == ("0", "1", "2")
    assert one.fingerprint != two.fingerprint


def test_a_set_in_one_part_is_split_here(torchvision: Path) -> None:
    assert [len(split.labels) for split in splits(load_data(f"torchvision:Whole?root={torchvision}"))] == [18, 6, 6]


def test_other_options_are_arguments_of_the_class(torchvision: Path) -> None:
    assert load_data(f"torchvision:Letters?root={torchvision},split=letters").channels == 1


def test_the_folder_is_the_one_of_the_environment_where_none_is_named(
    torchvision: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWNAS_DATA", str(torchvision))
    assert load_data("torchvision:Pets").classes == 3
    monkeypatch.delenv("HWNAS_DATA")
    with pytest.raises(UsageError, match=r"as in torchvision:Pets\?root=~/data, or in the environment variable HWNAS"):
        load_data("torchvision:Pets")


def test_nothing_is_downloaded_unless_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot open it: RuntimeError: Dataset not found .*, add download=yes"):
        load_data(f"torchvision:Pets?root={tmp_path / 'new'}")
    assert not (tmp_path / "new").exists()
    assert load_data(f"torchvision:Pets?root={tmp_path / 'new'},download=yes").classes == 3
    assert load_data(f"torchvision:Pets?root={tmp_path / 'new'}").classes == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("Pest?root=.", "unknown data set of torchvision: 'Pest': expected one of .*Did you mean 'Pets'"),
        ("wrap?root=.", "unknown data set of torchvision: 'wrap'"),
        ("VisionDataset?root=.", "unknown data set of torchvision: 'VisionDataset'"),
        ("Pets?root=.,train=yes", "unknown option of .*:Pets: 'train': expected one of download, root, size"),
        ("DTD?root=.,split=test", "'split': expected one of download, partition, root, size"),
        ("Pets?root=.,transform=x", "unknown option of data torchvision:Pets: 'transform'"),
        ("Whole?root=.,download=yes", "torchvision cannot download Whole; see its documentation"),
        ("Whole?root=nowhere", "cannot open it: RuntimeError: Dataset not found or corrupted.$"),
        ("Boxes?root={}", r"Boxes.* \(train\): expected a whole number as each label, received \{'boxes': \[\]\}"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_with_what_is_wrong(torchvision: Path, source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_data(f"torchvision:{source.format(torchvision)}")
    assert caught.value.exit_code == 2


def test_without_torchvision_its_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torchvision.datasets")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MachineError, match=r"needs torchvision: pip install 'hwnas\[vision\]'") as caught:
        load_data("torchvision:Pets?root=.")
    assert caught.value.exit_code == 3


def test_a_build_for_another_torch_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "torchvision.datasets")
    monkeypatch.delitem(sys.modules, "torchvision")
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MachineError, match=r"does not go with torch .*nms does not exist.*one place, for a CPU build"):
        load_data("torchvision:Pets?root=.")
