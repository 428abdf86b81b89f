"""What the commands on tables say to people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hwnas.commands.printing import grid, listing, many, ms


def overview_parts(name: str, about: Mapping[str, Any]) -> list[Any]:
    """Where the figures of a table come from, and how many rows of each kind it has."""
    from rich.markup import escape

    manifest = about["manifest"]
    places = (
        "; ".join(f"batch {one['batch']}, {one['precision']}" for one in about["coordinates"])
        or "no coordinates: it holds no blocks or networks"
    )
    lines = [
        (
            f"{name}: {manifest['device_name']} ({manifest['device']}), {manifest['runtime']} "
            f"{manifest['runtime_version']}, {manifest['provider']}, threads {manifest['threads']}"
        ),
        f"Space {manifest['space']} at {places}. Made {manifest['created']}, sha256 {about['sha256']}.",
        *(f"Unknown: {quantity}, {reason}." for quantity, reason in manifest["unknown"].items()),
        "Rows are listed with --kind, everything with --json.",
    ]
    counts = [(kind, count, about["noisy"][kind] or "") for kind, count in about["rows"].items()]
    return [escape(lines[0]), grid("", ("kind", "rows", "noisy"), counts), *map(escape, lines[1:])]


def row_parts(kind: str, listed: Sequence[tuple[Any, float | None]], *, total: int) -> list[Any]:
    """Rows of one kind with their latencies in ms, and how many of ``total`` these are."""
    lines = []
    for row, latency_ms in listed:
        timing = getattr(row, "timing", None)
        wide = "" if timing is None or timing.uncertainty is None else f"{timing.uncertainty:.1%}"
        lines.append((row.key, ms(latency_ms), wide, "" if timing is None else timing.noise, _about_row(kind, row)))
    more = f"{len(listed)} of {total} {kind} rows" + ("; --limit and --json show more." if len(listed) < total else ".")
    return [grid("", ("key", "ms", "±", "noise", "about"), lines), more]


def _about_row(kind: str, row: Any) -> str:
    if kind in {"block", "network"}:
        members = row.kernels if kind == "block" else row.blocks
        return f"{sum(members.values())} {'kernels' if kind == 'block' else 'blocks'}"
    if kind == "step":
        return f"step {row.step}"
    return str(row.arithmetic if kind == "kernel" else row.provider)


def diff_parts(diff: Mapping[str, Any]) -> list[Any]:
    """In what two tables differ: manifest, rows, latencies."""
    fields = [(one["name"], *_both_sides(one)) for one in diff["manifest"]]
    only = [(side.upper(), kind, key) for side in "ab" for kind, keys in diff[f"only_{side}"].items() for key in keys]
    apart = [
        (
            f"{one['kind']} {one['key']}",
            *(ms(one[f"{side}_ms"]) + ("*" if one[f"{side}_noise"] == "noisy" else "") for side in "ab"),
            "" if one["ratio"] is None else f"{one['ratio']:.3f}",
        )
        for one in diff["latencies"]
    ]
    otherwise = [(f"{one['kind']} {one['key']}", one["field"], *_both_sides(one)) for one in diff["rows"]]
    title = f"Latencies more than {diff['tolerance']:.3g} apart, relative; * flagged noisy"
    return [
        *listing("Fields of the manifest that differ", ("field", "A", "B"), fields, most=len(fields)),
        *listing("Rows that only one table holds", ("only in", "kind", "key"), only),
        *listing(title, ("row", "A ms", "B ms", "ratio"), apart),
        *listing("Rows that differ otherwise", ("row", "field", "A", "B"), otherwise),
        *(_spread_text(kind, spread) for kind, spread in diff["summary"].items()),
    ]


def _both_sides(change: Mapping[str, Any]) -> list[str]:
    return [json.dumps(change[side], ensure_ascii=False) for side in "ab"]


def _spread_text(kind: str, spread: Mapping[str, Any]) -> str:
    if spread["median"] is None:
        return f"{spread['common']} {kind} rows are in both."
    return (
        f"{spread['common']} {kind} rows are in both: apart by {spread['median']:.1%} (median) and {spread['p95']:.1%} "
        f"(95th percentile); B takes {spread['median_ratio']:.3f} times as long as A (median)."
    )


def finding_parts(name: str, findings: Sequence[Any]) -> list[Any]:
    """What is wrong with a table, and the verdict."""
    from rich.markup import escape

    from latency_tables.validate import grouped

    lines = [
        (found.severity, found.row + (f" (and {count - 1} more like it)" if count > 1 else ""), found.message)
        for found, count in grouped(findings)
    ]
    errors = sum(finding.severity == "error" for finding in findings)
    totals = f"{many(errors, 'error')}, {many(len(findings) - errors, 'warning')}"
    verdict = f"{name}: {'unsound' if errors else 'sound'}, {totals}."
    return [*([grid("", ("severity", "row", "message"), lines)] if lines else []), escape(verdict)]


def shipped_parts(tables: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The tables that come with hwnas, one a line."""
    lines = []
    for one in tables:
        manifest = one["manifest"]
        runtime = f"{manifest['runtime']} {manifest['runtime_version']}, {manifest['provider']}"
        precisions = ", ".join(manifest["precisions"])
        lines.append((one["name"], manifest["device_name"], runtime, manifest["space"], precisions))
    return [grid("", ("name", "device", "runtime", "space", "precisions"), lines)]
