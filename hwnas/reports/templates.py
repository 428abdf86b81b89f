"""How templates are read and what they may ask for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hwnas.reports import formats


@cache
def environment() -> Environment:
    """The templates of this folder; everything put into them is escaped, and nothing may be missing."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "percent": formats.percent,
        "significant": formats.significant,
        "with_unit": formats.with_unit,
        "ms": formats.milliseconds,
        "whole": formats.whole,
        "tiny": formats.tiny,
        "plain": formats.plain,
        "listed": formats.listed,
        "chance": formats.chance,
        "runs_of": _runs_of,
    }
    made.globals["number_of"] = formats.number_of
    return made


@cache
def script_hash() -> str:
    """What the page's security policy lets run: its own script, and nothing that came in with a name or a message."""
    text = (Path(__file__).parent / "script.html").read_text(encoding="utf-8")
    inside = text.partition("<script>")[2].rpartition("</script>")[0]
    return f"sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}"


def _runs_of(items: Iterable[Any], attribute: str) -> list[tuple[Any, list[Any]]]:
    """Neighbours that agree in an attribute; unlike jinja's ``groupby``, the order stays."""
    return [(value, list(run)) for value, run in groupby(items, key=attrgetter(attribute))]
