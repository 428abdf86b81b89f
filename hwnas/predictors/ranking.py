"""How well an estimate orders things, whatever its scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def spearman(a: Values, b: Values) -> float | None:
    """Rank correlation after Spearman; equal values share the mean of their ranks.

    Args:
        a: Shape ``(n,)``.
        b: Shape ``(n,)``.

    Returns:
        In [-1, 1]; ``None`` where one of the two is all the same, so that it has no order.

    References:
        Spearman (1904), https://doi.org/10.2307/1412159.
    """
    centred = [ranks - ranks.mean() for ranks in (_ranks(a), _ranks(b))]
    scale = float(np.linalg.norm(centred[0]) * np.linalg.norm(centred[1]))
    return float(np.clip(centred[0] @ centred[1] / scale, -1.0, 1.0)) if scale else None


def kendall(a: Values, b: Values) -> float | None:
    """Rank correlation after Kendall, tau-b: pairs in order less pairs out of order, ties taken into account.

    Time grows with the square of ``n``, memory does not.

    Args:
        a: Shape ``(n,)``.
        b: Shape ``(n,)``.

    Returns:
        In [-1, 1]; ``None`` where one of the two is all the same.

    References:
        Kendall (1945), https://doi.org/10.2307/2332303.
    """
    surplus = ordered_a = ordered_b = 0
    for i in range(1, len(a)):
        sign_a, sign_b = np.sign(a[:i] - a[i]), np.sign(b[:i] - b[i])  # (i,)
        surplus += int(sign_a @ sign_b)
        ordered_a += int(np.count_nonzero(sign_a))
        ordered_b += int(np.count_nonzero(sign_b))
    if not ordered_a or not ordered_b:
        return None
    return float(np.clip(surplus / np.sqrt(float(ordered_a) * float(ordered_b)), -1.0, 1.0))


def top_k_regret(truth: Values, predicted: Values, *, k: int) -> float:
    """What is lost by taking the ``k`` things predicted to be smallest in place of the ``k`` that are.

    Where several things share the last place, any of them may be taken: their mean counts.

    Args:
        truth: Shape ``(n,)``, above 0.
        predicted: Shape ``(n,)``.
        k: From 1 to ``n``.

    Returns:
        Mean truth of those taken over the least it could have been, less 1; at least 0.
    """
    last = np.partition(predicted, k - 1)[k - 1]
    before, at = truth[predicted < last], truth[predicted == last]
    taken = float(before.sum()) + (k - len(before)) * float(at.mean())
    best = float(np.partition(truth, k - 1)[:k].sum())
    return max(0.0, taken / best - 1)


def _ranks(values: Values) -> Values:
    """Ranks from 0, equal values sharing the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    first = np.cumsum(count) - count
    return np.asarray((first + (count - 1) / 2)[place], dtype=np.float64)
