"""What of a space is within some limits: the figures, and the refusal of limits that nothing satisfies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import cached_property
from typing import Any

from hwnas.core import Architecture, InfeasibleError
from hwnas.objectives.catalog import COSTS

_TARGETS = {cost.name: target for target, cost in COSTS.items()}


@dataclass(frozen=True, kw_only=True)
class Share:
    """How much of a space is within something.

    Attributes:
        value: In [0, 1].
        error: Standard error; 0 where everything was counted. Of a sample it is that of one more hit and one more miss,
            so that finding none does not pass for certainty.
    """

    value: float
    error: float

    def to_json(self) -> dict[str, float]:
        """As JSON values."""
        return {"value": self.value, "standard_error": self.error}


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far a space reaches in one cost.

    Attributes:
        cost: Its name, such as ``"latency_ms"``; its unit is that of every figure here.
        least: Smallest value of the space.
        most: Largest value.
        limit: What is asked for; ``None`` for a cost that is not limited.
        share: Of the architectures within that limit alone.
        within: Smallest value among the architectures that satisfy all other limits; ``None`` where these were not
            found to go together.
    """

    cost: str
    least: float
    most: float
    limit: float | None
    share: Share
    within: float | None

    @property
    def target(self) -> str:
        """The cost as the command line names it, such as ``"latency"``."""
        return _TARGETS[self.cost]

    @property
    def unit(self) -> str:
        """Unit of the cost."""
        return COSTS[self.target].unit

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "cost": self.cost,
            "unit": self.unit,
            "limit": self.limit,
            "least": self.least,
            "most": self.most,
            "share": self.share.to_json(),
            "least_within_other_limits": self.within,
        }


@dataclass(frozen=True, kw_only=True)
class Feasibility:
    """What limits leave of a space.

    Attributes:
        space: Its name.
        size: Architectures in it.
        looked_at: Architectures that the shares were counted among.
        reaches: One for each cost.
        share: Of the architectures within all limits.
        example: An architecture within all limits; ``None`` where none was found.
        nearest: Limits that can be met together, those with the least relative excess over what is asked for.
    """

    space: str
    size: float
    looked_at: int
    reaches: tuple[Reach, ...]
    share: Share
    example: Architecture | None
    nearest: Mapping[str, float]

    @property
    def exact(self) -> bool:
        """Whether every architecture was looked at."""
        return self.looked_at == self.size

    @property
    def limited(self) -> tuple[Reach, ...]:
        """The costs that are limited."""
        return tuple(reach for reach in self.reaches if reach.limit is not None)

    def require(self) -> Architecture:
        """An architecture within all limits, the proof that a search can begin.

        Raises:
            InfeasibleError: There is none; the message names what each limit, and which alone or together, has to be.
        """
        if self.example is not None:
            return self.example
        lines = [
            f"--max-{reach.target} {reach.limit:g}{reach.unit}: the smallest reachable value is "
            f"{_written(reach.cost, reach.least)}"
            for reach in self.limited
        ]
        raise InfeasibleError(
            f"no architecture of space {self.space} satisfies the limits. {'; '.join(lines)}.{self._together()}",
            nearest={reach.cost: reach.least for reach in self.limited},
            alone=self._alone,
            together=self.nearest,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "space": self.space,
            "size": self.size,
            "looked_at": self.looked_at,
            "exact": self.exact,
            "costs": [reach.to_json() for reach in self.reaches],
            "share": self.share.to_json(),
            "feasible": self.example is not None,
            "nearest_limits": dict(self.nearest),
        }

    @cached_property
    def _alone(self) -> dict[str, float]:
        """What a limit has to become so that all can be met while the others stay, where that is enough."""
        if len(self.limited) < 2:
            return {}
        return {reach.cost: reach.within for reach in self.limited if reach.within is not None}

    def _together(self) -> str:
        """Which limit has to give way, in words; nothing where there is but one."""
        if len(self.limited) == 1:
            return ""
        if self._alone:
            cures = [f"--max-{_TARGETS[name]} {_written(name, value)}" for name, value in self._alone.items()]
            cure = f"With the others as they are it takes {' or '.join(cures)}."
        else:
            cures = [f"--max-{_TARGETS[name]} {_written(name, value)}" for name, value in self.nearest.items()]
            cure = f"More than one has to give way; the nearest that can be met are {' '.join(cures)}."
        return f" No architecture was found that satisfies all of them together. {cure}"


def _written(cost: str, value: float) -> str:
    """A value to put behind an option, with its unit."""
    return f"{round_up(value):g}{COSTS[_TARGETS[cost]].unit}"


def round_up(value: float) -> float:
    """Four digits, never below the value, so that the figure named in a message is itself feasible."""
    exact = Decimal(value)
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 3), rounding=ROUND_CEILING))
