"""What reading cannot see is found, each thing by its rule, and a table that makes sense has no findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from latency_tables import (
    BlockRow,
    Finding,
    FloorRow,
    KernelRow,
    LatencyTable,
    Manifest,
    NetworkRow,
    Row,
    keyed,
    validate,
)
from latency_tables.validate import grouped
from tests.builders import PROVIDER, made_up_manifest, made_up_timing
from tests.latency_tables.strategies import tables

REASONS = dict.fromkeys(("memory_mib", "energy_mj", "load_ms", "first_ms"), "a test")


def kernel(key: str, latency_ms: float = 0.1, *, arithmetic: str = "fp32", **timing: Any) -> KernelRow:
    figures = replace(made_up_timing(latency_ms), **{"uncertainty": 0.01} | timing)
    return KernelRow(key=key, timing=figures, provider=PROVIDER, arithmetic=arithmetic)


def network(key: str, latency_ms: float = 1.0, *, blocks: dict[str, int], **timing: Any) -> NetworkRow:
    figures = replace(made_up_timing(latency_ms), **{"uncertainty": 0.01} | timing)
    return NetworkRow(key=key, blocks=blocks, timing=figures, provider=PROVIDER)


def floor(latency_ms: float) -> FloorRow:
    return FloorRow(key="call", timing=replace(made_up_timing(latency_ms), uncertainty=0.01), provider=PROVIDER)


def sound_rows(count: int = 10, *, batch: int = 1, precision: str = "fp32", arithmetic: str = "fp32") -> list[Row]:
    """A kernel, a block of it, and networks of that: all that a batch and precision needs."""
    block = keyed("b", batch=batch, precision=precision)
    held = f"K {batch} {precision}"
    rows: list[Row] = [kernel(held, arithmetic=arithmetic), BlockRow(key=block, kernels={held: 1})]
    names = (keyed(f"n{i}", batch=batch, precision=precision) for i in range(count))
    return rows + [network(name, blocks={block: 3}) for name in names]


def table(*rows: Row, **manifest: Any) -> LatencyTable:
    return LatencyTable.from_rows(made_up_manifest(**({"unknown": REASONS} | manifest)), rows)


def told(*rows: Row, **manifest: Any) -> list[tuple[str, str, str]]:
    return [(f.severity, f.rule, f.row) for f in validate(table(*sound_rows(), *rows, **manifest))]


def test_a_table_that_makes_sense_has_no_findings() -> None:
    assert told(floor(0.01)) == []


def test_a_table_without_rows_makes_sense() -> None:
    assert validate(LatencyTable(made_up_manifest())) == []


def test_a_block_that_names_kernels_without_rows_is_an_error() -> None:
    found = validate(table(*sound_rows(), BlockRow(key="x", kernels={"gone": 1, "K 1 fp32": 1, "lost": 2})))
    assert [(one.severity, one.row) for one in found] == [("error", "block x")]
    assert "names 2 kernels without rows, such as gone" in found[0].message
    assert "hwnas profile" in found[0].message


def test_a_network_that_names_blocks_without_rows_is_a_warning() -> None:
    assert told(network("x", blocks={"gone": 1})) == [("warning", "network without blocks", "network x")]


def test_a_row_of_another_provider_is_an_error_and_an_unknown_one_is_not() -> None:
    odd = [replace(kernel("k"), provider="CUDAExecutionProvider"), replace(floor(0.01), provider="unknown")]
    assert told(*odd) == [("error", "other provider", "kernel k")]


@pytest.mark.parametrize(
    "row",
    [
        kernel("x", min_ms=0.2, median_ms=0.1),
        network("x", blocks={"b": 1}, min_ms=1.1, median_ms=2.0),
        kernel("x", percentiles_ms={"p50": 0.2, "p9": 0.3}),
        kernel("x", percentiles_ms={"p99": 0.2, "p99.9": 0.1}),
        kernel("x", percentiles_ms={"p50": 0.01}),
    ],
    ids=["min above median", "latency below min", "p9 above p50", "p99 above p99.9", "p50 below min"],
)
def test_times_that_no_measurement_gives_are_errors(row: KernelRow | NetworkRow) -> None:
    kind = "kernel" if isinstance(row, KernelRow) else "network"
    assert told(row) == [("error", "impossible times", f"{kind} x")]


def test_a_kernel_without_the_price_of_its_call_may_be_below_its_raw_times() -> None:
    assert told(kernel("x", 0.01, min_ms=0.05, median_ms=0.06)) == []


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (kernel("x", 0.1, median_ms=0.09), "above the median"),
        (kernel("x", 0.1, n=0), "no raw times"),
        (kernel("x", 0.0), "no time at all"),
    ],
)
def test_doubtful_times_are_warnings(row: KernelRow, rule: str) -> None:
    assert told(row) == [("warning", rule, "kernel x")]


def test_how_far_above_the_median_is_up_to_the_protocol() -> None:
    assert told(kernel("x", 0.1, median_ms=0.09), protocol={"noise_limit": 0.2}) == []


def test_many_noisy_rows_are_a_warning_and_few_are_not() -> None:
    assert told(*(kernel(f"k{i}", noise="noisy" if i < 1 else "ok") for i in range(9))) == []
    noisy = told(*(kernel(f"k{i}", noise="noisy" if i < 2 else "ok") for i in range(9)))
    assert noisy == [("warning", "noisy kernels", "kernel rows")]


def test_a_part_that_takes_longer_than_the_whole_is_an_error_unless_one_is_flagged() -> None:
    slow, whole = kernel("slow", 2.0), {"big": 1, "b": 1}
    rows = [slow, BlockRow(key="big", kernels={"slow": 1})]
    assert told(*rows, network("x", blocks=whole)) == [("error", "part above the whole", "network x")]
    assert told(*rows, network("x", blocks=whole, noise="noisy")) == [("warning", "part above the whole", "network x")]
    assert told(*rows, network("x", 2.0, blocks=whole)) == []


def test_an_empty_call_slower_than_a_network_is_a_warning() -> None:
    assert told(floor(1.5)) == [("warning", "floor above a network", "floor call")]


# --- coordinates and arithmetic


def everywhere(arithmetic: str = "int8", **changes: Any) -> list[tuple[str, str, str]]:
    rows = [*sound_rows(), *sound_rows(batch=8, precision="int8", arithmetic=arithmetic)]
    manifest = {"precisions": ("fp32", "int8"), "batches": (1, 8)} | changes
    return [
        (f.severity, f.rule, f.row) for f in validate(table(*rows, unknown=REASONS | {"arithmetic": "t"}, **manifest))
    ]


def test_several_batches_and_precisions_make_sense_together() -> None:
    assert everywhere() == []


@pytest.mark.parametrize("change", [{"precisions": ("fp32",)}, {"batches": (1, 4)}])
def test_rows_where_the_manifest_has_none_are_an_error(change: dict[str, Any]) -> None:
    assert ("error", "unlisted coordinates", "manifest precisions and batches") in everywhere(**change)


def test_a_precision_or_batch_without_rows_is_a_warning() -> None:
    found = validate(table(*sound_rows(), precisions=("fp32", "bf16"), batches=(1, 4)))
    assert [(one.severity, one.rule) for one in found] == [("warning", "coordinates without rows")]
    assert "bf16, batch 4" in found[0].message


def test_a_precision_that_no_kernel_computes_in_is_an_error() -> None:
    assert everywhere("fp32") == [("error", "other arithmetic", "blocks at batch 8, int8")]


@pytest.mark.parametrize("arithmetic", ["unknown", "convert", "index"])
def test_arithmetic_that_tells_nothing_is_no_error(arithmetic: str) -> None:
    assert everywhere(arithmetic) == []


def test_a_network_of_blocks_from_elsewhere_is_an_error() -> None:
    found = told(*sound_rows(batch=8), network("x", blocks={"b@b8": 1}), batches=(1, 8))
    assert found == [("error", "mixed coordinates", "network x")]


def test_few_networks_are_a_warning_for_their_coordinates_alone() -> None:
    rows = [*sound_rows(), *sound_rows(9, batch=8)]
    found = validate(table(*rows, batches=(1, 8)))
    assert [(one.rule, one.row) for one in found] == [("few networks", "networks at batch 8, fp32")]
    assert "9 whole networks with all their blocks, fewer than 10" in found[0].message


def test_networks_that_cannot_be_calibrated_on_do_not_count() -> None:
    useless = [network("x", 0.0, blocks={"b": 1}), network("y", blocks={}), network("z", blocks={"gone": 1})]
    found = validate(table(*sound_rows(9), *useless))
    assert [one.message.partition(" ")[0] for one in found if one.rule == "few networks"] == ["9"]


# --- what is not known, and how it was measured


@pytest.mark.parametrize("name", ["memory_mib", "energy_mj", "load_ms", "first_ms", "uncertainty", "arithmetic"])
def test_what_is_unknown_needs_a_reason(name: str) -> None:
    reasons = {one: reason for one, reason in REASONS.items() if one != name}
    rows: list[Row] = [replace(kernel("x", uncertainty=None), arithmetic="unknown")]
    given = reasons | {one: "a test" for one in ("uncertainty", "arithmetic") if one != name}
    found = validate(table(*sound_rows(), *rows, unknown=given))
    assert [(one.severity, one.rule, one.row) for one in found] == [
        ("warning", "unknown without a reason", f"manifest unknown.{name}")
    ]
    assert validate(table(*sound_rows(), *rows, unknown=given | {name: "a test"})) == []


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        ({"round_slowdown": [1.0, 1.02, 1.3]}, "round_slowdown"),
        ({"sentinel_slowdown": {"median": 1.2, "p90": 1.3, "max": 3.0}}, "sentinel_slowdown"),
        ({"restless_share": 0.6}, "restless_share"),
        ({"campaigns": [{"conditions": {"round_slowdown": [1.0]}}, {"conditions": {"round_slowdown": [2.0]}}]},
         "campaigns.conditions.round_slowdown"),
    ],
)  # fmt: skip
def test_a_restless_machine_is_a_warning(conditions: dict[str, Any], field: str) -> None:
    assert told(conditions=conditions) == [("warning", "restless machine", f"manifest conditions.{field}")]


@pytest.mark.parametrize(
    "conditions",
    [
        {"round_slowdown": [1.0, 1.05], "restless_share": 0.5, "sentinel_ms": 3.0, "load_1min_median": 7},
        {"sentinel_slowdown": {"median": 1.01, "max": 3.0}},
        {"round_slowdown": None, "restless_share": "most", "slowdown": [], "sentinel_slowdown": {"median": "?"}},
        {"round_slowdown": [True, "1"], "restless_share": [10**400], "campaigns": 3},
    ],
)
def test_conditions_within_limits_or_of_another_form_are_no_warning(conditions: dict[str, Any]) -> None:
    assert told(conditions=conditions) == []


def test_what_could_not_be_measured_is_a_warning_with_its_reason_until_there_is_a_row() -> None:
    conditions = {"unmeasured": {"k": "no memory", "x": "no kernel"}}
    found = validate(table(*sound_rows(), kernel("k"), conditions=conditions))
    assert [(one.severity, one.rule) for one in found] == [("warning", "not measured")]
    assert found[0].message == "x could not be measured: no kernel"


# --- the list


def test_errors_come_first() -> None:
    rows = [kernel("slow", 0.0), BlockRow(key="x", kernels={"gone": 1})]
    assert [one[0] for one in told(*rows, conditions={"restless_share": 1})] == ["error", "warning", "warning"]


def test_findings_of_one_rule_are_grouped_with_their_number() -> None:
    findings = validate(table(*sound_rows(), *(kernel(f"x{i}", 0.0) for i in range(3)), floor(2.0)))
    assert [(one.row, count) for one, count in grouped(findings)] == [("floor call", 1), ("kernel x0", 3)]
    assert all(isinstance(one, Finding) for one in findings)


@given(tables)
@settings(max_examples=150, deadline=None)
def test_any_table_that_can_be_read_can_be_judged(one: LatencyTable) -> None:
    findings = validate(one)
    assert findings == validate(one)
    assert sum(count for _, count in grouped(findings)) == len(findings)
    assert all(finding.message and finding.row and finding.rule for finding in findings)


def test_a_manifest_of_strange_protocol_and_conditions_can_be_judged() -> None:
    strange: list[Callable[[Manifest], Manifest]] = [
        lambda m: replace(m, protocol={"noise_limit": 10**400}),
        lambda m: replace(m, protocol={"noise_limit": "much"}),
        lambda m: replace(m, conditions={"slowdown": [10**400, {"slowdown": [2.0]}]}),
    ]
    for change in strange:
        validate(LatencyTable.from_rows(change(made_up_manifest()), sound_rows()))
