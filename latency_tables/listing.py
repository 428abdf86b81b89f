"""What a table holds, at a glance and row by row."""

from __future__ import annotations

from typing import Any

from latency_tables.io import table_sha256
from latency_tables.schema import BlockRow, FloorRow, KernelRow, NetworkRow, Row
from latency_tables.table import LatencyTable


def overview(table: LatencyTable) -> dict[str, Any]:
    """The manifest, how many rows of each kind there are and how many of them are flagged, and where they stand.

    Args:
        table: The table.

    Returns:
        A dictionary that JSON can say: ``manifest``, ``rows`` and ``noisy`` (kind to number), ``coordinates`` and the
        hash of the content, ``sha256``.
    """
    return {
        "manifest": table.manifest.to_json(),
        "rows": {kind: len(rows) for kind, rows in table.by_kind().items()},
        "noisy": {kind: sum(map(_is_noisy, rows.values())) for kind, rows in table.by_kind().items()},
        "coordinates": [{"batch": one.batch, "precision": one.precision} for one in table.coordinates()],
        "sha256": table_sha256(table),
    }


def ranked(table: LatencyTable, *, kind: str | None = None, by: str = "latency") -> list[tuple[Row, float | None]]:
    """Rows with their latencies in milliseconds, kind after kind.

    Args:
        table: The table.
        kind: Of rows; all of them where ``None``.
        by: ``"latency"``, the longest first and what has none last, or ``"key"``.

    Returns:
        Each row with its measured latency; for a block the sum over its kernels, for a step its longest, and ``None``
        for a block that names kernels without rows.

    Raises:
        ValueError: No such kind, or no such order.
    """
    kinds = table.by_kind()
    for value, known in ((kind or "kernel", list(kinds)), (by, ["latency", "key"])):
        if value not in known:
            raise ValueError(f"expected one of {', '.join(known)}, received {value!r}")
    listed = []
    for rows in (kinds[kind],) if kind else kinds.values():
        timed = [(row, _latency_ms(table, row)) for row in rows.values()]  # by key already
        listed += timed if by == "key" else sorted(timed, key=lambda pair: 1.0 if pair[1] is None else -pair[1])
    return listed


def _is_noisy(row: Row) -> bool:
    return isinstance(row, KernelRow | NetworkRow | FloorRow) and row.timing.noise == "noisy"


def _latency_ms(table: LatencyTable, row: Row) -> float | None:
    if isinstance(row, KernelRow | NetworkRow | FloorRow):
        return row.timing.latency_ms
    if isinstance(row, BlockRow):
        return table.block_cost(row.key)[0] if row.kernels.keys() <= table.kernels.keys() else None
    return max(row.latency_ms)
