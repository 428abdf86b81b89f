"""Latency tables: the contract between what measures and what searches.

A table is the only thing that passes between ``profilers`` and ``hwnas``, so a table made on one machine can be
searched on another. This package knows its format, reads and writes it, refuses what it cannot believe, and compares,
merges and judges tables.
"""

from latency_tables.cards import card
from latency_tables.catalog import ShippedTable, open_shipped, resolve, shipped
from latency_tables.coordinates import Coordinates, keyed, split
from latency_tables.diff import FieldChange, LatencyChange, RowChange, Spread, TableDiff, diff_tables
from latency_tables.errors import (
    MissingExtraError,
    MissingRowError,
    TableError,
    TableFormatError,
    TableMismatchError,
    UnknownTableError,
)
from latency_tables.export import flat_rows, write_csv, write_parquet
from latency_tables.io import (
    dumps,
    read_manifest,
    read_table,
    require_writable,
    row_to_json,
    table_sha256,
    write_atomically,
    write_table,
)
from latency_tables.keys import KernelKey, Tensor, attribute_numbers, read_block, read_kernel
from latency_tables.listing import overview, ranked
from latency_tables.merge import merge_tables
from latency_tables.parse import loads
from latency_tables.schema import (
    BlockRow,
    FloorRow,
    Json,
    KernelRow,
    Manifest,
    NetworkRow,
    Row,
    StepRow,
    Timing,
    fingerprint_sha256,
)
from latency_tables.steps import Convolution, alignment, convolution, snapped, widened
from latency_tables.table import LatencyTable
from latency_tables.validate import Finding, validate

__all__ = [
    "BlockRow",
    "Convolution",
    "Coordinates",
    "FieldChange",
    "Finding",
    "FloorRow",
    "Json",
    "KernelKey",
    "KernelRow",
    "LatencyChange",
    "LatencyTable",
    "Manifest",
    "MissingExtraError",
    "MissingRowError",
    "NetworkRow",
    "Row",
    "RowChange",
    "ShippedTable",
    "Spread",
    "StepRow",
    "TableDiff",
    "TableError",
    "TableFormatError",
    "TableMismatchError",
    "Tensor",
    "Timing",
    "UnknownTableError",
    "alignment",
    "attribute_numbers",
    "card",
    "convolution",
    "diff_tables",
    "dumps",
    "fingerprint_sha256",
    "flat_rows",
    "keyed",
    "loads",
    "merge_tables",
    "open_shipped",
    "overview",
    "ranked",
    "read_block",
    "read_kernel",
    "read_manifest",
    "read_table",
    "require_writable",
    "resolve",
    "row_to_json",
    "shipped",
    "snapped",
    "split",
    "table_sha256",
    "validate",
    "widened",
    "write_atomically",
    "write_csv",
    "write_parquet",
    "write_table",
]
