"""Continuous choices: a number between two bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwnas.core import UsageError, Value

_STEP = 0.1  # standard deviation of a mutation, as a share of the interval
STEPS = (0.25, 0.05, 0.01, 0.001)  # of neighbours, as shares of the interval: far enough to leave, near enough to end


@dataclass(frozen=True)
class Interval:
    """A continuous choice; it always exists.

    Attributes:
        name: Unique in its space.
        low: Smallest value.
        high: Largest value.

    Raises:
        UsageError: The bounds are not finite, or not in order.
    """

    name: str
    low: float
    high: float

    ordinal: ClassVar[bool] = True
    parent: ClassVar[str | None] = None
    when: ClassVar[frozenset[Value]] = frozenset()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UsageError(
                f"interval {self.name!r}: expected two finite bounds, the lower first, received {self.low} and "
                f"{self.high}"
            )

    @property
    def options(self) -> tuple[Value, ...]:
        """What a ``Choice`` has and an interval has not.

        Raises:
            UsageError: Always, so that code made for finite spaces says so instead of finding nothing to choose from.
        """
        raise UsageError(
            f"choice {self.name!r} is continuous, any number from {self.low:g} to {self.high:g}: what was asked for "
            "needs a search space of finite choices"
        )

    def value(self, received: object) -> float:
        """The number a value stands for.

        Raises:
            UsageError: It is none, or lies outside the bounds.
        """
        number = not isinstance(received, bool) and isinstance(received, int | float | np.integer | np.floating)
        if not number or not self.low <= float(received) <= self.high:  # type: ignore[arg-type]
            raise UsageError(
                f"choice {self.name!r}: expected a number from {self.low:g} to {self.high:g}, received {received!r}"
            )
        return float(received)  # type: ignore[arg-type]

    def scaled(self, value: float) -> float:
        """The value's place in the interval, 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    def at(self, place: float) -> float:
        """The value at a place from 0 to 1; the inverse of ``scaled``, never outside the bounds."""
        return min(max(self.low + place * (self.high - self.low), self.low), self.high)

    def drawn(self, rng: np.random.Generator, *, tilt: float = 0.0) -> float:
        """A random value, with a density from 1 at the lower end to ``exp(tilt)`` at the upper; 0 is uniform."""
        place = rng.random()
        return self.at(math.log1p(place * math.expm1(tilt)) / tilt if tilt else place)

    def stepped(self, value: float, rng: np.random.Generator) -> float:
        """A value a Gaussian step away, reflected at the bounds so that the ends draw nothing in."""
        place = self.scaled(value) + _STEP * rng.standard_normal()
        place = abs(place) % 2
        return self.at(2 - place if place > 1 else place)

    def near(self, value: float) -> list[float]:
        """Values a few steps of several sizes away, up and down, those at the bounds among them."""
        place = self.scaled(value)
        moved = [self.at(min(max(place + sign * step, 0.0), 1.0)) for step in STEPS for sign in (-1, 1)]
        return [other for other in dict.fromkeys(moved) if other != value]
