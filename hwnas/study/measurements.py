"""The networks of a run that were measured because their prediction left something open."""

from __future__ import annotations

import math
from pathlib import Path

from hwnas.predictors import row_spread
from latency_tables import LatencyTable, Manifest, NetworkRow, read_table, write_table


class MeasuredNetworks:
    """A latency table in the run folder that grows by a row for each network measured.

    Args:
        path: The file; need not exist.
        manifest: Of the table that the run began with; the device is the same.

    Attributes:
        latencies: Architecture's id to latency and standard deviation in milliseconds.
        errors: Logarithms of measured over predicted, of what was measured since this object was made.

    Raises:
        TableFormatError: The file is damaged.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self._table = read_table(path) if path.exists() else LatencyTable(manifest)
        self.latencies: dict[str, tuple[float, float]] = {}
        self.errors: list[float] = []
        for row in self._table.networks.values():
            self._note(row)

    def add(self, row: NetworkRow, *, predicted_ms: float) -> None:
        """Keeps a network, on disk first, and how far off its prediction was.

        Raises:
            OSError: The file cannot be written.
        """
        self._table = LatencyTable.from_rows(self._table.manifest, [*self._table.rows(), row])
        write_table(self._table, self.path)
        self._note(row)
        self.errors.append(math.log(row.timing.latency_ms / predicted_ms))

    def _note(self, row: NetworkRow) -> None:
        architecture_id = row.key.partition("-")[0]  # as workloads are named
        latency_ms = row.timing.latency_ms
        self.latencies[architecture_id] = latency_ms, row_spread(row) * latency_ms
