"""Looks through a space beside some limits, before anything is trained.

Spaces that can be listed are looked through to the last architecture. Of larger ones a sample in which every
architecture is as likely tells the shares, and descents find the ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.objectives.catalog import COSTS, KnownCosts
from hwnas.objectives.descent import descents, lowest
from hwnas.objectives.feasibility import Feasibility, Reach, Share
from hwnas.spaces import ArchitectureCodes, SearchSpace

MOST_COUNTED = 100_000  # architectures that are all looked at: seconds
_DRAWN = 20_000  # architectures of a larger space
_WEIGHTS = (0.03, 0.3, 3.0)  # of the other limits, beside a cost that is to be small under them
_FORBIDDING = 1e6  # weight of a broken limit

Values = Mapping[str, NDArray[np.float64]]


def feasibility(
    space: SearchSpace, costs: KnownCosts, upper: Mapping[str, float], *, also: Iterable[str] = ()
) -> Feasibility:
    """What limits leave of a space.

    Args:
        space: The space.
        costs: Of its architectures.
        upper: The limits by the cost's name, in the cost's unit.
        also: Costs to tell the reach of though they are not limited.

    Raises:
        MissingRowError: The latency table lacks a block of the space.
    """
    names = [cost.name for cost in COSTS.values() if cost.name in {*upper, *also}]
    codes = ArchitectureCodes(space)
    if space.size <= MOST_COUNTED:
        pool = list(space.listed)
        return _Look(space, costs, upper, pool).counted(names)
    pool = codes.decode(codes.sample(np.random.default_rng(0), _DRAWN, evenly=True))
    return _Look(space, costs, upper, pool).sought(names)


class _Look:
    """Architectures of a space beside the limits.

    Args:
        space: The space.
        costs: Of its architectures.
        upper: The limits.
        pool: Architectures to look at.
    """

    def __init__(
        self, space: SearchSpace, costs: KnownCosts, upper: Mapping[str, float], pool: Sequence[Architecture]
    ) -> None:
        self._space, self._costs, self._upper = space, costs, dict(upper)
        self._pool, self._values = pool, costs.values(pool)

    def counted(self, names: Sequence[str]) -> Feasibility:
        """Where the pool is the space."""
        within = {name: self._least_of(self._values, self._others(name), name) for name in names}
        ends = {name: (float(self._values[name].min()), float(self._values[name].max())) for name in names}
        return self._found(names, ends, within, best=self._pool[_nearest(self._values, self._upper)])

    def sought(self, names: Sequence[str]) -> Feasibility:
        """Where the pool is a sample."""
        ends, tried = {}, []
        for name in names:
            low = self._lowest(name, 1)
            high = self._lowest(name, -1)
            ends[name] = (self._value(low, name), self._value(high, name))
            tried.append(low)
        within: dict[str, float | None] = {}
        for name in names:
            others = self._others(name)
            found = self._under(name, others) if others else [tried[names.index(name)]]
            within[name] = self._least_of(self._costs.values(found), others, name)
            tried += found
        if self._upper:
            tried.append(lowest(self._space, lambda batch: excess(self._costs.values(batch), self._upper), also=tried))
        tried.append(self._pool[_nearest(self._values, self._upper)])
        best = tried[_nearest(self._costs.values(tried), self._upper)]
        return self._found(names, ends, within, best=best)

    def _found(
        self,
        names: Sequence[str],
        ends: Mapping[str, tuple[float, float]],
        within: Mapping[str, float | None],
        *,
        best: Architecture,
    ) -> Feasibility:
        own = self._costs.values([best])
        reaches = []
        for name in names:
            limit = self._upper.get(name)
            share = self._share({} if limit is None else {name: limit})
            low, high = ends[name]
            reaches.append(Reach(cost=name, least=low, most=high, limit=limit, share=share, within=within[name]))
        return Feasibility(
            space=self._space.name,
            size=self._space.size,
            looked_at=len(self._pool),
            reaches=tuple(reaches),
            share=self._share(self._upper),
            example=best if satisfied(own, self._upper)[0] else None,
            nearest={name: max(bound, float(own[name][0])) for name, bound in self._upper.items()},
        )

    def _others(self, name: str) -> dict[str, float]:
        return {other: bound for other, bound in self._upper.items() if other != name}

    def _share(self, upper: Mapping[str, float]) -> Share:
        n = len(self._pool)
        hits = int(satisfied(self._values, upper).sum())
        if n == self._space.size or not upper:
            return Share(value=hits / n, error=0.0)
        smoothed = (hits + 1) / (n + 2)
        return Share(value=hits / n, error=math.sqrt(smoothed * (1 - smoothed) / n))

    def _lowest(self, name: str, sign: int) -> Architecture:
        """The architecture with the smallest (sign 1) or largest (-1) value of a cost."""
        start = self._pool[int(np.argmin(sign * self._values[name]))]
        return lowest(self._space, lambda batch: sign * self._costs.values(batch)[name], also=[start])

    def _under(self, name: str, others: Mapping[str, float]) -> list[Architecture]:
        """Architectures with small values of a cost under the other limits.

        A descent that must not leave the limits gets stuck at them; one that pays for coming near does not. So starts
        come from several prices, and the strict descent follows.
        """
        scale = float(np.median(self._values[name]))

        def paying(batch: Sequence[Architecture], weight: float) -> NDArray[np.float64]:
            values = self._costs.values(batch)
            paid = sum((values[other] / bound for other, bound in others.items()), np.zeros(len(batch)))
            return values[name] / scale + weight * paid

        def strict(batch: Sequence[Architecture]) -> NDArray[np.float64]:
            values = self._costs.values(batch)
            return values[name] / scale + _FORBIDDING * excess(values, others)

        inside = np.flatnonzero(satisfied(self._values, others))
        starts = [lowest(self._space, lambda batch, w=weight: paying(batch, w)) for weight in _WEIGHTS]  # type: ignore[misc]
        starts += [self._pool[i] for i in inside[np.argsort(self._values[name][inside])[:4]]]
        return descents(self._space, strict, [*starts, lowest(self._space, strict, also=starts)])

    def _least_of(self, values: Values, others: Mapping[str, float], name: str) -> float | None:
        kept = satisfied(values, others)
        return float(values[name][kept].min()) if kept.any() else None

    def _value(self, architecture: Architecture, name: str) -> float:
        return float(self._costs.values([architecture])[name][0])


def excess(values: Values, upper: Mapping[str, float]) -> NDArray[np.float64]:
    """Sum of relative violations, shape ``(n,)``; 0 for what satisfies all limits.

    Args:
        values: Costs by name, each of shape ``(n,)``.
        upper: The limits.
    """
    total = np.zeros(len(next(iter(values.values()))))
    for name, bound in upper.items():
        total += np.maximum(values[name] / bound - 1, 0)
    return total


def satisfied(values: Values, upper: Mapping[str, float]) -> NDArray[np.bool_]:
    """Where all limits hold, shape ``(n,)``.

    Args:
        values: Costs by name, each of shape ``(n,)``.
        upper: The limits.
    """
    kept = np.ones(len(next(iter(values.values()))), dtype=np.bool_)
    for name, bound in upper.items():
        kept &= values[name] <= bound
    return kept


def _nearest(values: Values, upper: Mapping[str, float]) -> int:
    """The first that satisfies all limits, else the one with the least excess."""
    kept = satisfied(values, upper)
    return int(np.argmax(kept)) if kept.any() else int(np.argmin(excess(values, upper)))
