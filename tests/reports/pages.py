"""What the tests of the page share: the types of their fixtures, and what every page holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hwnas.core import Architecture
from hwnas.study import Run

MakeRun = Callable[..., Run]
AddTrials = Callable[[Run, Sequence[float]], None]
Draw = Callable[[int], list[Architecture]]
MakeCard = Callable[..., Mapping[str, Any]]
Read = Callable[[Run], Any]  # a page as conftest reads it

ACCURACIES = (0.91, 0.86, 0.95, 0.7, 0.93, 0.97)
SECTIONS = (
    "summary",
    "winners",
    "front",
    "hypervolume",
    "trainings",
    "latency",
    "architectures",
    "front-table",
    "why",
    "environment",
    "reproduce",
)
