"""From raw times to a figure, its confidence and a verdict on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_tables import Timing
from profilers.protocol import MeasuringProtocol

Times = NDArray[np.float64]

# Samples that a percentile needs before it means anything: those the single-stream scenario of MLPerf Inference asks
# for (Reddi et al., 2020, https://arxiv.org/abs/1911.02549; early stopping at 99 % confidence).
PERCENTILES = {"p90": (0.90, 64), "p95": (0.95, 130), "p99": (0.99, 662)}

_WIDENED = 1.25  # the jackknife of a lower half is narrow: simulated intervals of 3 to 8 rounds covered 85 to 92 %

_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)  # Student's t at 95 %, 1 to 10 degrees of freedom


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One round's block of runs of one thing. Times in milliseconds.

    Attributes:
        quiet_ms: Mean of the quietest runs.
        error_ms: Standard error of that mean.
        min_ms: Smallest time.
        median_ms: Median.
        iqr_ms: Interquartile range.
        n: Runs counted.
        clean: Whether preempted runs could be left out; if not, all of them were.
        round: Which round it is from.
        calm: Whether the device was at its usual speed before and after.
    """

    quiet_ms: float
    error_ms: float
    min_ms: float
    median_ms: float
    iqr_ms: float
    n: int
    clean: bool
    round: int = 0
    calm: bool = True


def quiet_runs(run_ms: Times, preempted: NDArray[np.bool_], *, fraction: float) -> NDArray[np.intp]:
    """Indices of the runs a figure is made of: the fastest share of those that were not preempted.

    If every run was preempted, the fastest share of all; the sample is then marked as not clean.

    Args:
        run_ms: Time of each run, shape ``(r,)``.
        preempted: Whether each was interrupted, shape ``(r,)``.
        fraction: Share to keep, at least one run.
    """
    usable = np.flatnonzero(~preempted) if not preempted.all() else np.arange(len(run_ms))
    keep = max(1, round(fraction * len(usable)))
    return usable[np.argsort(run_ms[usable], kind="stable")[:keep]]


def summarise(times_ms: Times, preempted: NDArray[np.bool_], quiet: NDArray[np.intp], *, round_: int = 0) -> Sample:
    """The summary of one block.

    Args:
        times_ms: Times of the thing in each run, shape ``(r,)``.
        preempted: Whether each run was interrupted, shape ``(r,)``.
        quiet: Indices of the quiet runs, from ``quiet_runs`` on the whole run's times.
        round_: Which round the block is from.
    """
    clean = not bool(preempted.all())
    kept, chosen = times_ms[~preempted] if clean else times_ms, times_ms[quiet]
    low, median, high = np.quantile(kept, [0.25, 0.5, 0.75])
    return Sample(
        quiet_ms=float(chosen.mean()),
        error_ms=float(chosen.std(ddof=1) / math.sqrt(len(chosen))) if len(chosen) > 1 else 0.0,
        min_ms=float(kept.min()),
        median_ms=float(median),
        iqr_ms=float(high - low),
        n=len(kept),
        clean=clean,
        round=round_,
    )


def percentiles(times_ms: Times) -> dict[str, float]:
    """Percentiles of raw times, in milliseconds; only those that their number supports.

    Args:
        times_ms: Shape ``(n,)``.
    """
    return {
        name: figure(np.quantile(times_ms, share))
        for name, (share, least) in PERCENTILES.items()
        if len(times_ms) >= least
    }


def combine(
    networks: Sequence[Sequence[Sample]], protocol: MeasuringProtocol, *, raw_ms: Times | None = None
) -> Timing:
    """One row from all samples of a thing.

    Of the rounds in which the device was calm, the quieter half counts: each network's figure is their mean, the
    latency is the median over the networks. The interval around it comes from leaving out one round after the other
    (the jackknife; Efron and Stein, 1981, https://doi.org/10.1214/aos/1176345462) and from the scatter of the runs.

    Args:
        networks: For each network the thing was seen in, its samples, one a round. A whole network is seen in one.
        protocol: For the limits.
        raw_ms: Raw times for the percentiles, shape ``(n,)``.

    Returns:
        The row's figures. It is ``noisy`` when its interval is wider than the protocol's limit, when fewer than two
        rounds were calm although several were made, or when no run escaped preemption.
    """
    everything = [sample for samples in networks for sample in samples]
    good = [[sample for sample in samples if sample.calm and sample.clean] for samples in networks]
    rounds = {sample.round for samples in good for sample in samples}
    several = len({sample.round for sample in everything}) > 1
    trusted = len(rounds) >= (2 if several else 1)
    used = [samples for samples in good if samples] if trusted else [list(samples) for samples in networks if samples]
    latency_ms = _estimate(used)
    uncertainty = _uncertainty(used, latency_ms) if several else None
    noisy = not trusted or (uncertainty is not None and uncertainty > protocol.noise_limit)
    return Timing(
        latency_ms=figure(latency_ms),
        min_ms=figure(min(sample.min_ms for sample in everything)),
        median_ms=figure(np.median([sample.median_ms for samples in used for sample in samples])),
        iqr_ms=figure(np.median([sample.iqr_ms for samples in used for sample in samples])),
        n=sum(sample.n for sample in everything),
        noise="noisy" if noisy else "ok",
        uncertainty=None if uncertainty is None else float(f"{uncertainty:.3g}"),
        percentiles_ms={} if raw_ms is None else percentiles(raw_ms),
    )


