"""The non-dominated among points that come one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwnas.pareto.dominance import Costs, non_dominated

T = TypeVar("T")


class Front(Generic[T]):
    """The points that no other dominates, each with what it is the cost of; of equal points all are kept.

    A further point is held against the front alone, not against every point before it.

    Args:
        members: What the first points belong to, ``n`` of them.
        costs: The first points, shape ``(n, m)``, minimised.

    Raises:
        ValueError: There are not as many members as points, or a cost is NaN.
    """

    def __init__(self, members: Sequence[T], costs: Costs) -> None:
        points = np.asarray(costs, dtype=np.float64)
        if len(members) != len(points):
            raise ValueError(f"expected a member for each of {len(points)} points, received {len(members)}")
        kept = non_dominated(points)
        self._members = [member for member, good in zip(members, kept, strict=True) if good]
        self._costs: Costs = points[kept]

    @property
    def members(self) -> tuple[T, ...]:
        """What is on the front, in the order it came."""
        return tuple(self._members)

    @property
    def costs(self) -> Costs:
        """Their costs, shape ``(k, m)``."""
        return self._costs

    def admits(self, cost: ArrayLike) -> bool:
        """Whether a point of shape ``(m,)`` would be on the front.

        Raises:
            ValueError: The shape does not fit, or a cost is NaN.
        """
        point = self._checked(cost)
        return not _over(self._costs, point).any()

    def add(self, member: T, cost: ArrayLike) -> bool:
        """Takes a point of shape ``(m,)``; what it dominates leaves.

        Returns:
            Whether the point is on the front, which is otherwise what it was.

        Raises:
            ValueError: As of ``admits``.
        """
        if not self.admits(cost):
            return False
        point = self._checked(cost)
        stays = ~_over(point, self._costs)
        if not stays.all():
            self._members = [other for other, good in zip(self._members, stays, strict=True) if good]
        self._members.append(member)
        self._costs = np.concatenate([self._costs[stays], point[None]])
        return True

    def _checked(self, cost: ArrayLike) -> Costs:
        point = np.asarray(cost, dtype=np.float64)
        if point.shape != self._costs.shape[1:]:
            raise ValueError(f"expected a point of shape {self._costs.shape[1:]}, received {point.shape}")
        if np.isnan(point).any():
            raise ValueError("expected numbers as costs, received NaN; leave failed evaluations out")
        return point


def _over(some: Costs, others: Costs) -> NDArray[np.bool_]:
    """Whether the one dominates the other, of every pair of points; one of shape ``(m,)`` pairs with all."""
    return np.asarray((some <= others).all(axis=-1) & (some < others).any(axis=-1))
