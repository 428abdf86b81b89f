"""Who of some architectures of a level is better, with several objectives: crowding, or hypervolume contributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwnas.pareto import hypervolume_contributions, levels

Costs = NDArray[np.float64]


def crowding(costs: Costs) -> NDArray[np.float64]:
    """Crowding distances within one level, shape ``(n,)``; infinite at the ends of each objective.

    Args:
        costs: Shape ``(n, m)``, minimised; an objective in which the points do not differ does not count.

    References:
        Deb et al. 2002, section III-B.
    """
    distance = np.zeros(len(costs))
    for column in costs.T:
        extent = float(np.ptp(column)) if len(column) else 0.0
        if extent == 0.0:
            continue
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        gaps = np.full(len(column), np.inf)
        gaps[1:-1] = (ordered[2:] - ordered[:-2]) / extent
        distance[order] += gaps
    return distance


def best_first(costs: Costs, reference: Costs, *, level: NDArray[np.int64] | None = None) -> NDArray[np.intp]:
    """Indices of points from the best to the worst: by level, within a level by the hypervolume they contribute to it.

    Args:
        costs: Shape ``(n, m)``, minimised.
        reference: Bound of the hypervolume, shape ``(m,)``.
        level: Level of each point, where it was found among more points than these; shape ``(n,)``.

    Returns:
        Shape ``(n,)``; equals stand in the order they came in.
    """
    levels_ = levels(costs) if level is None else level
    share = np.zeros(len(costs))
    for one in np.unique(levels_):
        members = levels_ == one
        share[members] = hypervolume_contributions(costs[members], reference)
    return np.lexsort((-share, levels_))
