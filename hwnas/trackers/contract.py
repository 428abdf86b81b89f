"""What a tracker is, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hwnas.core import Value


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A search that is to be tracked.

    Attributes:
        name: What it is called: the name of its folder.
        folder: Of the run; what a tracker keeps goes there unless its own environment variables say otherwise.
        id: The same each time the run goes on, and no other run's.
        settings: What was searched, as text by name.
    """

    name: str
    folder: Path
    id: str
    settings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class TrackedTrial:
    """A trial that ended, and how the search stood then.

    Attributes:
        number: Position in the study.
        id: Its architecture.
        outcome: ``"finished"``, ``"stopped"`` or ``"failed"``.
        choices: The architecture's parameters.
        values: Objectives and other figures of it by name, finite; none of a failed one.
        search: ``hypervolume`` and ``front_size`` of all trials so far.
    """

    number: int
    id: str
    outcome: str
    choices: Mapping[str, Value]
    values: Mapping[str, float]
    search: Mapping[str, float]


class Tracker(Protocol):
    """Shows one search. It may raise whatever it likes; the search goes on without it then."""

    def trial(self, trial: TrackedTrial) -> None:
        """Takes a trial that ended, in the order in which they end."""

    def winners(self, figures: Mapping[str, float], files: Sequence[Path]) -> None:
        """Takes what the search led to: figures such as ``knee/accuracy/test``, and files to keep."""

    def close(self, *, finished: bool) -> None:
        """Writes what is not written yet; nothing follows. ``finished`` is false where the search was stopped."""
