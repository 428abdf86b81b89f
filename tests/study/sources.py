"""Evaluators for other processes, some of which do what workers do at their worst."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwnas.core import Architecture, Finding
from hwnas.evaluators import COURSE


def accuracy_by_id(architecture: Architecture) -> float:
    """An accuracy that costs nothing, the same whenever it is asked for."""
    return 0.2 + int(architecture.id, 16) % 7919 / 10_000


@dataclass(frozen=True)
class FaultySource:
    """Makes an evaluator that notes what it evaluates, and fails where it is told to.

    Attributes:
        folder: Where it notes each attempt.
        faults: What happens to the architectures that are begun as the so-many-th, by that number from 0.
        seconds: How long an evaluation takes.
    """

    folder: Path
    faults: tuple[tuple[int, str], ...] = ()
    seconds: float = 0.0

    def __call__(self) -> FaultyEvaluator:
        return FaultyEvaluator(self)

    def made(self, *_: object, **__: object) -> FaultyEvaluator:
        return self()


@dataclass
class FaultyEvaluator:
    source: FaultySource
    here: list[str] = field(default_factory=list)

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        number = len(list(self.source.folder.iterdir()))
        (self.source.folder / f"{number:04}-{architecture.id}-{os.getpid()}").touch()
        time.sleep(self.source.seconds)
        fault = dict(self.source.faults).get(number)
        if fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "hang":
            time.sleep(600)
        if fault == "memory":
            raise MemoryError("of 1 TiB")
        return {"accuracy": float("nan") if fault == "nan" else accuracy_by_id(architecture)}

    def evaluate_at(self, architecture: Architecture, *, epochs: int) -> Mapping[str, float]:
        """Half of what it says at the end, less in earlier epochs."""
        return {"accuracy": self.evaluate(architecture)["accuracy"] * epochs / 12, "train_s": 0.25}


@dataclass(frozen=True)
class TellingSource:
    """Makes an evaluator, in whatever process, that tells a made-up course."""

    def __call__(self) -> TellingSource:
        return self

    def made(self, *_: object, **__: object) -> TellingSource:
        return self

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        return self.find(architecture).values

    def find(self, architecture: Architecture) -> Finding:
        accuracy = accuracy_by_id(architecture)
        return Finding(values={"accuracy": accuracy}, notes={COURSE: told(accuracy)})


def told(accuracy: float) -> list[list[float]]:
    """The course of a training that came to an accuracy."""
    return [[1, 2.0, 0.01], [2, 1.0, 0.005, accuracy]]
