"""Tables for other programs: one flat line a row, as CSV or Parquet.

A latency table is for being checked and composed; this is for spreadsheets and data frames, and nothing reads it back.
"""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from latency_tables.coordinates import split
from latency_tables.errors import MissingExtraError
from latency_tables.io import write_atomically
from latency_tables.schema import (
    BlockRow,
    FloorRow,
    KernelRow,
    NetworkRow,
    Row,
    StepRow,
    fingerprint_sha256,
    percentile_names,
)
from latency_tables.table import LatencyTable

Cell = None | int | float | str

_WHOLE = {"batch", "n", "step", "threads"}
_TEXT = {
    *("kind", "key", "name", "precision", "noise", "provider", "arithmetic", "members"),
    *("device", "device_name", "runtime", "runtime_version", "space", "created", "fingerprint_sha256"),
}


def flat_rows(table: LatencyTable) -> list[dict[str, Cell]]:
    """Every row of a table as a flat record, all with the same names.

    Args:
        table: The table.

    Returns:
        In the order of the table. What a kind of row does not have is ``None``: batch and precision of kernels, floors
        and steps, whose keys carry no suffix, and the times of blocks and steps, which were not measured as such.
        ``kernels_ms`` is the sum over a block's kernels, and ``members`` (JSON) what a block or network is made of, or
        the latencies of a step by width.
    """
    names = percentile_names({name for row in table.rows() for name in _percentiles(row)})
    manifest = table.manifest
    common: dict[str, Cell] = {
        "device": manifest.device,
        "device_name": manifest.device_name,
        "runtime": manifest.runtime,
        "runtime_version": manifest.runtime_version,
        "threads": manifest.threads,
        "space": manifest.space,
        "created": manifest.created,
        "fingerprint_sha256": fingerprint_sha256(manifest.fingerprint),
    }
    return [
        {**_about(kind, row), **_times(row, names), **_parts(table, row), **common}
        for kind, rows in table.by_kind().items()
        for row in rows.values()
    ]


def write_csv(table: LatencyTable, path: str | os.PathLike[str]) -> Path:
    """Writes a table as CSV: UTF-8, a line of names, then a line a row; what is unknown is empty.

    Args:
        table: What to write.
        path: Where; an existing file is replaced once all of it is written.

    Returns:
        The path written.

    Raises:
        OSError: No permission, or no space left; the old file is untouched.
    """
    rows, stream = flat_rows(table), io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=_columns(table, rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_atomically(path, stream.getvalue())


def write_parquet(table: LatencyTable, path: str | os.PathLike[str]) -> Path:
    """Writes a table as Parquet, its manifest as JSON in the file's metadata under ``hwnas_manifest``.

    Args:
        table: What to write.
        path: Where; an existing file is replaced once all of it is written.

    Returns:
        The path written.

    Raises:
        MissingExtraError: pyarrow is not installed.
        OSError: No permission, or no space left; the old file is untouched.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  (an extra, and slow to import)
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(package="pyarrow", extra="parquet", purpose="writing Parquet") from error
    rows = flat_rows(table)
    types = {name: pa.int64() if name in _WHOLE else pa.string() for name in _WHOLE | _TEXT}
    schema = pa.schema(
        [(name, types.get(name, pa.float64())) for name in _columns(table, rows)],
        metadata={"hwnas_manifest": json.dumps(table.manifest.to_json())},
    )
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return write_atomically(path, sink.getvalue().to_pybytes())


def _columns(table: LatencyTable, rows: list[dict[str, Cell]]) -> list[str]:
    """Names in their order, also of a table without rows."""
    any_row = rows or flat_rows(LatencyTable.from_rows(table.manifest, [BlockRow(key="", kernels={})]))
    return list(any_row[0])


def _about(kind: str, row: Row) -> dict[str, Cell]:
    placed = isinstance(row, BlockRow | NetworkRow)
    name, batch, precision = split(row.key)
    return {
        "kind": kind,
        "key": row.key,
        "name": name if placed else row.key,
        "batch": batch if placed else None,
        "precision": precision if placed else None,
    }


def _times(row: Row, percentiles: list[str]) -> dict[str, Cell]:
    timing = row.timing if isinstance(row, KernelRow | NetworkRow | FloorRow) else None
    names = ("latency_ms", "min_ms", "median_ms", "iqr_ms", "n", "noise", "uncertainty")
    held = _percentiles(row)
    return {
        **{name: getattr(timing, name, None) for name in names},
        **{f"{name}_ms": held.get(name) for name in percentiles},
    }


def _percentiles(row: Row) -> dict[str, float]:
    return dict(row.timing.percentiles_ms) if isinstance(row, KernelRow | NetworkRow | FloorRow) else {}


def _parts(table: LatencyTable, row: Row) -> dict[str, Cell]:
    own = ("provider", "arithmetic", "memory_mib", "energy_mj", "load_ms", "first_ms", "step")
    members: Any = None
    if isinstance(row, StepRow):
        members = dict(zip(row.widths, row.latency_ms, strict=True))
    elif isinstance(row, BlockRow | NetworkRow):
        members = dict(row.kernels if isinstance(row, BlockRow) else row.blocks)
    complete = isinstance(row, BlockRow) and all(key in table.kernels for key in row.kernels)
    return {
        "kernels_ms": table.block_cost(row.key)[0] if complete else None,
        **{name: getattr(row, name, None) for name in own},
        "members": None if members is None else json.dumps(members, ensure_ascii=False),
    }
