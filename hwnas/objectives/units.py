"""Quantities as people write them: ``5ms``, ``1.5M``, ``300k``, ``64MiB``, ``20mJ``."""

from __future__ import annotations

import re

from hwnas.core import UsageError

_UNITS: dict[str, dict[str, float]] = {
    "ms": {"ns": 1e-6, "us": 1e-3, "\u00b5s": 1e-3, "\u03bcs": 1e-3, "ms": 1.0, "s": 1e3},
    "MiB": {
        "B": 2**-20,
        "KiB": 2**-10,
        "kB": 1e3 / 2**20,
        "MiB": 1.0,
        "MB": 1e6 / 2**20,
        "GiB": 1024.0,
        "GB": 1e9 / 2**20,
    },
    "mJ": {"uJ": 1e-3, "\u00b5J": 1e-3, "\u03bcJ": 1e-3, "mJ": 1.0, "J": 1e3},
    "": {"": 1.0, "%": 0.01},
    "M": {"": 1e-6, "k": 1e-3, "K": 1e-3, "M": 1.0, "G": 1e3, "B": 1e3},
}
_EXAMPLES = {"": "70%", "ms": "5ms", "M": "1M", "MiB": "64MiB", "mJ": "20mJ"}
_FORM = re.compile(r"\s*([+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([^\s0-9]*)\s*")


def parse_quantity(text: str, *, unit: str) -> float:
    """A positive quantity in the unit asked for.

    Args:
        text: A number with its unit, for example ``"5ms"`` or ``"0.2s"``; a count may stand without one.
        unit: ``"ms"`` for times, ``"M"`` (millions) for counts, ``"MiB"`` for memory, ``"mJ"`` for energy, ``""``
            for shares.

    Raises:
        UsageError: No number, no such unit, or not positive.
    """
    known = _UNITS[unit]
    form = _FORM.fullmatch(text)
    names = ", ".join(name for name in known if name)
    example = _EXAMPLES[unit]
    if form is None or form.group(2) not in known:
        raise UsageError(
            f"cannot read {text!r}: expected a number with one of the units {names}, for example {example}"
        )
    value = float(form.group(1)) * known[form.group(2)]
    if not 0 < value < float("inf"):
        raise UsageError(
            f"cannot use {text!r}: expected a number above 0 with one of the units {names}, for example {example}"
        )
    return value
