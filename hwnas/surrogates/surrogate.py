"""The surrogate of one expensive cost: which evaluations it learns from, its warp, and its hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.pareto import non_dominated
from hwnas.surrogates.kernels import Kernel, Matrix
from hwnas.surrogates.process import GaussianProcess, Hyperparameters, fit
from hwnas.surrogates.warping import Warp

MOST_LEARNED = 600  # evaluations a surrogate learns from; more cost more than they tell
MOST_TUNED = 300  # evaluations that hyperparameters are learned from
_FIRST_TUNED = 8
_GROWTH = 1.15  # hyperparameters are learned anew when there are so many times more evaluations
_WIDTHS = (0.3, 1.0, 3.0, 100.0)  # of the warp, in interquartile ranges; the last is as good as none


@dataclass(frozen=True)
class Learned:
    """Hyperparameters and the warp they were learned with.

    Attributes:
        warp: Of the cost.
        hyper: Of the kernel, for the warped cost.
    """

    warp: Warp
    hyper: Hyperparameters


def tuning_size(n: int) -> int:
    """How many of ``n`` evaluations hyperparameters are learned from: the largest step of a geometric ladder.

    A function of ``n`` alone, so that a search that is resumed learns the same as one that was never cut off.
    """
    size = _FIRST_TUNED
    while n >= (larger := int(np.ceil(size * _GROWTH))):
        size = larger
    return min(size, n)


def learn(kernel: Kernel, rows: Matrix, costs: NDArray[np.float64]) -> Learned:
    """Learns the warp and the hyperparameters together.

    The warp is the one under which costs, as they are and not as they are warped, are most likely: each likelihood
    counts with the warp's slope (Snelson, Rasmussen and Ghahramani, Warped Gaussian processes, NeurIPS 2003, equation
    6).

    Args:
        kernel: Over rows.
        rows: Shape ``(n, d)``.
        costs: Shape ``(n,)``.

    Raises:
        FloatingPointError: No finite likelihood.
    """
    low, high = np.quantile(costs, [0.25, 0.75]).tolist()
    spread = (high - low) or float(np.ptp(costs)) or 1.0
    best: Learned | None = None
    score = -np.inf
    for width in _WIDTHS:
        warp = Warp.of(costs, width * spread)
        hyper = fit(kernel, rows, warp.forward(costs), start=best.hyper if best else None)
        found = hyper.evidence + warp.log_slope(costs)
        if best is None or found > score:
            best, score = Learned(warp, hyper), found
    if best is None:
        raise FloatingPointError("expected at least one warp")
    return best


def posterior(kernel: Kernel, learned: Learned, rows: Matrix, costs: NDArray[np.float64]) -> GaussianProcess:
    """The surrogate given all evaluations, shape ``(n, d)`` and ``(n,)``."""
    return GaussianProcess(kernel, learned.hyper, rows, learned.warp.forward(costs))


def informative(costs: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """Which of many evaluations to learn from: front after front, and a third of the places spread over the rest.

    Args:
        costs: Shape ``(n, m)``.
        most: How many at most.

    Returns:
        Indices in ascending order; all where there are not more.
    """
    if len(costs) <= most:
        return np.arange(len(costs))
    left = np.arange(len(costs))
    near: list[NDArray[np.intp]] = []
    wanted = most - most // 3
    while wanted > 0 and len(left):
        kept = non_dominated(costs[left])
        layer = left[kept][:wanted]
        near.append(layer)
        wanted -= len(layer)
        left = np.setdiff1d(left, layer)
    places = np.linspace(0, len(left) - 1, most // 3).round().astype(np.intp)
    return np.sort(np.concatenate([*near, left[np.unique(places)]]))
