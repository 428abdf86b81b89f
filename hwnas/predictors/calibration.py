"""How sums over kernels become the latency of a network: a law fitted on whole networks of the same table.

Every network is a few figures (``FIGURES``): the sum of its kernels' latencies, their number, the weights it reads and
the activations it writes, and the parts of the sum that belong to dense convolutions, to depthwise ones, and to kernels
that use each of their weights once. The law is linear in them, but for the weights, which count as far as a cache does
not hold them until the next run. Its first three terms, an offset, a scale and a price a kernel, are always fitted; the
others are a residual model for what kernels timed alone cannot show, and count only where they make the prediction of
networks left out of the fit better.

The fit is Bayesian linear regression on relative errors (Bishop, 2006, section 3.3, with a prior that expects the plain
sum), reweighted after Huber, so that a disturbed network does not bend it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

FIGURES = ("sum_ms", "kernels", "once_ms", "weights_mib", "dense_ms", "depthwise_ms", "written_mib", "variance_ms2")
COLD = "cold_mib"  # weights that the cache does not hold; see ``_warmed``
_TERMS = ("offset", *(COLD if name == "weights_mib" else name for name in FIGURES[:6]))
_WEIGHTS = FIGURES.index("weights_mib")
_WRITTEN = FIGURES.index("written_mib")
_CANDIDATES: tuple[tuple[str, ...], ...] = (
    (),
    ("once_ms",),
    (COLD,),
    ("dense_ms", "depthwise_ms"),
    ("once_ms", COLD),
    ("once_ms", "dense_ms", "depthwise_ms"),
)
_FIRST = 3  # terms that are always there

FEWEST_NETWORKS = 8  # below this, three coefficients would follow the noise
FLOOR = 0.1  # of what the sum of its kernels is expected to make: no network is predicted below that
_GAUSSIAN = 1.4826  # standard deviation of a normal variable over its median absolute value
_ROUNDS = 10  # of reweighting, with far-off networks and again without them
_PRIOR_SHARE = 0.3  # of a typical network's latency, which a term makes up with one standard deviation
_RESIDUAL_SHARE = 0.1  # the same for terms of the residual model
_FEWEST_SEEN = 2  # networks that have to have a figure, so that one is left when the other is left out
_BETTER = 0.9  # of the error without it, which the residual model has to get below to count
_LARGEST = 0.25  # relative error of a law at the most; larger ones are the measurement's
_TAIL, _TAIL_DEVIATIONS = 0.8, 1.2816  # 80 % of normal errors are within 1.28 standard deviations
_EXACT = 1e-9  # relative noise below which nothing can be told from rounding


class Cache(NamedTuple):
    """What holds weights from one run to the next.

    Attributes:
        size_mib: What a run may use between two reads of a weight for a half of the weights to be read from further
            away than where a kernel alone finds them; 0 where all are.
        written_share: Of the activations written, what takes up room beside the weights: a runtime writes over buffers
            that are in the cache already.
    """

    size_mib: float = 0.0
    written_share: float = 0.0


_NO_CACHE = Cache()
_CACHES = (_NO_CACHE, *(Cache(2.0**power, share) for share in (0.0, 0.2, 0.5) for power in range(-3, 9)))


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The law of a device.

    Attributes:
        offset_ms: Added once a run.
        scale: Factor on the sum of the kernels.
        per_kernel_ms: Added once a kernel; negative where the profiler inflates.
        residual: Coefficients of the residual model by figure; empty where it is switched off.
        spread: Standard deviation of the relative error on networks left out of the fit, from their median and 80th
            percentile, so that one whose measurement was disturbed does not pass for a bad predictor.
        networks: How many networks it was fitted on; 0 for the plain sum.
        covariance: Of the coefficients, in units of the squared relative noise, shape ``(7, 7)``: offset, scale, price
            a kernel, and the residual model's four. Zero for terms that do not count.
        leverage: What the networks of the fit have on average; see ``spreads``.
        cache: The one that weights are counted beyond.
        least: No network is predicted below this multiple of its kernels' sum, so that predictions stay positive.
    """

    offset_ms: float = 0.0
    scale: float = 1.0
    per_kernel_ms: float = 0.0
    residual: Mapping[str, float] = field(default_factory=dict)
    spread: float = 0.0
    networks: int = 0
    covariance: Values = field(default_factory=lambda: np.zeros((len(_TERMS), len(_TERMS))), repr=False, compare=False)
    leverage: float = 0.0
    cache: Cache = _NO_CACHE
    least: float = FLOOR

    def apply(self, figures: Values) -> Values:
        """Latencies in milliseconds of networks, shape ``(n,)``.

        Args:
            figures: Of shape ``(n, 8)``, in the order of ``FIGURES``.
        """
        return _law(_warmed(figures, self.cache), self._coefficients, least=self.least)

    def spreads(self, figures: Values, latency_ms: Values) -> Values:
        """Standard deviations of predictions in milliseconds, shape ``(n,)``.

        For a network like those of the fit it is ``spread``; the further a network lies outside of what was measured,
        the more the uncertainty of the coefficients adds. Estimated rows add their own variance.

        Args:
            figures: Of shape ``(n, 8)``.
            latency_ms: What ``apply`` made of them.
        """
        if not len(figures):
            return np.zeros(0)
        rows = _design(_warmed(figures, self.cache)) / latency_ms[:, None]
        leverage = np.einsum("nt,tu,nu->n", rows, self.covariance, rows)
        relative = self.spread * np.sqrt((1 + leverage) / (1 + self.leverage))
        estimated = self.scale**2 * figures[:, FIGURES.index("variance_ms2")]
        return np.asarray(np.sqrt((relative * latency_ms) ** 2 + estimated), np.float64)

    @property
    def _coefficients(self) -> Values:
        first = (self.offset_ms, self.scale, self.per_kernel_ms)
        return np.array([*first, *(self.residual.get(name, 0.0) for name in _TERMS[_FIRST:])])


