"""Older tables, brought to the present schema line by line.

A migration never invents a figure: what an older version did not record becomes ``null``, with the reason in the
manifest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_Record = dict[str, Any]


def migrated_manifest(manifest: _Record, version: int) -> _Record:
    """The manifest of a table written under an older schema version, as the present one has it."""
    for step, _ in _STEPS[version - 1 :]:
        manifest = step(manifest)
    return manifest


def migrated_row(row: _Record, version: int) -> _Record:
    """A row of a table written under an older schema version, as the present one has it."""
    for _, step in _STEPS[version - 1 :]:
        row = step(row)
    return row


def _manifest_1_to_2(manifest: _Record) -> _Record:
    """One batch and one precision a table became lists of them; unknown quantities came with their reasons."""
    values = {name: value for name, value in manifest.items() if name not in {"batch", "precision"}}
    reason = "not recorded by schema version 1"
    unknown = dict.fromkeys(("uncertainty", "arithmetic", "memory_mib", "energy_mj", "load_ms", "first_ms"), reason)
    return {
        **values,
        "schema_version": 2,
        "precisions": [manifest.get("precision")],
        "batches": [manifest.get("batch")],
        "unknown": unknown,
    }


def _row_1_to_2(row: _Record) -> _Record:
    kind = row.get("kind")
    if not isinstance(kind, str) or kind not in {"kernel", "network"}:
        return row  # blocks did not change; what is no row at all is refused by whoever reads it
    added: _Record = {"uncertainty": None, "percentiles_ms": {}, "memory_mib": None, "energy_mj": None}
    if kind == "kernel":
        return {**row, **added, "arithmetic": "unknown"}
    return {**row, **added, "provider": "unknown", "load_ms": None, "first_ms": None}


# one pair a version: what turns the manifest, and a row, of version i + 1 into those of version i + 2
_STEPS: tuple[tuple[Callable[[_Record], _Record], Callable[[_Record], _Record]], ...] = (
    (_manifest_1_to_2, _row_1_to_2),
)
