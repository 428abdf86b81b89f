"""How far predicted latencies are from measured ones, always beside the noise of the measurement itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import UsageError
from hwnas.predictors.ranking import kendall, spearman, top_k_regret

Values = NDArray[np.float64]

FEWEST = 3  # networks; of two, every order is either perfect or perfectly wrong
TOP_K = 10  # networks taken for the top-k regret; a fifth of the group where it is smaller
_WORST = 0.05  # share of the networks that the worst error is the mean of
_INTERVAL = 1.96  # standard deviations on either side that hold 95 % of a normal variable


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What some predictor says of the networks of a group.

    Attributes:
        predicted_ms: Shape ``(n,)``.
        spread_ms: Standard deviation it states, shape ``(n,)``; ``None`` where it states none.
    """

    predicted_ms: Values
    spread_ms: Values | None = None


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """The figures of one estimate on one group of networks. All errors are relative to the measured latency.

    Attributes:
        mape: Mean of the absolute errors.
        median_error: Median of the absolute errors.
        bias: Mean of the errors; above 0, too slow is predicted.
        within_5: Share of the networks with an absolute error of at most 5 %.
        within_10: Likewise 10 %.
        worst_5: Mean absolute error of the worst 5 % of the networks, at least one.
        spearman: Rank correlation; ``None`` where the estimate, or the truth, is the same for all.
        kendall: Likewise, tau-b.
        top_1_regret: Latency lost by taking the network predicted fastest in place of the fastest.
        top_k_regret: The same of the ``k`` predicted fastest, by their mean latency.
        k: How many that are.
        inside: Share of the truths within 1.96 stated standard deviations, 0.95 where the estimate knows itself;
            ``None`` where it states no spread.
    """

    mape: float
    median_error: float
    bias: float
    within_5: float
    within_10: float
    worst_5: float
    spearman: float | None
    kendall: float | None
    top_1_regret: float
    top_k_regret: float
    k: int
    inside: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Field by field."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class GroupAccuracy:
    """A group of networks.

    Attributes:
        networks: How many.
        noise: What one half of the measuring rounds is worth as a prediction of the other: below these figures nothing
            can be claimed.
        estimates: Accuracy by the name of the estimate.
    """

    networks: int
    noise: Accuracy
    estimates: Mapping[str, Accuracy]

    def to_json(self) -> dict[str, Any]:
        """Field by field."""
        estimates = {name: accuracy.to_json() for name, accuracy in self.estimates.items()}
        return {"networks": self.networks, "noise": self.noise.to_json(), "estimates": estimates}


def accuracy(truth_ms: Values, estimate: Estimate) -> Accuracy:
    """Compares an estimate with the truth.

    Args:
        truth_ms: Measured latencies, shape ``(n,)``.
        estimate: Of the same networks.

    Raises:
        UsageError: Too few networks, arrays of different lengths, or a value that is no latency.
    """
    truth_ms = _latencies("measured latencies", truth_ms, n=len(truth_ms))
    predicted_ms = _numbers("predicted latencies", estimate.predicted_ms, n=len(truth_ms))
    error = predicted_ms / truth_ms - 1  # (n,)
    size, n = np.abs(error), len(truth_ms)
    k = min(TOP_K, math.ceil(n / 5))
    return Accuracy(
        mape=float(size.mean()),
        median_error=float(np.median(size)),
        bias=float(error.mean()),
        within_5=float(np.mean(size <= 0.05)),
        within_10=float(np.mean(size <= 0.10)),
        worst_5=float(np.sort(size)[-math.ceil(_WORST * n) :].mean()),
        spearman=spearman(truth_ms, predicted_ms),
        kendall=kendall(truth_ms, predicted_ms),
        top_1_regret=top_k_regret(truth_ms, predicted_ms, k=1),
        top_k_regret=top_k_regret(truth_ms, predicted_ms, k=k),
        k=k,
        inside=_inside(truth_ms, predicted_ms, estimate.spread_ms),
    )


def compare(truth_ms: Values, estimates: Mapping[str, Estimate], *, halves_ms: tuple[Values, Values]) -> GroupAccuracy:
    """Compares estimates of a group of networks with the truth, and the truth with itself.

    Args:
        truth_ms: Measured latencies, shape ``(n,)``.
        estimates: By name.
        halves_ms: The same latencies from one half of the measuring rounds and from the other, each of shape ``(n,)``.

    Raises:
        UsageError: Too few networks, arrays of different lengths, or a value that is no latency.
    """
    one, other = (_latencies("latencies of half of the rounds", half, n=len(truth_ms)) for half in halves_ms)
    return GroupAccuracy(
        networks=len(truth_ms),
        noise=accuracy(one, Estimate(predicted_ms=other)),
        estimates={name: accuracy(truth_ms, estimate) for name, estimate in estimates.items()},
    )


def fitted_line(quantity: Values, truth_ms: Values, *, at: Values) -> Values:
    """A quantity such as FLOPs as a latency: the line through some networks that is best by relative errors.

    Args:
        quantity: Of the networks to fit on, shape ``(m,)``.
        truth_ms: Their latencies, shape ``(m,)``.
        at: The quantity of other networks, shape ``(n,)``.

    Returns:
        Latencies in milliseconds, shape ``(n,)``.

    Raises:
        UsageError: Too few networks, arrays of different lengths, or a value that is no latency or no number.
    """
    truth_ms = _latencies("measured latencies", truth_ms, n=len(truth_ms))
    known = _numbers("sizes of networks", quantity, n=len(truth_ms))
    wanted = _numbers("sizes of networks", at, n=len(at))
    design = np.column_stack([np.ones(len(known)), known]) / truth_ms[:, None]  # (m, 2)
    offset_ms, slope = np.linalg.lstsq(design, np.ones(len(known)), rcond=None)[0]
    return np.asarray(offset_ms + slope * wanted, dtype=np.float64)


def _inside(truth_ms: Values, predicted_ms: Values, spread_ms: Values | None) -> float | None:
    if spread_ms is None:
        return None
    spread_ms = _numbers("spreads", spread_ms, n=len(truth_ms))
    if (spread_ms < 0).any():
        raise UsageError(f"expected spreads of at least 0 ms, received {spread_ms.min():g}")
    return float(np.mean(np.abs(truth_ms - predicted_ms) <= _INTERVAL * spread_ms))


def _latencies(what: str, values: Values, *, n: int) -> Values:
    found = _numbers(what, values, n=n)
    if len(found) < FEWEST:
        raise UsageError(f"expected {what} of at least {FEWEST} networks, received {len(found)}: measure more networks")
    if (found <= 0).any():
        raise UsageError(f"expected {what} above 0 ms, received {found.min():g}: measure that network again")
    return found


def _numbers(what: str, values: Values, *, n: int) -> Values:
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (n,):
        raise UsageError(f"expected {what} of shape ({n},), one for each network, received shape {found.shape}")
    if not np.isfinite(found).all():
        bad = int(np.flatnonzero(~np.isfinite(found))[0])
        raise UsageError(f"expected finite {what}, received {found[bad]} at position {bad}: leave that network out")
    return found
