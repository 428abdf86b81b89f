"""From the lines of a journal to rows: what is subtracted, shared out, outvoted, and measured once more."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_tables import BlockRow, FloorRow, KernelRow, LatencyTable, NetworkRow, Row, StepRow, validate
from profilers import MeasuringProtocol
from profilers.rows import evidence, rows, sample_to_json, uncertain
from profilers.statistics import Sample
from profilers.tasks import Task
from tests.builders import made_up_manifest

PROTOCOL = MeasuringProtocol(rounds=3, most_rounds=6)
CALM = {"sentinel_ms": [1.0, 1.0], "clock_mhz": None, "throttled": None}
SLOW = {"sentinel_ms": [1.5, 1.5], "clock_mhz": None, "throttled": None}

relaxed = settings(deadline=None)
times = st.floats(min_value=1e-3, max_value=1e3)


def sample(quiet_ms: float, **changes: Any) -> list[Any]:
    made = Sample(
        quiet_ms=quiet_ms,
        error_ms=0.001 * quiet_ms,
        min_ms=0.9 * quiet_ms,
        median_ms=1.1 * quiet_ms,
        iqr_ms=0.2 * quiet_ms,
        n=8,
        clean=True,
    )
    return sample_to_json(replace(made, **changes))


def measurement(kind: str, name: str, round_: int, quiet_ms: float = 1.0, **content: Any) -> dict[str, Any]:
    """A line of a journal."""
    line: dict[str, Any] = {"id": f"{kind}/{round_}/{name}", "kind": kind, "name": name, "round": round_, "watch": CALM}
    if kind != "kernels":
        line |= {"sample": sample(quiet_ms), "provider": "FakeProvider"}
    if kind in {"network", "floor"}:
        line["raw_ms"] = [quiet_ms] * 8
    if kind == "network":
        line |= {"blocks": {"a": 2}, "load_ms": 10.0 + round_, "first_ms": 3.0 - round_}
    if kind == "kernel":
        line["copies"] = 1
    return line | content


def several(kind: str, name: str, values: list[float], **content: Any) -> list[dict[str, Any]]:
    return [measurement(kind, name, round_, value, **content) for round_, value in enumerate(values)]


def structure(name: str, *blocks: tuple[str, dict[str, int]], **about: Any) -> dict[str, Any]:
    return {
        "id": f"structure/{name}",
        "kind": "structure",
        "name": name,
        "round": -1,
        "about": about,
        "blocks": blocks,
        "memory_mib": 1.5,
        "operators": {},
    }


def made(entries: list[dict[str, Any]], protocol: MeasuringProtocol = PROTOCOL) -> list[Row]:
    written = json.loads(json.dumps(entries))  # as a resumed campaign reads it
    return rows(evidence(written, protocol, device="cpu"), protocol)


def table(entries: list[dict[str, Any]], protocol: MeasuringProtocol = PROTOCOL) -> LatencyTable:
    return LatencyTable.from_rows(made_up_manifest(), made(entries, protocol))


def again(entries: list[dict[str, Any]], *tasks: Task, protocol: MeasuringProtocol = PROTOCOL) -> list[Task]:
    return uncertain(evidence(entries, protocol, device="cpu"), protocol, tasks)


def test_a_journal_without_measurements_gives_no_rows() -> None:
    assert made([]) == []
    assert made([{"id": "failed/x", "kind": "failed", "name": "x", "round": -1, "reason": "no"}]) == []


# --- the pace of the device


def test_what_a_calm_device_was_slower_is_taken_out_of_every_figure() -> None:
    def at(pace: float) -> dict[str, Any]:
        return {"sentinel_ms": [pace, pace], "clock_mhz": None, "throttled": None}

    paces = [1.0, 1.0, 1.04, 1.08]
    entries = [measurement("floor", "f", r, 2.0 * pace, watch=at(pace)) for r, pace in enumerate(paces)]
    steady = [measurement("network", f"n{i}", 0, 5.0) for i in range(20)]
    (row,) = (row for row in made([*steady, *entries]) if isinstance(row, FloorRow))
    assert row.timing.latency_ms == pytest.approx(2.0)
    assert row.timing.uncertainty == pytest.approx(0.0, abs=2e-3)
    assert row.timing.min_ms == pytest.approx(1.8)
    assert row.timing.median_ms == pytest.approx(2.2)


@relaxed
@given(st.lists(st.tuples(st.floats(1.0, 2.0), st.floats(0.7, 1.3)), min_size=1, max_size=4))
def test_whatever_the_pace_no_latency_is_below_the_smallest_time(seen: list[tuple[float, float]]) -> None:
    entries = [
        measurement(
            "network",
            "n",
            round_,
            ms,
            watch={"sentinel_ms": [pace, pace], "clock_mhz": None, "throttled": None},
            raw_ms=[0.9 * ms, ms, 1.1 * ms],
        )
        for round_, (ms, pace) in enumerate(seen)
    ]
    found = table(entries)
    assert found.networks["n"].timing.min_ms <= found.networks["n"].timing.latency_ms
    assert not [one for one in validate(found) if one.rule == "impossible times"]


def test_a_restless_measurement_is_not_mended_but_left_out() -> None:
    entries = [measurement("floor", "f", r, 2.0) for r in range(3)] + [measurement("floor", "f", 3, 3.0, watch=SLOW)]
    steady = [measurement("network", f"n{i}", 0, 5.0) for i in range(20)]
    (row,) = (row for row in made([*steady, *entries]) if isinstance(row, FloorRow))
    assert row.timing.latency_ms == pytest.approx(2.0)


# --- kinds of rows


def test_kernels_in_place_are_rows_by_key_over_all_their_networks() -> None:
    entries = [
        structure("one", ("a", {"K": 1}), K={"provider": "P", "arithmetic": "int8", "memory_mib": 0.25}),
        *(measurement("kernels", "one", r, kernels={"K": sample(1.0), "L": sample(5.0)}) for r in range(3)),
        *(measurement("kernels", "two", r, kernels={"K": sample(1.2)}) for r in range(3)),
    ]
    found = table(entries).kernels
    assert (found["K"].timing.latency_ms, found["K"].timing.n) == (1.1, 48)
    assert (found["K"].provider, found["K"].arithmetic, found["K"].memory_mib) == ("P", "int8", 0.25)
    assert (found["L"].provider, found["L"].arithmetic, found["L"].memory_mib) == ("unknown", "unknown", None)


def test_networks_say_what_they_took_to_load_for_the_first_run_and_when_warm() -> None:
    found = table([structure("net"), *several("network", "net", [2.0, 2.0, 2.0])]).networks["net"]
    assert isinstance(found, NetworkRow)
    assert (found.load_ms, found.first_ms, found.timing.latency_ms) == (11.0, 2.0, 2.0)
    assert (found.memory_mib, found.energy_mj, found.provider) == (1.5, None, "FakeProvider")
    assert found.blocks == {"a": 2}


@pytest.mark.parametrize("lacking", ["load_ms", "first_ms"])
def test_what_the_runtime_does_not_tell_is_unknown_and_not_zero(lacking: str) -> None:
    found = table(several("network", "net", [2.0, 2.0], **{lacking: None})).networks["net"]
    assert (found.load_ms, found.first_ms, found.memory_mib) == (None, None, None)


def test_energy_is_told_of_what_it_was_measured_for() -> None:
    energy = {"id": "energy/-1/net", "kind": "energy", "name": "net", "round": -1, "energy_mj": 7.5, "window": {}}
    found = table([*several("network", "net", [2.0]), *several("network", "other", [2.0]), energy]).networks
    assert (found["net"].energy_mj, found["other"].energy_mj) == (7.5, None)


def test_percentiles_come_from_the_raw_times_of_all_rounds() -> None:
    lines = [measurement("network", "net", r, raw_ms=[1.0 + 0.01 * i for i in range(30)]) for r in range(3)]
    assert list(table(lines).networks["net"].timing.percentiles_ms) == ["p90"]
    assert table(lines[:2]).networks["net"].timing.percentiles_ms == {}


def test_a_block_is_what_it_mostly_became() -> None:
    entries = [
        structure("one", ("a", {"K": 1}), ("a", {"L": 1, "M": 1})),
        structure("two", ("a", {"M": 1, "L": 1})),
    ]
    assert made(entries) == [BlockRow(key="a", kernels={"L": 1, "M": 1})]


def test_a_block_is_never_a_composition_whose_kernels_nobody_timed() -> None:
    """Kernels are timed in place in the workloads; references are looked at, but timed as a whole."""
    entries = [
        structure("workload", ("a", {"K": 1})),
        *(measurement("kernels", "workload", r, kernels={"K": sample(1.0)}) for r in range(3)),
        *(structure(f"reference {i}", ("a", {"fused K": 1})) for i in range(2)),
    ]
    assert table(entries).block_cost("a") == (1.0, 1)


def test_rows_are_the_same_whatever_the_order_of_the_journal() -> None:
    entries = [
        structure("net", ("a", {"K": 1}), K={"provider": "P", "arithmetic": "fp32", "memory_mib": None}),
        *several("kernel", "K", [2.0, 2.02, 2.1]),
        *several("network", "net", [4.0, 4.1, 4.2]),
        *several("floor", "call", [0.5, 0.51, 0.52]),
    ]
    assert table(entries) == table(entries[::-1])


# --- restless measurements


def test_samples_of_restless_measurements_are_left_out() -> None:
    values, watches = [1.0, 1.7, 1.01, 1.8, 1.02], [CALM, SLOW, CALM, SLOW, CALM]
    mixed = [
        measurement("network", "net", r, value, watch=watch)
        for r, (value, watch) in enumerate(zip(values, watches, strict=True))
    ]
    calm = [one for one in mixed if one["watch"] is CALM]
    found, expected = table(mixed).networks["net"].timing, table(calm).networks["net"].timing
    assert replace(found, n=expected.n) == expected
    assert (found.n, found.noise) == (40, "ok")


def test_a_thing_measured_in_one_calm_round_only_is_noisy() -> None:
    lines = several("floor", "call", [1.0, 1.0, 1.0])
    for line in lines[1:]:
        line["watch"] = SLOW
    lines += several("floor", "other", [1.0, 1.0, 1.0])
    found = table(lines).floors
    assert (found["call"].timing.noise, found["other"].timing.noise) == ("noisy", "ok")


# --- the floor


def test_the_floor_is_a_row_of_its_own_and_taken_off_isolated_kernels() -> None:
    entries = [*several("floor", "call", [0.5] * 3), *several("kernel", "K", [2.0] * 3, copies=3)]
    found = table(entries)
    assert isinstance(found.floors["call"], FloorRow)
    assert (found.floors["call"].timing.latency_ms, found.floors["call"].timing.n) == (0.5, 24)
    assert set(found.kernels) == {"K"}
    timing = found.kernels["K"].timing
    assert timing.latency_ms == 0.5
    assert timing.min_ms == pytest.approx((1.8 - 0.5) / 3, rel=1e-5)
    assert timing.median_ms == pytest.approx((2.2 - 0.5) / 3, rel=1e-5)
    assert timing.iqr_ms == pytest.approx(0.4 / 3, rel=1e-5)


def test_kernels_in_place_and_whole_networks_pay_no_call_of_their_own() -> None:
    entries = [
        *several("floor", "call", [0.5] * 3),
        *(measurement("kernels", "net", r, kernels={"K": sample(2.0)}) for r in range(3)),
        *several("network", "net", [2.5] * 3),
    ]
    found = table(entries)
    assert found.kernels["K"].timing.latency_ms == 2.0
    assert found.networks["net"].timing.latency_ms == 2.5


@relaxed
@given(kernel=times, floor=times, copies=st.integers(1, 16))
def test_no_kernel_costs_nothing_or_less(kernel: float, floor: float, copies: int) -> None:
    entries = [*several("floor", "call", [floor] * 3), *several("kernel", "K", [kernel] * 3, copies=copies)]
    found = table(entries).kernels["K"].timing
    assert 0 < found.min_ms <= found.latency_ms * (1 + 1e-5)
    assert found.latency_ms <= kernel / copies * (1 + 1e-5)
    assert found.latency_ms >= (kernel - floor - 1e-5 * kernel) / copies  # six digits of a call are fewer of the rest


def test_a_kernel_is_as_sure_in_milliseconds_as_its_call_was() -> None:
    """Half of the call is floor: the same milliseconds are twice the share of what is left."""
    values = [2.0, 2.04, 2.08, 2.2]
    without = table(several("kernel", "K", values)).kernels["K"].timing
    entries = [*several("floor", "call", [1.0] * 4), *several("kernel", "K", values, copies=4)]
    with_floor = table(entries).kernels["K"].timing
    assert without.uncertainty is not None
    assert with_floor.uncertainty is not None
    assert with_floor.uncertainty * with_floor.latency_ms * 4 == pytest.approx(
        without.uncertainty * without.latency_ms, rel=0.02
    )


def test_a_kernel_drowned_by_the_price_of_its_call_is_noisy() -> None:
    entries = [*several("floor", "call", [1.0] * 4), *several("kernel", "K", [1.01, 1.02, 1.03, 1.05])]
    assert table(entries).kernels["K"].timing.noise == "noisy"
    assert table(entries[4:]).kernels["K"].timing.noise == "ok"


# --- steps


def test_a_step_row_holds_what_it_was_read_from() -> None:
    kind = "Conv 3x3 dense float: output channels"
    times = {width: 1.0 + 0.5 * -(-width // 16) for width in range(33, 97)}
    found = made([line for width, value in times.items() for line in several("step", f"{kind} {width}", [value] * 3)])
    assert found == [StepRow(key=kind, step=16, widths=tuple(times), latency_ms=tuple(times.values()))]


def test_a_kind_of_kernel_that_does_not_grow_has_no_step() -> None:
    assert made([line for w in range(33, 97) for line in several("step", f"kind {w}", [1.0] * 3)]) == []


# --- what is measured again


TASKS = [
    Task("network", "net"),
    Task("floor", "call"),
    Task("kernel", "K"),
    Task("step", "kind 33"),
]
STEADY, WILD = [1.0, 1.001, 1.002, 1.01], [1.0, 1.2, 1.4, 1.6]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_only_what_is_uncertain_is_measured_again(task: Task) -> None:
    def seen(values: dict[str, list[float]]) -> list[dict[str, Any]]:
        times = [(one, values.get(one.kind, STEADY)) for one in TASKS]
        far = {"kernel": 10.0}  # a kernel as short as its call would be uncertain whatever it does
        return [
            line
            for one, rounds in times
            for line in several(one.kind, one.name, [far.get(one.kind, 1.0) * value for value in rounds])
        ]

    assert again(seen({}), *TASKS) == []
    assert again(seen({task.kind: WILD}), *TASKS) == [task]


def test_the_target_decides_and_not_the_noise_limit() -> None:
    lines = several("network", "net", [1.0, 1.02, 1.03, 1.04])
    uncertainty = table(lines).networks["net"].timing.uncertainty
    assert uncertainty is not None
    assert PROTOCOL.target < uncertainty < PROTOCOL.noise_limit
    assert again(lines, TASKS[0]) == [TASKS[0]]
    assert again(lines, TASKS[0], protocol=replace(PROTOCOL, network_target=uncertainty)) == []


def test_whole_networks_have_a_target_of_their_own() -> None:
    floor = next(task for task in TASKS if task.kind == "floor")
    lines = several("network", TASKS[0].name, [1.0, 1.0, 1.02, 1.03]) + several(
        "floor", floor.name, [1.0, 1.0, 1.02, 1.03]
    )
    loose = replace(PROTOCOL, target=0.5, network_target=0.5)
    assert again(lines, TASKS[0], floor, protocol=loose) == []
    assert again(lines, TASKS[0], floor, protocol=replace(loose, network_target=1e-6)) == [TASKS[0]]
    assert again(lines, TASKS[0], floor, protocol=replace(loose, target=1e-6)) == [floor]


def test_what_was_too_restless_to_tell_is_measured_again() -> None:
    lines = several("network", "net", [1.0] * 4)
    assert again(lines, TASKS[0]) == []
    for line in lines[1:]:
        line["watch"] = SLOW
    assert again([*lines, *several("floor", "call", [1.0] * 4)], *TASKS) == [TASKS[0]]


def test_an_uncertain_kernel_is_measured_again_where_it_was_measured_least() -> None:
    networks = [Task("kernels", name) for name in ("a", "b", "c", "d")]
    lines = [
        measurement("kernels", task.name, round_, kernels={"K": sample(value)})
        for task in networks
        for round_, value in enumerate(WILD)
    ]
    assert again(lines, *networks) == networks[:2]
    more = [measurement("kernels", "a", 4, kernels={"K": sample(1.8)})]
    assert again(lines + more, *networks) == networks[1:3]


def test_networks_without_an_uncertain_kernel_are_left_alone() -> None:
    lines = [
        measurement("kernels", name, round_, kernels={key: sample(value)})
        for name, key, values in (("a", "K", STEADY), ("b", "L", WILD))
        for round_, value in enumerate(values)
    ]
    assert again(lines, Task("kernels", "a"), Task("kernels", "b")) == [Task("kernels", "b")]


def test_a_kernel_whose_row_is_uncertain_is_measured_again() -> None:
    lines = [*several("floor", "call", [1.0] * 4), *several("kernel", "K", [1.04, 1.042, 1.044, 1.046])]
    uncertainty = table(lines).kernels["K"].timing.uncertainty
    assert uncertainty is not None
    assert uncertainty > PROTOCOL.target
    assert again(lines, TASKS[2]) == [TASKS[2]]


# --- the journal's form


@relaxed
@given(
    quiet_ms=times,
    n=st.integers(1, 1000),
    clean=st.booleans(),
    round_=st.integers(0, 7),
    calm=st.booleans(),
)
def test_a_sample_comes_back_from_the_journal_as_it_was(
    quiet_ms: float, n: int, clean: bool, round_: int, calm: bool
) -> None:
    line = measurement("floor", "call", round_, sample=sample(quiet_ms, n=n, clean=clean))
    line["watch"] = CALM if calm else SLOW
    others = several("floor", "other", [1.0] * 12)
    found = evidence(json.loads(json.dumps([line, *others])), PROTOCOL, device="cpu")
    (back,) = found.floors["call"]
    assert (back.round, back.calm) == (round_, calm)
    assert sample_to_json(back) == line["sample"]


def test_every_kernel_row_is_of_a_kernel() -> None:
    entries = [
        *several("floor", "call", [0.5] * 3),
        *several("kernel", "K", [2.0] * 3),
        structure("n", ("a", {"K": 1})),
    ]
    assert Counter(type(row) for row in made(entries)) == {KernelRow: 1, BlockRow: 1, FloorRow: 1}
