"""A run as the problem that its searcher solves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.searchers import SearchProblem
from hwnas.study.run import Run


def problem_of(
    run: Run, *, feasible: Callable[[Sequence[Architecture]], NDArray[np.bool_]] | None = None
) -> SearchProblem:
    """The problem of a run.

    Args:
        run: The run.
        feasible: Which of some architectures are allowed, shape ``(n,)``; by default what its limits allow.
    """
    return SearchProblem(
        space=run.family.space,
        objectives=run.objectives,
        reference=run.reference_costs,
        feasible=feasible or run.limits.feasible,
        known=_known_costs(run),
    )


def _known_costs(run: Run) -> Callable[[Sequence[Architecture]], NDArray[np.float64]]:
    """The targets that are known before anything is trained, as a function of architectures."""
    cheap = [goal for goal in run.objectives if not goal.expensive]

    def known(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        values = run.costs.values(architectures)
        signs = [goal.to_cost(1.0) for goal in cheap]
        return np.column_stack([sign * values[goal.name] for sign, goal in zip(signs, cheap, strict=True)])

    return known
