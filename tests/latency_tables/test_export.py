"""Flat files hold every row once, with what a spreadsheet needs to know about it."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from latency_tables import (
    LatencyTable,
    MissingExtraError,
    TableError,
    fingerprint_sha256,
    flat_rows,
    overview,
    ranked,
    read_table,
    write_csv,
    write_parquet,
)
from tests.builders import made_up_manifest
from tests.latency_tables.strategies import tables

TABLE = read_table(Path(__file__).parent / "golden" / "schema2.jsonl")
BLOCK = "mb(in=16,out=48,k=1,s=1,e=1,se=0,act=relu,px=8)"


def by_key(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["kind"], row["key"]): row for row in rows}


def test_every_row_is_there_once_with_the_same_columns() -> None:
    rows = flat_rows(TABLE)
    assert [(row["kind"], row["key"]) for row in rows] == [
        (kind, key) for kind, held in TABLE.by_kind().items() for key in held
    ]
    assert len({tuple(row) for row in rows}) == 1


def test_where_a_figure_is_from_stands_in_every_row() -> None:
    for row in flat_rows(TABLE):
        assert (row["device_name"], row["runtime"], row["runtime_version"]) == ("AMD EPYC", "onnxruntime", "1.32.0")
        assert row["threads"] == 1
        assert row["fingerprint_sha256"] == fingerprint_sha256(TABLE.manifest.fingerprint)


def test_blocks_and_networks_are_named_without_their_suffix() -> None:
    rows = by_key(flat_rows(TABLE))
    placed = rows["block", f"{BLOCK}@b8,int8"]
    assert (placed["name"], placed["batch"], placed["precision"]) == (BLOCK, 8, "int8")
    assert (placed["latency_ms"], placed["kernels_ms"]) == (None, 8 * 0.0011)
    plain = rows["network", "3ae257249b-1x10"]
    assert (plain["name"], plain["batch"], plain["precision"]) == ("3ae257249b-1x10", 1, "fp32")
    assert json.loads(plain["members"]) == {BLOCK: 2}


def test_kernels_floors_and_steps_claim_no_batch() -> None:
    for row in flat_rows(TABLE):
        if row["kind"] in {"kernel", "floor", "step"}:
            assert (row["batch"], row["precision"], row["name"]) == (None, None, row["key"])
    step = by_key(flat_rows(TABLE))["step", "Conv 3x3 dense float: output channels"]
    assert step["step"] == 16
    assert json.loads(step["members"])["49"] == 0.0531


def test_figures_and_percentiles_are_as_in_the_table() -> None:
    row = by_key(flat_rows(TABLE))["network", "3ae257249b-1x10"]
    assert (row["latency_ms"], row["p99_ms"], row["load_ms"], row["energy_mj"]) == (0.0225, 0.031, 3.2, None)
    assert [name for name in row if name.startswith("p") and name.endswith("_ms")] == ["p50_ms", "p90_ms", "p99_ms"]


def test_csv_has_a_line_a_row_and_empty_cells_for_what_is_unknown(tmp_path: Path) -> None:
    path = write_csv(TABLE, tmp_path / "new" / "t.csv")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    expected = [{name: "" if value is None else str(value) for name, value in row.items()} for row in flat_rows(TABLE)]
    assert rows == expected
    assert list(path.parent.iterdir()) == [path]


@given(tables)
@settings(max_examples=60, deadline=None)
def test_any_table_survives_being_written_as_csv(tmp_path_factory: Any, table: LatencyTable) -> None:
    path = write_csv(table, tmp_path_factory.mktemp("csv") / "t.csv")
    # a lone carriage return in a text is the one thing that readers of CSV do not agree on
    text = path.read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    if "\r" not in text:
        assert [(row["kind"], row["key"]) for row in rows] == [(row["kind"], row["key"]) for row in flat_rows(table)]


def test_parquet_has_types_and_the_manifest(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = write_parquet(TABLE, tmp_path / "new" / "t.parquet")
    read = parquet.read_table(path)
    assert read.to_pylist() == flat_rows(TABLE)
    types = {field.name: str(field.type) for field in read.schema}
    assert (types["key"], types["batch"], types["latency_ms"], types["p99_ms"]) == (
        *("string", "int64"),
        *("double", "double"),
    )
    assert json.loads(read.schema.metadata[b"hwnas_manifest"]) == TABLE.manifest.to_json()
    assert list(path.parent.iterdir()) == [path]


def test_a_table_without_rows_has_columns_all_the_same(tmp_path: Path) -> None:
    empty = LatencyTable(made_up_manifest())
    header = write_csv(empty, tmp_path / "t.csv").read_text(encoding="utf-8")
    assert header.startswith("kind,key,name,batch,precision,latency_ms,")
    assert header.count("\n") == 1
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(write_parquet(empty, tmp_path / "t.parquet")).num_rows == 0


def test_without_pyarrow_the_line_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError) as caught:
        write_parquet(TABLE, tmp_path / "t.parquet")
    assert str(caught.value) == 'writing Parquet needs pyarrow, which is not installed: pip install "hwnas[parquet]"'
    assert caught.value.exit_code == 3
    assert isinstance(caught.value, (TableError, ImportError))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_when_writing_fails_the_old_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any) -> None:
    pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write(TABLE, path)
    assert {entry.name: entry.read_text() for entry in tmp_path.iterdir()} == {"t": "old"}


# --- listings


def test_an_overview_counts_every_kind_of_row() -> None:
    found = overview(TABLE)
    assert found["rows"] == {"kernel": 2, "block": 2, "network": 1, "floor": 1, "step": 1}
    assert found["noisy"] == dict.fromkeys(found["rows"], 0)
    assert found["coordinates"] == [{"batch": 1, "precision": "fp32"}, {"batch": 8, "precision": "int8"}]
    assert found["manifest"]["schema_version"] == 2


def test_rows_are_ranked_by_latency_or_key() -> None:
    slowest_first = ranked(TABLE, kind="kernel")
    assert [latency_ms for _, latency_ms in slowest_first] == [0.003, 0.0011]
    assert [row.key for row, _ in ranked(TABLE, kind="kernel", by="key")] == list(TABLE.kernels)
    assert [latency_ms for _, latency_ms in ranked(TABLE, kind="block")] == [8 * 0.0011, 0.003]
    assert [latency_ms for _, latency_ms in ranked(TABLE, kind="step")] == [0.066]
    assert len(ranked(TABLE)) == len(TABLE.rows())


@given(tables)
@settings(max_examples=60, deadline=None)
def test_ranking_loses_no_row_and_what_has_no_latency_comes_last(table: LatencyTable) -> None:
    for kind, rows in table.by_kind().items():
        listed = ranked(table, kind=kind)
        assert sorted(row.key for row, _ in listed) == list(rows)
        times = [float("-inf") if latency_ms is None else latency_ms for _, latency_ms in listed]
        assert times == sorted(times, reverse=True)


def test_an_unknown_kind_or_order_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of kernel, block, network, floor, step, received 'kernal'"):
        ranked(TABLE, kind="kernal")
    with pytest.raises(ValueError, match="expected one of latency, key, received 'size'"):
        ranked(TABLE, by="size")
