"""Looks through a space beside some limits, before anything is trained.

Spaces that can be listed are looked through to the last architecture. Of larger ones a sample in which every
architecture is as likely tells the shares, and descents find the ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.objectives.bounds import Bound, Values, excess, nearest, satisfied
from hwnas.objectives.catalog import COSTS, KnownCosts
from hwnas.objectives.descent import descents, lowest
from hwnas.objectives.feasibility import Feasibility, Reach, Share
from hwnas.spaces import ArchitectureCodes, SearchSpace

MOST_COUNTED = 100_000  # architectures that are all looked at: seconds
_DRAWN = 20_000  # architectures of a larger space
_WEIGHTS = (0.03, 0.3, 3.0)  # of the other limits, beside a cost that is to be small, or large, under them
_FORBIDDING = 1e6  # weight of a broken limit


def feasibility(
    space: SearchSpace, costs: KnownCosts, bounds: Sequence[Bound], *, also: Iterable[str] = ()
) -> Feasibility:
    """What limits leave of a space.

    Args:
        space: The space.
        costs: Of its architectures.
        bounds: The limits.
        also: Costs to tell the reach of though they are not limited.

    Raises:
        MissingRowError: The latency table lacks a block of the space.
    """
    asked = dict.fromkeys([*(bound.cost for bound in bounds), *also])
    plain = [cost.name for cost in COSTS.values()]
    names = [*(name for name in plain if name in asked), *(name for name in asked if name not in plain)]
    codes = ArchitectureCodes(space)
    if space.size <= MOST_COUNTED:
        return _Look(space, costs, bounds, space.listed).counted(names)
    pool = codes.decode(codes.sample(np.random.default_rng(0), _DRAWN, evenly=True))
    return _Look(space, costs, bounds, pool).sought(names)


@dataclass(frozen=True)
class _Ends:
    """The smallest and the largest value of a cost; ``None`` where nothing was found."""

    least: float | None
    most: float | None


class _Look:
    """Architectures of a space beside the limits.

    Args:
        space: The space.
        costs: Of its architectures.
        bounds: The limits.
        pool: Architectures to look at.
    """

    def __init__(
        self, space: SearchSpace, costs: KnownCosts, bounds: Sequence[Bound], pool: Sequence[Architecture]
    ) -> None:
        self._space, self._costs, self._bounds = space, costs, tuple(bounds)
        self._pool, self._values = pool, costs.values(pool)

    def counted(self, names: Sequence[str]) -> Feasibility:
        """Where the pool is the space."""
        ends = {name: (float(self._values[name].min()), float(self._values[name].max())) for name in names}
        within = {
            name: _Ends(
                self._end_of(self._values, name, 1),
                self._end_of(self._values, name, -1) if self._own(name, -1) else None,
            )
            for name in names
        }
        return self._found(names, ends, within, best=self._pool[nearest(self._values, self._bounds)])

    def sought(self, names: Sequence[str]) -> Feasibility:
        """Where the pool is a sample."""
        ends, tried = {}, []
        for name in names:
            low, high = self._extreme(name, 1), self._extreme(name, -1)
            ends[name] = (self._value(low, name), self._value(high, name))
            tried += [low, high]
        within = {}
        for place, name in enumerate(names):
            found = {}
            for sign in (1, -1) if self._own(name, -1) else (1,):
                others = self._others(name, sign)
                known = tried[2 * place + (sign < 0)]
                architectures = self._under(name, sign, others) if others else [known]
                found[sign] = self._end_of(self._costs.values(architectures), name, sign)
                tried += architectures
            within[name] = _Ends(found[1], found.get(-1))
        if self._bounds:
            tried.append(lowest(self._space, lambda batch: excess(self._costs.values(batch), self._bounds), also=tried))
        tried.append(self._pool[nearest(self._values, self._bounds)])
        best = tried[nearest(self._costs.values(tried), self._bounds)]
        return self._found(names, ends, within, best=best)

    def _found(
        self,
        names: Sequence[str],
        ends: Mapping[str, tuple[float, float]],
        within: Mapping[str, _Ends],
        *,
        best: Architecture,
    ) -> Feasibility:
        own = self._costs.values([best])
        reaches = []
        for name in names:
            upper, lower = self._own(name, 1), self._own(name, -1)
            reaches.append(
                Reach(
                    cost=name,
                    least=ends[name][0],
                    most=ends[name][1],
                    limit=upper[0].value if upper else None,
                    floor=lower[0].value if lower else None,
                    share=self._share([*upper, *lower]),
                    within=within[name].least,
                    most_within=within[name].most,
                )
            )
        return Feasibility(
            space=self._space.name,
            size=self._space.size,
            looked_at=len(self._pool),
            reaches=tuple(reaches),
            share=self._share(self._bounds),
            example=best if satisfied(own, self._bounds)[0] else None,
            nearest={
                bound.name: float(own[bound.cost][0] if not bound.kept(own)[0] else bound.value)
                for bound in self._bounds
            },
        )

    def _own(self, name: str, sign: int) -> list[Bound]:
        """The bound of a cost on one side, if there is one."""
        return [bound for bound in self._bounds if (bound.cost, bound.sign) == (name, sign)]

    def _others(self, name: str, sign: int) -> list[Bound]:
        return [bound for bound in self._bounds if (bound.cost, bound.sign) != (name, sign)]

    def _share(self, bounds: Sequence[Bound]) -> Share:
        n = len(self._pool)
        hits = int(satisfied(self._values, bounds).sum())
        if n == self._space.size or not bounds:
            return Share(value=hits / n, error=0.0)
        smoothed = (hits + 1) / (n + 2)
        return Share(value=hits / n, error=math.sqrt(smoothed * (1 - smoothed) / n))

    def _extreme(self, name: str, sign: int) -> Architecture:
        """The architecture with the smallest (sign 1) or largest (-1) value of a cost."""
        start = self._pool[int(np.argmin(sign * self._values[name]))]
        return lowest(self._space, lambda batch: sign * self._costs.values(batch)[name], also=[start])

    def _under(self, name: str, sign: int, others: Sequence[Bound]) -> list[Architecture]:
        """Architectures with small (sign 1) or large (-1) values of a cost under the other limits.

        A descent that must not leave the limits gets stuck at them; one that pays for coming near does not. So starts
        come from several prices, and the strict descent follows.
        """
        scale = float(np.median(self._values[name]))

        def paying(batch: Sequence[Architecture], weight: float) -> NDArray[np.float64]:
            values = self._costs.values(batch)
            paid = sum((one.sign * values[one.cost] / one.value for one in others), np.zeros(len(batch)))
            return sign * values[name] / scale + weight * paid

        def strict(batch: Sequence[Architecture]) -> NDArray[np.float64]:
            values = self._costs.values(batch)
            return sign * values[name] / scale + _FORBIDDING * excess(values, others)

        inside = np.flatnonzero(satisfied(self._values, others))
        starts = [lowest(self._space, lambda batch, w=weight: paying(batch, w)) for weight in _WEIGHTS]  # type: ignore[misc]
        starts += [self._pool[i] for i in inside[np.argsort(sign * self._values[name][inside])[:4]]]
        return descents(self._space, strict, [*starts, lowest(self._space, strict, also=starts)])

    def _end_of(self, values: Values, name: str, sign: int) -> float | None:
        """The smallest (sign 1) or largest (-1) value of a cost among those that satisfy all other limits."""
        kept = satisfied(values, self._others(name, sign))
        return float(sign * (sign * values[name][kept]).min()) if kept.any() else None

    def _value(self, architecture: Architecture, name: str) -> float:
        return float(self._costs.values([architecture])[name][0])
