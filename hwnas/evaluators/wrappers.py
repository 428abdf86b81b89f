"""Evaluators around evaluators."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from hwnas.core import Architecture, Evaluator, RunMismatchError, StudyError, UsageError


@dataclass(kw_only=True, eq=False)
class Counted:
    """Counts evaluations.

    Attributes:
        evaluator: What is counted.
        count: Evaluations so far that came to an end.
        architectures: The ids of what was evaluated.
    """

    evaluator: Evaluator
    count: int = 0
    architectures: set[str] = field(default_factory=set)

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """Whatever the inner evaluator says."""
        values = self.evaluator.evaluate(architecture)
        self.count += 1
        self.architectures.add(architecture.id)
        return values


@dataclass(frozen=True, kw_only=True, eq=False)
class Noisy:
    """Adds Gaussian noise to one value, the same each time for the same architecture: for experiments.

    Attributes:
        evaluator: Says the true values.
        deviation: Standard deviation of the noise, in the value's own unit.
        seed: Another seed gives other noise.
        name: Which value. Where it is ``"accuracy"``, the sum is kept between 0 and 1.
    """

    evaluator: Evaluator
    deviation: float
    seed: int
    name: str = "accuracy"

    def __post_init__(self) -> None:
        if not 0 <= self.deviation < float("inf"):
            raise UsageError(f"expected a deviation of 0 or more, received {self.deviation}")

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """The values, one of them with noise.

        Raises:
            UsageError: There is no such value.
        """
        values = dict(self.evaluator.evaluate(architecture))
        if self.name not in values:
            raise UsageError(f"noise was asked for on {self.name!r}: the values are {', '.join(values)}")
        rng = np.random.default_rng([int(architecture.id, 16), self.seed % 2**32])
        noisy = values[self.name] + self.deviation * float(rng.standard_normal())
        values[self.name] = min(1.0, max(0.0, noisy)) if self.name == "accuracy" else noisy
        return values


@dataclass(frozen=True, kw_only=True, eq=False)
class Cached:
    """Keeps values on disk, a line of JSON for each architecture, and evaluates none twice.

    A process that is killed leaves at most half a last line, which the next one cuts off. Several processes can use one
    file; an architecture that two of them evaluate at the same time is written twice, and the first line counts.

    Attributes:
        evaluator: Asked for what is not in the file.
        path: The file.
        settings: What decides the values, in JSON's terms; the first line of the file. A file of other settings is
            refused.
    """

    evaluator: Evaluator
    path: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    _known: dict[str, Mapping[str, float]] = field(default_factory=dict, init=False, repr=False)

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """The values in the file, or else those of the inner evaluator, which are then in the file.

        Raises:
            RunMismatchError: The file is of other settings.
            StudyError: A line that was written to its end cannot be read.
            OSError: The file cannot be read or written.
        """
        if architecture.id not in self._known:
            self._read()
        if architecture.id not in self._known:
            values = {name: float(value) for name, value in self.evaluator.evaluate(architecture).items()}
            self._write({"id": architecture.id, "architecture": dict(architecture), "values": values})
            self._known[architecture.id] = values
        return dict(self._known[architecture.id])

    def _read(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            lines = stream.read().split(b"\n")[:-1]  # what follows the last line end was cut off, or is being written
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                if number == 1:
                    self._require_same(entry["settings"])
                else:
                    values = {str(name): float(value) for name, value in entry["values"].items()}
                    self._known.setdefault(str(entry["id"]), values)
            except RunMismatchError:
                raise
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise StudyError(
                    f"{self.path}, line {number}: expected an evaluation as JSON, received {line[:60]!r}: "
                    "remove the line, or the file"
                ) from error

    def _write(self, entry: Mapping[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"), self.path.open("a+b") as stream:
            stream.seek(0)
            held = stream.read()
            whole = held.rfind(b"\n") + 1
            stream.truncate(whole)
            lines = [] if whole else [{"settings": dict(self.settings)}]
            stream.write(b"".join(json.dumps(one, allow_nan=False).encode() + b"\n" for one in [*lines, entry]))
            stream.flush()
            os.fsync(stream.fileno())

    def _require_same(self, recorded: Mapping[str, Any]) -> None:
        asked = json.loads(json.dumps(dict(self.settings)))
        if recorded != asked:
            raise RunMismatchError(
                f"{self.path} holds values of other settings: expected {asked}, received {recorded}; give another file",
                differences={"settings": (recorded, asked)},
            )
