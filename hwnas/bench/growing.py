"""Hypervolumes of a growing set of points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwnas.pareto import hypervolume

Array = NDArray[np.float64]


def hypervolumes(costs: Array, reference: Array) -> Array:
    """Hypervolume of the first 1, 2, … of some points, shape ``(n,)``.

    Args:
        costs: Shape ``(n, m)``, minimised.
        reference: Shape ``(m,)``.
    """
    found, front = np.zeros(len(costs)), np.zeros((0, len(reference)))
    for i, point in enumerate(costs):
        found[i] = found[i - 1] if i else 0.0
        if (point < reference).all() and not (front <= point).all(axis=1).any():
            if len(reference) > 2:  # what the point adds: its box less what others have of it, often a few boxes
                found[i] += np.prod(reference - point) - hypervolume(np.maximum(front, point), reference)
            front = np.vstack([front[~(front >= point).all(axis=1)], point])
            if len(reference) <= 2:
                found[i] = hypervolume(front, reference)
    return found
