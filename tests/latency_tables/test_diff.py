"""A difference of two tables names everything that differs, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from latency_tables import (
    BlockRow,
    FieldChange,
    FloorRow,
    KernelRow,
    LatencyChange,
    LatencyTable,
    NetworkRow,
    Row,
    RowChange,
    Spread,
    StepRow,
    diff_tables,
)
from tests.builders import PROVIDER, made_up_manifest, made_up_timing
from tests.latency_tables.strategies import tables


def kernel(key: str, latency_ms: float, **changes: Any) -> KernelRow:
    noise = changes.pop("noise", "ok")
    row = KernelRow(key=key, timing=made_up_timing(latency_ms, noise=noise), provider=PROVIDER, arithmetic="fp32")
    return replace(row, **changes)


def network(key: str, latency_ms: float, **blocks: int) -> NetworkRow:
    return NetworkRow(key=key, blocks=blocks, timing=made_up_timing(latency_ms), provider=PROVIDER)


def table(*rows: Row, **manifest: Any) -> LatencyTable:
    return LatencyTable.from_rows(made_up_manifest(**manifest), rows)


def test_equal_tables_differ_in_nothing() -> None:
    one = table(kernel("k", 1.0), BlockRow(key="b", kernels={"k": 1}), network("n", 2.0, b=1))
    diff = diff_tables(one, one)
    assert diff.same_rows
    assert (diff.manifest, diff.latencies, diff.rows, diff.only_a, diff.only_b) == ((), (), (), {}, {})
    assert diff.summary["kernel"] == Spread(common=1, median=0.0, p95=0.0, median_ratio=1.0)


def test_fingerprints_are_compared_field_by_field() -> None:
    a = table(fingerprint={"cpu": "A", "isa": ["avx2"], "gpu": {"driver": "1", "name": "G"}, "quota": None})
    b = table(fingerprint={"cpu": "B", "isa": ["avx2"], "gpu": {"driver": "2", "name": "G"}, "governor": "powersave"})
    assert diff_tables(a, b).manifest == (
        FieldChange(name="fingerprint.cpu", a="A", b="B"),
        FieldChange(name="fingerprint.gpu.driver", a="1", b="2"),
        FieldChange(name="fingerprint.governor", a=None, b="powersave"),
    )


def test_every_other_field_of_the_manifest_is_compared_too() -> None:
    changes: dict[str, Any] = {
        "device": "gpu",
        "device_name": "Other",
        "runtime": "trt",
        "runtime_version": "2",
        "provider": "P",
        "threads": 2,
        "precisions": ("int8",),
        "batches": (8,),
        "space": "s",
        "created": "later",
        "protocol": {"name": "made-up/1", "rounds": 5},
        "conditions": {},
        "unknown": {"energy_mj": "no meter"},
    }
    for name, value in changes.items():
        found = diff_tables(table(), table(**{name: value})).manifest
        assert [change.name.partition(".")[0] for change in found] == [name]
    assert diff_tables(table(), table(protocol=changes["protocol"])).manifest == (
        FieldChange(name="protocol.rounds", a=3, b=5),
    )


def test_rows_of_one_table_alone_are_named_by_kind() -> None:
    a = table(kernel("k", 1.0), kernel("only a", 1.0), BlockRow(key="b", kernels={}))
    b = table(kernel("k", 1.0), network("n", 1.0))
    diff = diff_tables(a, b)
    assert diff.only_a == {"kernel": ("only a",), "block": ("b",)}
    assert diff.only_b == {"network": ("n",)}
    assert not diff.same_rows


def test_latencies_beyond_the_tolerance_are_listed_with_both_figures_the_largest_first() -> None:
    a = table(kernel("same", 1.0), kernel("near", 1.0), kernel("slower", 1.0, noise="noisy"), network("n", 4.0))
    b = table(kernel("same", 1.0), kernel("near", 1.04), kernel("slower", 1.5), network("n", 2.0))
    assert diff_tables(a, b).latencies == (
        LatencyChange(kind="network", key="n", a_ms=4.0, b_ms=2.0, ratio=0.5, a_noise="ok", b_noise="ok"),
        LatencyChange(kind="kernel", key="slower", a_ms=1.0, b_ms=1.5, ratio=1.5, a_noise="noisy", b_noise="ok"),
    )
    assert [change.key for change in diff_tables(a, b, tolerance=0.01).latencies] == ["n", "slower", "near"]
    assert diff_tables(a, b, tolerance=1.0).latencies == ()


def test_a_time_of_nothing_has_no_ratio_and_is_always_listed() -> None:
    diff = diff_tables(table(kernel("k", 0.0), kernel("l", 0.0)), table(kernel("k", 1.0), kernel("l", 0.0)))
    assert [(change.key, change.ratio) for change in diff.latencies] == [("k", None)]
    assert diff.summary["kernel"] == Spread(common=2, median=None, p95=None, median_ratio=None)


def test_what_differs_beside_the_times_is_named() -> None:
    floor = FloorRow(key="call", timing=made_up_timing(0.1), provider=PROVIDER)
    step = StepRow(key="s", step=16, widths=(1, 2), latency_ms=(0.1, 0.2))
    a = table(
        *(kernel("k", 1.0), BlockRow(key="b", kernels={"k": 1, "l": 2, "m": 1}), network("n", 1.0, b=1)),
        *(floor, step),
    )
    b = table(
        kernel("k", 1.0, provider="Other", arithmetic="int8"),
        *(BlockRow(key="b", kernels={"k": 1, "l": 1, "new": 1}), network("n", 1.0, b=2)),
        *(replace(floor, provider="Other"), replace(step, step=8, latency_ms=(0.3, 0.4))),
    )
    assert diff_tables(a, b).rows == (
        RowChange(kind="kernel", key="k", field="provider", a=PROVIDER, b="Other"),
        RowChange(kind="kernel", key="k", field="arithmetic", a="fp32", b="int8"),
        RowChange(kind="block", key="b", field="kernels", a={"l": 2, "m": 1, "new": 0}, b={"l": 1, "m": 0, "new": 1}),
        RowChange(kind="network", key="n", field="blocks", a={"b": 1}, b={"b": 2}),
        RowChange(kind="floor", key="call", field="provider", a=PROVIDER, b="Other"),
        RowChange(kind="step", key="s", field="step", a=16, b=8),
    )


def test_the_summary_is_median_and_95th_percentile_over_common_rows() -> None:
    count = 100
    a = table(*(kernel(f"{i:03}", 1.0) for i in range(count)), kernel("only a", 9.0))
    b = table(*(kernel(f"{i:03}", 1.0 + i / 100) for i in range(count)))
    spread = diff_tables(a, b).summary["kernel"]
    assert spread.common == count
    assert spread.median == pytest.approx(0.495)
    assert spread.p95 == pytest.approx(0.94)
    assert spread.median_ratio == pytest.approx(1.495)


@pytest.mark.parametrize("tolerance", [-0.1, float("nan"), float("inf")])
def test_a_tolerance_that_is_none_is_refused(tolerance: float) -> None:
    with pytest.raises(ValueError, match="expected a tolerance of at least 0"):
        diff_tables(table(), table(), tolerance=tolerance)


@given(tables)
@settings(max_examples=60, deadline=None)
def test_a_table_never_differs_from_itself(one: LatencyTable) -> None:
    diff = diff_tables(one, one, tolerance=0)
    assert diff.same_rows
    assert diff.manifest == ()


@given(tables, tables)
@settings(max_examples=100, deadline=None)
def test_exchanging_the_tables_exchanges_the_sides_and_nothing_else(a: LatencyTable, b: LatencyTable) -> None:
    there, back = diff_tables(a, b), diff_tables(b, a)
    assert (there.only_a, there.only_b) == (back.only_b, back.only_a)
    assert {(c.name, repr(c.a), repr(c.b)) for c in there.manifest} == {
        (c.name, repr(c.b), repr(c.a)) for c in back.manifest
    }
    assert [(c.kind, c.key, c.a_ms, c.b_ms) for c in there.latencies] == [
        (c.kind, c.key, c.b_ms, c.a_ms) for c in back.latencies
    ]
    assert [(c.kind, c.key, c.field) for c in there.rows] == [(c.kind, c.key, c.field) for c in back.rows]
    assert json.loads(json.dumps(there.to_json(), allow_nan=False))["same_rows"] == there.same_rows
