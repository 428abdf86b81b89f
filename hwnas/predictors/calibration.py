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
from functools import lru_cache
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
_TOGETHER = 2**17  # networks in all the fits that are made at once: they, and not all of a large table, fit the memory


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
    held = [np.asarray(values, np.float64).tobytes() for values in (figures, truth, row_spread)]
    return _fitted(*held, offset=offset, scale=scale)


@lru_cache(maxsize=64)  # one table is asked about at the start of a run, for its limits, for its report
def _fitted(
    figures_held: bytes, truth_held: bytes, spread_held: bytes, *, offset: float, scale: float | None
) -> Calibration:
    truth, row_spread = np.frombuffer(truth_held), np.frombuffer(spread_held)
    figures = np.frombuffer(figures_held).reshape(len(truth), -1)
    expected = float(np.median(truth / figures[:, 0])) if scale is None else scale
    chosen: _Chosen | None = None
    for names in _CANDIDATES:
        terms = _terms(names, figures)
        if not terms:
            continue
        caches = _CACHES if COLD in names else (_NO_CACHE,)
        left_out = np.concatenate(
            [
                _left_out(_Evidence.of(figures, some, truth, row_spread, offset, expected), terms)
                for some in _portions(caches, networks=len(truth))
            ]
        )
        errors = _sizes(left_out)
        best = int(np.argmin(errors))
        if chosen is None or errors[best] < _BETTER * chosen.error:
            chosen = _Chosen(terms, caches[best], left_out[best], float(errors[best]))
    if chosen is None:  # the first candidate always fits
        return Calibration()
    evidence = _Evidence(_warmed(figures, chosen.cache), truth, row_spread, offset, expected)
    coefficients, precision = _solve(evidence, chosen.terms)
    covariance = np.zeros((len(_TERMS), len(_TERMS)))
    covariance[np.ix_(chosen.terms, chosen.terms)] = np.linalg.pinv(precision)
    rows = _design(evidence.figures) / evidence.law(coefficients)[:, None]
    offset_ms, scale_found, per_kernel_ms, *rest = coefficients.tolist()
    return Calibration(
        offset_ms=offset_ms,
        scale=scale_found,
        per_kernel_ms=per_kernel_ms,
        residual={name: value for name, value in zip(_TERMS[_FIRST:], rest, strict=True) if value},
        spread=_spread(chosen.left_out),
        networks=len(truth),
        covariance=covariance,
        leverage=float(np.einsum("nt,tu,nu->n", rows, covariance, rows).mean()),
        cache=chosen.cache,
        least=FLOOR * expected,
    )


