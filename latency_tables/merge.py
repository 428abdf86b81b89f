"""Several tables of one device, made into one: of rows measured more than once, the most trustworthy stays."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from latency_tables.errors import TableMismatchError
from latency_tables.schema import BlockRow, Json, Manifest, Row, StepRow
from latency_tables.table import LatencyTable

_SAME = ("device", "device_name", "runtime", "runtime_version", "provider", "threads")
_SAME_PROTOCOL = ("name", "method", "key_version")  # what a figure is an estimate of, and what a key names
_AND = " | "  # between the reasons of several tables


def merge_tables(tables: Sequence[LatencyTable]) -> LatencyTable:
    """Unites the rows of tables that were made under the same conditions.

    Of rows with one key, an ``"ok"`` one is preferred to a ``"noisy"`` one, then the smaller uncertainty (an unknown
    one comes last), then more raw times, then the later table. Blocks and steps carry no such figures: the later table
    counts. Merging some tables first and the rest then gives the same; so does another order, but for such ties.

    The manifest unites batches, precisions, spaces and what is unknown, keeps the earliest ``created`` and the protocol
    of the latest campaign, and lists under ``conditions`` what each campaign recorded.

    Args:
        tables: At least one.

    Returns:
        The table; the only one, unchanged, where all are equal.

    Raises:
        TableMismatchError: Device, runtime, threads, a field of the fingerprint, or the procedure of measuring differ.
        ValueError: No tables.
    """
    if not tables:
        raise ValueError("expected at least one table, received none")
    for number, table in enumerate(tables[1:], start=2):
        _require_same(tables[0].manifest, table.manifest, number=number)
    best: dict[tuple[type[Row], str], Row] = {}
    for table in tables:
        for row in table.rows():
            held = best.get((type(row), row.key))
            if held is None or _trust(row) >= _trust(held):
                best[type(row), row.key] = row
    return LatencyTable.from_rows(_manifest([table.manifest for table in tables]), best.values())


def _require_same(first: Manifest, other: Manifest, *, number: int) -> None:
    differences: dict[str, tuple[object, object]] = {
        name: (getattr(first, name), getattr(other, name))
        for name in _SAME
        if getattr(first, name) != getattr(other, name)
    }
    for record, names in (("fingerprint", None), ("protocol", _SAME_PROTOCOL)):
        one, two = getattr(first, record), getattr(other, record)
        for name in names or sorted({*one, *two}):
            if one.get(name) != two.get(name):
                differences[f"{record}.{name}"] = (one.get(name), two.get(name))
    if not differences:
        return
    listing = "; ".join(f"{name}: {a!r} in table 1, {b!r} in table {number}" for name, (a, b) in differences.items())
    raise TableMismatchError(
        f"tables made under other conditions cannot be merged ({listing}). Measure what is missing under the "
        "conditions of one of them with `hwnas profile`, or keep the tables apart.",
        differences=differences,
    )


def _trust(row: Row) -> tuple[bool, float, int]:
    """How far a row is to be believed, against another of its key: larger is better."""
    if isinstance(row, BlockRow | StepRow):
        return True, 0.0, 0
    timing = row.timing
    uncertainty = math.inf if timing.uncertainty is None else timing.uncertainty
    return timing.noise == "ok", -uncertainty, timing.n


def _manifest(manifests: Sequence[Manifest]) -> Manifest:
    if all(manifest == manifests[0] for manifest in manifests):
        return manifests[0]
    campaigns = _united(campaign for manifest in manifests for campaign in _campaigns(manifest))
    return replace(
        manifests[0],
        precisions=tuple(sorted({name for manifest in manifests for name in manifest.precisions})),
        batches=tuple(sorted({batch for manifest in manifests for batch in manifest.batches})),
        space=_joined([manifest.space for manifest in manifests], " + "),
        created=min(manifest.created for manifest in manifests),
        protocol=campaigns[-1]["protocol"],
        conditions={"campaigns": [*campaigns]},
        unknown={
            name: _joined([manifest.unknown[name] for manifest in manifests if name in manifest.unknown], _AND)
            for name in sorted({name for manifest in manifests for name in manifest.unknown})
        },
    )


def _campaigns(manifest: Manifest) -> list[dict[str, Any]]:
    """The campaigns behind a table: those it was merged from, or its own."""
    merged = manifest.conditions.get("campaigns")
    if len(manifest.conditions) == 1 and isinstance(merged, list) and all(map(_is_campaign, merged)) and merged:
        return merged  # type: ignore[return-value]  # _is_campaign said so
    return [
        {
            "created": manifest.created,
            "space": manifest.space,
            "precisions": list(manifest.precisions),
            "batches": list(manifest.batches),
            "protocol": dict(manifest.protocol),
            "conditions": dict(manifest.conditions),
        }
    ]


def _is_campaign(value: Json) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("created"), str)
        and isinstance(value.get("protocol"), dict)
        and isinstance(value.get("conditions"), dict)
    )


def _united(campaigns: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each campaign once, the earliest first."""
    by_text = {json.dumps(campaign, sort_keys=True): campaign for campaign in campaigns}
    return [campaign for _, campaign in sorted(by_text.items(), key=lambda item: (item[1]["created"], item[0]))]


def _joined(texts: Iterable[str], separator: str) -> str:
    """Different texts, each once and in order; texts that were joined before are taken apart first."""
    return separator.join(sorted({part for text in texts for part in text.split(separator)}))
