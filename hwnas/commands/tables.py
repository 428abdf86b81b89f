"""``hwnas table``: what to do with latency tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.commands.endings import EXIT_USAGE
from hwnas.commands.options import AsJson, Force, OutFile, require_new, require_one_of
from hwnas.commands.printing import SHOWN, many, render
from hwnas.commands.table_words import diff_parts, finding_parts, overview_parts, row_parts, shipped_parts

if TYPE_CHECKING:
    from latency_tables import LatencyTable

table_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Show, compare, merge, check and export latency tables. TABLE is a file, or the name of a shipped table.",
)
TableName = Annotated[str, typer.Argument(metavar="TABLE", help="A table's file, or the name of a shipped table.")]


@table_app.command("show")
def table_show(
    table: TableName,
    kind: Annotated[str | None, typer.Option(help="List these rows: kernel, block, network, floor or step.")] = None,
    sort: Annotated[str, typer.Option(help="latency, the longest first, or key.")] = "latency",
    limit: Annotated[int | None, typer.Option(min=1, help=f"Rows to list; by default {SHOWN}, as JSON all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say where the figures of a table come from and how many there are, or list them."""
    from latency_tables import overview, ranked, row_to_json

    require_one_of(kind or "kernel", ("kernel", "block", "network", "floor", "step"), option="--kind")
    require_one_of(sort, ("latency", "key"), option="--sort")
    rows = _read(table)
    about, listed = overview(rows), ranked(rows, kind=kind, by=sort)
    result = {"table": table, **about, "listed": [row_to_json(row) for row, _ in listed[:limit]]}
    shown = listed[: limit or SHOWN]
    render(
        result,
        lambda: overview_parts(table, about) if kind is None else row_parts(kind, shown, total=len(listed)),
        as_json=as_json,
    )


@table_app.command("diff")
def table_diff(
    a: TableName,
    b: TableName,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1000, help="Latencies no further apart than this, relative, count as the same.")
    ] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Compare two tables: where their figures come from, which rows they hold, and how far the figures are apart."""
    from latency_tables import diff_tables

    diff = diff_tables(_read(a), _read(b), tolerance=tolerance)
    render({"a": a, "b": b, **diff.to_json()}, lambda: diff_parts(diff.to_json()), as_json=as_json)


@table_app.command("merge")
def table_merge(
    tables: Annotated[list[str], typer.Argument(metavar="TABLE TABLE...", help="Two or more, of one device.")],
    out: OutFile,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Unite tables made under the same conditions; of rows measured more than once the most trustworthy stays."""
    from latency_tables import merge_tables, table_sha256, write_table

    if len(tables) < 2:
        raise typer.BadParameter(f"expected two tables or more, received only {tables[0]}", param_hint="TABLE")
    require_new(out, force=force)
    merged = merge_tables([_read(name) for name in tables])
    write_table(merged, out)
    rows = {kind: len(held) for kind, held in merged.by_kind().items()}
    counts = ", ".join(many(count, f"{kind} row") for kind, count in rows.items() if count)
    result = {"table": str(out), "rows": rows, "sha256": table_sha256(merged)}
    render(result, f"{out}: {counts or 'no rows'}, from {len(tables)} tables.", as_json=as_json)


@table_app.command("validate")
def table_validate(table: TableName, as_json: AsJson = False) -> None:
    """Check whether a table makes sense beyond its checksum; status 2 when it does not, warnings aside."""
    from dataclasses import asdict

    from latency_tables import validate

    rows = _read(table)
    findings = validate(rows)
    sound = all(finding.severity != "error" for finding in findings)
    result = {"table": table, "sound": sound, "findings": [asdict(finding) for finding in findings]}
    render(result, lambda: finding_parts(table, findings), as_json=as_json)
    if not sound:
        raise typer.Exit(EXIT_USAGE)


@table_app.command("export")
def table_export(
    table: TableName,
    out: OutFile,
    format: Annotated[str, typer.Option(help="csv or parquet.")] = "csv",  # noqa: A002  (the name of the option)
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a table as one flat line a row, for spreadsheets and data frames."""
    from latency_tables import write_csv, write_parquet

    require_one_of(format, ("csv", "parquet"), option="--format")
    require_new(out, force=force)
    rows = _read(table)
    path = (write_csv if format == "csv" else write_parquet)(rows, out)
    count = len(rows.rows())
    render({"file": str(path), "format": format, "rows": count}, f"{path}: {many(count, 'row')}.", as_json=as_json)


@table_app.command("list")
def table_list(as_json: AsJson = False) -> None:
    """List the tables that come with hwnas."""
    from latency_tables import shipped

    tables = shipped()
    result = {
        "tables": [
            {
                "name": one.name,
                "path": str(one.path),
                "card": None if one.card is None else str(one.card),
                "manifest": one.manifest.to_json(),
            }
            for one in tables
        ]
    }
    empty = "No tables come with this version of hwnas. Make one with `hwnas profile`."
    render(result, (lambda: shipped_parts(result["tables"])) if tables else empty, as_json=as_json)


@table_app.command("card")
def table_card(
    table: TableName,
    command: Annotated[str, typer.Option(help="The command that made the table, for the card to quote.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write the card of a table: its device, protocol, conditions and known limits, as Markdown."""
    from latency_tables import card

    text = card(_read(table), command=command)
    render({"table": table, "card": text}, text.rstrip("\n"), as_json=as_json)


def _read(name: str) -> LatencyTable:
    from latency_tables import read_table, resolve

    return read_table(resolve(name))
