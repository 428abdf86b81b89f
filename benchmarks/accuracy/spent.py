"""What the benchmarks of accuracy have in common: processor time that is not forgotten, and a part of some data."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

from hwnas.training import ImageData, Split


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Processor time up to an event.

    Attributes:
        stage: What was done.
        done: How much of it, when the event came.
        total_s: Seconds since the beginning.
        about: What else was said of it.
    """

    stage: str
    done: int
    total_s: float
    about: str = ""


class Clock:
    """Processor time of this process from event to event, on disk: what is cut off does not forget what it has cost.

    What is counted runs on one thread: a machine that does other things beside it delays it and does not lengthen it.

    Args:
        path: Where to write, a line of JSON for each event.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last_s = time.process_time()

    def start(self) -> None:
        """Counts from now on."""
        self._last_s = time.process_time()

    def event(self, stage: str, done: int, *, about: str = "") -> None:
        """Writes what was spent since the last event, or since the start."""
        now_s = time.process_time()
        with self._path.open("a", encoding="utf-8") as stream:
            written = {"stage": stage, "done": done, "s": now_s - self._last_s, "about": about}
            stream.write(json.dumps(written) + "\n")
        self._last_s = now_s

    def events(self) -> list[Spent]:
        """All events, those of earlier processes included."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        found, total_s = [], 0.0
        for line in map(json.loads, lines):
            total_s += line["s"]
            about = line.get("about", "")
            found.append(Spent(stage=line["stage"], done=line["done"], total_s=total_s, about=about))
        return found

    def total_s(self) -> float:
        """Seconds of all events."""
        events = self.events()
        return events[-1].total_s if events else 0.0


def part_of(data: ImageData, *, images: int, judged_by: int) -> ImageData:
    """Data with the first so many images to learn from, and to judge by; 0 for all."""
    train, validation = data.train, data.validation
    return replace(
        data,
        train=Split(train.images[: images or None], train.labels[: images or None]),
        validation=Split(validation.images[: judged_by or None], validation.labels[: judged_by or None]),
    )
