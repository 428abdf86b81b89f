"""A search whose trials cost nothing: the trainer is replaced by a made-up accuracy. Marked as a fake."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwnas.core import Architecture
from hwnas.evaluators import TabularEvaluator
from hwnas.networks import NetworkFamily
from hwnas.spaces import SearchSpace, nasbench201_space
from hwnas.study import Run, open_run, search
from hwnas.training import ImageData, Split
from latency_tables import LatencyTable, open_shipped
from tests.builders import made_up_table
from tests.study.sources import accuracy_by_id

Accuracy = Callable[[Architecture], float]


@dataclass
class FakeTrainer:
    """Stands for ``TrainedEvaluator``: same call, no training.

    Attributes:
        accuracy: What it says; may raise.
        evaluated: Ids in the order they were asked for.
        halted: Id and epochs of trainings that were made in part.
    """

    accuracy: Accuracy
    evaluated: list[str]
    halted: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, **settings: Any) -> FakeTrainer:
        return self

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        self.evaluated.append(architecture.id)
        return {"accuracy": self.accuracy(architecture), "train_s": 0.5}

    def evaluate_at(self, architecture: Architecture, *, epochs: int) -> Mapping[str, float]:
        """Half of the accuracy at the end, so that the order at a rung is that of the end."""
        self.halted.append((architecture.id, epochs))
        return {"accuracy": self.accuracy(architecture) / 2, "train_s": 0.25}


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> FakeTrainer:
    fake = FakeTrainer(accuracy_by_id, [])
    monkeypatch.setattr("hwnas.evaluators.sources.TrainedEvaluator", fake)
    return fake


@pytest.fixture(scope="session")
def tiny_table(tiny_family: NetworkFamily) -> LatencyTable:
    return made_up_table(tiny_family)


@pytest.fixture
def begin(tiny_table: LatencyTable, trainer: FakeTrainer, tmp_path: Path) -> Callable[..., Run]:
    """Begins or resumes a search of ``mobilenet:tiny`` in a temporary folder.

    Where it is not said otherwise the record is a journal file, which is written several times as fast as SQLite's.
    """

    def start(**changes: Any) -> Run:
        settings: dict[str, Any] = {
            "table": tiny_table,
            "out": tmp_path / "run",
            "space": "mobilenet:tiny",
            "trials": 15,
        }
        return search(**in_a_journal({**settings, **changes}))

    return start


@pytest.fixture(scope="session")
def searched(tiny_table: LatencyTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search that ended, as ``begin()`` leaves it; copy it."""
    out = tmp_path_factory.mktemp("searched") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hwnas.evaluators.sources.TrainedEvaluator", FakeTrainer(accuracy_by_id, []))
        search(table=tiny_table, out=out, space="mobilenet:tiny", trials=15)
    return out


@pytest.fixture
def finished(searched: Path, tmp_path: Path) -> Run:
    """That run where ``begin`` looks for it."""
    return open_run(shutil.copytree(searched, tmp_path / "run"))


def in_a_journal(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a search; a run that begins and has no storage of its own gets a journal file beside its folder."""
    out = settings["out"]
    return settings if (out / "run.json").exists() else {"storage": f"journal:{out}.log", **settings}


def small_space() -> SearchSpace:
    """64 of the cells of NAS-Bench-201."""
    whole = nasbench201_space()
    return whole.restrict({choice.name: ("skip_connect", "nor_conv_3x3") for choice in whole.choices})


@pytest.fixture(scope="module")
def cells() -> Iterator[TabularEvaluator]:
    """The accuracies of these, made up; while it lasts they are all of ``nasbench201``."""
    space, rng = small_space(), np.random.default_rng(0)
    convolutions = np.array([sum(value == "nor_conv_3x3" for value in dict(one).values()) for one in space.listed])
    accuracy = 0.6 + 0.05 * convolutions + rng.uniform(0, 0.02, len(convolutions))
    table = TabularEvaluator(space=space, architectures=space.listed, columns={"accuracy": accuracy})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hwnas.networks.catalog.nasbench201_space", small_space)
        patch.setattr("hwnas.networks.nasbench201.NasBench201.covering", lambda self: list(self.space.listed))
        patch.setattr("hwnas.evaluators.sources.published_accuracies", lambda space, data: table)
        yield table


@pytest.fixture(scope="module")
def begin_cells(cells: TabularEvaluator) -> Callable[..., Run]:
    """Begins or resumes a search of these cells by their accuracies."""
    rng = np.random.default_rng(0)
    part = Split(rng.integers(0, 255, (20, 32, 32, 3), dtype=np.uint8), np.arange(20) % 10)
    names = tuple(map(str, range(10)))
    settings: dict[str, Any] = {
        "table": open_shipped("h100-ortcuda-nasbench201-fp32"),
        "space": "nasbench201",
        "data": ImageData(name="cifar10", class_names=names, train=part, validation=part, test=part),
        "evaluator": "tabular",
    }
    return lambda out, **changes: search(**in_a_journal({**settings, "out": out, **changes}))
