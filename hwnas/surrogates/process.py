"""Gaussian process regression of one cost: exact predictions, hyperparameters by maximum a posteriori, noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from hwnas.surrogates.kernels import Kernel, Matrix

NOISE = (-4.5, 1.5)  # prior of the log of the noise variance: mean and standard deviation, for targets of variance 1
LEAST_VARIANCE = 1e-6  # of a prediction, and added to the diagonal of covariances
_REACH = 4.0  # standard deviations of its prior that a hyperparameter may stray
_STEPS = 40  # of the optimiser; warm starts need far fewer
_BLOCK = 4096  # rows predicted at once
_FAILED = 1e25


@dataclass(frozen=True)
class Hyperparameters:
    """What is learned of a kernel.

    Attributes:
        kernel: Its parameters, shape ``(p,)``.
        noise: Variance of the noise: equal architectures, or those that the kernel cannot tell apart, differ by it.
        evidence: Log of the density of targets and parameters, up to a constant: larger is better.
    """

    kernel: Matrix
    noise: float
    evidence: float


def fit(kernel: Kernel, rows: Matrix, targets: Matrix, *, start: Hyperparameters | None = None) -> Hyperparameters:
    """Hyperparameters that make targets and prior together most likely (Rasmussen and Williams, 2006, equation 5.8).

    Args:
        kernel: With its prior.
        rows: Shape ``(n, d)``.
        targets: Shape ``(n,)``, standardised.
        start: Where to begin; the mean of the prior when left out.

    Raises:
        FloatingPointError: Nothing finite was found.
    """
    means, spreads = (np.append(prior, noise) for prior, noise in zip(kernel.prior, NOISE, strict=True))

    def loss(parameters: Matrix) -> tuple[float, Matrix]:
        covariance = kernel.matrix(parameters[:-1], rows, rows)
        noise = float(np.exp(parameters[-1]))
        try:
            factor = _factor(covariance, noise)
        except LinAlgError:
            return _FAILED, np.zeros_like(parameters)
        inverse = cho_solve((factor, True), np.eye(len(rows)), check_finite=False)
        weights = inverse @ targets
        strayed = (parameters - means) / spreads
        value = 0.5 * targets @ weights + np.log(factor.diagonal()).sum() + 0.5 * strayed @ strayed
        sensitivity = 0.5 * (inverse - np.outer(weights, weights))
        slopes = kernel.gradient(parameters[:-1], rows, sensitivity)
        return float(value), np.append(slopes, noise * sensitivity.trace()) + strayed / spreads

    first = means if start is None else np.append(start.kernel, np.log(start.noise))
    bounds = np.column_stack([means - _REACH * spreads, means + _REACH * spreads])
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS})
    if not (np.isfinite(found.x).all() and found.fun < _FAILED):
        raise FloatingPointError("expected hyperparameters with a finite likelihood, found none")
    return Hyperparameters(found.x[:-1], float(np.exp(found.x[-1])), -float(found.fun))


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior given some targets.

    Attributes:
        kernel: Covariance.
        hyper: Its parameters.
        rows: Where the targets are, shape ``(n, d)``.
        targets: Shape ``(n,)``, standardised.
    """

    kernel: Kernel
    hyper: Hyperparameters
    rows: Matrix
    targets: Matrix

    def predict(self, rows: Matrix) -> tuple[Matrix, Matrix]:
        """Mean and variance without noise, each of shape ``(m,)`` for ``rows`` of shape ``(m, d)``."""
        means, variances = np.empty((2, len(rows)))
        for start in range(0, len(rows), _BLOCK):
            here = slice(start, start + _BLOCK)
            across = self.kernel.matrix(self.hyper.kernel, self.rows, rows[here])
            means[here] = across.T @ self._weights
            explained = solve_triangular(self._factor, across, lower=True, check_finite=False, overwrite_b=True)
            variances[here] = self.kernel.variance(self.hyper.kernel, rows[here]) - (explained**2).sum(axis=0)
        return means, np.maximum(variances, LEAST_VARIANCE)

    def extended(self, rows: Matrix, targets: Matrix) -> GaussianProcess:
        """The posterior given these targets as well, with the same hyperparameters."""
        more, told = np.concatenate([self.rows, rows]), np.concatenate([self.targets, targets])
        return GaussianProcess(self.kernel, self.hyper, more, told)

    def covariance(self, rows: Matrix) -> Matrix:
        """Posterior covariance between some rows, without noise; shape ``(m, m)``."""
        across = self.kernel.matrix(self.hyper.kernel, self.rows, rows)
        explained = solve_triangular(self._factor, across, lower=True, check_finite=False)
        return np.asarray(self.kernel.matrix(self.hyper.kernel, rows, rows) - explained.T @ explained, np.float64)

    @cached_property
    def _factor(self) -> NDArray[np.float64]:
        return _factor(self.kernel.matrix(self.hyper.kernel, self.rows, self.rows), self.hyper.noise)

    @cached_property
    def _weights(self) -> Matrix:
        return np.asarray(cho_solve((self._factor, True), self.targets, check_finite=False))


def _factor(covariance: Matrix, noise: float) -> NDArray[np.float64]:
    diagonal = np.arange(len(covariance))
    covariance[diagonal, diagonal] += noise + LEAST_VARIANCE
    return np.asarray(cholesky(covariance, lower=True, check_finite=False))