def _portions(caches: tuple[Cache, ...], *, networks: int) -> list[tuple[Cache, ...]]:
    """The caches in parts that are tried together: all at once where networks are few, which saves most of the time."""
    size = max(1, _TOGETHER // networks**2)
    return [caches[begin : begin + size] for begin in range(0, len(caches), size)]


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
class _Chosen:
    """A law that predicts networks left out of its fit better than the others do.

    Attributes:
        terms: Positions of its terms.
        cache: The one that weights are counted beyond.
        left_out: Relative error of each network by the law fitted without it, shape ``(n,)``.
        error: Their mean size.
    """

    terms: list[int]
    cache: Cache
    left_out: Values
    error: float


@dataclass(frozen=True)
class _Evidence:
    """What laws are fitted on, any number at once: the leading axes ``...`` count them.

    Attributes:
        figures: Of the networks, shape ``(..., n, 8)``.
        truth: Their latencies or energies, shape ``(..., n)``.
        row_spread: Relative standard deviations of these, shape ``(..., n)``.
        offset: Expected.
        scale: Expected.
    """

    figures: Values
    truth: Values
    row_spread: Values
    offset: float
    scale: float

    @classmethod
    def of(
        cls, figures: Values, caches: tuple[Cache, ...], truth: Values, row_spread: Values, offset: float, scale: float
    ) -> _Evidence:
        """The same networks once for each of ``c`` caches."""
        warmed = np.stack([_warmed(figures, cache) for cache in caches])
        truth, row_spread = (np.broadcast_to(one, warmed.shape[:2]) for one in (truth, row_spread))
        return cls(warmed, truth, row_spread, offset, scale)

    def each_left_out(self) -> _Evidence:
        """All networks but one, for each of them: one more axis, before the networks'."""
        n = self.truth.shape[-1]
        kept = np.array([[j for j in range(n) if j != i] for i in range(n)])
        return replace(
            self,
            figures=self.figures[..., kept, :],
            truth=self.truth[..., kept],
            row_spread=self.row_spread[..., kept],
        )

    @property
    def prior(self) -> tuple[Values, Values]:
        """Means, shape ``(7,)``, and standard deviations, shape ``(..., 7)``, expected of the coefficients.

        A call and the plain sum.
        """
        mean = np.zeros(len(_TERMS))
        mean[:2] = self.offset, self.scale
        share = np.full(len(_TERMS), _RESIDUAL_SHARE)
        share[:_FIRST] = _PRIOR_SHARE
        size = np.median(_design(self.figures), axis=-2)
        typical = _median(self.truth)
        # a figure that most networks have none of: as if a tenth of their time were it
        usual = np.where(size > 0, size, 0.1 * typical)
        return mean, share * typical / usual

    def law(self, coefficients: Values) -> Values:
        """What laws make of the networks, shape ``(..., n)``."""
        return _law(self.figures, coefficients, least=FLOOR * self.scale)


def _left_out(evidence: _Evidence, terms: list[int]) -> Values:
    """Relative error of each network by the law fitted without it, shape ``(..., n)``."""
    without, _ = _solve(evidence.each_left_out(), terms)
    return np.asarray(evidence.law(without) / evidence.truth - 1, np.float64)


def _sizes(left_out: Values) -> Values:
    """Mean size of the errors left out; one too large to be the law's own counts no more than ``_LARGEST``."""
    return np.asarray(np.maximum(np.minimum(np.abs(left_out), _LARGEST).mean(axis=-1), _EXACT), np.float64)


def _solve(evidence: _Evidence, terms: list[int]) -> tuple[Values, Values]:
    """Coefficients and their precision in units of the squared noise, by reweighted least squares.

    Errors are relative to the fitted value, not to the measured one: a network whose time was recorded far too small
    would otherwise weigh more than all others together. In the last rounds, what is far off does not count at all.

    Returns:
        Coefficients of all terms, zero for those that do not count, shape ``(..., 7)``; and the precision of those that
        do, shape ``(..., t, t)``.
    """
    truth, least = evidence.truth, FLOOR * evidence.scale * evidence.figures[..., 0]
    design = _design(evidence.figures)[..., terms]
    mean, deviation = (values[..., terms] for values in evidence.prior)
    prior_rows, prior_wanted = np.eye(len(terms)) / deviation[..., None, :], mean / deviation
    fitted = _first_guess(truth, evidence.figures[..., 0])
    noise = used = np.full((*truth.shape[:-1], 1), 0.1)
    rows, coefficients = prior_rows, np.broadcast_to(mean, deviation.shape)
    networks = truth.shape[-1]
    spare = max(1, networks - len(terms)) / networks
    for step in range(2 * _ROUNDS):
        used = noise
        wide = np.sqrt(used**2 + evidence.row_spread**2)
        errors = np.abs(truth / fitted - 1) / wide
        limit = np.maximum(1.5 * _median(errors), 1.0)  # less than the noise is no error
        weights = np.minimum(1.0, limit / np.maximum(errors, 1e-12))
        if step >= _ROUNDS:
            weights = np.where(errors > 4 * limit, 0.0, weights)
        root = np.sqrt(weights) / wide / fitted
        rows = np.concatenate([design * root[..., None], prior_rows], axis=-2)
        wanted = np.concatenate([truth * root, prior_wanted], axis=-1)
        r = np.asarray(np.linalg.qr(np.concatenate([rows, wanted[..., None]], axis=-1), mode="r"))[..., :-1, :]
        coefficients = np.linalg.solve(r[..., :-1], r[..., -1:])[..., 0]
        fitted = np.maximum((design @ coefficients[..., None])[..., 0], least)
        noise = np.maximum(_EXACT, _typical(truth / fitted - 1) / np.sqrt(spare))
    found = np.zeros((*truth.shape[:-1], len(_TERMS)))
    found[..., terms] = coefficients
    return found, used[..., None] ** 2 * (rows.swapaxes(-1, -2) @ rows)


def _first_guess(truth: Values, sums: Values) -> Values:
    """Latencies as a multiple of the sums, or all the same where that is closer: the offset may be most of them."""
    by_sum, same = _median(truth / sums) * sums, np.broadcast_to(_median(truth), truth.shape)
    closer = _median(np.abs(truth / by_sum - 1)) <= _median(np.abs(truth / same - 1))
    return np.where(closer, by_sum, same)


def _spread(errors: Values) -> float:
    """Standard deviation for intervals: that of typical errors, or more where the large ones ask for it."""
    size = np.abs(errors)
    return max(_typical(errors).item(), float(np.quantile(size, _TAIL)) / _TAIL_DEVIATIONS)


def _typical(errors: Values) -> Values:
    """Standard deviation of errors from the median of their size, shape ``(..., 1)``."""
    return _GAUSSIAN * _median(np.abs(errors))


def _median(values: Values) -> Values:
    """Over the last axis, which stays with length 1."""
    return np.asarray(np.median(values, axis=-1, keepdims=True), np.float64)


def _design(figures: Values) -> Values:
    """What the coefficients are multiplied with, shape ``(..., n, 7)``."""
    return np.concatenate([np.ones((*figures.shape[:-1], 1)), figures[..., : len(_TERMS) - 1]], axis=-1)


def _law(figures: Values, coefficients: Values, *, least: float) -> Values:
    """Added up column by column: a product of matrices would round differently for one network than for many.

    Args:
        figures: Shape ``(..., 8)``.
        coefficients: One law, shape ``(7,)``, or one for each network.
        least: As in ``Calibration``.
    """
    total = np.zeros(figures.shape[:-1]) + coefficients[..., 0]
    for column in range(len(_TERMS) - 1):
        total += coefficients[..., column + 1] * figures[..., column]
    return np.asarray(np.maximum(total, least * figures[..., 0]), np.float64)
