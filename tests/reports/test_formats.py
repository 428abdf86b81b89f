"""Figures as people read them."""

from __future__ import annotations

import math

import pytest

from hwnas.reports import formats


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.012, "0.0120"),
        (0.0123456, "0.0123"),
        (1.005, "1.00"),
        (9.996, "10.0"),
        (99.96, "100"),
        (123.4, "123"),
        (1234.6, "1\u202f235"),
        (-0.5, "-0.500"),
        (1e-7, "0.000000100"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_three_significant_digits(value: float | None, text: str) -> None:
    assert formats.significant(value) == text


def test_units_stand_beside_their_number() -> None:
    assert formats.milliseconds(0.05) == "0.0500\u202fms"
    assert formats.milliseconds(None) == "–"
    assert formats.with_unit(2.0, "") == "2.00"
    assert formats.percent(0.9715) == "97.2\u202f%"
    assert formats.percent(None) == "–"
    assert formats.percent(math.nan) == "–"


def test_what_json_holds_becomes_prose() -> None:
    assert formats.plain(None) == "not known"
    assert formats.plain(True) == "yes"
    assert formats.plain([1, 0.25, "x"]) == "1, 0.25, x"
    assert formats.plain({"a": {"b": []}}) == "a: b: none"
    assert formats.number_of(1, "trial") == "1 trial"
    assert formats.number_of(12800, "trial") == "12\u202f800 trials"
    assert formats.listed([]) == ""
    assert formats.listed(["a"]) == "a"
    assert formats.listed(["a", "b", "c"]) == "a, b and c"
