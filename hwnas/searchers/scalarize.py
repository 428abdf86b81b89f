"""One figure of merit for several objectives: what searchers made for a single objective are given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-3  # entry of a direction: an objective is divided by it


@dataclass(frozen=True)
class Merit:
    """How good a point is as one number, larger is better.

    One objective: the cost with its sign turned. Several: the hypervolume scalarisation of Zhang and Golovin (Random
    hypervolume scalarizations for provable multi-objective black box optimization, ICML 2020, section 3): the least of
    the objectives' gains over the reference point, each divided by its entry of a random direction; gains are measured
    in units of the largest seen. For a direction drawn anew again and again, the largest such figure is on average what
    the hypervolume is, so that whoever maximises it in turn for many directions maximises the hypervolume.

    Attributes:
        reference: The point the hypervolume is bounded by, shape ``(m,)``.
        units: What a gain of each objective is divided by, shape ``(m,)``.
    """

    reference: NDArray[np.float64]
    units: NDArray[np.float64]

    @classmethod
    def along(cls, costs: NDArray[np.float64], reference: NDArray[np.float64], rng: np.random.Generator) -> Merit:
        """The merit along a random direction.

        Args:
            costs: Points seen, shape ``(n, m)``, minimised.
            reference: Shape ``(m,)``.
            rng: Draws the direction.
        """
        direction = np.maximum(np.abs(rng.standard_normal(len(reference))), _LEAST)
        if len(costs) == 0 or len(reference) == 1:
            return cls(reference, direction / direction.max())
        largest = (reference - costs).max(axis=0)
        spans = np.where(largest > 0, largest, np.maximum(np.ptp(costs, axis=0), 1e-12))
        return cls(reference, spans * direction / direction.max())

    def of(self, costs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Merits, shape ``(n,)``; of several objectives at most 1 for points seen, negative beyond the reference."""
        points = np.asarray(costs, dtype=np.float64).reshape(len(costs), len(self.reference))
        if points.shape[1] == 1:
            return -points[:, 0]
        return np.asarray(((self.reference - points) / self.units).min(axis=1))