def calibrate(
    figures: Values, truth: Values, *, row_spread: Values, offset: float = 0.0, scale: float | None = 1.0
) -> Calibration:
    """Fits the law on whole networks.

    Args:
        figures: Of the networks, shape ``(n, 8)``.
        truth: Their measured latencies in milliseconds (or energies in millijoules), shape ``(n,)``, above 0.
        row_spread: Relative standard deviations of these measurements, shape ``(n,)``; 0 where they are unknown.
        offset: What the offset is expected to be: the price of a call that does no work.
        scale: What the factor on the sum is expected to be; ``None`` where nothing is known of it.

    Returns:
        The plain sum where there are fewer than ``FEWEST_NETWORKS``.
    """
    if len(truth) < FEWEST_NETWORKS:
        return Calibration()
    expected = float(np.median(truth / figures[:, 0])) if scale is None else scale
    chosen: tuple[_Fit, Cache] | None = None
    for names in _CANDIDATES:
        tried: list[tuple[_Fit, Cache]] = []
        for cache in _CACHES if COLD in names else (_NO_CACHE,):
            warmed = _warmed(figures, cache)
            terms = _terms(names, warmed)
            if terms:
                tried.append((_fit(_Evidence(warmed, truth, row_spread, offset, expected), terms), cache))
        best = min(tried, key=lambda one: one[0].error, default=None)
        if best is not None and (chosen is None or best[0].error < _BETTER * chosen[0].error):
            chosen = best
    if chosen is None:  # the first candidate always fits
        return Calibration()
    fit, cache = chosen
    return fit.calibration(_spread(fit.left_out), least=FLOOR * expected, cache=cache)


