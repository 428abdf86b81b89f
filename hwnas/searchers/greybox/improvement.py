"""Expected hypervolume improvement in closed form, where some costs are exact and the others independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.pareto import Boxes
from hwnas.surrogates.warping import Warp

Values = NDArray[np.float64]

_AT_ONCE = 4_000_000  # entries of one block of candidates by boxes


@dataclass(frozen=True)
class Belief:
    """What is believed of one cost of some candidates.

    Attributes:
        warp: From the cost to what is normally distributed.
        means: Of the warped cost, shape ``(n,)``.
        variances: Of the warped cost, shape ``(n,)``.
    """

    warp: Warp
    means: Values
    variances: Values

    def widened(self, factor: float) -> Belief:
        """The same means, with every standard deviation so many times as large."""
        return Belief(self.warp, self.means, factor**2 * self.variances)

    def at(self, rows: NDArray[np.intp] | slice) -> Belief:
        """The belief about some of the candidates."""
        return Belief(self.warp, self.means[rows], self.variances[rows])


def expected_improvement(
    boxes: Boxes, exact: Values, beliefs: Sequence[Belief], *, cheap: Sequence[int], paid: Sequence[int]
) -> Values:
    """Expected hypervolume improvement of each of some candidates.

    A candidate with costs y adds to each box of the non-dominated region the part above y, and the sides of that part
    multiply: exactly known for exact costs, and for the others the expected overlap ``E[(u - y)+] - E[(l - y)+]``
    between the sides l and u, independent of one another. With one cost that is not exact, every box is a column and
    the sum is the one of the expected improvements over the column heights. (Two uncertain costs: Emmerich, Yang,
    Deutz, Wang and Fonseca, 2016, A multicriteria generalization of Bayesian global optimization.)

    Args:
        boxes: The non-dominated region.
        exact: Exact costs of the candidates, shape ``(n, k)``.
        beliefs: About the other costs, one each.
        cheap: Positions of the exact objectives, in the order of the columns of ``exact``.
        paid: Positions of the others, in the order of ``beliefs``.

    Returns:
        Shape ``(n,)``, in the product of the units of all costs.
    """
    total = np.zeros(len(exact))
    block = max(1, _AT_ONCE // max(1, len(boxes.upper)))
    for start in range(0, len(exact), block):
        rows = slice(start, start + block)
        sides = np.ones((len(exact[rows]), len(boxes.upper)))  # (block, b)
        for column, j in enumerate(cheap):
            low = np.maximum(boxes.lower[:, j], exact[rows, column, None])
            sides *= np.maximum(boxes.upper[:, j] - low, 0.0)
        for belief, j in zip(beliefs, paid, strict=True):
            sides *= _overlap(belief.at(rows), boxes.lower[:, j], boxes.upper[:, j])
        total[rows] = sides.sum(axis=1)
    return total


def _overlap(belief: Belief, lower: Values, upper: Values) -> Values:
    """Expected part of each interval above the cost, shape ``(n, b)``; few different ends serve many boxes."""
    ends, places = np.unique(np.concatenate([lower, upper]), return_inverse=True)
    below = belief.warp.improvement(ends, means=belief.means, deviations=np.sqrt(belief.variances))  # (n, ends)
    return np.asarray(below[:, places[len(lower) :]] - below[:, places[: len(lower)]])
