"""The card of a table: what a person should know before using its figures, written from the table alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from latency_tables.io import table_sha256
from latency_tables.schema import FloorRow, Json, KernelRow, NetworkRow
from latency_tables.table import LatencyTable
from latency_tables.validate import grouped, validate

_SHOWN = 60  # characters of a key in a sentence


def card(table: LatencyTable, *, command: str) -> str:
    """Writes the card of a table.

    Args:
        table: The table. Everything on the card is taken from it.
        command: What made it, as it was typed; empty where nobody knows.

    Returns:
        Markdown.
    """
    manifest = table.manifest
    title = f"{manifest.device_name}, {manifest.runtime} {manifest.runtime_version}, {manifest.space}"
    lines = [f"    {line}" for line in command.splitlines()]
    unknown = [f"- {_code(name)}: {_text(reason)}" for name, reason in manifest.unknown.items()]
    sections = {
        "What it is of": _bullets(_origin(table)),
        "What it holds": _holds(table),
        "How it was made": ["By this command:", "", *lines] if lines else ["The command is not known."],
        "Measuring protocol": _bullets(manifest.protocol),
        "Conditions while measuring": _bullets(manifest.conditions),
        "Fingerprint of the device": _bullets(manifest.fingerprint),
        "Not known": unknown or ["The manifest names nothing."],
        "Known limits": _limits(table),
        "Licence": ["Apache-2.0"],
    }
    parts = [f"# Latency table: {_text(title)}"]
    for heading, content in sections.items():
        parts.append(f"## {heading}\n\n" + "\n".join(content or ["Nothing was recorded."]))
    return "\n\n".join(parts) + "\n"


def _origin(table: LatencyTable) -> Mapping[str, Json]:
    manifest = table.manifest.to_json()
    names = ("device", "device_name", "runtime", "runtime_version", "provider", "threads", "precisions", "batches")
    return {name: manifest[name] for name in (*names, "space", "created")} | {"sha256": table_sha256(table)}


def _holds(table: LatencyTable) -> list[str]:
    lines = ["| rows | number | flagged noisy |", "| --- | --- | --- |"]
    for kind, rows in table.by_kind().items():
        timed = [row for row in rows.values() if isinstance(row, KernelRow | NetworkRow | FloorRow)]
        noisy = sum(row.timing.noise == "noisy" for row in timed)
        share = f"{noisy} ({noisy / len(timed):.1%})" if timed else "-"
        lines.append(f"| {kind} | {len(rows)} | {share} |")
    return lines


def _limits(table: LatencyTable) -> list[str]:
    lines = []
    for finding, count in grouped(validate(table)):
        more = f" (and {count - 1} more like it)" if count > 1 else ""
        lines.append(f"- {finding.severity}: {_code(_short(finding.row))} {_text(finding.message)}{more}")
    return lines or ["`hwnas table validate` finds nothing to say against it."]


def _bullets(record: Mapping[str, Json]) -> list[str]:
    return [f"- {_code(name)}: {value}" for name, value in _leaves(record)]


def _leaves(record: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            yield from _leaves({str(number): one for number, one in enumerate(value, start=1)}, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _value(value)


def _value(value: Json) -> str:
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(_code(one) for one in value) or "none"
    return "none" if value is None or value == {} else _code(value)


def _code(value: Json) -> str:
    """A value as it is, between as many backticks as it takes."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split()) or '""'
    fence = "`" * (1 + max(map(len, _runs(text)), default=0))
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _runs(text: str) -> Iterable[str]:
    return re.findall("`+", text)


def _text(text: str) -> str:
    """A text in a line of prose, with what Markdown would take for its own."""
    return re.sub(r"([\\`*<>\[\]|#]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
