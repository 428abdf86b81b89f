"""How a benchmark is run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hwnas.core import RunMismatchError, StudyError, UsageError, differing
from latency_tables import write_atomically

FILE = "bench.json"


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """What all runs of a folder have in common; algorithms and seeds may be added later.

    Attributes:
        problem: A name that ``open_problem`` knows.
        evaluations: Architectures each run evaluates, the first designs among them.
        batch: Architectures proposed at a time.
        initial: Random first designs, the same for every algorithm with the same seed.
        black_box: Whether costs that are known exactly are hidden from the searchers.
        stop_at: Share of the best hypervolume at which a run ends before its time; ``None`` for never.
        data: SHA-256 of the problem's files by name.

    Raises:
        UsageError: A number that nobody can serve.
    """

    problem: str
    evaluations: int = 200
    batch: int = 5
    initial: int = 10
    black_box: bool = False
    stop_at: float | None = None
    data: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("evaluations", "batch", "initial"):
            if getattr(self, name) < 1:
                raise UsageError(f"expected {name} of at least 1, received {getattr(self, name)}")
        if self.initial > self.evaluations:
            raise UsageError(
                f"expected no more initial designs than evaluations, received {self.initial} and {self.evaluations}"
            )
        if self.stop_at is not None and not 0 < self.stop_at <= 1:
            raise UsageError(f"expected stop_at as a share above 0 and up to 1, received {self.stop_at}")

    def to_json(self) -> dict[str, Any]:
        """As JSON holds them."""
        return asdict(self)

    def require_same(self, folder: Path) -> None:
        """Records the settings in a new folder, and compares them with those of an old one.

        Raises:
            RunMismatchError: The folder was begun with other settings.
            StudyError: Its record is damaged.
            OSError: It cannot be written.
        """
        path = folder / FILE
        if not path.exists():
            write_atomically(path, json.dumps(self.to_json(), indent=2) + "\n")
            return
        try:
            recorded = dict(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise StudyError(f"cannot read {path}: {error}. Choose another folder, or remove it") from error
        asked = self.to_json()
        differences = differing(recorded, asked)
        if differences:
            told = ", ".join(f"{name} {was!r} (now {now!r})" for name, (was, now) in differences.items())
            raise RunMismatchError(
                f"{folder} was begun with other settings: {told}. Choose another folder, or the same settings",
                differences=differences,
            )
