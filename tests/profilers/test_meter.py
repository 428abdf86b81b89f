"""Measuring one network again, on a fake device whose speed the test decides."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest

from profilers import DeviceError, DeviceMeter, MeasuringProtocol, ModelError, PluginError, Reference
from profilers.models import settled
from tests.profilers.fakes_backend import COPY, PROVIDER, Moment, PlainFake, Times, network, work

PROTOCOL = MeasuringProtocol(warmup_runs=2, timed_runs=8)
MODEL, FIRST, SECOND, THIRD = "model", "first", "second", "third"
LATENCY_MS = {MODEL: 4.0, FIRST: 1.0, SECOND: 2.0, THIRD: 8.0}
MODELS = {name: network(name, name).model for name in LATENCY_MS}


def steady(rng: np.random.Generator, runs: int) -> Times:
    return np.ones(runs)


def device(slowdown: Callable[[Moment], float] = lambda moment: 1.0, **changes: Any) -> PlainFake:
    """Every run of a network takes its known time, times a factor of the round."""
    costs = {COPY: 0.0, **{work(name): latency_ms for name, latency_ms in LATENCY_MS.items()}}
    return PlainFake(floor_ms=0.0, costs=costs, draw=steady, slowdown=slowdown, **changes)


def meter(backend: PlainFake, *references: str, **changes: Any) -> DeviceMeter:
    known = {name: Reference(model=MODELS[name], latency_ms=LATENCY_MS[name]) for name in references}
    return DeviceMeter(backend=backend, references=known, **{"protocol": PROTOCOL, "pause_s": 0.0, **changes})


def called(backend: PlainFake) -> list[str]:
    return [moment.what for moment in backend.calls]


def slow_at_first(visits: int, what: str = MODEL) -> Callable[[Moment], float]:
    return lambda moment: 2.0 if moment.what == what and moment.visit < visits else 1.0


def test_a_network_on_a_steady_device_takes_what_it_takes() -> None:
    backend = device()
    found = meter(backend)(MODELS[MODEL])
    assert found.latency_ms == found.median_ms == 4.0
    assert found.iqr_ms == 0.0
    assert found.n == 6 * PROTOCOL.timed_runs
    assert (found.noise, found.provider) == ("ok", PROVIDER)
    assert found.device_speed is None
    assert called(backend) == [MODEL] * 6
    assert {(plan.warmup_runs, plan.runs) for plan in backend.plans} == {(2, 8)}


@pytest.mark.parametrize("first_quiet", range(4))
def test_the_latency_is_that_of_the_quieter_half_of_the_rounds(first_quiet: int) -> None:
    def slowdown(moment: Moment) -> float:
        return 1.0 if moment.visit - first_quiet in range(3) else 1.05

    found = meter(device(slowdown))(MODELS[MODEL])
    assert found.latency_ms == 4.0
    assert found.median_ms == pytest.approx(4.1)
    assert found.noise == "ok"


def test_references_are_measured_in_every_round_beside_the_model() -> None:
    backend = device()
    assert meter(backend, FIRST, SECOND, rounds=3)(MODELS[MODEL]).device_speed == 1.0
    assert called(backend) == [MODEL, FIRST, SECOND] * 3


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.5])
def test_the_device_speed_tells_how_much_slower_the_device_is_than_for_the_table(factor: float) -> None:
    found = meter(device(lambda moment: factor), FIRST, SECOND, THIRD)(MODELS[MODEL])
    assert found.device_speed == pytest.approx(factor)
    assert found.latency_ms == pytest.approx(4.0 * factor)


def test_one_reference_that_changed_alone_does_not_count() -> None:
    backend = device(lambda moment: 3.0 if moment.what == SECOND else 1.0)
    assert meter(backend, FIRST, SECOND, THIRD)(MODELS[MODEL]).device_speed == 1.0


def test_the_device_speed_is_taken_from_quiet_rounds() -> None:
    found = meter(device(lambda moment: 1.5 if moment.visit < 3 else 1.0), FIRST, SECOND)(MODELS[MODEL])
    assert found.device_speed == 1.0


def test_rounds_go_on_while_the_figure_is_uncertain_and_stop_when_it_is_not() -> None:
    """With four slow rounds, nine are the first whose quieter half is the same whichever of them is left out."""
    backend = device(slow_at_first(4))
    found = meter(backend)(MODELS[MODEL])
    assert called(backend) == [MODEL] * 9
    assert (found.noise, found.latency_ms) == ("ok", 4.0)


def test_rounds_end_at_the_most_and_the_figure_is_flagged() -> None:
    backend = device(lambda moment: 1.5**-moment.visit)
    found = meter(backend, rounds=3, most_rounds=7)(MODELS[MODEL])
    assert called(backend) == [MODEL] * 7
    assert found.noise == "noisy"
    assert found.latency_ms == pytest.approx(np.mean([4.0 * 1.5**-visit for visit in (3, 4, 5, 6)]), rel=1e-5)


def test_rounds_go_on_while_a_reference_is_uncertain() -> None:
    backend = device(slow_at_first(4, SECOND))
    found = meter(backend, FIRST, SECOND)(MODELS[MODEL])
    assert called(backend) == [MODEL, FIRST, SECOND] * 9
    assert (found.noise, found.device_speed) == ("ok", 1.0)


def test_a_device_that_interrupts_every_run_is_given_up_after_the_most_rounds() -> None:
    backend = device(preempted=lambda moment: True)
    found = meter(backend, most_rounds=9)(MODELS[MODEL])
    assert len(backend.calls) == 9
    assert found.noise == "noisy"
    assert found.n == 9 * PROTOCOL.timed_runs


def test_interrupted_rounds_among_others_do_not_count() -> None:
    backend = device(slow_at_first(2), preempted=lambda moment: moment.visit < 2)
    found = meter(backend)(MODELS[MODEL])
    assert (found.latency_ms, found.noise, len(backend.calls)) == (4.0, "ok", 6)


def test_the_noise_limit_is_the_protocols() -> None:
    backend = device(slow_at_first(4))
    tolerant = meter(backend, protocol=replace(PROTOCOL, noise_limit=2.0))
    assert tolerant(MODELS[MODEL]).noise == "ok"
    assert len(backend.calls) == 6


def test_there_is_a_pause_between_rounds_and_none_before_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, before = device(), []

    def sleep(seconds: float) -> None:
        before.append((seconds, len(backend.calls)))

    monkeypatch.setattr(time, "sleep", sleep)
    meter(backend, FIRST, rounds=3, pause_s=0.75)(MODELS[MODEL])
    assert before == [(0.75, 2), (0.75, 4)]


def test_one_model_after_another_is_measured_from_the_beginning() -> None:
    backend = device()
    measure = meter(backend)
    assert [measure(MODELS[name]).latency_ms for name in (MODEL, THIRD, MODEL)] == [4.0, 8.0, 4.0]
    assert len(backend.calls) == 18


def test_an_open_batch_is_measured_with_one_image_and_a_fixed_model_as_it_is() -> None:
    opened = onnx.load_from_string(MODELS[MODEL])
    opened.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    assert settled(MODELS[MODEL]) == MODELS[MODEL]
    fixed = onnx.load_from_string(settled(opened.SerializeToString()))
    assert [size.dim_value for size in fixed.graph.input[0].type.tensor_type.shape.dim] == [1, 4]


def test_a_model_that_does_not_load_and_a_lost_device_are_told() -> None:
    with pytest.raises(ModelError, match="none"):
        meter(device())(b"this is no model")
    lost = device(failure=lambda moment: DeviceError("gone") if moment.visit == 2 else None)
    with pytest.raises(DeviceError, match="gone"):
        meter(lost)(MODELS[MODEL])


def test_a_block_has_the_protocols_budget() -> None:
    backend = device()
    meter(backend, protocol=replace(PROTOCOL, budget_ms=16.0, least_runs=2))(MODELS[MODEL])
    assert {(plan.budget_ms, plan.least_runs) for plan in backend.plans} == {(16.0, 2)}


def test_runs_on_another_provider_are_refused() -> None:
    backend = device(distort=lambda moment, runs: replace(runs, provider="Other"))
    with pytest.raises(DeviceError, match="Other"):
        meter(backend)(MODELS[MODEL])


@pytest.mark.parametrize("wrong", ["raises", "nonsense"])
def test_a_plug_in_that_breaks_the_contract_is_named(wrong: str) -> None:
    def distort(moment: Moment, runs: Any) -> Any:
        if wrong == "raises":
            raise ValueError("index out of range")
        return replace(runs, run_ms=runs.run_ms * np.nan)

    with pytest.raises(PluginError, match="fakeruntime"):
        meter(device(distort=distort))(MODELS[MODEL])
