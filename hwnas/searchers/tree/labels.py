"""Labels for the samples of a node: 0 for those on the promising side, 1 for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.stats import rankdata

from hwnas.pareto import dominance_counts
from hwnas.searchers.tree.boundaries import ridge
from hwnas.searchers.tree.samples import Costs, Labels, Samples

_STEPS = 25  # of Lloyd's algorithm; two clusters settle in a handful


class Labeler(Protocol):
    """Says which samples of a node are promising."""

    def __call__(self, samples: Samples) -> Labels:
        """Labels, shape ``(n,)``; all equal when there is nothing to tell apart."""


def dominance_halves(costs: Costs) -> Labels:
    """Labels of a node's samples: 0 for the half dominated by fewer of the others, 1 for the rest.

    The cut is made between two different numbers of dominators, as near to the middle as there is one, so that equals
    are never torn apart.

    Args:
        costs: Shape ``(n, m)``, minimised.

    Returns:
        Shape ``(n,)``; all 0 when every sample is dominated by equally many.
    """
    counts = dominance_counts(costs)
    levels, sizes = np.unique(counts, return_counts=True)
    if len(levels) == 1:
        return np.zeros(len(counts), dtype=np.int64)
    below = np.cumsum(sizes)[:-1]
    cut = levels[int(np.argmin(np.abs(below - len(counts) / 2)))]
    return np.asarray(counts > cut, dtype=np.int64)


class DominanceHalves:
    """The half dominated by fewer of the node's samples (LaMOO), equals never torn apart."""

    def __call__(self, samples: Samples) -> Labels:
        """Labels, shape ``(n,)``."""
        return dominance_halves(samples.costs)


class DominanceMedian:
    """As in the official code of LaMOO: sorted by the number of dominators, the first half and one more is promising.

    Samples dominated by equally many may get different labels.
    """

    def __call__(self, samples: Samples) -> Labels:
        """Labels, shape ``(n,)``."""
        order = np.argsort(dominance_counts(samples.costs), kind="stable")
        labels = np.ones(len(order), dtype=np.int64)
        labels[order[: len(order) // 2 + 1]] = 0
        return labels


@dataclass(frozen=True)
class TwoMeans:
    """Two clusters in the space of vectors and merit (LA-MCTS); the one of larger mean merit is promising.

    Every column is standardised and the merit weighs as much as all others together, since unscaled vectors would let
    the size of the space decide. Lloyd's algorithm starts from the best and the worst sample, so it needs no
    randomness.

    Attributes:
        ranks: Whether merits count by their ranks, so that a few that are far off make no cluster of their own.
    """

    ranks: bool = False

    def __call__(self, samples: Samples) -> Labels:
        """Labels, shape ``(n,)``; all 0 where the merits are equal."""
        if np.ptp(samples.merits) == 0:
            return np.zeros(len(samples), dtype=np.int64)
        width = samples.codes.shape[1]
        merits = rankdata(samples.merits) if self.ranks else samples.merits
        points = _standardised(np.column_stack([samples.codes, merits]))  # (n, d + 1)
        points[:, -1] *= np.sqrt(width)
        centers = points[[np.argmax(samples.merits), np.argmin(samples.merits)]]  # (2, d + 1)
        labels = np.zeros(len(points), dtype=np.int64)
        for _ in range(_STEPS):
            distances = ((points[:, None, :] - centers[None]) ** 2).sum(axis=2)  # (n, 2)
            labels, before = np.asarray(distances.argmin(axis=1), dtype=np.int64), labels
            if labels.min() == labels.max() or (labels == before).all():
                break
            centers = np.array([points[labels == side].mean(axis=0) for side in (0, 1)])
        if labels.min() < labels.max() and samples.merits[labels == 0].mean() < samples.merits[labels == 1].mean():
            labels = 1 - labels
        return labels


class AboveMeanPrediction:
    """Merit of at least the mean of what a linear regression predicts for the samples (LaNAS).

    Args:
        penalty: Of the regression; see ``RidgeThreshold``.
    """

    def __init__(self, penalty: float = 1.0) -> None:
        self._penalty = penalty

    def __call__(self, samples: Samples) -> Labels:
        """Labels, shape ``(n,)``."""
        weights, intercept = ridge(samples.codes, samples.merits, penalty=self._penalty)
        threshold = float((samples.codes @ weights + intercept).mean())
        slack = 1e-12 * max(1.0, abs(threshold))  # equal merits are at their mean whatever the arithmetic rounds
        return np.asarray(samples.merits < threshold - slack, dtype=np.int64)


class MedianHalves:
    """Merit of at least the median."""

    def __call__(self, samples: Samples) -> Labels:
        """Labels, shape ``(n,)``."""
        return np.asarray(samples.merits < np.median(samples.merits), dtype=np.int64)


def _standardised(columns: Costs) -> Costs:
    deviation = columns.std(axis=0)
    return np.asarray((columns - columns.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0))
