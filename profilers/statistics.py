"""From raw times to a figure and a verdict on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_tables import Timing
from profilers.protocol import MeasuringProtocol

Times = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One round's block of runs of one thing. Times in milliseconds.

    Attributes:
        quiet_ms: Mean of the quietest runs.
        min_ms: Smallest time.
        median_ms: Median.
        iqr_ms: Interquartile range.
        n: Runs counted.
        clean: Whether preempted runs could be left out; if not, all of them were.
    """

    quiet_ms: float
    min_ms: float
    median_ms: float
    iqr_ms: float
    n: int
    clean: bool


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


def summarise(times_ms: Times, preempted: NDArray[np.bool_], quiet: NDArray[np.intp]) -> Sample:
    """The summary of one block.

    Args:
        times_ms: Times of the thing in each run, shape ``(r,)``.
        preempted: Whether each run was interrupted, shape ``(r,)``.
        quiet: Indices of the quiet runs, from ``quiet_runs`` on the whole run's times.
    """
    clean = not bool(preempted.all())
    kept = times_ms[~preempted] if clean else times_ms
    low, median, high = np.quantile(kept, [0.25, 0.5, 0.75])
    return Sample(
        quiet_ms=float(times_ms[quiet].mean()),
        min_ms=float(kept.min()),
        median_ms=float(median),
        iqr_ms=float(high - low),
        n=len(kept),
        clean=clean,
    )


def combine(rounds: Sequence[Sequence[Sample]], protocol: MeasuringProtocol) -> Timing:
    """One row from all samples of a thing.

    Args:
        rounds: For each network the thing was seen in, its samples, one a round. A whole network is seen in one.
        protocol: For the noise limit.

    Returns:
        The latency is the quietest round of each network, and of these the median over the networks. It is ``noisy``
        when a round more would be needed to trust it: the two quietest rounds disagree, or no run escaped preemption.
    """
    quietest = [sorted(sample.quiet_ms for sample in samples) for samples in rounds]
    spreads = [values[1] / values[0] - 1 if len(values) > 1 and values[0] > 0 else 0.0 for values in quietest]
    everything = [sample for samples in rounds for sample in samples]
    noisy = float(np.median(spreads)) > protocol.noise_limit or not any(sample.clean for sample in everything)
    return Timing(
        latency_ms=_figure(np.median([values[0] for values in quietest])),
        min_ms=_figure(min(sample.min_ms for sample in everything)),
        median_ms=_figure(np.median([sample.median_ms for sample in everything])),
        iqr_ms=_figure(np.median([sample.iqr_ms for sample in everything])),
        n=sum(sample.n for sample in everything),
        noise="noisy" if noisy else "ok",
    )


def _figure(time_ms: float | np.floating[np.generic]) -> float:  # type: ignore[type-var]
    return float(f"{float(time_ms):.6g}")  # nanoseconds of a microsecond kernel; more digits would be noise
