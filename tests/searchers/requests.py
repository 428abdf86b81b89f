"""Requests to inner searchers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Objective, Trial
from hwnas.searchers import SearchProblem
from hwnas.searchers.history import History
from hwnas.searchers.inner import Request
from hwnas.spaces import Choice, SearchSpace

MIXED = SearchSpace(
    "mixed",
    (
        Choice(name="width", options=(8, 16, 24, 32)),
        Choice(name="depth", options=(1, 2)),
        Choice(name="kernel_1", options=(3, 5, 7)),
        Choice(name="kernel_2", options=(3, 5, 7), parent="depth", when=frozenset({2})),
        Choice(name="op_1", options=("a", "b", "c"), ordinal=False),
        Choice(name="op_2", options=("a", "b", "c"), ordinal=False),
    ),
)
"""432 architectures: ordinal, categorical and conditional choices."""

Cost = Callable[[Architecture], Sequence[float]]


def two_costs(architecture: Architecture) -> tuple[float, float]:
    """An error that falls with the size, and the size; ``a`` is the best operation for both."""
    size = float(architecture["width"]) / 8 + sum(float(v) / 3 for k, v in architecture.items() if "kernel" in k)
    return 10 / size + "bc".count(str(architecture["op_1"])), size + 2 * "bc".count(str(architecture["op_2"]))


def problem_of(space: SearchSpace, costs: int) -> SearchProblem:
    names = [f"c{i}" for i in range(costs)]
    return SearchProblem(
        space=space,
        objectives=tuple(Objective(name=n, unit="", direction="minimize", known="trained") for n in names),
        reference=np.full(costs, 20.0),
    )


def history_of(architectures: Sequence[Architecture], cost: Cost, *, space: SearchSpace = MIXED) -> History:
    rows = [cost(architecture) for architecture in architectures]
    history = History(problem_of(space, len(rows[0]) if rows else 2))
    history.replace(
        [
            Trial(number=i, architecture=a, values={f"c{j}": value for j, value in enumerate(row)})
            for i, (a, row) in enumerate(zip(architectures, rows, strict=True))
        ]
    )
    return history


def some(n: int, *, space: SearchSpace = MIXED, seed: int = 0) -> list[Architecture]:
    """Different random architectures."""
    rng = np.random.default_rng(seed)
    unique = {a.id: a for a in (space.sample(rng) for _ in range(10 * n))}
    return list(unique.values())[:n]


def everything(architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
    return np.ones(len(architectures), dtype=bool)


def nothing(architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
    return np.zeros(len(architectures), dtype=bool)


def narrow(architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
    """A region of the mixed space."""
    return np.array([a["width"] in {8, 16} for a in architectures], dtype=bool)


def request_of(
    history: History,
    *,
    accept: Callable[[Sequence[Architecture]], NDArray[np.bool_]] = everything,
    pending: Sequence[Architecture] = (),
    seed: int = 0,
) -> Request:
    taken = history.seen | {architecture.id for architecture in pending}
    rng = np.random.default_rng(seed)
    return Request(history=history, accept=accept, taken=taken, pending=tuple(pending), rng=rng)
