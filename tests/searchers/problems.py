"""Search problems with known answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Objective, Trial
from hwnas.searchers import SearchProblem
from hwnas.spaces import Encoding, SearchSpace

ACCURACY = Objective(name="accuracy", unit="", direction="maximize", known="trained")
COST = Objective(name="cost", unit="ms", direction="minimize", known="tabulated")


def size_cost(space: SearchSpace) -> Callable[[Sequence[Architecture]], NDArray[np.float64]]:
    """A cost that grows with every ordinal choice."""
    encoding = Encoding(space)
    return lambda batch: encoding.encode(batch).sum(axis=1) if len(batch) else np.zeros(0)


def made_up_problem(space: SearchSpace, *, limit: float | None = None, known: bool = True) -> SearchProblem:
    cost = size_cost(space)
    return SearchProblem(
        space=space,
        objectives=(ACCURACY, COST),
        reference=np.array([0.0, 1.1 * Encoding(space).width]),
        feasible=(lambda batch: cost(batch) <= limit)
        if limit is not None
        else (lambda batch: np.ones(len(batch), dtype=bool)),
        known=(lambda batch: cost(batch)[:, None]) if known else None,
    )


def accuracy_of(space: SearchSpace, *, seed: int = 0) -> Callable[[Architecture], float]:
    """A smooth made-up accuracy: bigger is better with diminishing returns, and some choices matter more."""
    weights = np.random.default_rng(seed).gamma(1.0, size=Encoding(space).width)
    encoding = Encoding(space)

    def accuracy(architecture: Architecture) -> float:
        code = encoding.encode([architecture])[0]
        return float(1 - np.exp(-3 * (weights @ code) / weights.sum()))

    return accuracy


def evaluated(
    problem: SearchProblem, architectures: Sequence[Architecture], accuracy: Callable[[Architecture], float]
) -> list[Trial]:
    cost = size_cost(problem.space)(architectures)
    return [
        Trial(number=number, architecture=a, values={"accuracy": accuracy(a), "cost": float(c)})
        for number, (a, c) in enumerate(zip(architectures, cost, strict=True))
    ]