def _warmed(figures: Values, cache: Cache) -> Values:
    """The figures with the weights that a cache does not hold from run to run in place of all weights.

    Between two reads of a weight a run uses all other weights and some of the activations that it writes, ``u``
    together. A cache does not begin to miss all at once: the share ``u^2 / (u^2 + c^2)`` of the weights that is read
    from further away is small where that is little, a half where it is as much as the cache of size ``c`` has room for,
    and nearly all of them far beyond.

    Args:
        figures: Of shape ``(n, 8)``.
        cache: The cache.
    """
    warmed = figures.copy()
    used = warmed[:, _WEIGHTS] + cache.written_share * warmed[:, _WRITTEN]
    warmed[:, _WEIGHTS] *= used**2 / np.maximum(used**2 + cache.size_mib**2, np.finfo(np.float64).tiny)
    return warmed


def _terms(names: tuple[str, ...], figures: Values) -> list[int]:
    """Positions of the terms of a law; none where the networks cannot tell them from others."""
    terms = [_TERMS.index(name) for name in names]
    seen = (_design(figures)[:, terms] > 0).sum(axis=0)
    if terms and (len(figures) < 2 * (_FIRST + len(terms)) or (seen < _FEWEST_SEEN).any()):
        return []
    return [*range(_FIRST), *terms]


@dataclass(frozen=True)
class _Evidence:
    """What a law is fitted on.

    Attributes:
        figures: Of the networks, shape ``(n, 8)``.
        truth: Their latencies or energies, shape ``(n,)``.
        row_spread: Relative standard deviations of these, shape ``(n,)``.
        offset: Expected.
        scale: Expected.
    """

    figures: Values
    truth: Values
    row_spread: Values
    offset: float
    scale: float

    def without(self, i: int) -> _Evidence:
        """All networks but one."""
        kept = np.arange(len(self.truth)) != i
        return replace(self, figures=self.figures[kept], truth=self.truth[kept], row_spread=self.row_spread[kept])

    @property
    def prior(self) -> tuple[Values, Values]:
        """Means and standard deviations expected of the coefficients, shape ``(7,)``: a call and the plain sum."""
        mean = np.zeros(len(_TERMS))
        mean[:2] = self.offset, self.scale
        share = np.full(len(_TERMS), _RESIDUAL_SHARE)
        share[:_FIRST] = _PRIOR_SHARE
        size = np.median(_design(self.figures), axis=0)
        typical = np.median(self.truth)
        # a figure that most networks have none of: as if a tenth of their time were it
        usual = np.where(size > 0, size, 0.1 * typical)
        return mean, share * typical / usual

    def law(self, coefficients: Values) -> Values:
        return _law(self.figures, coefficients, least=FLOOR * self.scale)


@dataclass(frozen=True)
class _Fit:
    """Coefficients of all terms, zero for those that do not count.

    Attributes:
        coefficients: Shape ``(7,)``.
        covariance: In units of the squared noise, shape ``(7, 7)``.
        left_out: Relative error of each network by the law fitted without it, shape ``(n,)``.
        leverage: Mean leverage.
    """

    coefficients: Values
    covariance: Values
    left_out: Values
    leverage: float

    @property
    def error(self) -> float:
        """Mean size of the errors left out; one too large to be the law's own counts no more than ``_LARGEST``."""
        return max(float(np.minimum(np.abs(self.left_out), _LARGEST).mean()), _EXACT)

    def calibration(self, spread: float, *, least: float, cache: Cache) -> Calibration:
        offset_ms, scale, per_kernel_ms, *rest = self.coefficients.tolist()
        return Calibration(
            offset_ms=offset_ms,
            scale=scale,
            per_kernel_ms=per_kernel_ms,
            residual={name: value for name, value in zip(_TERMS[_FIRST:], rest, strict=True) if value},
            spread=spread,
            networks=len(self.left_out),
            covariance=self.covariance,
            leverage=self.leverage,
            cache=cache,
            least=least,
        )


