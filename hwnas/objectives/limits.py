"""Limits: what an architecture may cost at most, enforced before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, InfeasibleError
from hwnas.objectives.catalog import COSTS, KnownCosts
from hwnas.spaces import SearchSpace

_SAMPLES = 256
_STARTS = 32


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
        kept = np.ones(len(architectures), dtype=np.bool_)
        if self.upper and architectures:
            values = self.costs.values(architectures)
            for name, bound in self.upper.items():
                kept &= values[name] <= bound
        return kept

    def excess(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Sum of relative violations, shape ``(n,)``; 0 for the feasible."""
        values = self.costs.values(architectures)
        total = np.zeros(len(architectures))
        for name, bound in self.upper.items():
            total += np.maximum(values[name] / bound - 1, 0)
        return total

    def require_feasible(self, space: SearchSpace) -> Architecture:
        """An architecture that satisfies all limits, the proof that a search can begin.

        Raises:
            InfeasibleError: None was found; the message names the smallest reachable value of each limited cost.
        """
        best = lowest(space, self.excess)
        if bool(self.feasible([best])[0]):
            return best
        nearest, lines = {}, []
        for target, objective in COSTS.items():
            if objective.name in self.upper:
                found = lowest(space, lambda batch, name=objective.name: self.costs.values(batch)[name])  # type: ignore[misc]
                least = float(self.costs.values([found])[objective.name][0])
                nearest[objective.name] = least
                lines.append(
                    f"--max-{target} {self.upper[objective.name]:g}{objective.unit}: the smallest reachable value is "
                    f"{_round_up(least):g}{objective.unit}"
                )
        together = "" if len(lines) == 1 else " No architecture was found that satisfies all of them together."
        raise InfeasibleError(
            f"no architecture of space {space.name} satisfies the limits. {'; '.join(lines)}.{together}",
            nearest=nearest,
        )


def lowest(space: SearchSpace, cost: Callable[[Sequence[Architecture]], NDArray[np.float64]]) -> Architecture:
    """The architecture with the smallest value of a cost that is known exactly.

    Steepest descent over the neighbours of the best of a random sample, from many starts. Exact where every choice adds
    its own share to the cost; elsewhere the best of the ends found, which on realistic latency tables is the minimum.

    Args:
        space: Where to look.
        cost: Vectorised, lower is better.
    """
    rng = np.random.default_rng(0)
    sample = [space.sample(rng) for _ in range(_SAMPLES)]
    order = np.argsort(cost(sample), kind="stable")
    ends = [_descend(space, cost, sample[i]) for i in order[:_STARTS]]
    return ends[int(np.argmin(cost(ends)))]


def _descend(
    space: SearchSpace, cost: Callable[[Sequence[Architecture]], NDArray[np.float64]], start: Architecture
) -> Architecture:
    here, value = start, float(cost([start])[0])
    while True:
        neighbors = space.neighbors(here)
        if not neighbors:
            return here
        costs = cost(neighbors)
        best = int(np.argmin(costs))
        if not costs[best] < value:
            return here
        here, value = neighbors[best], float(costs[best])


def _round_up(value: float) -> float:
    """Four digits, never below the value, so that the figure named in a message is itself feasible."""
    exact = Decimal(value)
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 3), rounding=ROUND_CEILING))
