"""A new device from a few networks measured there, by what known devices took for the same networks.

A device is taken for a vector of coefficients: but for noise, its latencies are linear in features of the networks,
such as how often each operation occurs. The coefficients of a pool of known devices, each scaled to a mean latency of
1, say which vectors devices have: a normal distribution, the prior of the new device's. Bayesian linear regression on
the few measured networks makes the posterior of it, and predictions with their spread. Two things are not known
beforehand, how far the new device is from those of the pool and how noisy its measurements are. Both run over a grid,
each setting weighted by its evidence, the probability it gave to the measurements.

Nothing here is trained by gradients, and nothing is drawn at random: the same measurements make the same predictions.

References:
    Lindley and Smith, 1972, Bayes estimates for the linear model, https://doi.org/10.1111/j.2517-6161.1972.tb00885.x (a
    prior learned from other regressions); MacKay, 1992, https://doi.org/10.1162/neco.1992.4.3.415 (evidence);
    Chaloner and Verdinelli, 1995, https://doi.org/10.1214/ss/1177009939 (A-optimal designs). The task is that of HELP
    (Lee et al., 2021, https://arxiv.org/abs/2106.08630).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwnas.core import DataError, UsageError

Array = NDArray[np.float64]

# Tighter settings rank as well but promise too small a spread: with so few networks they look too good by chance.
_LOOSENESS = (0.1, 0.3, 1.0)  # variance beside the pool's own, in all directions together, relative to it
_NOISE = (0.01, 0.03, 0.1, 0.3)  # standard deviation of a measurement, relative
_DESIGN = 0.1, 0.05  # looseness and noise that networks are chosen for
_RANK = 1e-4  # directions of the features with less of the largest singular value than this are rounding
_LEAST = 0.1  # of the mean latency: no network is taken to be usually faster, nor predicted at a tenth of the usual


@dataclass(frozen=True, kw_only=True, eq=False)
class DevicePrior:
    """What the devices of a pool say of any device: its coefficients on a basis of the features.

    Attributes:
        centre: Mean of the features over the pool, shape ``(p,)``.
        basis: From centred features to independent columns of mean square 1, shape ``(p, q)``.
        ridge: Share of each column in the features' variance, shape ``(q,)``: what lies outside the pool's own devices
            is taken to be as variable in every feature.
        coefficients: Of the devices, the mean latency (1) first, shape ``(d, q + 1)``.
    """

    centre: Array
    basis: Array
    ridge: Array
    coefficients: Array

    @classmethod
    def learn(cls, features: Array, latency_ms: Array) -> DevicePrior:
        """Learns the prior from a pool.

        Args:
            features: Of the networks, shape ``(n, p)``.
            latency_ms: Of the networks on each device, shape ``(d, n)``; NaN where unknown.

        Raises:
            DataError: Fewer than two devices, or a device with fewer latencies than there are coefficients.
        """
        if len(latency_ms) < 2:
            raise DataError(f"expected the latencies of at least 2 devices to learn from, received {len(latency_ms)}")
        centre = features.mean(axis=0)
        _, values, directions = np.linalg.svd(features - centre, full_matrices=False)
        kept = values > _RANK * values[0]
        values, directions = values[kept], directions[kept]
        basis = directions.T / values * np.sqrt(len(features))
        blank = cls(centre=centre, basis=basis, ridge=values**2 / np.sum(values**2), coefficients=np.zeros((0, 0)))
        design = blank.design(features)
        return replace(blank, coefficients=np.array([_fitted(design, row) for row in latency_ms]))

    def of(self, devices: NDArray[np.bool_]) -> DevicePrior:
        """The prior learned from some of the devices alone.

        Args:
            devices: Which ones, shape ``(d,)``.
        """
        return replace(self, coefficients=self.coefficients[devices])

    def choose(self, features: Array, n: int) -> NDArray[np.intp]:
        """The networks worth measuring on a new device.

        One after the other, each is the network whose measurement leaves the least variance in the predictions of all
        of them (A-optimal, greedily); no measurement is needed to know.

        Args:
            features: Of the networks that can be measured, shape ``(m, p)``.
            n: How many.

        Returns:
            Their rows, the most informative first, shape ``(n,)``.

        Raises:
            UsageError: There are fewer networks than that.
        """
        if not 0 < n <= len(features):
            raise UsageError(f"expected a number of networks from 1 to {len(features)}, received {n}")
        looseness, noise = _DESIGN
        design = self.design(features)
        noise_variance = (noise * self.usual(design)) ** 2
        left, spreads = self.covariance(looseness), np.cov(design.T, bias=True)
        chosen: list[int] = []
        for _ in range(n):
            projected = design @ left  # (m, q + 1)
            variance = np.sum(projected * design, axis=1) + noise_variance
            gain = np.sum(projected @ spreads * projected, axis=1) / variance
            gain[chosen] = -np.inf
            best = int(gain.argmax())
            chosen.append(best)
            left = left - np.outer(projected[best], projected[best]) / variance[best]
        return np.array(chosen)

    def adapt(self, features: Array, latency_ms: Array) -> AdaptedDevice:
        """The device on which some networks were measured.

        Args:
            features: Of the measured networks, shape ``(k, p)``.
            latency_ms: Their latencies, shape ``(k,)``; two or more make sense.

        Raises:
            DataError: A latency that is not above 0.
        """
        _require_positive(latency_ms)
        design = self.design(features)
        usual = self.usual(design)
        scale = float(np.median(latency_ms / usual))
        unlike = latency_ms / scale - design @ self.mean
        settings = [(looseness, noise) for looseness in _LOOSENESS for noise in _NOISE]
        prior = {looseness: self.covariance(looseness) for looseness in _LOOSENESS}
        found = [_posterior(prior[loose], design, unlike, noise_variance=(noise * usual) ** 2)
                 for loose, noise in settings]  # fmt: skip
        evidence = np.array([one[0] for one in found])
        weights = np.exp(evidence - evidence.max())
        weights /= weights.sum()
        shifts = np.array([one[1] for one in found])  # (settings, q + 1)
        shift = weights @ shifts
        within = np.tensordot(weights, np.array([one[2] for one in found]), axes=1)
        between = (shifts - shift).T @ ((shifts - shift) * weights[:, None])
        return AdaptedDevice(
            prior=self,
            coefficients=self.mean + shift,
            covariance=within + between,
            noise=float(np.sqrt(weights @ np.array([noise**2 for _, noise in settings]))),
            scale=scale,
        )

    def design(self, features: Array) -> Array:
        """What the coefficients are multiplied with, shape ``(n, q + 1)``."""
        return np.column_stack([np.ones(len(features)), (features - self.centre) @ self.basis])

    def usual(self, design: Array) -> Array:
        """Latency on the mean device, relative to the mean over networks and at least a tenth, shape ``(n,)``."""
        return np.asarray(np.maximum(design @ self.mean, _LEAST))

    @cached_property
    def mean(self) -> Array:
        """Mean of the devices' coefficients, shape ``(q + 1,)``."""
        return np.asarray(self.coefficients.mean(axis=0))

    def covariance(self, looseness: float) -> Array:
        """Covariance of a new device's coefficients, shape ``(q + 1, q + 1)``.

        That of the devices, some more in all directions, and the scale of the new device, which is hardly known.
        """
        apart = self.coefficients - self.mean
        pool = apart.T @ apart / len(apart)
        ridge = np.concatenate([[0.0], self.ridge])
        return np.asarray(pool + looseness * np.trace(pool) * np.diag(ridge) + np.outer(self.mean, self.mean))