def _fit(evidence: _Evidence, terms: list[int]) -> _Fit:
    coefficients, covariance = _solve(evidence, terms)
    left_out = np.zeros(len(evidence.truth))
    for i in range(len(left_out)):
        without, _ = _solve(evidence.without(i), terms)
        left_out[i] = evidence.law(without)[i] / evidence.truth[i] - 1
    rows = _design(evidence.figures) / evidence.law(coefficients)[:, None]
    leverage = np.einsum("nt,tu,nu->n", rows, covariance, rows).mean()
    return _Fit(coefficients, covariance, left_out, float(leverage))


def _solve(evidence: _Evidence, terms: list[int]) -> tuple[Values, Values]:
    """Coefficients and their covariance in units of the squared noise, by reweighted least squares.

    Errors are relative to the fitted value, not to the measured one: a network whose time was recorded far too small
    would otherwise weigh more than all others together. In the last rounds, what is far off does not count at all.
    """
    truth, least = evidence.truth, FLOOR * evidence.scale * evidence.figures[:, 0]
    design = _design(evidence.figures)[:, terms]
    mean, deviation = (values[terms] for values in evidence.prior)
    fitted = _first_guess(truth, evidence.figures[:, 0])
    noise, coefficients, precision = 0.1, mean, np.eye(len(terms))
    spare = max(1, len(truth) - len(terms)) / len(truth)
    for step in range(2 * _ROUNDS):
        wide = np.sqrt(noise**2 + evidence.row_spread**2)
        errors = np.abs(truth / fitted - 1) / wide
        limit = max(1.5 * float(np.median(errors)), 1.0)  # less than the noise is no error
        weights = np.minimum(1.0, limit / np.maximum(errors, 1e-12))
        if step >= _ROUNDS:
            weights = np.where(errors > 4 * limit, 0.0, weights)
        root = np.sqrt(weights) / wide / fitted
        rows = np.vstack([design * root[:, None], np.diag(1 / deviation)])
        wanted = np.concatenate([truth * root, mean / deviation])
        coefficients = np.asarray(np.linalg.lstsq(rows, wanted, rcond=None)[0], np.float64)
        precision = noise**2 * rows.T @ rows
        fitted = np.maximum(design @ coefficients, least)
        noise = max(_EXACT, _typical(truth / fitted - 1) / np.sqrt(spare))
    found, covariance = np.zeros(len(_TERMS)), np.zeros((len(_TERMS), len(_TERMS)))
    found[terms] = coefficients
    covariance[np.ix_(terms, terms)] = np.linalg.pinv(precision)
    return found, covariance


def _first_guess(truth: Values, sums: Values) -> Values:
    """Latencies as a multiple of the sums, or all the same where that is closer: the offset may be most of them."""
    guesses = (float(np.median(truth / sums)) * sums, np.full(len(truth), np.median(truth)))
    return min(guesses, key=lambda guess: float(np.median(np.abs(truth / guess - 1))))


def _spread(errors: Values) -> float:
    """Standard deviation for intervals: that of typical errors, or more where the large ones ask for it."""
    size = np.abs(errors)
    return max(_typical(errors), float(np.quantile(size, _TAIL)) / _TAIL_DEVIATIONS)


def _typical(errors: Values) -> float:
    """Standard deviation of errors from the median of their size."""
    return _GAUSSIAN * float(np.median(np.abs(errors)))


def _design(figures: Values) -> Values:
    """What the coefficients are multiplied with, shape ``(n, 8)``."""
    return np.column_stack([np.ones(len(figures)), figures[:, : len(_TERMS) - 1]])


def _law(figures: Values, coefficients: Values, *, least: float) -> Values:
    """Added up column by column: a product of matrices would round differently for one network than for many."""
    total = np.full(len(figures), coefficients[0])
    for column, coefficient in enumerate(coefficients[1:]):
        total += coefficient * figures[:, column]
    return np.asarray(np.maximum(total, least * figures[:, 0]), np.float64)
