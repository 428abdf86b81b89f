"""What of a space is within some limits: the figures, and the refusal of limits that nothing satisfies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property
from typing import Any

from hwnas.core import Architecture, InfeasibleError
from hwnas.objectives.bounds import Bound, target_of
from hwnas.objectives.catalog import COSTS, device_of_cost


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
        limit: What it may be at most; ``None`` for no limit.
        floor: What it has to be at least; ``None`` likewise.
        share: Of the architectures within these two alone.
        within: Smallest value among the architectures that satisfy all limits but ``limit``; ``None`` where these were
            not found to go together.
        most_within: Largest value among those that satisfy all limits but ``floor``; ``None`` likewise, and where there
            is no ``floor``.
    """

    cost: str
    least: float
    most: float
    limit: float | None
    share: Share
    within: float | None
    floor: float | None = None
    most_within: float | None = None

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Its limits."""
        sides = ((-1, self.floor), (1, self.limit))
        return tuple(Bound(cost=self.cost, value=value, sign=sign) for sign, value in sides if value is not None)

    @property
    def target(self) -> str:
        """The cost as the command line names it, such as ``"latency"``."""
        return target_of(self.cost)

    @property
    def device(self) -> str | None:
        """The device that it is of, where that is not the one of the table."""
        return device_of_cost(self.cost)

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
            "floor": self.floor,
            "least": self.least,
            "most": self.most,
            "share": self.share.to_json(),
            "least_within_other_limits": self.within,
            "most_within_other_limits": self.most_within,
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
        nearest: Limits that can be met together, by the names of their bounds, those with the least relative excess
            over what is asked for.
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
        return tuple(reach for reach in self.reaches if reach.bounds)

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """All limits."""
        return tuple(bound for reach in self.reaches for bound in reach.bounds)

    def require(self) -> Architecture:
        """An architecture within all limits, the proof that a search can begin.

        Raises:
            InfeasibleError: There is none; the message names what each limit that is out of reach by itself has to be,
                else what they all could be, and which alone or together has to give way.
        """
        if self.example is not None:
            return self.example
        reachable = {bound.name: self._end(bound) for bound in self.bounds}
        beyond = [bound for bound in self.bounds if bound.sign * reachable[bound.name] > bound.sign * bound.value]
        lines = [
            f"{bound}: the {'smallest' if bound.sign > 0 else 'largest'} reachable value is "
            f"{_rounded(bound, reachable[bound.name])}{bound.unit}"
            for bound in beyond or self.bounds
        ]
        raise InfeasibleError(
            f"no architecture of space {self.space} satisfies the limits. {'; '.join(lines)}.{self._together()}",
            nearest=reachable,
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
        if len(self.bounds) < 2:
            return {}
        found = {}
        for reach in self.reaches:
            for bound in reach.bounds:
                value = reach.within if bound.sign > 0 else reach.most_within
                if value is not None:
                    found[bound.name] = value
        return found

    def _end(self, bound: Bound) -> float:
        """How far the space reaches where a bound asks for more."""
        reach = next(one for one in self.reaches if one.cost == bound.cost)
        return reach.least if bound.sign > 0 else reach.most

    def _together(self) -> str:
        """Which limit has to give way, in words; nothing where there is but one."""
        if len(self.bounds) == 1:
            return ""
        by_name = {bound.name: bound for bound in self.bounds}
        if self._alone:
            cures = [f"{by_name[name].option} {_written(by_name[name], value)}" for name, value in self._alone.items()]
            cure = f"With the others as they are it takes {' or '.join(cures)}."
        else:
            cures = [f"{by_name[name].option} {_written(by_name[name], value)}" for name, value in self.nearest.items()]
            cure = f"More than one has to give way; the nearest that can be met are {' '.join(cures)}."
        return f" No architecture was found that satisfies all of them together. {cure}"


def _written(bound: Bound, value: float) -> str:
    """A value to put behind an option."""
    return bound.argument(_rounded(bound, value))


def _rounded(bound: Bound, value: float) -> str:
    """A value in the cost's unit, rounded so that what it names can be reached."""
    return f"{round_up(value) if bound.sign > 0 else round_down(value):g}"


def round_up(value: float) -> float:
    """Four digits, never below the value, so that the figure named in a message is itself feasible."""
    return _four_digits(value, ROUND_CEILING)


def round_down(value: float) -> float:
    """Likewise, never above it."""
    return _four_digits(value, ROUND_FLOOR)


def _four_digits(value: float, rounding: str) -> float:
    exact = Decimal(value)
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 3), rounding=rounding))
