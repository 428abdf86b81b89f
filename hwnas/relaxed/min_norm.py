"""The smallest vector among the convex combinations of some gradients: a step that is worse for none of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOST_STEPS, _TOLERANCE = 250, 1e-7


def min_norm_weights(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the convex combination of least Euclidean norm.

    The Frank-Wolfe method with exact line search, begun at the best pair (Désidéri, 2012, the multiple-gradient descent
    algorithm, https://doi.org/10.1016/j.crma.2012.03.014; Sener and Koltun, 2018, algorithm 2,
    https://arxiv.org/abs/1810.04650).

    Args:
        gram: Products of the vectors with each other, shape ``(n, n)``.

    Returns:
        Not negative, with a sum of 1, shape ``(n,)``.
    """
    n = len(gram)
    weights = np.zeros(n)
    if n == 1:
        return np.ones(1)
    first, second = np.triu_indices(n, 1)
    shares = _of_two(gram[first, first], gram[first, second], gram[second, second])
    norms = (
        shares**2 * gram[first, first]
        + (1 - shares) ** 2 * gram[second, second]
        + 2 * shares * (1 - shares) * gram[first, second]
    )
    best = int(np.argmin(norms))
    weights[first[best]], weights[second[best]] = shares[best], 1 - shares[best]
    for _ in range(_MOST_STEPS):
        products = gram @ weights
        corner = int(np.argmin(products))
        square = float(weights @ products)
        if square - products[corner] <= _TOLERANCE * max(square, _TOLERANCE):
            break
        share = float(_of_two(gram[corner, corner], products[corner], square))
        weights *= 1 - share
        weights[corner] += share
    return weights


def _of_two(
    first: NDArray[np.float64] | float, product: NDArray[np.float64] | float, second: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Share of the first of two vectors in their combination of least norm, from their squares and their product."""
    apart = np.asarray(first - 2 * product + second)  # the square of their distance
    equal = apart <= 0
    return np.where(equal, 0.5, np.clip((second - product) / np.where(equal, 1.0, apart), 0.0, 1.0))
