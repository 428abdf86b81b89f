"""A search whose trials cost nothing: the trainer is replaced by a made-up accuracy. Marked as a fake."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hwnas.core import Architecture
from hwnas.networks import NetworkFamily
from hwnas.study import Run, open_run, search
from latency_tables import LatencyTable
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
    """Begins or resumes a search of ``mobilenet:tiny`` in a temporary folder."""

    def start(**changes: Any) -> Run:
        settings: dict[str, Any] = {
            "table": tiny_table,
            "out": tmp_path / "run",
            "space": "mobilenet:tiny",
            "trials": 15,
        }
        return search(**{**settings, **changes})

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
