"""Whether the device was itself: which measurements the sentinel, the clocks and throttling condemn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profilers import DeviceError, MeasuringProtocol
from profilers import watch as watch_module
from profilers.watch import Watch, calm_measurements
from tests.profilers.fakes_backend import SENTINEL, FakeClocks, Moment, PlainFake

PROTOCOL = MeasuringProtocol(sentinel_runs=6, budget_ms=500.0, slow_limit=0.05, clock_limit=0.05)

relaxed = settings(deadline=None)


def entry(
    name: str,
    before: float | None = 1.0,
    after: float | None = 1.0,
    *,
    mhz: float | None = None,
    throttled: bool | None = None,
) -> dict[str, Any]:
    return {"id": name, "watch": {"sentinel_ms": [before, after], "clock_mhz": mhz, "throttled": throttled}}


def restless(entries: list[dict[str, Any]], *, device: str = "cpu") -> set[str]:
    calm = calm_measurements(entries, PROTOCOL, device=device)
    return {one["id"] for one in entries} - calm.ids


STEADY = [entry(f"steady {i}") for i in range(20)]


# --- the sentinel


@pytest.mark.parametrize(
    ("before", "after", "condemned"),
    [(1.0, 1.0, False), (1.049, 1.0, False), (1.0, 1.049, False), (1.051, 1.0, True), (1.0, 1.051, True), (2, 3, True)],
)
def test_a_measurement_beside_a_slow_sentinel_is_restless(before: float, after: float, condemned: bool) -> None:
    assert restless([*STEADY, entry("this", before, after)]) == ({"this"} if condemned else set())


def test_the_usual_best_of_the_sentinel_is_no_single_lucky_reading() -> None:
    lucky = [*STEADY, entry("lucky", 0.5, 1.0)]
    assert restless(lucky) == set()
    assert calm_measurements(lucky, PROTOCOL, device="cpu").usual_ms == 1.0


def test_a_device_that_is_slow_most_of_the_time_is_restless_most_of_the_time() -> None:
    entries = [*(entry(f"fast {i}") for i in range(3)), *(entry(f"slow {i}", 1.5, 1.5) for i in range(12))]
    calm = calm_measurements(entries, PROTOCOL, device="cpu")
    assert calm.ids == {"fast 0", "fast 1", "fast 2"}
    assert (calm.usual_ms, calm.restless_share) == (1.0, 0.8)
    assert calm.slowdown["slow 3"] == 1.5


@relaxed
@given(
    readings=st.lists(st.floats(min_value=0.01, max_value=10.0), min_size=2, max_size=40),
    exponent=st.integers(-8, 8),
    seed=st.integers(0, 2**31),
)
def test_neither_the_unit_of_the_clock_nor_the_order_of_the_measurements_matters(
    readings: list[float], exponent: int, seed: int
) -> None:
    entries = [entry(str(i), readings[i], readings[i + 1]) for i in range(len(readings) - 1)]
    factor = 2.0**exponent
    scaled = [entry(str(i), factor * readings[i], factor * readings[i + 1]) for i in range(len(readings) - 1)]
    shuffled = [scaled[i] for i in np.random.default_rng(seed).permutation(len(scaled))]
    assert restless(shuffled) == restless(entries)


@relaxed
@given(readings=st.lists(st.floats(min_value=0.01, max_value=10.0), min_size=2, max_size=40))
def test_a_wider_limit_condemns_no_more(readings: list[float]) -> None:
    entries = [entry(str(i), readings[i], readings[i + 1]) for i in range(len(readings) - 1)]
    calm = [
        calm_measurements(entries, MeasuringProtocol(slow_limit=limit), device="cpu").ids for limit in (0.01, 0.1, 1.0)
    ]
    assert calm[0] <= calm[1] <= calm[2]


def test_what_was_not_watched_counts_as_calm() -> None:
    entries = [{"id": "structure/one", "kind": "structure"}, {"id": "failed/x"}]
    calm = calm_measurements(entries, PROTOCOL, device="cpu")
    assert calm.ids == {"structure/one", "failed/x"}
    assert (calm.usual_ms, calm.restless_share, calm.clock_mhz, calm.clock_drift) == (None, None, None, None)
    assert calm.to_json()["sentinel_slowdown"] == {}


def test_a_reading_that_is_missing_condemns_nothing() -> None:
    assert restless([*STEADY, entry("no reading before", None, 1.0), entry("none at all", None, None)]) == set()


# --- pace


@pytest.mark.parametrize(
    ("before", "after", "pace"),
    [
        (1.0, 1.0, 1.0),
        (1.02, 1.04, 1.03),
        (0.98, 1.0, 0.99),
        (0.5, 1.0, 1 / 1.05),
        (1.5, 1.5, 1.05),
        (None, 1.04, 1.04),
    ],
)
def test_the_pace_is_the_mean_of_both_readings_within_the_limit(
    before: float | None, after: float, pace: float
) -> None:
    calm = calm_measurements([*STEADY, entry("this", before, after)], PROTOCOL, device="cpu")
    assert calm.pace["this"] == pytest.approx(pace)
    assert "unread" not in calm_measurements([*STEADY, entry("unread", None, None)], PROTOCOL, device="cpu").pace


# --- clocks


@pytest.mark.parametrize(("mhz", "condemned"), [(1500.0, False), (1430.0, False), (1420.0, True), (1580.0, True)])
def test_on_a_gpu_a_clock_away_from_its_median_is_restless(mhz: float, condemned: bool) -> None:
    steady = [entry(f"steady {i}", mhz=1500.0) for i in range(5)]
    found = calm_measurements([*steady, entry("this", mhz=mhz)], PROTOCOL, device="gpu")
    assert ("this" not in found.ids) == condemned
    assert found.clock_mhz == 1500.0
    assert found.clock_drift == pytest.approx(abs(mhz / 1500 - 1), abs=1e-4)


@pytest.mark.parametrize("device", ["cpu", "made-up"])
def test_elsewhere_clocks_are_told_and_condemn_nothing(device: str) -> None:
    """A CPU's figure is the mean over cores that idle."""
    entries = [entry("one", mhz=800.0), entry("two", mhz=3200.0), entry("three", mhz=3200.0)]
    found = calm_measurements(entries, PROTOCOL, device=device)
    assert len(found.ids) == 3
    assert (found.clock_mhz, found.clock_drift) == (3200.0, 0.75)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_throttling_is_restless_on_every_device(device: str) -> None:
    entries = [*STEADY, entry("hot", throttled=True), entry("cool", throttled=False), entry("unknown", throttled=None)]
    assert restless(entries, device=device) == {"hot"}
    assert calm_measurements(entries, PROTOCOL, device=device).throttled == 1


