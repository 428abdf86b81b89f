"""Objectives: what a search trades against each other, and how each is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["minimize", "maximize"]
Known = Literal["tabulated", "modelled", "measured", "trained"]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One quantity a search improves.

    Inside the library every objective is minimised: ``to_cost`` and ``from_cost`` are where the sign changes.

    Attributes:
        name: For example ``"latency_ms"``; ends in the unit where there is one.
        unit: Unit as people write it; empty for a pure number.
        direction: Whether small or large values are good.
        known: ``tabulated`` and ``modelled`` values are known before anything is trained; ``trained`` ones cost a
            training each; ``measured`` ones a run on the device.
    """

    name: str
    unit: str
    direction: Direction
    known: Known

    @property
    def expensive(self) -> bool:
        """Whether a value has to be paid for with a training or a measurement."""
        return self.known in {"measured", "trained"}

    def to_cost(self, value: float) -> float:
        """The value with the sign that makes smaller better."""
        return -value if self.direction == "maximize" else value

    def from_cost(self, cost: float) -> float:
        """Undoes ``to_cost``."""
        return self.to_cost(cost)
