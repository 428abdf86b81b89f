"""The rounds of a campaign: what is measured once more, what does not count, and who is named when something breaks."""

from __future__ import annotations

import errno
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latency_tables import FloorRow, KernelRow, LatencyTable, NetworkRow, Timing
from profilers import (
    CampaignError,
    DeviceError,
    DeviceMemoryError,
    ModelError,
    OnnxRuntimeBackend,
    PluginError,
    Progress,
)
from profilers import resources as resources_module
from profilers import rounds as rounds_module
from profilers import watch as watch_module
from profilers.backends import Method, TimedRuns
from profilers.devices.energy import EnergyUnknown, measure_energy
from profilers.rounds import guarded
from profilers.testing import chain
from tests.profilers.fakes_backend import (
    COPY,
    FLOOR,
    PROTOCOL,
    PROVIDER,
    REFERENCES,
    SENTINEL,
    WORKLOADS,
    FakeBackend,
    FakeClocks,
    FakeMeter,
    InPlaceFake,
    IsolatingFake,
    Moment,
    PlainFake,
    campaign,
    falling,
    lost_at,
    network,
    slow_calls,
    slow_visits,
    things,
    work,
)

METHODS: tuple[Method, ...] = get_args(Method)
ROUNDS, MOST = PROTOCOL.rounds, PROTOCOL.most_rounds

every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "table.jsonl"


def timings(table: LatencyTable, *kinds: str) -> dict[str, Timing]:
    rows = [row for kind in kinds or ("kernel", "network", "floor") for row in table.by_kind()[kind].values()]
    return {row.key: row.timing for row in rows if isinstance(row, KernelRow | NetworkRow | FloorRow)}


def latencies(table: LatencyTable) -> dict[str, float]:
    return {key: timing.latency_ms for key, timing in timings(table).items()}


def verdicts(table: LatencyTable) -> set[str]:
    return {timing.noise for timing in timings(table).values()}


def journal_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def lines(out: Path) -> list[dict[str, Any]]:
    """The measurements in a journal."""
    entries = [json.loads(line) for line in journal_of(out).read_text(encoding="utf-8").splitlines()[1:]]
    return [entry for entry in entries if entry["kind"] != "structure"]


# --- how many rounds


@every_method
def test_what_is_steady_is_measured_in_the_protocols_rounds_and_no_more(out: Path, method: Method) -> None:
    backend = FakeBackend(method=method)
    table = campaign(backend, out)
    assert backend.measured == dict.fromkeys(things(method), ROUNDS)
    assert verdicts(table) == {"ok"}
    assert all(timing.uncertainty < PROTOCOL.target for timing in timings(table).values())  # type: ignore[operator]


@every_method
def test_what_never_settles_is_given_up_after_the_most_rounds_and_flagged(out: Path, method: Method) -> None:
    backend = FakeBackend(method=method, slowdown=slow_visits(1.0, 1.3, 1.6, 2.0, 2.4, 2.8))
    table = campaign(backend, out)
    assert set(backend.measured) == set(things(method))
    assert max(backend.measured.values()) == MOST
    if method != "in-place":  # there, a kernel is measured again in two of its networks
        assert set(backend.measured.values()) == {MOST}
    assert verdicts(table) == {"noisy"}


@every_method
def test_only_what_is_uncertain_is_measured_in_further_rounds(out: Path, method: Method) -> None:
    wild = slow_visits(1.0, 1.3, 1.6, 2.0, 2.4, 2.8)
    backend = FakeBackend(method=method, slowdown=lambda moment: wild(moment) if moment.what == "second" else 1.0)
    table = campaign(backend, out)
    assert backend.measured == dict.fromkeys(things(method), ROUNDS) | {("time", "second"): MOST}
    assert {key for key, timing in timings(table).items() if timing.noise == "noisy"} == {"second"}


