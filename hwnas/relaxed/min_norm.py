"""The smallest vector among the convex combinations of some gradients: a step that is worse for none of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

_TINY = 1e-300  # in place of a mean square of 0


def min_norm_weights(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the convex combination of least Euclidean norm.

    The step of the multiple-gradient descent algorithm (Désidéri, 2012, https://doi.org/10.1016/j.crma.2012.03.014), as
    a least-squares problem with weights that are not negative: of ``|sum w_i v_i|^2 + (sum w_i - 1)^2`` the solution
    is, but for its length, the combination asked for, since for one of norm ``m`` the best length leaves
    ``m^2 / (1 + m^2)``, which grows with ``m``. Unlike descents along the edges (Sener and Koltun, 2018, algorithm 2),
    it ends at the very point, also where the vectors nearly cancel.

    Args:
        gram: Products of the vectors with each other, shape ``(n, n)``.

    Returns:
        Not negative, with a sum of 1, shape ``(n,)``.
    """
    squares, axes = np.linalg.eigh(gram / max(float(np.trace(gram)) / len(gram), _TINY))
    vectors = np.sqrt(np.maximum(squares, 0.0))[:, None] * axes.T  # any with these products will do
    weights, _ = nnls(np.vstack([vectors, np.ones(len(gram))]), np.append(np.zeros(len(gram)), 1.0))
    return np.asarray(weights / weights.sum())
