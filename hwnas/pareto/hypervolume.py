"""Exact hypervolume: the volume that a set of points dominates below a reference point."""

from __future__ import annotations

import numpy as np

from hwnas.pareto.dominance import Costs, non_dominated


def hypervolume(costs: Costs, reference: Costs) -> float:
    """Volume dominated by ``costs`` and bounded by ``reference``; points beyond the reference add nothing.

    Two objectives are summed in one pass over the sorted front; more go through the exclusive volumes of While,
    Bradstreet and Barone (A fast way of calculating exact hypervolumes, IEEE TEVC 2012, section III).

    Args:
        costs: Shape ``(n, m)``, minimised.
        reference: Shape ``(m,)``.

    Raises:
        ValueError: The shapes do not fit, or a cost is NaN.
    """
    if len(costs) == 0:
        return 0.0
    points = np.asarray(costs, dtype=np.float64)
    corner = np.asarray(reference, dtype=np.float64)
    if corner.ndim != 1 or np.ndim(costs) != 2 or points.shape[1] != len(corner):
        raise ValueError(f"expected costs (n, m) and reference (m,), received {np.shape(costs)} and {corner.shape}")
    if np.isnan(points).any() or np.isnan(corner).any():
        raise ValueError("expected numbers as costs, received NaN; leave failed evaluations out")
    if np.isneginf(points).any() or np.isinf(corner).any():
        raise ValueError("expected costs above minus infinity and a finite reference, received infinities")
    inside = np.unique(points[(points < corner).all(axis=1)], axis=0)
    front = inside[non_dominated(inside)]
    return _volume(front, corner)


def _volume(front: Costs, corner: Costs) -> float:
    if len(front) == 0:
        return 0.0
    if front.shape[1] == 1:
        return float(corner[0] - front.min())
    if front.shape[1] == 2:
        ordered = front[np.argsort(front[:, 0])]
        right = np.append(ordered[1:, 0], corner[0])
        return float(((right - ordered[:, 0]) * (corner[1] - ordered[:, 1])).sum())
    total = 0.0
    for i, point in enumerate(front):
        covered = np.unique(np.maximum(front[i + 1 :], point), axis=0)
        total += float(np.prod(corner - point)) - _volume(covered[non_dominated(covered)], corner)
    return total
