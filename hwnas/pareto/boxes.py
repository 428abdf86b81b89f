"""Box decompositions: the region that no point dominates, in columns along one objective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.pareto.dominance import Costs, non_dominated


@dataclass(frozen=True)
class Boxes:
    """Disjoint boxes that fill the non-dominated region below a reference point.

    Every box is a column: in the objective it is built along it reaches down without end, up to a height that is the
    best cost there of the points that dominate the box in the other objectives.

    Attributes:
        lower: Shape ``(b, m)``; minus infinity where a box is open.
        upper: Shape ``(b, m)``.
        along: Position of the objective that the columns stand along.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    along: int

    @property
    def heights(self) -> NDArray[np.float64]:
        """Upper end of each column, shape ``(b,)``."""
        return np.asarray(self.upper[:, self.along])


def non_dominated_boxes(costs: Costs, reference: Costs, *, along: int = 0) -> Boxes:
    """Cuts the region that no point dominates into columns along one objective.

    The points come in ascending order of that objective, and each takes from the region still open, in the space of the
    other objectives, the part that it dominates; there it is the best. What is open at the end has the height of
    the reference. With two objectives that is one pass over the sorted front, and one box a point and one more.

    Args:
        costs: Points, shape ``(n, m)``, minimised; those that are dominated or beyond the reference do not matter.
        reference: Shape ``(m,)``.
        along: Position of the objective along which columns stand.

    Raises:
        ValueError: The shapes do not fit, or a cost is NaN.
    """
    corner = np.asarray(reference, dtype=np.float64)
    points = np.asarray(costs, dtype=np.float64).reshape(-1, len(corner))
    if np.isnan(points).any() or np.isnan(corner).any():
        raise ValueError("expected numbers as costs, received NaN; leave failed evaluations out")
    points = points[(points < corner).all(axis=1)]
    points = np.unique(points[non_dominated(points)], axis=0)
    points = points[np.argsort(points[:, along], kind="stable")]
    others = [j for j in range(len(corner)) if j != along]
    lower, upper = np.full((1, len(others)), -np.inf), corner[None, others]  # what is open, in the other objectives
    taken: list[tuple[NDArray[np.float64], NDArray[np.float64], float]] = []
    for point in points:
        (low, high), (lower, upper) = _cut(lower, upper, point[others])
        taken.append((low, high, float(point[along])))
    taken.append((lower, upper, float(corner[along])))
    return _columns(taken, others, along)


def _cut(
    lower: Costs, upper: Costs, point: Costs
) -> tuple[tuple[Costs, Costs], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Splits boxes of shape ``(b, k)`` into what a point dominates of them and disjoint boxes of the rest."""
    hit = (point < upper).all(axis=1)
    rest_lower, rest_upper = [lower[~hit]], [upper[~hit]]
    low, high = lower[hit], upper[hit]
    for j, bound in enumerate(point):
        below = low[:, j] < bound
        part = high[below]
        part[:, j] = bound
        rest_lower.append(low[below])
        rest_upper.append(part)
        low[:, j] = np.maximum(low[:, j], bound)
    return (low, high), (np.concatenate(rest_lower), np.concatenate(rest_upper))


def _columns(taken: list[tuple[Costs, Costs, float]], others: list[int], along: int) -> Boxes:
    count = sum(len(low) for low, _, _ in taken)
    lower, upper = np.full((2, count, len(others) + 1), -np.inf)
    lower[:, others] = np.concatenate([low for low, _, _ in taken])
    upper[:, others] = np.concatenate([high for _, high, _ in taken])
    upper[:, along] = np.repeat([height for _, _, height in taken], [len(low) for low, _, _ in taken])
    return Boxes(lower, upper, along)
