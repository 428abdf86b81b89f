"""How results are printed: JSON for programs, texts and tables for people."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import typer

SHOWN = 20  # lines of a listing that people read; --json has them all


FORMS = ("auto", "plain", "json")
form: ContextVar[str] = ContextVar("form", default="auto")
"""How a command tells what it is doing, one of ``FORMS``: a matter of the command, not of whatever works for it."""


def say(text: str) -> None:
    """Prints a line about what happens, beside the result: to the standard error."""
    if form.get() == "json":
        note({"message": text})
    else:
        typer.echo(text, err=True)


def note(event: Mapping[str, Any]) -> None:
    """Prints what happens as a line of JSON, to the standard error."""
    typer.echo(json.dumps(event), err=True)


class Remarks(logging.Handler):
    """Prints what a library has to remark as everything else is said."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one remark."""
        say(record.getMessage())


def is_live() -> bool:
    """Whether what happens is shown in place, in a terminal."""
    return form.get() == "auto" and bool(stderr().is_terminal)


def render(result: Mapping[str, Any], text: str | Callable[[], Any], *, as_json: bool) -> None:
    """Prints a result: JSON for programs, text or a table for people.

    Args:
        result: What was found, as JSON values.
        text: The same for people: a text, or what makes one, a table of ``rich`` or several of either.
        as_json: Whether programs read it; ``text`` is not even made then.
    """
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    shown = text if isinstance(text, str) else text()
    if isinstance(shown, str):
        typer.echo(shown)
        return
    from rich.console import Console

    console = Console()
    for part in shown if isinstance(shown, Sequence) else [shown]:
        console.print(part, soft_wrap=isinstance(part, str))


def stderr() -> Any:
    """A console of ``rich`` on the standard error."""
    from rich.console import Console

    return Console(stderr=True)


def grid(title: str, columns: Sequence[str], lines: Sequence[Sequence[object]]) -> Any:
    """A table of texts as they are; what is long is folded, never cut."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left")
    for name in columns:
        whole = name in {"name", "ms", "±", "rows", "ratio", "noise"}  # to be read, or copied, in one piece
        table.add_column(name, overflow="fold", no_wrap=whole)
    for line in lines:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in line))
    return table


def listing(title: str, columns: Sequence[str], lines: Sequence[Sequence[object]], *, most: int = SHOWN) -> list[Any]:
    """The beginning of a listing, and how much more there is; nothing where there is nothing to list."""
    if not lines:
        return []
    shown = grid(f"{title} ({len(lines)})", columns, lines[:most])
    return [shown, f"… and {len(lines) - most} more; --json has them all."] if len(lines) > most else [shown]


def many(count: int, noun: str) -> str:
    """A count with its noun, in the plural where it is not one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def ms(value: float | None) -> str:
    """A latency to six digits; empty where there is none."""
    return "" if value is None else f"{value:.6g}"