def test_a_gpu_that_tells_its_clock_only_at_times_is_judged_by_what_it_tells() -> None:
    entries = [entry("one", mhz=1500.0), entry("two"), entry("three", mhz=1500.0), entry("four", mhz=900.0)]
    assert restless(entries, device="gpu") == {"four"}


def test_what_a_manifest_keeps() -> None:
    entries = [*(entry(f"{i}", mhz=1000.0) for i in range(8)), entry("slow", 1.0, 1.5, mhz=1100.0, throttled=True)]
    assert calm_measurements(entries, PROTOCOL, device="gpu").to_json() == {
        "sentinel_ms": 1.0,
        "sentinel_slowdown": {"median": 1.0, "p90": 1.1, "max": 1.5},
        "restless_share": 0.1111,
        "clock_mhz": 1000.0,
        "clock_drift": 0.1,
        "throttled_measurements": 1,
    }


# --- reading


def test_the_sentinel_is_timed_before_and_after_and_once_in_between() -> None:
    backend = PlainFake(slowdown=lambda moment: 1.0 + moment.visit / 10)
    with Watch(backend, PROTOCOL) as watch:
        watch.begin()
        first, second = watch.read(), watch.read()
    assert [moment.what for moment in backend.calls] == [SENTINEL] * 3
    assert first["sentinel_ms"][1] == second["sentinel_ms"][0]
    readings = np.array([*first["sentinel_ms"], second["sentinel_ms"][1]])
    assert readings / readings[0] == pytest.approx([1.0, 1.1, 1.2])
    assert {(plan.runs, plan.budget_ms) for plan in backend.plans} == {(6, 500.0)}


def test_the_sentinel_is_read_from_its_quiet_runs() -> None:
    def draw(rng: np.random.Generator, runs: int) -> Any:
        return np.array([1.0, 1.0, *[9.0] * (runs - 2)])

    backend = PlainFake(draw=draw, floor_ms=0.0, growth=lambda channels: 2.0)
    with Watch(backend, PROTOCOL) as watch:
        watch.begin()
        assert watch.read()["sentinel_ms"] == [2.0, 2.0]


def test_clocks_are_read_with_every_measurement_and_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = FakeClocks(clock_mhz=(1500.0, 1400.0), throttled=frozenset({1}))
    monkeypatch.setattr(watch_module, "ClockWatch", clocks)
    with Watch(PlainFake(device="gpu"), PROTOCOL) as watch:
        found = [watch.read(), watch.read()]
    assert [(one["clock_mhz"], one["throttled"]) for one in found] == [(1500.0, False), (1400.0, True)]
    assert clocks.closed


def test_a_device_without_clocks_tells_none() -> None:
    with Watch(PlainFake(), PROTOCOL) as watch:
        found = watch.read()
    assert (found["clock_mhz"], found["throttled"]) == (None, None)


def test_clocks_are_let_go_of_when_the_device_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = FakeClocks()
    monkeypatch.setattr(watch_module, "ClockWatch", clocks)

    def failure(moment: Moment) -> BaseException | None:
        return DeviceError("lost") if moment.visit == 1 else None

    backend = PlainFake(failure=failure)
    with Watch(backend, PROTOCOL) as watch:
        watch.begin()
        with pytest.raises(DeviceError):
            watch.read()
    assert clocks.closed


def test_clocks_are_let_go_of_when_the_device_is_lost_before_the_first_measurement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clocks = FakeClocks()
    monkeypatch.setattr(watch_module, "ClockWatch", clocks)
    with Watch(PlainFake(failure=lambda moment: DeviceError("lost")), PROTOCOL) as watch, pytest.raises(DeviceError):
        watch.begin()
    assert clocks.closed