@dataclass(frozen=True, kw_only=True, eq=False)
class AdaptedDevice:
    """A device known by a few networks measured on it.

    Attributes:
        prior: What other devices said.
        coefficients: Posterior mean, shape ``(q + 1,)``, relative to ``scale``.
        covariance: Posterior covariance, shape ``(q + 1, q + 1)``.
        noise: Standard deviation of a measurement, relative to what is usual for the network.
        scale: Milliseconds that 1 stands for.
    """

    prior: DevicePrior
    coefficients: Array
    covariance: Array
    noise: float
    scale: float

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Latency of networks and the standard deviation of a measurement from it, both in ms and of shape ``(n,)``.

        Args:
            features: Shape ``(n, p)``.
        """
        design = self.prior.design(features)
        usual = self.prior.usual(design)
        latency = np.maximum(design @ self.coefficients, _LEAST * usual)
        variance = np.sum(design @ self.covariance * design, axis=1) + (self.noise * usual) ** 2
        return self.scale * latency, self.scale * np.sqrt(variance)


def left_out(prior: DevicePrior, features: Array, latency_ms: Array) -> tuple[Array, Array]:
    """Each measured network as the others predict it: latency and spread in ms, both of shape ``(k,)``.

    Args:
        prior: What other devices say.
        features: Of the measured networks, shape ``(k, p)``.
        latency_ms: Their latencies, shape ``(k,)``.

    Raises:
        DataError: A latency that is not above 0.
    """
    rows = np.arange(len(latency_ms))
    found = [
        prior.adapt(features[rows != row], latency_ms[rows != row]).predict(features[row : row + 1]) for row in rows
    ]
    return np.array([latency[0] for latency, _ in found]), np.array([spread[0] for _, spread in found])


def _require_positive(latency_ms: Array) -> None:
    wrong = latency_ms[~(np.isfinite(latency_ms) & (latency_ms > 0))]
    if len(wrong):
        raise DataError(f"expected latencies above 0 ms, received {wrong[0]:g}: measure that network again")


def _fitted(design: Array, latency_ms: Array) -> Array:
    """A device's coefficients by least squares, scaled to a mean latency of 1."""
    known = np.isfinite(latency_ms)
    if np.count_nonzero(known) < design.shape[1]:
        raise DataError(
            f"a device of the pool has {np.count_nonzero(known)} known latencies: expected at least {design.shape[1]}"
        )
    found = np.linalg.lstsq(design[known], latency_ms[known], rcond=None)[0]
    return np.asarray(found / found[0])


def _posterior(prior: Array, design: Array, unlike: Array, *, noise_variance: Array) -> tuple[float, Array, Array]:
    """Log evidence, and mean and covariance of the coefficients' distance from the prior mean.

    Args:
        prior: Covariance, shape ``(q + 1, q + 1)``.
        design: Of the measured networks, shape ``(k, q + 1)``.
        unlike: Measured less what the prior mean says, shape ``(k,)``.
        noise_variance: Shape ``(k,)``.
    """
    projected = design @ prior  # (k, q + 1)
    marginal = projected @ design.T + np.diag(noise_variance)
    gain = np.linalg.solve(marginal, projected)
    evidence = -0.5 * float(unlike @ np.linalg.solve(marginal, unlike) + np.linalg.slogdet(marginal)[1])
    return evidence, np.asarray(gain.T @ unlike), np.asarray(prior - projected.T @ gain)
