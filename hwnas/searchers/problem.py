"""What a searcher is asked to solve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Objective, Trial, cost_matrix
from hwnas.spaces import SearchSpace


def _everything(architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
    return np.ones(len(architectures), dtype=np.bool_)


@dataclass(frozen=True, kw_only=True)
class SearchProblem:
    """A space, what to improve in it, and what is allowed.

    Attributes:
        space: Where architectures come from.
        objectives: What to improve.
        reference: The costs that bound the hypervolume, shape ``(m,)``, one an objective, minimised.
        feasible: Which of some architectures satisfy all limits, shape ``(n,)``; exact, and cheap to ask.
        known: Costs of some architectures that are known exactly before they are evaluated, shape ``(n, k)``,
            minimised: those of the objectives that are not ``expensive``, in their order. ``None`` where every
            objective is to be treated as expensive.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    reference: NDArray[np.float64]
    feasible: Callable[[Sequence[Architecture]], NDArray[np.bool_]] = _everything
    known: Callable[[Sequence[Architecture]], NDArray[np.float64]] | None = None

    @cached_property
    def paid(self) -> tuple[int, ...]:
        """Positions of the objectives that only an evaluation tells."""
        return tuple(i for i, goal in enumerate(self.objectives) if goal.expensive or self.known is None)

    @cached_property
    def cheap(self) -> tuple[int, ...]:
        """Positions of the objectives that ``known`` gives, in the order of its columns."""
        return tuple(i for i in range(len(self.objectives)) if i not in self.paid)

    def costs(self, trials: Sequence[Trial]) -> NDArray[np.float64]:
        """Costs of finished trials, shape ``(n, m)``, all minimised."""
        return cost_matrix(trials, self.objectives)
