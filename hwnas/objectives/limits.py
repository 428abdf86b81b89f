"""Limits: what an architecture may cost at most, enforced before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.objectives.catalog import KnownCosts
from hwnas.objectives.descent import lowest
from hwnas.objectives.feasibility import Feasibility
from hwnas.objectives.looking import excess, feasibility, satisfied
from hwnas.spaces import SearchSpace


@dataclass(frozen=True)
class Limits:
    """Upper bounds by cost name, in the cost's unit.

    Attributes:
        upper: For example ``{"latency_ms": 5.0}``; a cost without an entry is not limited.
        costs: Where the costs come from.
    """

    upper: Mapping[str, float]
    costs: KnownCosts

    def feasible(self, architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
        """Which architectures satisfy every limit, shape ``(n,)``."""
        if not self.upper or not architectures:
            return np.ones(len(architectures), dtype=np.bool_)
        return satisfied(self.costs.values(architectures), self.upper)

    def excess(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Sum of relative violations, shape ``(n,)``; 0 for the feasible."""
        return excess(self.costs.values(architectures), self.upper)

    def require_feasible(self, space: SearchSpace) -> Architecture:
        """An architecture that satisfies all limits, the proof that a search can begin.

        Raises:
            InfeasibleError: None was found; the message names the smallest reachable value of each limited cost, and
                which limit has to give way.
        """
        best = lowest(space, self.excess)
        return best if bool(self.feasible([best])[0]) else self.preview(space).require()

    def preview(self, space: SearchSpace, *, also: Iterable[str] = ()) -> Feasibility:
        """What the limits leave of a space.

        Args:
            space: The space.
            also: Costs to tell the reach of though they are not limited, such as ``"params_m"``.
        """
        return feasibility(space, self.costs, self.upper, also=also)
