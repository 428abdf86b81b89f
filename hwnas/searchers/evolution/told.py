"""What these searchers learn from: the finished trials of the region they propose in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.searchers.inner import Request


@dataclass(frozen=True)
class Told:
    """Evaluated architectures in the order of their trials.

    Attributes:
        architectures: What was evaluated.
        costs: Shape ``(n, m)``, minimised.
    """

    architectures: Sequence[Architecture]
    costs: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.architectures)

    def __getitem__(self, chosen: slice | NDArray[np.intp]) -> Told:
        rows = np.arange(len(self))[chosen]
        return Told([self.architectures[row] for row in rows], self.costs[rows])


def told(request: Request, *, initial: int, fewest: int = 2) -> Told | None:
    """The trials of a request's region, or all of them where these are too few.

    Args:
        request: With the history and the region.
        initial: Trials, of the whole space, before which there is nothing to learn from.
        fewest: Trials of the region below which those outside of it are learned from too.

    Returns:
        ``None`` before the initial trials are there.
    """
    history = request.history
    everything = Told([trial.architecture for trial in history.trials], history.costs)
    if len(everything) < max(initial, fewest):
        return None
    inside = everything[request.members()]
    return inside if len(inside) >= fewest else everything
