"""Pareto dominance. All costs are minimised; arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]

_FEW = 64  # points up to which all pairs are compared at once


def dominates(costs: Costs) -> NDArray[np.bool_]:
    """Who dominates whom.

    Args:
        costs: Shape ``(n, m)``.

    Returns:
        Shape ``(n, n)``: entry ``(i, j)`` is true when point i is nowhere worse than point j and somewhere better.

    Raises:
        ValueError: A cost is NaN.
    """
    points = np.asarray(costs, dtype=np.float64)
    if np.isnan(points).any():
        raise ValueError("expected numbers as costs, received NaN; leave failed evaluations out")
    no_worse = (points[:, None, :] <= points[None, :, :]).all(axis=-1)  # (n, n)
    better = (points[:, None, :] < points[None, :, :]).any(axis=-1)  # (n, n)
    return np.asarray(no_worse & better)


def dominance_counts(costs: Costs) -> NDArray[np.int64]:
    """How many of the points dominate each point, shape ``(n,)``; 0 for the non-dominated."""
    return np.asarray(dominates(costs).sum(axis=0), dtype=np.int64)


def non_dominated(costs: Costs) -> NDArray[np.bool_]:
    """Mask of the non-dominated points, shape ``(n,)``; of equal points all are kept.

    Raises:
        ValueError: A cost is NaN.
    """
    if len(costs) <= _FEW:
        return np.asarray(dominance_counts(costs) == 0) if len(costs) else np.zeros(0, dtype=np.bool_)
    points = np.asarray(costs, dtype=np.float64)
    if np.isnan(points).any():
        raise ValueError("expected numbers as costs, received NaN; leave failed evaluations out")
    kept = np.zeros(len(points), dtype=np.bool_)
    left = np.lexsort(points.T[::-1])  # what dominates a point stands before it
    while len(left):
        first = points[left[0]]
        kept[left[0]] = True
        rivals = points[left[1:]]
        beaten = (first <= rivals).all(axis=1) & (first < rivals).any(axis=1)
        left = left[1:][~beaten]
    return kept


def levels(costs: Costs) -> NDArray[np.int64]:
    """Non-domination levels, shape ``(n,)``: 0 for the non-dominated, 1 for those only level 0 dominates, and so on.

    Args:
        costs: Shape ``(n, m)``, minimised.

    References:
        Deb et al., A fast and elitist multiobjective genetic algorithm: NSGA-II, IEEE TEVC 2002, section III-A.
    """
    found = np.full(len(costs), -1, dtype=np.int64)
    if len(costs) == 0:
        return found
    over = dominates(costs)  # (n, n)
    dominators = over.sum(axis=0)
    level = 0
    while (found < 0).any():
        front = (found < 0) & (dominators == 0)
        found[front] = level
        dominators -= over[front].sum(axis=0)
        level += 1
    return found


def knee(costs: Costs) -> int:
    """Index of the knee: the non-dominated point nearest to the ideal point.

    Distances are Euclidean, after every objective of the non-dominated set is scaled to [0, 1]; an objective in which
    the set does not differ does not count.

    Args:
        costs: Shape ``(n, m)``, ``n`` at least 1.

    Raises:
        ValueError: There are no points, or a cost is not finite.
    """
    if len(costs) == 0 or not np.isfinite(costs).all():
        raise ValueError("expected at least one point to find a knee, and finite costs")
    members = np.flatnonzero(non_dominated(costs))
    front = np.asarray(costs, dtype=np.float64)[members]
    extent = front.max(axis=0) - front.min(axis=0)
    scaled = (front - front.min(axis=0)) / np.where(extent > 0, extent, 1.0)
    return int(members[np.argmin((scaled**2).sum(axis=1))])
