"""Measuring one network again, on a fake device whose speed the test decides."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from profilers import DeviceMeter, MeasuringProtocol, Reference
from profilers.backends import TimedRuns

PROTOCOL = MeasuringProtocol(warmup_runs=2, timed_runs=8)
MODEL, FIRST, SECOND, THIRD = b"model", b"first", b"second", b"third"
LATENCY_MS = {MODEL: 4.0, FIRST: 1.0, SECOND: 2.0, THIRD: 8.0}


@dataclass
class FakeBackend:
    """FAKE of ``OnnxRuntimeBackend``: every run of a model takes its known time, times a factor of the round.

    Attributes:
        slowdown: Factor by model and round.
        preempted: Whether every run of a round is reported as interrupted.
        calls: Models in the order in which they were timed.
    """

    slowdown: Callable[[bytes, int], float] = lambda model, round_: 1.0
    preempted: bool = False
    calls: list[bytes] = field(default_factory=list)

    provider = "FakeProvider"

    def time(self, model: bytes, *, warmup: int, runs: int) -> TimedRuns:
        assert (warmup, runs) == (PROTOCOL.warmup_runs, PROTOCOL.timed_runs)
        round_ = self.calls.count(model)
        self.calls.append(model)
        run_ms = np.full(runs, LATENCY_MS[model] * self.slowdown(model, round_))
        return TimedRuns(run_ms=run_ms, preempted=np.full(runs, self.preempted))


def meter(backend: FakeBackend, *references: bytes, **changes: Any) -> DeviceMeter:
    known = {name.decode(): Reference(model=name, latency_ms=LATENCY_MS[name]) for name in references}
    return DeviceMeter(
        backend=backend,  # type: ignore[arg-type]
        references=known,
        protocol=PROTOCOL,
        **{"pause_s": 0.0, **changes},
    )


def test_a_network_on_a_steady_device_takes_what_it_takes() -> None:
    backend = FakeBackend()
    found = meter(backend)(MODEL)
    assert found.latency_ms == found.median_ms == 4.0
    assert found.iqr_ms == 0.0
    assert found.n == 6 * PROTOCOL.timed_runs
    assert (found.noise, found.provider) == ("ok", "FakeProvider")
    assert found.device_speed is None
    assert backend.calls == [MODEL] * 6


@pytest.mark.parametrize("quiet_round", range(6))
def test_the_latency_is_that_of_the_quietest_round(quiet_round: int) -> None:
    def slowdown(model: bytes, round_: int) -> float:
        return 1.0 if round_ == quiet_round else 1.05

    found = meter(FakeBackend(slowdown))(MODEL)
    assert found.latency_ms == 4.0
    assert found.median_ms == pytest.approx(4.2)
    assert found.noise == "ok"


def test_references_are_measured_in_every_round_beside_the_model() -> None:
    backend = FakeBackend()
    assert meter(backend, FIRST, SECOND, rounds=3)(MODEL).device_speed == 1.0
    assert backend.calls == [MODEL, FIRST, SECOND] * 3


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.5])
def test_the_device_speed_tells_how_much_slower_the_device_is_than_for_the_table(factor: float) -> None:
    found = meter(FakeBackend(lambda model, round_: factor), FIRST, SECOND, THIRD)(MODEL)
    assert found.device_speed == pytest.approx(factor)
    assert found.latency_ms == pytest.approx(4.0 * factor)


def test_one_reference_that_changed_alone_does_not_count() -> None:
    found = meter(FakeBackend(lambda model, round_: 3.0 if model == SECOND else 1.0), FIRST, SECOND, THIRD)(MODEL)
    assert found.device_speed == 1.0


def test_the_device_speed_is_taken_from_quiet_rounds() -> None:
    found = meter(FakeBackend(lambda model, round_: 1.5 if round_ < 4 else 1.0), FIRST, SECOND)(MODEL)
    assert found.device_speed == 1.0


def test_rounds_go_on_while_no_two_agree_and_stop_when_two_do() -> None:
    """The quietest two agree for the first time in round number 9."""
    backend = FakeBackend(lambda model, round_: 1.0 if round_ in {0, 9} else 2.0)
    found = meter(backend)(MODEL)
    assert backend.calls == [MODEL] * 10
    assert found.noise == "ok"


def test_rounds_end_at_the_most_and_the_figure_is_flagged() -> None:
    backend = FakeBackend(lambda model, round_: 1.5**-round_)
    found = meter(backend, rounds=3, most_rounds=7)(MODEL)
    assert backend.calls == [MODEL] * 7
    assert found.noise == "noisy"
    assert found.latency_ms == pytest.approx(4.0 * 1.5**-6, rel=1e-5)


def test_rounds_go_on_while_a_reference_is_restless() -> None:
    backend = FakeBackend(lambda model, round_: 2.0 if model == SECOND and round_ not in {0, 8} else 1.0)
    found = meter(backend, FIRST, SECOND)(MODEL)
    assert backend.calls == [MODEL, FIRST, SECOND] * 9
    assert (found.noise, found.device_speed) == ("ok", 1.0)


def test_a_device_that_interrupts_every_run_is_given_up_after_the_most_rounds() -> None:
    backend = FakeBackend(preempted=True)
    found = meter(backend, most_rounds=9)(MODEL)
    assert len(backend.calls) == 9
    assert found.noise == "noisy"
    assert found.n == 9 * PROTOCOL.timed_runs


def test_the_noise_limit_is_the_protocols() -> None:
    backend = FakeBackend(lambda model, round_: 1.0 if round_ == 0 else 1.5)
    tolerant = replace(meter(backend), protocol=replace(PROTOCOL, noise_limit=0.6))
    assert tolerant(MODEL).noise == "ok"
    assert len(backend.calls) == 6


def test_there_is_a_pause_between_rounds_and_none_before_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, before = FakeBackend(), []

    def sleep(seconds: float) -> None:
        before.append((seconds, len(backend.calls)))

    monkeypatch.setattr(time, "sleep", sleep)
    meter(backend, FIRST, rounds=3, pause_s=0.75)(MODEL)
    assert before == [(0.75, 2), (0.75, 4)]


def test_one_model_after_another_is_measured_from_the_beginning() -> None:
    backend = FakeBackend()
    measure = meter(backend)
    assert [measure(model).latency_ms for model in (MODEL, THIRD, MODEL)] == [4.0, 8.0, 4.0]
    assert len(backend.calls) == 18