def test_further_rounds_end_when_everything_is_certain(out: Path) -> None:
    """After three rounds of another speed each, four quiet ones are the quieter half whichever is left out."""
    settling = slow_visits(1.5, 1.4, 1.3, 1.0)
    backend = FakeBackend(slowdown=lambda moment: settling(moment) if moment.what == FLOOR else 1.0)
    table = campaign(backend, out, protocol=replace(PROTOCOL, most_rounds=20))
    assert backend.measured["time", FLOOR] == 7
    timing = table.floors["call"].timing
    assert (timing.noise, timing.n) == ("ok", 7 * PROTOCOL.timed_runs)
    assert timing.latency_ms == pytest.approx(0.25, rel=0.01)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    amount=st.floats(min_value=0.0, max_value=0.3),
    rounds=st.integers(2, 4),
    more=st.integers(0, 4),
    method=st.sampled_from(METHODS),
    seed=st.integers(0, 2**31),
)
def test_nothing_is_measured_more_or_less_often_than_the_protocol_says(
    out: Path, amount: float, rounds: int, more: int, method: Method, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    backend = FakeBackend(
        method=method, slowdown=lambda moment: float(1 + amount * rng.random()) if moment.measuring else 1.0
    )
    rule = replace(PROTOCOL, rounds=rounds, most_rounds=rounds + more)
    table = campaign(backend, out, protocol=rule)
    out.unlink()
    assert set(backend.measured) == set(things(method))
    assert all(rounds <= count <= rounds + more for count in backend.measured.values())
    for key, timing in timings(table, "network", "floor").items():
        assert timing.uncertainty is not None
        count = backend.measured["time", FLOOR if key == "call" else key]
        assert timing.uncertainty <= rule.target or count == rule.most_rounds
        if abs(timing.uncertainty / rule.noise_limit - 1) > 0.01:  # it is judged before it is rounded
            assert timing.noise == ("noisy" if timing.uncertainty > rule.noise_limit else "ok")


def test_kernels_that_are_short_beside_their_call_get_further_rounds_before_they_are_flagged(out: Path) -> None:
    short = {COPY: 0.03} | {work(block): 0.03 for block in ("stem", "a", "b", "c", "d", "head")}
    wavering = slow_visits(1.0, 1.004, 1.002, 1.0, 1.006, 1.003)
    backend = FakeBackend(
        method="isolated",
        copies=1,
        costs=short,
        floor_ms=1.0,
        slowdown=lambda moment: wavering(moment) if moment.kind == "kernel" else 1.0,
    )
    table = campaign(backend, out)
    for key, row in table.kernels.items():
        assert row.timing.noise == "ok" or backend.measured["kernel", key] == MOST


@every_method
def test_blocks_of_runs_are_as_the_protocol_says(out: Path, method: Method) -> None:
    rule = replace(PROTOCOL, warmup_runs=3, profiled_runs=5, timed_runs=9, least_runs=7, budget_ms=321.0)
    backend = FakeBackend(method=method)
    campaign(backend, out, protocol=rule)
    planned = [moment for moment in backend.calls if moment.kind != "isolate"]
    for moment, plan in zip(planned, backend.plans, strict=True):
        if moment.measuring:
            runs = 5 if moment.kind == "profile" else 9
            assert (plan.warmup_runs, plan.runs, plan.least_runs, plan.budget_ms) == (3, runs, min(7, runs), 321.0)


# --- interrupted runs


@every_method
def test_a_measurement_is_repeated_at_once_until_some_run_is_undisturbed(out: Path, method: Method) -> None:
    backend = FakeBackend(method=method, preempted=lambda moment: moment.measuring and moment.visit < 2)
    table = campaign(backend, out)
    assert backend.measured == dict.fromkeys(things(method), ROUNDS + 2)
    assert verdicts(table) == {"ok"}


def test_a_measurement_that_is_always_disturbed_is_given_up_and_its_rows_are_noisy(out: Path) -> None:
    backend = FakeBackend(preempted=lambda moment: True)
    table = campaign(backend, out)
    assert max(backend.measured.values()) == MOST * PROTOCOL.attempts
    assert verdicts(table) == {"noisy"}
    assert {row.timing.n for row in table.networks.values()} == {MOST * PROTOCOL.timed_runs}


# --- a restless device


def round_starts(method: Method) -> Callable[[int], int]:
    """The number of the call that begins a round's first measurement, on a steady device."""
    looks, per_round = len(WORKLOADS) + len(REFERENCES), 2 * len(things(method))
    return lambda round_: (0 if method == "blocks" else looks) + 1 + per_round * round_


@every_method
def test_a_slow_spell_is_known_by_the_sentinel_and_what_it_hit_is_measured_again(out: Path, method: Method) -> None:
    calm = campaign(FakeBackend(method=method), out.with_name("calm.jsonl"))
    start = round_starts(method)
    backend = FakeBackend(method=method, slowdown=slow_calls(start(1), start(3) - 2, 1.6))
    table = campaign(backend, out)
    assert latencies(table) == latencies(calm)
    assert verdicts(table) == {"ok"}
    assert backend.measured == dict.fromkeys(things(method), ROUNDS + 1)  # two calm rounds are enough
    conditions = table.manifest.conditions
    assert conditions["restless_share"] == 0.5
    assert conditions["sentinel_slowdown"]["max"] == 1.6  # type: ignore[index,call-overload]


@every_method
def test_one_restless_round_is_left_out_and_nothing_repeated(out: Path, method: Method) -> None:
    calm = campaign(FakeBackend(method=method), out.with_name("calm.jsonl"))
    start = round_starts(method)
    backend = FakeBackend(method=method, slowdown=slow_calls(start(1), start(2) - 2, 1.3))
    table = campaign(backend, out)
    assert latencies(table) == latencies(calm)
    assert backend.measured == dict.fromkeys(things(method), ROUNDS)
    assert table.manifest.conditions["restless_share"] == pytest.approx(1 / 3, abs=0.06)


def test_being_slow_while_the_sentinel_is_not_is_no_restlessness(out: Path) -> None:
    backend = FakeBackend(slowdown=slow_visits(1.0, 1.6))
    table = campaign(backend, out)
    assert table.manifest.conditions["restless_share"] == 0.0
    assert verdicts(table) == {"noisy"}  # nothing says which of the speeds is the device's
    assert max(backend.measured.values()) == MOST


@pytest.mark.parametrize("slow_round", range(4))
def test_one_slow_round_of_four_changes_nothing(out: Path, slow_round: int) -> None:
    rule = replace(PROTOCOL, rounds=4)
    calm = campaign(FakeBackend(), out.with_name("calm.jsonl"), protocol=rule)
    slow = [1.0] * 4
    slow[slow_round] = 1.7
    table = campaign(FakeBackend(slowdown=slow_visits(*slow, 1.0)), out, protocol=rule)
    assert latencies(table) == latencies(calm)
    assert verdicts(table) == {"ok"}
    assert table.manifest.conditions["restless_share"] == 0.0


def test_a_device_that_never_calms_down_ends_all_the_same(out: Path) -> None:
    """Every other reading of the sentinel is slow, so every measurement has one beside it."""
    backend = FakeBackend(slowdown=lambda moment: 1.0 + 0.5 * (moment.visit % 2) if moment.what == SENTINEL else 1.0)
    table = campaign(backend, out)
    assert verdicts(table) == {"noisy"}
    assert table.manifest.conditions["restless_share"] == 1.0
    assert max(backend.measured.values()) == MOST


@pytest.mark.parametrize(("device", "counts"), [("gpu", True), ("cpu", False)])
def test_a_gpus_clock_beyond_the_limit_is_restless(
    out: Path, monkeypatch: pytest.MonkeyPatch, device: str, counts: bool
) -> None:
    per_round = len(things("in-place"))
    clocks = FakeClocks(clock_mhz=(*[1500.0] * per_round, *[1350.0] * per_round, 1500.0))
    monkeypatch.setattr(watch_module, "ClockWatch", clocks)
    backend = FakeBackend(device=device, slowdown=slow_visits(1.0, 0.9, 1.0))
    table = campaign(backend, out)
    conditions = table.manifest.conditions
    assert conditions["restless_share"] == (pytest.approx(1 / 3, abs=1e-4) if counts else 0.0)
    assert (conditions["clock_mhz"], conditions["clock_drift"]) == (1500.0, 0.1)
    assert table.networks["first"].timing.latency_ms == pytest.approx(
        8.732 if counts else 0.9 * 8.732, rel=0.01 if counts else 0.12
    )
    assert set(backend.measured.values()) == ({ROUNDS} if counts else {MOST})
    assert clocks.closed


def test_throttling_is_restless_and_counted(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    per_round = len(things("in-place"))
    clocks = FakeClocks(throttled=frozenset(range(per_round, 3 * per_round)))
    monkeypatch.setattr(watch_module, "ClockWatch", clocks)
    calm = campaign(FakeBackend(), out.with_name("calm.jsonl"))
    clocks.readings = 0
    backend = FakeBackend(device="cpu", slowdown=slow_visits(1.0, 1.4, 1.4, 1.0))
    table = campaign(backend, out)
    assert latencies(table) == latencies(calm)
    assert set(backend.measured.values()) == {ROUNDS + 1}
    assert table.manifest.conditions["throttled_measurements"] == 2 * per_round


# --- progress


@every_method
def test_progress_counts_up_to_the_total(out: Path, method: Method) -> None:
    seen: list[Progress] = []
    campaign(FakeBackend(method=method), out, on_progress=seen.append)
    total = ROUNDS * len(things(method))
    assert [progress.done for progress in seen] == list(range(1, total + 1))
    assert {(progress.total, progress.resumed) for progress in seen} == {(total, 0)}


def test_the_total_grows_with_further_rounds(out: Path) -> None:
    wild = slow_visits(1.0, 1.3, 1.6, 2.0, 2.4, 2.8)
    seen: list[Progress] = []
    backend = FakeBackend(slowdown=lambda moment: wild(moment) if moment.what == "first" else 1.0)
    campaign(backend, out, on_progress=seen.append)
    first = ROUNDS * len(things("in-place"))
    assert [progress.total for progress in seen] == [*[first] * first, first + 1, first + 2, first + 3]
    assert [progress.done for progress in seen] == list(range(1, first + 4))
    before_the_last = first // ROUNDS * (ROUNDS - 1)
    assert all(progress.further for progress in seen[:before_the_last])


def test_progress_reaches_its_total_beside_kernels_that_cannot_run(out: Path) -> None:
    seen: list[Progress] = []
    backend = FakeBackend(method="isolated", failure=cannot_run(work("a")))
    campaign(backend, out, on_progress=seen.append)
    assert seen[-1].done == seen[-1].total


# --- kernels that cannot run alone


def cannot_run(*whats: str) -> Callable[[Moment], BaseException | None]:
    return lambda moment: ModelError("no such kernel here") if moment.what in whats else None


def test_a_kernel_that_cannot_run_alone_is_named_and_the_others_are_measured(out: Path) -> None:
    seen: list[Moment] = []

    def failure(moment: Moment) -> BaseException | None:
        seen.append(moment)
        return cannot_run(work("a"))(moment)

    backend = FakeBackend(method="isolated", failure=failure)
    table = campaign(backend, out)
    reason = f"kernel {work('a')}: no such kernel here"
    assert table.manifest.conditions["unmeasured"] == {work("a"): reason}
    assert set(table.kernels) == {COPY, *(work(block) for block in ("stem", "b", "c", "d", "head"))}
    assert set(table.networks) == {"first", "second"}
    assert sum(moment.what == work("a") for moment in seen) == 1  # nothing is gained by asking again


def test_a_block_that_cannot_run_alone_is_named_too(out: Path) -> None:
    table = campaign(FakeBackend(method="blocks", failure=cannot_run("block a")), out)
    assert set(table.manifest.conditions["unmeasured"]) == {"block:a"}  # type: ignore[arg-type]
    assert "block:b" in table.kernels


def test_a_kernel_that_fails_after_some_rounds_keeps_what_was_measured(out: Path) -> None:
    backend = FakeBackend(
        method="isolated",
        failure=lambda moment: ModelError("no more") if moment.what == COPY and moment.visit == 2 else None,
    )
    table = campaign(backend, out)
    assert table.kernels[COPY].timing.n == 2 * PROTOCOL.timed_runs
    assert set(table.manifest.conditions["unmeasured"]) == {COPY}  # type: ignore[arg-type]


def test_what_cannot_run_is_not_tried_again_by_the_process_that_goes_on(out: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 12:
            raise KeyboardInterrupt

    backend = FakeBackend(method="isolated", failure=cannot_run(work("a")))
    with pytest.raises(KeyboardInterrupt):
        campaign(backend, out, on_progress=stop)
    assert "failed" in {entry["kind"] for entry in lines(out)}
    backend.failure = lambda moment: AssertionError if moment.what == work("a") else None  # type: ignore[assignment,return-value]
    table = campaign(backend, out)
    assert set(table.manifest.conditions["unmeasured"]) == {work("a")}  # type: ignore[arg-type]


def test_a_kernel_that_cannot_be_cut_out_is_named(out: Path) -> None:
    table = campaign(FakeBackend(method="isolated", uncut=frozenset({work("a")})), out)
    assert work("a") not in table.kernels
    assert work("a") in table.manifest.conditions["unmeasured"]  # type: ignore[operator]


@every_method
@pytest.mark.parametrize("what", ["first", FLOOR])
def test_a_network_that_does_not_run_ends_the_campaign_by_its_name(out: Path, method: Method, what: str) -> None:
    with pytest.raises(ModelError, match="no such kernel here") as caught:
        campaign(FakeBackend(method=method, failure=cannot_run(what)), out)
    assert str(caught.value).startswith("floor call: " if what == FLOOR else f"network {what}: ")
    assert caught.value.exit_code == 2


def test_a_probe_that_cannot_run_costs_its_step_and_no_more(out: Path) -> None:
    """Without it the campaign cannot be finished: leaving out the steps makes another campaign of it."""
    backend = FakeBackend(
        method="isolated", failure=lambda moment: ModelError("no") if moment.what.startswith("probe") else None
    )
    table = campaign(backend, out, [chain((8, 16))], [], steps=True)
    assert len(table.kernels) == 2
    assert table.steps == {}


@every_method
def test_what_does_not_fit_the_devices_memory_is_named_and_the_rest_measured(out: Path, method: Method) -> None:
    def failure(moment: Moment) -> BaseException | None:
        too_large = moment.what in {"second", work("a"), "block a"} and moment.measuring
        return DeviceMemoryError("device out of memory: 3 GiB.") if too_large else None

    table = campaign(FakeBackend(method=method, failure=failure), out)
    large = {"in-place": {"second"}, "isolated": {"second", work("a")}, "blocks": {"second", "block:a"}}[method]
    assert set(table.manifest.conditions["unmeasured"]) == large  # type: ignore[arg-type]
    assert set(table.networks) == {"first"}


@pytest.mark.parametrize("method", ["in-place", "isolated"])
def test_a_network_that_does_not_fit_is_left_out_from_the_first_look_on(out: Path, method: Method) -> None:
    """It is at the first look that a network meets the device's memory."""

    def failure(moment: Moment) -> BaseException | None:
        return DeviceMemoryError("device out of memory: 3 GiB.") if moment.what == "two" else None

    table = campaign(FakeBackend(method=method, failure=failure), out)
    assert "two" in table.manifest.conditions["unmeasured"]  # type: ignore[operator]
    assert set(table.networks) == {"first", "second"}


def test_a_network_whose_kernels_do_not_fit_is_timed_as_a_whole_all_the_same(out: Path) -> None:
    def failure(moment: Moment) -> BaseException | None:
        too_large = moment.kind == "profile" and moment.what == "one"
        return DeviceMemoryError("device out of memory: 3 GiB.") if too_large else None

    table = campaign(FakeBackend(failure=failure), out, references=WORKLOADS)
    assert {row.timing.n for row in table.networks.values()} == {ROUNDS * PROTOCOL.timed_runs}


# --- a lost device


@every_method
@pytest.mark.parametrize("measured", [1, 7, 14])
def test_a_lost_device_says_what_is_kept_and_the_same_command_goes_on(out: Path, method: Method, measured: int) -> None:
    whole = campaign(FakeBackend(method=method), out.with_name("whole.jsonl"))
    backend = FakeBackend(method=method, failure=lost_at(measured))
    with pytest.raises(DeviceError, match="fell off the bus") as caught:
        campaign(backend, out)
    message = str(caught.value)
    assert f" after {measured} measurements, which are kept in {journal_of(out)}" in message
    assert "The same command goes on from there; if the device is gone for good, `hwnas table recover`" in message
    assert caught.value.exit_code == 3
    assert len(lines(out)) == measured
    assert not out.exists()
    table = campaign(backend, out)
    assert backend.measured == dict.fromkeys(things(method), ROUNDS)
    assert table.rows() == whole.rows()


@pytest.mark.parametrize("what", [FLOOR, "one", "first"])
def test_a_lost_device_is_told_with_what_it_was_doing(out: Path, what: str) -> None:
    backend = FakeBackend(
        failure=lambda moment: DeviceError("Lost.") if moment.what == what and moment.visit == 1 else None
    )
    with pytest.raises(DeviceError) as caught:
        campaign(backend, out)
    kind = {FLOOR: "floor call", "one": "kernels one", "first": "network first"}[what]
    assert f"Lost. This happened at {kind}, after " in str(caught.value)


def test_a_device_that_is_lost_under_the_sentinel_costs_the_measurement_beside_it(out: Path) -> None:
    backend = FakeBackend(
        failure=lambda moment: DeviceError("Lost.") if moment.what == SENTINEL and moment.visit == 5 else None
    )
    with pytest.raises(DeviceError, match="after 4 measurements"):
        campaign(backend, out)
    backend.failure = lambda moment: None
    campaign(backend, out)
    assert sorted(backend.measured.values()) == [ROUNDS] * (len(things("in-place")) - 1) + [ROUNDS + 1]


def test_a_device_that_is_not_there_at_all_is_told_as_it_is(out: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        campaign(FakeBackend(failure=lambda moment: DeviceError("no device")), out)
    assert str(caught.value) == "no device"


# --- plug-ins that break the contract


@every_method
@pytest.mark.parametrize("kind", ["time", "kernel", "profile", "inspect", "isolate"])
def test_whatever_a_plug_in_raises_is_named_as_its_fault(out: Path, method: Method, kind: str) -> None:
    backend = FakeBackend(
        method=method,
        failure=lambda moment: (
            ZeroDivisionError("by zero") if moment.kind == kind and moment.what != SENTINEL else None
        ),
    )
    if kind not in {"time", *{"in-place": {"profile", "inspect"}, "isolated": {"kernel", "isolate"}}.get(method, ())}:
        assert campaign(backend, out).kernels
        return
    with pytest.raises(PluginError, match="the backend 'fakeruntime' failed: ZeroDivisionError: by zero") as caught:
        campaign(backend, out)
    assert "profilers.testing" in str(caught.value)
    assert caught.value.exit_code == 3
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_plug_in_without_a_fingerprint_is_named(out: Path) -> None:
    class Broken(FakeBackend):
        def fingerprint(self) -> dict[str, Any]:
            raise KeyError("chip")

    with pytest.raises(PluginError, match="KeyError"):
        campaign(Broken(), out)
    assert list(out.parent.iterdir()) == []


def test_a_plug_in_that_fails_at_its_first_run_is_named(out: Path) -> None:
    backend = FakeBackend(failure=lambda moment: ZeroDivisionError() if moment.what == SENTINEL else None)
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        campaign(backend, out)


def test_a_plug_in_that_fails_in_the_middle_loses_nothing(out: Path) -> None:
    backend = FakeBackend(
        failure=lambda moment: ValueError("now") if moment.what == "first" and moment.visit == 1 else None
    )
    with pytest.raises(PluginError):
        campaign(backend, out)
    assert lines(out)
    backend.failure = lambda moment: None
    campaign(backend, out)
    assert backend.measured == dict.fromkeys(things("in-place"), ROUNDS)


def test_only_third_parties_are_blamed() -> None:
    def fails(error: BaseException) -> Callable[[], object]:
        def call() -> object:
            raise error

        return call

    with pytest.raises(ValueError, match="ours"):
        guarded(OnnxRuntimeBackend(), fails(ValueError("ours")))
    for known in (ModelError("m"), DeviceError("d"), CampaignError("c"), OSError(errno.ENOSPC, "full")):
        with pytest.raises(type(known)):
            guarded(FakeBackend(), fails(known))
    with pytest.raises(KeyboardInterrupt):
        guarded(FakeBackend(), fails(KeyboardInterrupt()))
    assert guarded(FakeBackend(), lambda: 42) == 42


def distorted(*kinds: str, **changes: Callable[[Any], Any]) -> Callable[[Moment, Any], Any]:
    """Changes fields of what is measured, or of what a network becomes."""

    def distort(moment: Moment, runs: Any) -> Any:
        if moment.kind not in kinds or moment.what == SENTINEL:
            return runs
        return replace(runs, **{name: change(getattr(runs, name)) for name, change in changes.items()})

    return distort


NONSENSE: dict[str, tuple[dict[str, Callable[[Any], Any]], str]] = {
    "not a number": ({"run_ms": lambda ms: ms * np.nan}, "negative or not finite"),
    "infinite": ({"run_ms": lambda ms: ms + np.inf}, "negative or not finite"),
    "negative": ({"run_ms": lambda ms: -ms}, "negative or not finite"),
    "two axes": ({"run_ms": lambda ms: ms[:, None]}, r"of shape \(\d+, 1\).*expected two of shape \(runs,\)"),
    "no runs": ({"run_ms": lambda ms: ms[:0], "preempted": lambda hit: hit[:0]}, "at least one run"),
    "fewer interruptions": ({"preempted": lambda hit: hit[1:]}, "expected two of shape"),
    "a single number": ({"run_ms": lambda ms: 1.0, "preempted": lambda hit: False}, r"of shape \(\)"),
}


@every_method
@pytest.mark.parametrize("what", NONSENSE)
def test_times_that_cannot_be_are_refused(out: Path, method: Method, what: str) -> None:
    changes, complaint = NONSENSE[what]
    kinds = ("profile",) if method == "in-place" else ("kernel", "time")
    backend = FakeBackend(method=method, distort=distorted(*kinds, **changes))
    with pytest.raises(PluginError, match=complaint) as caught:
        campaign(backend, out, references=[])
    assert "'fakeruntime'" in str(caught.value)
    assert caught.value.exit_code == 3


@every_method
def test_runs_on_another_provider_are_refused(out: Path, method: Method) -> None:
    backend = FakeBackend(
        method=method, distort=distorted("time", "kernel", "profile", provider=lambda _: "OtherProvider")
    )
    with pytest.raises(DeviceError, match=f"is for {PROVIDER}, but its runs say OtherProvider"):
        campaign(backend, out)


KERNEL_NONSENSE: dict[str, dict[str, Callable[[Any], Any]]] = {
    "not a number": {"kernel_ms": lambda ms: ms * np.nan},
    "negative": {"kernel_ms": lambda ms: -ms},
    "a kernel too few": {"kernel_ms": lambda ms: ms[1:]},
    "a run too few": {"kernel_ms": lambda ms: ms[:, 1:]},
    "no kernels": {"inspection": lambda _: None},
    "no number to load": {"load_ms": lambda _: float("nan")},
}


@pytest.mark.parametrize("what", [name for name in KERNEL_NONSENSE if name != "no number to load"])
def test_kernel_times_that_cannot_be_are_refused(out: Path, what: str) -> None:
    backend = FakeBackend(distort=distorted("profile", **KERNEL_NONSENSE[what]))
    with pytest.raises(PluginError, match="fakeruntime"):
        campaign(backend, out)


def test_load_times_that_cannot_be_are_refused(out: Path) -> None:
    with pytest.raises(PluginError, match="fakeruntime"):
        campaign(FakeBackend(distort=distorted("time", **KERNEL_NONSENSE["no number to load"])), out)


@pytest.mark.parametrize("what", ["no inspection", "a part that is none", "nothing"])
def test_a_network_that_became_nonsense_is_refused(out: Path, what: str) -> None:
    def distort(moment: Moment, runs: Any) -> Any:
        if moment.kind != "inspect" or what == "a part that is none":
            return runs
        plain = TimedRuns(run_ms=runs.run_ms, preempted=runs.preempted, provider=runs.provider)
        return None if what == "nothing" else plain

    backend = FakeBackend(distort=distort)
    if what == "a part that is none":
        backend.fuse = lambda uses: tuple(replace(use, part="elsewhere") for use in uses)
    with pytest.raises(PluginError, match="fakeruntime"):
        campaign(backend, out)


@every_method
def test_an_answer_that_is_nothing_is_refused(out: Path, method: Method) -> None:
    backend = FakeBackend(method=method, distort=lambda moment, runs: None if moment.measuring else runs)
    with pytest.raises(PluginError, match="fakeruntime"):
        campaign(backend, out)


def test_interruptions_may_be_told_as_numbers(out: Path) -> None:
    """The slowest half of the runs is interrupted, told as 0 and 1: refused, or as good as false and true."""

    def distort(moment: Moment, runs: Any) -> Any:
        hit = runs.run_ms > np.median(runs.run_ms)
        return replace(runs, preempted=hit.astype(np.int64)) if moment.measuring else runs

    try:
        table = campaign(FakeBackend(method="blocks", distort=distort), out)
    except PluginError:
        return
    assert table.networks["first"].timing.n == ROUNDS * PROTOCOL.timed_runs // 2


def test_a_sentinel_without_runs_is_refused(out: Path) -> None:
    def distort(moment: Moment, runs: Any) -> Any:
        empty = replace(runs, run_ms=runs.run_ms[:0], preempted=runs.preempted[:0])
        return empty if moment.what == SENTINEL else runs

    with pytest.raises(PluginError, match="at least one run"):
        campaign(FakeBackend(method="blocks", distort=distort), out)


@pytest.mark.parametrize("answer", [None, 42, ({}, {})])
def test_a_network_that_cannot_be_cut_up_into_nonsense_is_refused(out: Path, answer: object) -> None:
    backend = FakeBackend(
        method="isolated", distort=lambda moment, found: answer if moment.kind == "isolate" else found
    )
    with pytest.raises(PluginError, match="fakeruntime"):
        campaign(backend, out)


# --- what a backend cannot do


@pytest.mark.parametrize(
    ("backend", "method", "cure"),
    [
        (IsolatingFake(), "in-place", "cannot time kernels in place: choose --method isolated or blocks"),
        (PlainFake(), "in-place", "cannot time kernels in place"),
        (InPlaceFake(), "isolated", "cannot run a kernel alone: choose --method in-place"),
        (PlainFake(), "isolated", "cannot tell its kernels apart: choose --method blocks"),
    ],
)
def test_a_method_that_a_backend_lacks_is_refused_with_one_it_has(
    out: Path, backend: PlainFake, method: Method, cure: str
) -> None:
    with pytest.raises(CampaignError, match=cure):
        campaign(backend, out, method=method)


def test_after_a_refused_method_the_right_one_works(out: Path) -> None:
    with pytest.raises(CampaignError, match="choose --method isolated"):
        campaign(IsolatingFake(), out, method="in-place")
    assert campaign(IsolatingFake(), out, method="isolated").kernels


def test_every_backend_can_time_blocks(out: Path) -> None:
    table = campaign(PlainFake(), out)
    assert table.manifest.protocol["method"] == "blocks"
    assert set(table.kernels) == {f"block:{block}" for block in ("stem", "a", "b", "c", "d", "head")}


# --- energy


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> tuple[FakeBackend, FakeMeter]:
    """A device with a counter of its energy, and its own time for whoever waits."""
    backend = FakeBackend(first_ms=None, load_ms=None, draw=lambda rng, runs: np.ones(runs))
    meter = FakeMeter(backend)
    monkeypatch.setattr(rounds_module, "energy_meter", lambda device: meter)
    patient = partial(measure_energy, clock=meter.clock, sleep=meter.sleep)
    monkeypatch.setattr(resources_module, "measure_energy", patient)
    return backend, meter


def test_the_energy_of_a_network_is_what_its_runs_draw_beyond_idling(
    out: Path, metered: tuple[FakeBackend, FakeMeter]
) -> None:
    backend, meter = metered
    table = campaign(backend, out, energy=True)
    for row in table.networks.values():
        assert row.energy_mj == pytest.approx(meter.extra_w * row.timing.latency_ms, rel=0.01)
    assert {row.energy_mj for row in table.kernels.values()} == {None}
    assert "whole networks only" in table.manifest.unknown["kernels.energy_mj"]
    assert "energy_mj" not in table.manifest.unknown
    assert meter.closed


def test_loading_and_a_long_first_run_are_in_no_energy(out: Path, metered: tuple[FakeBackend, FakeMeter]) -> None:
    backend, meter = metered
    backend.load_ms, backend.first_ms = 300.0, 900.0
    for row in campaign(backend, out, energy=True).networks.values():
        assert row.energy_mj == pytest.approx(meter.extra_w * row.timing.latency_ms, rel=0.01)


def test_energy_is_measured_once_and_kept_with_its_window(
    out: Path, metered: tuple[FakeBackend, FakeMeter], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, meter = metered
    measured: list[str] = []

    def stopping(backend: Any, model: bytes, meter: Any) -> Any:
        if len(measured) == 1 and meter.closed is False:
            raise KeyboardInterrupt
        measured.append("one")
        return resources_module.network_energy(backend, model, meter)

    monkeypatch.setattr(rounds_module, "network_energy", stopping)
    with pytest.raises(KeyboardInterrupt):
        campaign(backend, out, energy=True)
    assert meter.closed
    (entry,) = [entry for entry in lines(out) if entry["kind"] == "energy"]
    assert entry["window"]["method"] == "made-up counter"
    assert entry["window"]["window_s"] >= 2
    assert entry["window"]["idle_power_w"] == pytest.approx(10.0)
    before = backend.measured.copy()
    table = campaign(backend, out, energy=True)
    assert len(measured) == 2
    assert all(row.energy_mj is not None for row in table.networks.values())
    again = backend.measured - before
    assert set(again) == {("time", next(one.name for one in REFERENCES if one.name != entry["name"]))}


def test_a_device_without_a_counter_has_no_energy_and_says_why(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds_module, "energy_meter", lambda device: EnergyUnknown("no counter, no rails"))
    table = campaign(FakeBackend(), out, energy=True)
    assert table.manifest.unknown["energy_mj"] == "no counter, no rails"
    assert {row.energy_mj for row in table.networks.values()} == {None}
    assert {row.energy_mj for row in table.kernels.values()} == {None}


def test_energy_of_a_device_of_ones_own_is_unknown_with_the_reason(out: Path) -> None:
    assert "made-up" in campaign(FakeBackend(), out, energy=True).manifest.unknown["energy_mj"]


def test_energy_is_not_measured_where_nobody_asks(out: Path, metered: tuple[FakeBackend, FakeMeter]) -> None:
    backend, meter = metered
    table = campaign(backend, out)
    assert table.manifest.unknown["energy_mj"].startswith("not asked for")
    assert {row.energy_mj for row in table.networks.values()} == {None}
    assert not meter.closed  # never opened


def test_a_counter_that_stops_costs_the_energy_of_that_network_and_never_tells_zero(
    out: Path, metered: tuple[FakeBackend, FakeMeter]
) -> None:
    backend, meter = metered
    meter.answers = 5  # four for a network
    table = campaign(backend, out, energy=True)
    known = [name for name, row in table.networks.items() if row.energy_mj is not None]
    unknown = [name for name, row in table.networks.items() if row.energy_mj is None]
    assert (len(known), len(unknown)) == (1, 1)
    assert "no longer answers" in table.manifest.unknown[f"energy_mj of {unknown[0]}"]


def test_a_device_that_draws_nothing_more_while_it_works_has_no_energy_of_zero(
    out: Path, metered: tuple[FakeBackend, FakeMeter]
) -> None:
    backend, meter = metered
    meter.extra_w = 0.0
    table = campaign(backend, out, energy=True)
    assert {row.energy_mj for row in table.networks.values()} == {None}
    assert all("no energy above idle" in table.manifest.unknown[f"energy_mj of {name}"] for name in table.networks)


# --- load, first runs, memory


def test_load_and_first_times_are_medians_over_the_rounds(out: Path) -> None:
    def distort(moment: Moment, runs: Any) -> Any:
        return replace(runs, load_ms=[90.0, 10.0, 12.0][moment.visit % 3], first_ms=[4.0, 50.0, 6.0][moment.visit % 3])

    table = campaign(FakeBackend(distort=distort), out)
    assert {(row.load_ms, row.first_ms) for row in table.networks.values()} == {(12.0, 6.0)}
    plain = campaign(FakeBackend(), out.with_name("plain.jsonl"))
    assert latencies(table) == latencies(plain)


@pytest.mark.parametrize("method", ["in-place", "isolated"])
def test_memory_is_what_the_runtime_says_of_each_network_and_kernel(out: Path, method: Method) -> None:
    table = campaign(FakeBackend(method=method), out)
    assert {row.memory_mib for row in table.networks.values()} == {0.75}
    assert {row.memory_mib for row in table.kernels.values()} == {8 * 4 / 2**20}
    table = campaign(FakeBackend(method=method, memory_mib=None), out.with_name("unknown.jsonl"))
    assert {row.memory_mib for row in table.networks.values()} == {None}


# --- a synthetic clock


@pytest.mark.parametrize(
    ("runs", "names"), [(20, set()), (24, {"p90"}), (60, {"p90", "p95"}), (240, {"p90", "p95", "p99"})]
)
def test_percentiles_of_networks_are_those_of_the_clock_where_enough_runs_support_them(
    out: Path, runs: int, names: set[str]
) -> None:
    """Times of a network are exponential beyond their least: every percentile is known."""

    def draw(rng: np.random.Generator, runs: int) -> Any:
        return 1 + rng.exponential(0.2, runs)

    rule = replace(PROTOCOL, timed_runs=runs, most_rounds=ROUNDS, budget_ms=1e6)
    table = campaign(FakeBackend(draw=draw, method="blocks"), out, protocol=rule)
    for timing in timings(table, "network", "floor").values():
        assert set(timing.percentiles_ms) == names
        for name, found in timing.percentiles_ms.items():
            true = 1 - 0.2 * np.log(1 - float(name[1:]) / 100)
            assert found / timing.min_ms == pytest.approx(true, rel=0.25)
    assert all(timing.percentiles_ms == {} for timing in timings(table, "kernel").values())


def test_figures_are_those_of_the_quietest_runs(out: Path) -> None:
    def stalling(rng: np.random.Generator, runs: int) -> Any:
        return falling(rng, runs) * np.where(np.arange(runs) < runs / 2, 7.0, 1.0)

    calm = campaign(FakeBackend(method="isolated"), out)
    stalled = campaign(FakeBackend(method="isolated", draw=stalling), out.with_name("stalled.jsonl"))
    assert latencies(stalled) == latencies(calm)


def test_a_kernel_that_occurs_several_times_is_the_mean_of_its_occurrences(out: Path) -> None:
    def distort(moment: Moment, runs: Any) -> Any:
        if moment.kind != "profile":
            return runs
        kernel_ms = runs.kernel_ms.copy()
        twice = [index for index, use in enumerate(runs.uses) if use.key == work("d")]
        kernel_ms[twice] = [[1.0] * kernel_ms.shape[1], [2.0] * kernel_ms.shape[1]]
        return replace(runs, kernel_ms=kernel_ms)

    table = campaign(FakeBackend(distort=distort), out, [network("twice", "d", "a", "d")], [])
    assert table.kernels[work("d")].timing.latency_ms == 1.5
    assert table.blocks["d"].kernels == {COPY: 1, work("d"): 1}


def test_entries_of_the_journal_are_as_many_as_measurements(out: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == progress.total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        campaign(FakeBackend(), out, on_progress=stop)
    entries = lines(out)
    assert Counter(entry["kind"] for entry in entries) == {"kernels": 9, "network": 6, "floor": 3}
    assert all(len(entry["watch"]["sentinel_ms"]) == 2 for entry in entries)
    assert {entry["round"] for entry in entries} == set(range(ROUNDS))
