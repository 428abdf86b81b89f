"""Local upper bounds: the corners of the region that a front leaves open."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwnas.pareto.dominance import Costs


def local_upper_bounds(front: Costs, corner: Costs) -> tuple[Costs, NDArray[np.float64]]:
    """The largest corners below which there is no point of a front, and the points that make them.

    The region that is not dominated is the union of everything below one of these corners. Points come one by one, and
    each splits all corners above it at once (Klamroth, Lacour and Vanderpooten, On the representation of the search
    region in multi-objective optimization, EJOR 2015, algorithm 3).

    Args:
        front: Non-dominated points below the corner, shape ``(n, m)``.
        corner: The reference, shape ``(m,)``.

    Returns:
        The bounds, shape ``(u, m)``, and the points that define each of their coordinates, shape ``(u, m, m)``: entry
        ``(i, k)`` is the point whose coordinate k is that of bound i. Where the corner itself defines coordinate k, the
        other coordinates of that point are the least of the front.
    """
    width = len(corner)
    bounds = corner[None].copy()
    least = front.min(axis=0) if len(front) else corner
    makers = np.tile(least, (1, width, 1))
    makers[0, range(width), range(width)] = corner
    for point in front:
        above = (point < bounds).all(axis=1)
        split, made = bounds[above], makers[above]
        parts, owners = [bounds[~above]], [makers[~above]]
        for j in range(width):
            others = [k for k in range(width) if k != j]
            kept = (point[j] >= made[:, others, j]).all(axis=1)  # else another corner reaches as far
            lowered, owned = split[kept], made[kept]
            lowered[:, j], owned[:, j] = point[j], point
            parts.append(lowered)
            owners.append(owned)
        bounds, makers = np.concatenate(parts), np.concatenate(owners)
    return bounds, makers
