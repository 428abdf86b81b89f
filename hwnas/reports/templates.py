"""How templates are read and what they may ask for."""

from __future__ import annotations

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
        "runs_of": _runs_of,
    }
    made.globals["number_of"] = formats.number_of
    return made


def _runs_of(items: Iterable[Any], attribute: str) -> list[tuple[Any, list[Any]]]:
    """Neighbours that agree in an attribute; unlike jinja's ``groupby``, the order stays."""
    return [(value, list(run)) for value, run in groupby(items, key=attrgetter(attribute))]
