"""Figures as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

MISSING = "–"
THIN = "\u202f"  # narrow no-break space, between a number and its unit and between thousands


def percent(share: float | None) -> str:
    """A share in [0, 1] as percent with one decimal."""
    if share is None or not math.isfinite(share):
        return MISSING
    return f"{100 * share:.1f}{THIN}%"


def correlation(value: float | None) -> str:
    """A rank correlation: three decimals are what some hundred networks tell."""
    return MISSING if value is None else f"{value:.3f}"


def significant(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, never in powers of ten; whole numbers keep all of theirs."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")  # first, so that 9.996 counts its digits as 10.0
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    return whole(value) if decimals <= 0 else f"{value:.{decimals}f}"


def milliseconds(value_ms: float | None) -> str:
    """A time with its unit."""
    return with_unit(value_ms, "ms")


def with_unit(value: float | None, unit: str) -> str:
    """A number with three significant digits and its unit, if it has one."""
    text = significant(value)
    return text if text == MISSING or not unit else f"{text}{THIN}{unit}"


def whole(value: float) -> str:
    """A whole number, its thousands apart."""
    return f"{value:,.0f}".replace(",", THIN)


def tiny(value: float) -> str:
    """A number that may be far below 1, in powers of ten where needed."""
    return f"{value:.2g}"


def plain(value: Any) -> str:
    """Anything that JSON can hold, for people to read."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(entry) for entry in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {plain(entry)}" for name, entry in value.items()) or "none"
    return str(value)


def listed(words: Sequence[str]) -> str:
    """Words as a list in prose: ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def number_of(count: int, noun: str) -> str:
    """A count with its noun: ``1 trial``, ``2 trials``."""
    return f"{whole(count)} {noun}{'' if count == 1 else 's'}"


def chance(p: float) -> str:
    """A p-value."""
    return "<0.001" if p < 0.001 else significant(p, 2)
