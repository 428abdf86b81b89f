"""What can stand in a line of a table: JSON can say more than a table may hold."""

from __future__ import annotations

import math
from typing import Any

_LONGEST_MS = 1e12  # thirty years: what is longer is a damaged figure


def shown(value: object) -> str:
    """What a message shows of a value, at a length people read."""
    try:
        text = repr(value)
    except RecursionError:  # JSON may nest almost as deep as Python can go, and showing it goes a little deeper
        text = f"a {type(value).__name__} nested beyond reason"
    return text if len(text) <= 80 else f"{text[:80]}…"


def is_amount(value: Any) -> bool:
    """Whether a JSON value is a time, or another quantity that is never negative."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _LONGEST_MS


def encodable(text: str) -> bool:
    """Whether a string can be written again; JSON can smuggle in halves of surrogate pairs."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def sound(value: Any, *, depth: int) -> bool:
    """Whether a JSON value can be written again."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, float):
        return math.isfinite(value)
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return not inner or (depth > 0 and all(sound(one, depth=depth - 1) for one in inner))
