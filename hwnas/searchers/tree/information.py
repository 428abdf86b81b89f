"""Information on trials: what came of them beside their costs, for partitions of outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hwnas.core import Trial
from hwnas.searchers.tree.samples import Codes


class Information(Protocol):
    """Reads what trials tell about how they came to their costs."""

    def __call__(self, trials: Sequence[Trial]) -> Codes:
        """Numbers, shape ``(n, d)``, one row a trial, NaN for what it lacks; no columns where none has any."""


@dataclass(frozen=True)
class Recorded:
    """Figures that an evaluator returned beside the objectives, told by the beginning of their names.

    Of trials of different lengths, those figures count that at least half of the trials with any have.

    Attributes:
        prefix: ``"path."`` for ``"path.0"``, ``"path.1"`` and so on, in the order of these numbers.
    """

    prefix: str = "path."

    def __call__(self, trials: Sequence[Trial]) -> Codes:
        """The figures, shape ``(n, d)``; NaN for those that a trial lacks."""
        found = [[name for name in trial.values if name.startswith(self.prefix)] for trial in trials]
        seen = Counter(name for names in found for name in names)
        having = sum(bool(names) for names in found)
        names = sorted((name for name, count in seen.items() if 2 * count >= having), key=_place)
        rows = [[trial.values.get(name, np.nan) for name in names] for trial in trials]
        return np.array(rows, dtype=np.float64).reshape(len(trials), len(names))


def _place(name: str) -> tuple[int, str]:
    """By the number at the end, so that 10 comes after 9."""
    digits = name[len(name.rstrip("0123456789")) :]
    return (int(digits) if digits else -1, name)
