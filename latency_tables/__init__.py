"""Latency tables: the contract between what measures and what searches.

A table is the only thing that passes between ``profilers`` and ``hwnas``, so a table made on one machine can be
searched on another. This package knows its format, reads and writes it, and refuses what it cannot believe.
"""

from latency_tables.errors import MissingRowError, TableError, TableFormatError, TableMismatchError
from latency_tables.io import dumps, read_table, table_sha256, write_atomically, write_table
from latency_tables.parse import loads
from latency_tables.schema import BlockRow, KernelRow, Manifest, NetworkRow, Row, Timing, fingerprint_sha256
from latency_tables.table import LatencyTable

__all__ = [
    "BlockRow",
    "KernelRow",
    "LatencyTable",
    "Manifest",
    "MissingRowError",
    "NetworkRow",
    "Row",
    "TableError",
    "TableFormatError",
    "TableMismatchError",
    "Timing",
    "dumps",
    "fingerprint_sha256",
    "loads",
    "read_table",
    "table_sha256",
    "write_atomically",
    "write_table",
]
