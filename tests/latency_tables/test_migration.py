"""Tables of every schema version there was can be read, and say what they do not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from latency_tables import (
    Coordinates,
    TableFormatError,
    Timing,
    dumps,
    loads,
    read_manifest,
    read_table,
    validate,
    write_table,
)
from latency_tables.schema import SCHEMA_VERSION
from tests.latency_tables.strategies import sealed

GOLDEN = Path(__file__).parent / "golden"
FIRST = GOLDEN / "schema1.jsonl"  # as the first release wrote it
SECOND = GOLDEN / "schema2.jsonl"  # as it is written now, with a row of every kind

NEVER_RECORDED = {"uncertainty", "arithmetic", "memory_mib", "energy_mj", "load_ms", "first_ms"}


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-2]]


def test_the_figures_of_a_first_table_stay_and_what_it_lacks_is_unknown_with_a_reason() -> None:
    table = read_table(FIRST)
    kernel = table.kernels["Gemm(float[1x128],float[10x128],float[10])->float[1x10]{transA=0,transB=1}"]
    assert kernel.timing == Timing(
        latency_ms=0.0028, min_ms=0.002, median_ms=0.003, iqr_ms=0.0, n=4311, noise="ok", uncertainty=None
    )
    assert (kernel.provider, kernel.arithmetic) == ("CPUExecutionProvider", "unknown")
    network = table.networks["3ae257249b-1x10"]
    assert network.timing.latency_ms == 0.022537
    assert (network.load_ms, network.first_ms, network.memory_mib, network.energy_mj) == (None, None, None, None)
    assert network.provider == "unknown"
    assert (table.manifest.precisions, table.manifest.batches) == (("fp32",), (1,))
    assert table.coordinates() == [Coordinates(batch=1, precision="fp32")]
    assert table.manifest.unknown == dict.fromkeys(NEVER_RECORDED, "not recorded by schema version 1")
    assert {name: len(rows) for name, rows in table.by_kind().items()} == {
        "kernel": 8,
        "block": 2,
        "network": 1,
        "floor": 0,
        "step": 0,
    }


def test_no_row_of_a_first_table_is_lost_and_no_figure_changed() -> None:
    manifest, *rows = lines_of(FIRST)
    migrated, *new = (json.loads(line) for line in dumps(read_table(FIRST)).split("\n")[:-2])
    assert (
        migrated.items()
        >= {
            name: value for name, value in manifest.items() if name not in {"schema_version", "precision", "batch"}
        }.items()
    )
    assert len(new) == len(rows)
    for old, row in zip(rows, new, strict=True):
        assert row.items() >= old.items()
        assert {name for name in row if name not in old and row[name] in (None, {}, "unknown")} == row.keys() - old


def test_a_first_table_makes_sense_and_lasts(tmp_path: Path) -> None:
    table = read_table(FIRST)
    assert not [finding for finding in validate(table) if finding.severity == "error"]
    assert read_table(write_table(table, tmp_path / "now.jsonl")) == table
    assert read_manifest(tmp_path / "now.jsonl") == read_manifest(FIRST) == table.manifest
    assert lines_of(tmp_path / "now.jsonl")[0]["schema_version"] == SCHEMA_VERSION


def test_a_table_of_the_present_version_is_written_as_it_stands() -> None:
    assert dumps(read_table(SECOND)) == SECOND.read_text(encoding="utf-8")
    assert all(read_table(SECOND).by_kind().values()), "a row of every kind"


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 99, 10**400])
def test_a_newer_table_is_refused_with_the_line_that_updates(version: int) -> None:
    lines = lines_of(SECOND)
    lines[0]["schema_version"] = version
    lines[1] = {"kind": "what only a newer version knows"}
    with pytest.raises(TableFormatError) as caught:
        loads(sealed(lines), path="new.jsonl")
    message = str(caught.value)
    assert message.startswith(f"new.jsonl, line 1: expected a schema version up to {SCHEMA_VERSION}, received ")
    assert str(version)[:80] in message
    assert message.endswith("a newer hwnas wrote this table. Update with `pip install --upgrade hwnas`.")
    assert len(message) < 300


def test_what_no_first_table_has_is_refused_in_one() -> None:
    for line, name, value in [
        (0, "precision", None),
        (0, "batch", 0),
        (0, "batch", "1"),
        (1, "kind", []),
        (1, "kind", {}),
        (1, "kind", "manifest"),
        (1, "latency_ms", "fast"),
        (11, "blocks", None),
    ]:
        lines = lines_of(FIRST)
        lines[line][name] = value
        with pytest.raises(TableFormatError, match=f"line {line + 1}: expected"):
            loads(sealed(lines))


def test_a_field_less_in_a_first_table_is_refused() -> None:
    for line, fields in enumerate(lines_of(FIRST)):
        for name in fields:
            lines = lines_of(FIRST)
            del lines[line][name]
            with pytest.raises(TableFormatError, match=f"line {line + 1}"):
                loads(sealed(lines))


def test_the_checksum_of_a_first_table_is_checked_before_anything_is_migrated() -> None:
    content = FIRST.read_bytes().replace(b"0.022537", b"0.012537")
    with pytest.raises(TableFormatError, match="does not match its checksum"):
        loads(content)


def test_the_lines_in_the_documentation_are_lines_of_a_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "latency-tables.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith('{"kind"') and "…" not in line]
    table = loads(sealed([json.dumps(lines_of(SECOND)[0]), *rows]))
    assert dumps(table).split("\n")[1:-2] == rows
    assert {kind for kind, held in table.by_kind().items() if held} == {"kernel", "block", "network", "floor"}
