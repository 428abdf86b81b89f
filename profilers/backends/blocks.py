"""A block of runs: the first apart, then warm-up until the times no longer fall, then the counted ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profilers.backends.contract import RunPlan
from profilers.statistics import Times

_MOST_WARMUP = 10  # times the plan's: a runtime that never settles is measured all the same
_SETTLED = 0.05  # the last runs may be this much faster than those before them


@dataclass(frozen=True, kw_only=True)
class BlockTimes:
    """Raw times of a block.

    Attributes:
        run_ms: Time of each counted run, shape ``(r,)``.
        host_ms: Wall time of each, shape ``(r,)``.
        preempted: Whether the process was interrupted during each, shape ``(r,)``.
        first_ms: Time of the very first run.
    """

    run_ms: Times
    host_ms: Times
    preempted: NDArray[np.bool_]
    first_ms: float


def run_block(run: Callable[[], float | None], plan: RunPlan) -> BlockTimes:
    """Runs something many times.

    Args:
        run: One run; returns its time on the device in milliseconds, or ``None`` where the wall time counts.
        plan: How many runs.
    """
    start = time.perf_counter()
    first_ms = _timed(run)[0]
    _warm_up(run, plan)
    if plan.began is not None:
        plan.began()
    device_ms, host_ms, preempted = [], [], []
    for count in range(plan.runs):
        if count >= plan.least_runs and (time.perf_counter() - start) * 1e3 > plan.budget_ms:
            break
        before = _preemptions()
        run_ms, wall_ms = _timed(run)
        preempted.append(_preemptions() != before)
        device_ms.append(run_ms)
        host_ms.append(wall_ms)
    return BlockTimes(
        run_ms=np.array(device_ms),
        host_ms=np.array(host_ms),
        preempted=np.array(preempted, dtype=np.bool_),
        first_ms=first_ms,
    )


def _warm_up(run: Callable[[], float | None], plan: RunPlan) -> None:
    """Runs until the fastest of the last few runs is not faster than all before: caches, clocks and arenas settled."""
    seen = [_timed(run)[0] for _ in range(plan.warmup_runs)]
    window = max(2, plan.warmup_runs)
    spent_ms = sum(seen)
    while 0 < len(seen) < _MOST_WARMUP * plan.warmup_runs and spent_ms < plan.budget_ms / 2:
        if len(seen) >= 2 * window and min(seen[-window:]) > (1 - _SETTLED) * min(seen[:-window]):
            return
        seen.append(_timed(run)[0])
        spent_ms += seen[-1]


def _timed(run: Callable[[], float | None]) -> tuple[float, float]:
    """One run: its time and its wall time, in milliseconds."""
    start = time.perf_counter_ns()
    device_ms = run()
    wall_ms = (time.perf_counter_ns() - start) / 1e6
    return (wall_ms if device_ms is None else device_ms), wall_ms


def _preemptions() -> int:
    """Involuntary context switches of this process so far; 0 where the operating system does not count them."""
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
