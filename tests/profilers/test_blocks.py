"""A block of runs, on a clock that the test moves."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profilers import RunPlan
from profilers.backends import BlockTimes, blocks, run_block


@dataclass
class Clock:
    """FAKE of ``time`` and of the counter of involuntary context switches: they move when something runs.

    Attributes:
        wall_ms: Wall time of each run, by its number; the first is number 0.
        device_ms: Time on the device of each, likewise; ``None`` where the device does not tell.
        preempted: Whether a run is interrupted, likewise.
        runs: Runs so far.
    """

    wall_ms: Callable[[int], float] = lambda run: 1.0
    device_ms: Callable[[int], float] | None = None
    preempted: Callable[[int], bool] = lambda run: False
    runs: int = 0
    now_ns: int = 10**15
    switches: int = 3

    def run(self) -> float | None:
        number, self.runs = self.runs, self.runs + 1
        self.now_ns += round(1e6 * self.wall_ms(number))
        self.switches += self.preempted(number)
        return None if self.device_ms is None else self.device_ms(number)

    def block(self, plan: RunPlan) -> BlockTimes:
        return run_block(self.run, plan)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "perf_counter_ns", lambda: made.now_ns)
    monkeypatch.setattr(time, "perf_counter", lambda: made.now_ns / 1e9)
    monkeypatch.setattr(blocks, "_preemptions", lambda: made.switches)
    return made


def plan(**changes: float) -> RunPlan:
    return RunPlan(**{"warmup_runs": 0, "runs": 10, "least_runs": 3, "budget_ms": 1e9, **changes})  # type: ignore[arg-type]


# --- what is counted


def test_the_first_run_stands_apart_and_the_warm_up_is_not_counted(clock: Clock) -> None:
    clock.wall_ms = lambda run: 100.0 if run == 0 else 10.0 if run < 3 else 1.0
    found = clock.block(plan(warmup_runs=2, runs=4))
    assert found.first_ms == pytest.approx(100.0)
    np.testing.assert_allclose(found.run_ms, np.ones(4))
    assert clock.runs == 1 + 5 + 4  # two slow runs, two fast ones, and one more that is not faster than those


def test_without_warm_up_every_run_but_the_first_is_counted(clock: Clock) -> None:
    found = clock.block(plan(runs=5))
    assert clock.runs == 6
    assert found.run_ms.shape == found.host_ms.shape == found.preempted.shape == (5,)


def test_the_time_on_the_device_counts_where_it_is_told_and_the_wall_time_is_kept(clock: Clock) -> None:
    clock.wall_ms, clock.device_ms = lambda run: 3.0, lambda run: 0.5 + run / 100
    found = clock.block(plan(runs=3))
    assert found.first_ms == 0.5
    np.testing.assert_allclose(found.run_ms, [0.51, 0.52, 0.53])
    np.testing.assert_allclose(found.host_ms, [3.0, 3.0, 3.0])


def test_a_time_on_the_device_of_zero_is_a_time(clock: Clock) -> None:
    clock.device_ms = lambda run: 0.0
    assert not clock.block(plan()).run_ms.any()


def test_interruptions_are_told_run_by_run(clock: Clock) -> None:
    clock.preempted = lambda run: run in {0, 2, 5}  # number 0 is the first run, which does not count
    assert clock.block(plan(runs=6)).preempted.tolist() == [False, True, False, False, True, False]


def test_an_error_of_a_run_passes_through(clock: Clock) -> None:
    def broken() -> None:
        clock.run()
        if clock.runs == 4:
            raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        run_block(broken, plan())


# --- the warm-up


@pytest.mark.parametrize("settles_at", [0, 1, 4, 7, 13, 24])
def test_the_warm_up_goes_on_until_times_no_longer_fall(clock: Clock, settles_at: int) -> None:
    clock.wall_ms = lambda run: max(1.0, 1.2 ** (settles_at - run + 1))
    found = clock.block(plan(warmup_runs=5))
    warmed = clock.runs - 1 - len(found.run_ms)
    assert settles_at <= warmed <= settles_at + 10
    np.testing.assert_allclose(found.run_ms, 1.0)


@pytest.mark.parametrize("warmup_runs", [1, 2, 5, 8])
def test_what_never_settles_is_measured_all_the_same(clock: Clock, warmup_runs: int) -> None:
    clock.wall_ms = lambda run: 1e3 * 0.9**run
    clock.block(plan(warmup_runs=warmup_runs))
    assert clock.runs == 1 + 10 * warmup_runs + 10


def test_a_steady_runtime_is_warm_after_two_windows(clock: Clock) -> None:
    clock.block(plan(warmup_runs=5))
    assert clock.runs == 1 + 2 * 5 + 10


def test_warming_up_takes_half_of_the_budget_at_the_most(clock: Clock) -> None:
    clock.wall_ms = lambda run: 100 * 0.99**run + 100
    found = clock.block(plan(warmup_runs=3, runs=60, budget_ms=2000.0))
    warmed = clock.runs - 1 - len(found.run_ms)
    assert 3 <= warmed <= 6
    assert len(found.run_ms) >= 3


# --- the budget


@pytest.mark.parametrize(
    ("run_ms", "budget_ms", "counted"), [(1.0, 20.0, 10), (1.0, 5.5, 5), (1.0, 1.0, 3), (9.0, 1.0, 3)]
)
def test_a_block_over_its_budget_ends_early_and_not_before_its_least_runs(
    clock: Clock, run_ms: float, budget_ms: float, counted: int
) -> None:
    clock.wall_ms = lambda run: run_ms
    assert len(clock.block(plan(budget_ms=budget_ms)).run_ms) == counted


def test_the_first_run_and_the_warm_up_are_paid_from_the_budget(clock: Clock) -> None:
    clock.wall_ms = lambda run: 1000.0 if run == 0 else 1.0
    assert len(clock.block(plan(budget_ms=500.0)).run_ms) == 3


def test_the_budget_is_of_wall_time_even_where_the_device_tells_its_own(clock: Clock) -> None:
    clock.wall_ms, clock.device_ms = lambda run: 10.0, lambda run: 0.001
    assert len(clock.block(plan(budget_ms=45.0)).run_ms) == 4


@given(
    warmup=st.integers(0, 4),
    runs=st.integers(1, 12),
    least=st.integers(1, 12),
    budget_ms=st.floats(0.0, 50.0),
    times=st.lists(st.floats(0.001, 20.0), min_size=80, max_size=80),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_block_keeps_to_its_plan_whatever_the_times(
    clock: Clock, warmup: int, runs: int, least: int, budget_ms: float, times: list[float]
) -> None:
    clock.runs, clock.wall_ms = 0, lambda run: times[run % len(times)]
    begin = clock.now_ns
    asked = plan(warmup_runs=warmup, runs=runs, least_runs=least, budget_ms=budget_ms)
    found = clock.block(asked)
    counted = len(found.run_ms)
    assert min(least, runs) <= counted <= runs
    assert 1 + warmup + counted <= clock.runs <= 1 + 10 * warmup + counted
    warmed = clock.runs - 1 - counted
    assert found.first_ms == pytest.approx(times[0], abs=1e-5)
    np.testing.assert_allclose(found.run_ms, [times[i % len(times)] for i in range(1 + warmed, clock.runs)], atol=1e-5)
    spent_ms = (clock.now_ns - begin) / 1e6
    if counted < runs:
        assert spent_ms >= budget_ms - 1e-5
    elif counted > least:
        assert spent_ms - found.run_ms[-1] <= budget_ms + 1e-5


# --- the real clock


def test_a_real_block_takes_the_time_it_takes() -> None:
    found = run_block(lambda: time.sleep(0.003), RunPlan(warmup_runs=1, runs=4, budget_ms=1000.0))
    assert (found.run_ms >= 2.9).all()
    np.testing.assert_array_equal(found.run_ms, found.host_ms)
    assert found.preempted.dtype == np.bool_


def test_a_system_without_the_counter_reports_no_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAKE: Windows, which has no module ``resource``."""
    monkeypatch.setitem(sys.modules, "resource", None)
    assert not run_block(lambda: None, RunPlan(warmup_runs=0, runs=4)).preempted.any()
