"""Exact hypervolume: the volume that a set of points dominates below a reference point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwnas.pareto.bounds import local_upper_bounds
from hwnas.pareto.dominance import Costs, non_dominated


def hypervolume(costs: Costs, reference: Costs) -> float:
    """Volume dominated by ``costs`` and bounded by ``reference``; points beyond the reference add nothing.

    Two objectives are summed in one pass over the sorted front. More are summed over the boxes that the local upper
    bounds of the front make (Lacour, Klamroth and Fonseca, A box decomposition algorithm to compute the hypervolume
    indicator, Computers & Operations Research 2017, equation 3).

    Args:
        costs: Shape ``(n, m)``, minimised.
        reference: Shape ``(m,)``.

    Raises:
        ValueError: The shapes do not fit, or a cost is NaN.
    """
    inside, corner = _inside(costs, reference)
    return _volume(inside[non_dominated(inside)], corner)


def hypervolume_contributions(costs: Costs, reference: Costs) -> NDArray[np.float64]:
    """What each point alone adds: the hypervolume with it less that without it.

    Args:
        costs: Shape ``(n, m)``, minimised.
        reference: Shape ``(m,)``.

    Returns:
        Shape ``(n,)``; 0 for what is dominated, repeated, or beyond the reference.

    Raises:
        ValueError: The shapes do not fit, or a cost is NaN.
    """
    inside, corner = _inside(costs, reference)
    kept = non_dominated(inside)
    front = inside[kept]
    alone = (
        _contributions_2(front, corner) if kept.all() and len(corner) == 2 else _contributions(front, inside, corner)
    )
    added = np.zeros(len(costs))
    for point, volume in zip(front, alone, strict=True):
        owners = np.flatnonzero((np.asarray(costs) == point).all(axis=1))
        added[owners] = volume if len(owners) == 1 else 0.0
    return added


def _inside(costs: Costs, reference: Costs) -> tuple[Costs, Costs]:
    """The points below the reference, each once and in lexicographic order, and the reference."""
    points, corner = np.asarray(costs, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if len(points) == 0:
        return np.zeros((0, corner.size)), corner
    if corner.ndim != 1 or points.ndim != 2 or points.shape[1] != len(corner):
        raise ValueError(f"expected costs (n, m) and reference (m,), received {np.shape(costs)} and {corner.shape}")
    if np.isnan(points).any() or np.isnan(corner).any():
        raise ValueError("expected numbers as costs, received NaN; leave failed evaluations out")
    if np.isneginf(points).any() or np.isinf(corner).any():
        raise ValueError("expected costs above minus infinity and a finite reference, received infinities")
    return np.unique(points[(points < corner).all(axis=1)], axis=0), corner


def _volume(front: Costs, corner: Costs) -> float:
    if len(front) == 0:
        return 0.0
    if front.shape[1] == 1:
        return float(corner[0] - front.min())
    if front.shape[1] == 2:
        right = np.append(front[1:, 0], corner[0])  # the front is sorted by its first cost
        return float(((right - front[:, 0]) * (corner[1] - front[:, 1])).sum())
    bounds, makers = local_upper_bounds(front, corner)  # (u, m), (u, m, m)
    volumes = corner[0] - bounds[:, 0]
    for j in range(1, len(corner)):
        volumes = volumes * np.maximum(bounds[:, j] - makers[:, :j, j].max(axis=1), 0.0)
    return float(volumes.sum())


def _contributions_2(front: Costs, corner: Costs) -> NDArray[np.float64]:
    right = np.append(front[1:, 0], corner[0])
    above = np.append(corner[1], front[:-1, 1])
    return np.asarray((right - front[:, 0]) * (above - front[:, 1]))


def _contributions(front: Costs, inside: Costs, corner: Costs) -> NDArray[np.float64]:
    """The box of each point of the front less what others dominate of it, those that it hides itself among them."""
    alone = np.prod(corner - front, axis=1)
    for i, point in enumerate(front):
        others = inside[(inside != point).any(axis=1)]
        covered = np.unique(np.maximum(others, point), axis=0)
        alone[i] -= _volume(covered[non_dominated(covered)], corner)
    return np.asarray(np.maximum(alone, 0.0))
