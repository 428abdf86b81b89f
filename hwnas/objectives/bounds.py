"""What a cost may be at most, or has to be at least."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hwnas.core import UsageError, unknown
from hwnas.objectives.catalog import AT, COSTS, device_of_cost

Values = Mapping[str, NDArray[np.float64]]

_TARGETS = {cost.name: target for target, cost in COSTS.items()}
_LOWER = "min_"  # begins the name of a bound from below
_HIT = 0.02  # how far a cost that is to be hit may be from it, relative


@dataclass(frozen=True, kw_only=True)
class Bound:
    """One side of what a cost may be.

    Attributes:
        cost: Its name, such as ``"latency_ms"``, or on another device ``"latency_ms@DEVICE"``.
        value: In the cost's unit.
        sign: 1 where the cost may be so much at most, -1 where it has to be so much at least.
    """

    cost: str
    value: float
    sign: int = 1

    @property
    def name(self) -> str:
        """The cost's name, of a lower bound after ``min_``: how limits call it."""
        return self.cost if self.sign > 0 else f"{_LOWER}{self.cost}"

    @property
    def device(self) -> str | None:
        """The device that it holds on; ``None`` for that of the run's table."""
        return device_of_cost(self.cost)

    @property
    def option(self) -> str:
        """The bound as the command line names it, such as ``"--max-latency"``."""
        return f"--{'max' if self.sign > 0 else 'min'}-{target_of(self.cost)}"

    @property
    def unit(self) -> str:
        """Unit of the cost."""
        return COSTS[target_of(self.cost)].unit

    def argument(self, number: str) -> str:
        """What stands behind the option for a value: ``5ms``, or ``DEVICE=5ms``.

        Args:
            number: The value in the cost's unit, as it is to be written.
        """
        return f"{'' if self.device is None else f'{self.device}='}{number}{self.unit}"

    def __str__(self) -> str:
        return f"{self.option} {self.argument(f'{self.value:g}')}"

    def kept(self, values: Values) -> NDArray[np.bool_]:
        """Where it holds, shape ``(n,)``."""
        return self.sign * values[self.cost] <= self.sign * self.value

    def excess(self, values: Values) -> NDArray[np.float64]:
        """How far it is broken, relative to the bound, shape ``(n,)``; 0 where it holds."""
        return np.maximum(self.sign * (values[self.cost] / self.value - 1), 0)


def bounds_of(limits: Mapping[str, float]) -> tuple[Bound, ...]:
    """Limits as bounds, in the order of the costs, a lower one before the upper one, those on other devices behind.

    Args:
        limits: Values by the names of the bounds, in the unit of the cost: ``{"latency_ms": 2.0}`` for 2 ms at most,
            ``{"min_latency_ms": 1.0}`` for 1 ms at least, ``{"latency_ms@jetson": 8.0}`` for 8 ms on a jetson.

    Raises:
        UsageError: No such bound, or the smallest value of a cost is above its largest.
    """
    elsewhere = [name.removeprefix(_LOWER) for name in limits if device_of_cost(name.removeprefix(_LOWER))]
    every = [
        Bound(cost=cost, value=0.0, sign=sign) for cost in (*_TARGETS, *dict.fromkeys(elsewhere)) for sign in (-1, 1)
    ]
    known = {bound.name: bound for bound in every}
    for name in limits:
        if name not in known:
            raise unknown("limit", name, known)
    found = [replace(bound, value=limits[name]) for name, bound in known.items() if name in limits]
    for one, other in pairwise(found):
        if one.cost == other.cost and one.value > other.value:
            raise UsageError(
                f"nothing can keep {one} and {other}: expected a smallest value that is not above the largest. "
                "Exchange the two, or leave one out"
            )
    return tuple(found)


def target_of(cost: str) -> str:
    """The cost as the command line names it, on whatever device: ``latency`` of ``latency_ms@DEVICE``."""
    return _TARGETS[cost.partition(AT)[0]]


def band_about(cost: str, value: float) -> dict[str, float]:
    """Limits that hold a cost within two per cent of a value, by the names of the bounds.

    Args:
        cost: Its name, such as ``"latency_ms"``.
        value: In the cost's unit.
    """
    sides = (Bound(cost=cost, value=value * (1 + sign * _HIT), sign=sign) for sign in (-1, 1))
    return {side.name: side.value for side in sides}


def satisfied(values: Values, bounds: Iterable[Bound]) -> NDArray[np.bool_]:
    """Where all bounds hold, shape ``(n,)``.

    Args:
        values: Costs by name, each of shape ``(n,)``.
        bounds: The bounds.
    """
    kept = np.ones(_count(values), dtype=np.bool_)
    for bound in bounds:
        kept &= bound.kept(values)
    return kept


def excess(values: Values, bounds: Iterable[Bound]) -> NDArray[np.float64]:
    """Sum of relative violations, shape ``(n,)``; 0 for what satisfies all bounds.

    Args:
        values: Costs by name, each of shape ``(n,)``.
        bounds: The bounds.
    """
    total = np.zeros(_count(values))
    for bound in bounds:
        total += bound.excess(values)
    return total


def nearest(values: Values, bounds: Sequence[Bound]) -> int:
    """The position of the first that satisfies all bounds, else of the one with the least excess."""
    kept = satisfied(values, bounds)
    return int(np.argmax(kept)) if kept.any() else int(np.argmin(excess(values, bounds)))


def _count(values: Values) -> int:
    return len(next(iter(values.values())))
