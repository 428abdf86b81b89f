"""Merging keeps the most trustworthy figure of every row, whatever the order and the grouping."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_tables import (
    BlockRow,
    KernelRow,
    LatencyTable,
    Row,
    StepRow,
    TableMismatchError,
    Timing,
    dumps,
    merge_tables,
    table_sha256,
    validate,
)
from tests.builders import PROVIDER, made_up_manifest, made_up_timing
from tests.latency_tables.strategies import rows as any_rows


def kernel(key: str, latency_ms: float, **timing: Any) -> KernelRow:
    return KernelRow(key=key, timing=replace(made_up_timing(latency_ms), **timing), provider=PROVIDER)


def table(*rows: Row, **manifest: Any) -> LatencyTable:
    return LatencyTable.from_rows(made_up_manifest(**manifest), rows)


manifests = st.builds(
    made_up_manifest,
    precisions=st.sets(st.sampled_from(["fp32", "int8"]), min_size=1).map(sorted).map(tuple),
    batches=st.sets(st.integers(1, 4), min_size=1).map(sorted).map(tuple),
    space=st.sampled_from(["mobilenet:tiny", "mobilenet:small"]),
    created=st.sampled_from(["2025-01-02T03:04:05+00:00", "2025-06-02T03:04:05+00:00"]),
    protocol=st.fixed_dictionaries({"name": st.just("made-up/1"), "rounds": st.integers(3, 4)}),
    conditions=st.dictionaries(st.sampled_from(["load", "campaigns"]), st.integers(0, 2) | st.just([]), max_size=2),
    unknown=st.dictionaries(
        st.sampled_from(["energy_mj", "load_ms"]), st.sampled_from(["no meter", "old"]), max_size=2
    ),
)
few_keys = st.sampled_from(["a", "b", "c"])
few_times = st.sampled_from([0.5, 1.0])
kernels = st.builds(
    KernelRow,
    key=few_keys,
    provider=st.just(PROVIDER),
    timing=st.builds(
        Timing,
        **dict.fromkeys(("latency_ms", "min_ms", "median_ms", "iqr_ms"), few_times),
        n=st.integers(1, 2),
        noise=st.sampled_from(["ok", "noisy"]),
        uncertainty=st.none() | st.sampled_from([0.01, 0.02]),
    ),
)
blocks = st.builds(BlockRow, key=few_keys, kernels=st.dictionaries(few_keys, st.integers(1, 2), max_size=2))
step_rows = st.builds(
    StepRow,
    key=few_keys,
    step=st.sampled_from([8, 16]),
    widths=st.just((1, 2)),
    latency_ms=st.tuples(few_times, few_times),
)
alike = st.builds(LatencyTable.from_rows, manifests, st.lists(kernels | blocks | step_rows, max_size=6))


# --- which row stays


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (kernel("k", 1.0, uncertainty=0.5, n=1), kernel("k", 2.0, uncertainty=0.01, n=99, noise="noisy")),
        (kernel("k", 1.0, uncertainty=0.01, n=1), kernel("k", 2.0, uncertainty=0.02, n=99)),
        (kernel("k", 1.0, uncertainty=0.5, n=1), kernel("k", 2.0, uncertainty=None, n=99)),
        (kernel("k", 1.0, uncertainty=0.01, n=9), kernel("k", 2.0, uncertainty=0.01, n=8)),
        (kernel("k", 1.0, uncertainty=None, n=9), kernel("k", 2.0, uncertainty=None, n=8)),
        (kernel("k", 1.0, noise="noisy", n=9), kernel("k", 2.0, noise="noisy", n=8)),
    ],
)
def test_the_more_trustworthy_row_stays_whichever_comes_first(better: KernelRow, worse: KernelRow) -> None:
    for pair in ((better, worse), (worse, better)):
        assert merge_tables([table(row) for row in pair]).kernels == {"k": better}


def test_of_equally_trustworthy_rows_the_later_table_counts() -> None:
    first, second = kernel("k", 1.0), kernel("k", 2.0)
    assert merge_tables([table(first), table(second)]).kernels == {"k": second}
    assert merge_tables([table(second), table(first)]).kernels == {"k": first}


def test_of_blocks_and_steps_the_later_table_counts() -> None:
    one = (BlockRow(key="b", kernels={"k": 1}), StepRow(key="s", step=8, widths=(1,), latency_ms=(0.1,)))
    other = (BlockRow(key="b", kernels={"l": 1}), StepRow(key="s", step=16, widths=(1,), latency_ms=(0.1,)))
    assert merge_tables([table(*one), table(*other)]).rows() == [*other]


def test_rows_of_all_tables_are_there() -> None:
    merged = merge_tables([table(kernel("a", 1.0)), table(kernel("b", 1.0)), table(BlockRow(key="a", kernels={}))])
    assert [type(row).__name__ + row.key for row in merged.rows()] == ["KernelRowa", "KernelRowb", "BlockRowa"]


# --- the manifest


def test_the_manifest_unites_what_the_campaigns_had() -> None:
    first = table(
        precisions=("fp32",),
        batches=(8,),
        created="2025-06",
        space="mobilenet:tiny",
        conditions={"load": 1},
        unknown={"energy_mj": "no meter", "load_ms": "old"},
    )
    second = table(
        precisions=("int8",),
        batches=(1,),
        created="2025-01",
        space="mobilenet:small",
        conditions={"load": 2},
        unknown={"energy_mj": "not asked for"},
    )
    merged = merge_tables([first, second]).manifest
    assert (merged.precisions, merged.batches) == (("fp32", "int8"), (1, 8))
    assert merged.created == "2025-01"
    assert merged.space == "mobilenet:small + mobilenet:tiny"
    assert merged.unknown == {"energy_mj": "no meter | not asked for", "load_ms": "old"}
    campaigns: Any = merged.conditions["campaigns"]
    assert [one["created"] for one in campaigns] == ["2025-01", "2025-06"]
    assert [one["conditions"] for one in campaigns] == [{"load": 2}, {"load": 1}]
    assert [one["batches"] for one in campaigns] == [[1], [8]]


def test_the_protocol_is_that_of_the_latest_campaign_and_all_are_kept() -> None:
    older = table(protocol={"name": "p/1", "rounds": 3}, created="2025-01")
    newer = table(protocol={"name": "p/1", "rounds": 5}, created="2025-02")
    for pair in ([older, newer], [newer, older]):
        merged = merge_tables(pair).manifest
        assert merged.protocol == {"name": "p/1", "rounds": 5}
        campaigns: Any = merged.conditions["campaigns"]
        assert [one["protocol"]["rounds"] for one in campaigns] == [3, 5]


def test_what_a_restless_campaign_recorded_is_still_found_after_merging() -> None:
    restless = table(conditions={"round_slowdown": [1.0, 1.6]}, created="2025-02")
    found = [one for one in validate(merge_tables([table(), restless])) if one.rule == "restless machine"]
    assert [one.row for one in found] == ["manifest conditions.campaigns.conditions.round_slowdown"]


# --- what must not be merged


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"device": "gpu"}, "device"),
        ({"device_name": "Other CPU"}, "device_name"),
        ({"runtime": "tensorrt"}, "runtime"),
        ({"runtime_version": "9"}, "runtime_version"),
        ({"provider": "CUDAExecutionProvider"}, "provider"),
        ({"threads": 2}, "threads"),
        ({"fingerprint": {"cpu": "Fake CPU", "isa": ["avx2"], "threads": 1}}, "fingerprint.isa"),
        ({"fingerprint": {}}, "fingerprint.cpu"),
        ({"protocol": {"name": "made-up/1", "key_version": 2}}, "protocol.key_version"),
        ({"protocol": {"name": "made-up/2"}}, "protocol.name"),
        ({"protocol": {"name": "made-up/1", "method": "isolated"}}, "protocol.method"),
    ],
)
def test_tables_of_other_conditions_are_refused_with_the_field(change: dict[str, Any], name: str) -> None:
    with pytest.raises(TableMismatchError) as caught:
        merge_tables([table(), table(), table(**change)])
    assert name in caught.value.differences
    message = str(caught.value)
    assert "cannot be merged" in message
    assert f"{name}: " in message
    assert "in table 1" in message
    assert "in table 3" in message
    assert "hwnas profile" in message


def test_other_rounds_of_the_same_procedure_may_be_merged() -> None:
    merge_tables([table(), table(protocol={"name": "made-up/1", "rounds": 30})])


def test_nothing_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="expected at least one table"):
        merge_tables([])


# --- laws


@given(st.lists(any_rows, max_size=6))
@settings(max_examples=40, deadline=None)
def test_a_table_merged_with_itself_is_itself(rows: list[Row]) -> None:
    one = table(*rows)
    for count in (1, 2, 3):
        assert dumps(merge_tables([one] * count)) == dumps(one)


@given(st.lists(alike, min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_merging_a_result_with_what_it_was_made_of_changes_nothing(tables: list[LatencyTable]) -> None:
    merged = merge_tables(tables)
    assert merge_tables([merged, merged]) == merged
    assert merge_tables([*tables, merged]) == merged
    assert merge_tables([merged, tables[-1]]) == merged


@given(alike, alike, alike)
@settings(max_examples=150, deadline=None)
def test_the_grouping_does_not_matter(a: LatencyTable, b: LatencyTable, c: LatencyTable) -> None:
    whole = dumps(merge_tables([a, b, c]))
    assert dumps(merge_tables([merge_tables([a, b]), c])) == whole
    assert dumps(merge_tables([a, merge_tables([b, c])])) == whole


@given(alike, alike)
@settings(max_examples=150, deadline=None)
def test_the_order_matters_for_ties_alone(a: LatencyTable, b: LatencyTable) -> None:
    there, back = merge_tables([a, b]), merge_tables([b, a])
    assert there.manifest == back.manifest
    for kind, rows in there.by_kind().items():
        assert rows.keys() == back.by_kind()[kind].keys() == a.by_kind()[kind].keys() | b.by_kind()[kind].keys()
    for key, row in there.kernels.items():
        other = back.kernels[key].timing
        assert (row.timing.noise, row.timing.uncertainty, row.timing.n) == (other.noise, other.uncertainty, other.n)


@given(st.lists(alike, min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_merged_table_is_deterministic_and_can_be_kept(tables: list[LatencyTable]) -> None:
    assert table_sha256(merge_tables(tables)) == table_sha256(merge_tables(tables))
