"""Limits: what an architecture may cost at most and has to cost at least, enforced before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, UsageError
from hwnas.objectives.bounds import Bound, bounds_of, excess, satisfied
from hwnas.objectives.catalog import KnownCosts
from hwnas.objectives.descent import lowest
from hwnas.objectives.feasibility import Feasibility
from hwnas.objectives.looking import feasibility
from hwnas.spaces import SearchSpace


def require_accuracy(least: float | None) -> float | None:
    """Checks a lower limit on the accuracy.

    Args:
        least: In (0, 1]; ``None`` for no limit.

    Raises:
        UsageError: It is no accuracy.
    """
    if least is not None and not 0 < least <= 1:
        raise UsageError(f"expected a smallest accuracy above 0 and up to 1 (100%), received {least:g}")
    return least


@dataclass(frozen=True)
class Limits:
    """Bounds by name, in the cost's unit.

    Attributes:
        given: What costs may be at most by their names, what they have to be at least by the same after ``min_``: a
            band is ``{"min_latency_ms": 1.0, "latency_ms": 2.0}``.
        costs: Where the costs come from.

    Raises:
        UsageError: No such limit, or a lower one that is above the upper one.
    """

    given: Mapping[str, float]
    costs: KnownCosts

    def __post_init__(self) -> None:
        bounds_of(self.given)

    @cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """The limits, one by one."""
        return bounds_of(self.given)

    def feasible(self, architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
        """Which architectures satisfy every limit, shape ``(n,)``."""
        if not self.bounds or not architectures:
            return np.ones(len(architectures), dtype=np.bool_)
        return satisfied(self.costs.values(architectures), self.bounds)

    def excess(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Sum of relative violations, shape ``(n,)``; 0 for the feasible."""
        return excess(self.costs.values(architectures), self.bounds)

    def require_feasible(self, space: SearchSpace) -> Architecture:
        """An architecture that satisfies all limits, the proof that a search can begin.

        Raises:
            InfeasibleError: None was found; the message names the last reachable value of each limited cost, and which
                limit has to give way.
        """
        best = lowest(space, self.excess, least=0.0)
        return best if bool(self.feasible([best])[0]) else self.preview(space).require()

    def preview(self, space: SearchSpace, *, also: Iterable[str] = ()) -> Feasibility:
        """What the limits leave of a space.

        Args:
            space: The space.
            also: Costs to tell the reach of though they are not limited, such as ``"params_m"``.
        """
        return feasibility(space, self.costs, self.bounds, also=also)