def _estimate(networks: Sequence[Sequence[Sample]]) -> float:
    return _median([_lower_half_mean([sample.quiet_ms for sample in samples]) for samples in networks])


def _lower_half_mean(values: Sequence[float]) -> float:
    kept = sorted(values)[: (len(values) + 1) // 2]
    return sum(kept) / len(kept)


def _median(values: Sequence[float]) -> float:
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _uncertainty(networks: Sequence[Sequence[Sample]], latency_ms: float) -> float | None:
    """Half width of the 95 % interval relative to the latency; ``None`` where a single round is left."""
    rounds = sorted({sample.round for samples in networks for sample in samples})
    if len(rounds) < 2 or latency_ms <= 0:
        return None
    without = []
    for left_out in rounds:
        rest = [[s for s in samples if s.round != left_out] for samples in networks]
        without.append(_estimate([samples for samples in rest if samples]))
    count = len(rounds)
    mean = sum(without) / count
    variance = (count - 1) / count * sum((value - mean) ** 2 for value in without)
    student = _T95[min(count - 1, len(_T95)) - 1]
    return math.sqrt((_WIDENED * student) ** 2 * variance + (1.96 * _scatter_ms(networks)) ** 2) / latency_ms


def _scatter_ms(networks: Sequence[Sequence[Sample]]) -> float:
    """Standard error that is left of the scatter between runs, which whole microseconds of a profiler add to."""
    errors = []
    for samples in networks:
        kept = sorted(samples, key=lambda sample: (sample.quiet_ms, sample.error_ms))[: (len(samples) + 1) // 2]
        errors.append(math.sqrt(sum(sample.error_ms**2 for sample in kept)) / len(kept))
    return _median(errors) / math.sqrt(len(errors))


def detect_step(widths: Sequence[int], latency_ms: Sequence[float], *, candidates: Sequence[int]) -> int | None:
    """The step in which latencies grow with the width.

    Within steps of the right length nothing grows, so the slope inside the steps is near zero while the slope over all
    widths is not. The longest such step counts: all its divisors look the same.

    Args:
        widths: Channels probed; consecutive, over at least twice the longest candidate.
        latency_ms: Latency at each.
        candidates: Lengths to try.

    Returns:
        The step, 1 where the latency grows channel by channel; ``None`` where it does not grow at all, so that no step
        can be told.
    """
    width, time_ms = np.asarray(widths, float), np.asarray(latency_ms, float)
    overall = float(np.polyfit(width, time_ms, 1)[0])
    if overall * (width[-1] - width[0]) < _GROWTH * float(np.median(time_ms)):
        return None
    for step in sorted(candidates, reverse=True):
        if step == 1:
            break
        inside = _inside(width, time_ms, np.ceil(width / step))
        # flat beyond doubt, since short steps are quickly read into noise; and nothing inside that the step does not
        # explain: a runtime may be several times slower at widths it has no fast path for, and they are no steps
        flat = -_FLAT * overall < inside.slope < _FLAT * overall - 2 * inside.error
        if flat and inside.explained > _EXPLAINED:
            return step
    return 1


_GROWTH = 0.2  # from the first to the last width, relative: less is no growth that steps could be read from
_FLAT = 0.5  # slope inside steps over the slope across them: 0 for true steps, 1 for none
_EXPLAINED = 0.8  # share of the variance between widths that lies between the steps


@dataclass(frozen=True)
class _Inside:
    """What is left inside steps of some length.

    Attributes:
        slope: Least-squares slope common to all steps, each with a level of its own.
        error: Its standard error.
        explained: Share of the variance that lies between the steps.
    """

    slope: float
    error: float
    explained: float


def _inside(width: Times, time_ms: Times, groups: NDArray[np.float64]) -> _Inside:
    means = {group: (width[groups == group].mean(), time_ms[groups == group].mean()) for group in np.unique(groups)}
    x = width - np.array([means[group][0] for group in groups])
    y = time_ms - np.array([means[group][1] for group in groups])
    square, total = float(x @ x), float(((time_ms - time_ms.mean()) ** 2).sum())
    slope = float(x @ y) / square
    freedom = max(len(x) - len(means) - 1, 1)
    error = math.sqrt(float(((y - slope * x) ** 2).sum()) / freedom / square)
    return _Inside(slope, error, 1 - float(y @ y) / total if total else 0.0)


def figure(time_ms: float | np.floating[np.generic]) -> float:  # type: ignore[type-var]
    """A time as it is written: nanoseconds of a microsecond kernel; more digits would be noise."""
    return float(f"{float(time_ms):.6g}")
