"""What a benchmark problem is: a search problem with known answers, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Evaluator, Objective
from hwnas.searchers import SearchProblem

Array = NDArray[np.float64]
LEVELS = (0.95, 0.98, 0.99, 0.995)  # shares of the best hypervolume that evaluations are counted to


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the front found is judged by beside what it was searched with, such as test accuracy.

    Attributes:
        words: What it is.
        objectives: In place of the problem's own.
        reference: Their bound, shape ``(m,)``, minimised.
        best: Largest hypervolume of all architectures by these objectives.
    """

    words: str
    objectives: tuple[Objective, ...]
    reference: Array
    best: float


@dataclass(frozen=True, kw_only=True)
class BenchProblem:
    """A search problem whose values are at hand.

    Attributes:
        name: What it is called on the command line.
        title: What it is, in a line.
        search: What searchers are asked to solve.
        evaluator: Gives the values of all objectives, and others beside them.
        best: The hypervolume of the true front, or the largest that is known. With one objective, the distance from
            the reference to the optimum.
        best_is: Which of the two it is.
        files: What it needs in the folder of ``HWNAS_DATA``.
        report: What fronts are judged by beside; ``None`` for nothing.
        levels: Shares of ``best`` that evaluations are counted to.
    """

    name: str
    title: str
    search: SearchProblem
    evaluator: Evaluator
    best: float
    best_is: Literal["true", "best known"]
    files: tuple[str, ...] = ()
    report: Report | None = None
    levels: tuple[float, ...] = LEVELS

    def as_black_box(self) -> BenchProblem:
        """The same with nothing known before it is evaluated."""
        return replace(self, search=replace(self.search, known=None))


def standardised(values: Array) -> Array:
    """Values less their mean, over their standard deviation (that of all, not a sample's); shape ``(n,)``."""
    return np.asarray((values - values.mean()) / values.std())


def one_column(
    cost: Callable[[Sequence[Architecture]], Array],
) -> Callable[[Sequence[Architecture]], Array]:
    """A cost of shape ``(n,)`` as ``SearchProblem.known`` gives it, shape ``(n, 1)``."""
    return lambda architectures: cost(architectures)[:, None] if len(architectures) else np.zeros((0, 1))
