"""Damage of every sort, to tables of every schema version: refused in words, or changing nothing at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_tables import LatencyTable, TableFormatError, dumps, loads, read_manifest
from tests.latency_tables.strategies import json_values, sealed

GOLDEN = Path(__file__).parent / "golden"
CONTENTS = {path.name: path.read_bytes() for path in sorted(GOLDEN.glob("*.jsonl"))}
TABLES = {name: loads(content) for name, content in CONTENTS.items()}

names = st.sampled_from(sorted(CONTENTS))


def refused_or_the_same(name: str, content: bytes) -> None:
    """Whatever was done to the file without its checksum being made anew: no other table ever comes out of it."""
    try:
        found = loads(content, path="x.jsonl")
    except TableFormatError as error:
        assert str(error).startswith("x.jsonl")  # noqa: PT017  (being refused is one of the two allowed outcomes)
        assert len(str(error)) < 400  # noqa: PT017
        return
    assert found == TABLES[name]


def refused_or_sound(content: bytes) -> LatencyTable | None:
    """Where the checksum fits: a refusal, or a table that is written and read again as it is."""
    try:
        found = loads(content, path="x.jsonl")
    except TableFormatError:
        return None
    assert loads(dumps(found).encode()) == found
    return found


def lines_of(name: str) -> list[Any]:
    return [json.loads(line) for line in CONTENTS[name].decode().split("\n")[:-2]]


def figures(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the numbers of a record stand."""
    if isinstance(value, dict):
        return [found for name, inner in value.items() for found in figures(inner, (*path, name))]
    if isinstance(value, list):
        return [found for i, inner in enumerate(value) for found in figures(inner, (*path, i))]
    return [path] if isinstance(value, int | float) and not isinstance(value, bool) else []


def with_value(record: Any, path: tuple[Any, ...], value: object) -> Any:
    if not path:
        return value
    changed = dict(record) if isinstance(record, dict) else list(record)
    changed[path[0]] = with_value(record[path[0]], path[1:], value)
    return changed


@pytest.mark.parametrize("name", CONTENTS)
def test_a_table_cut_off_anywhere_is_refused(name: str) -> None:
    content = CONTENTS[name]
    for length in range(0, len(content) - 1, 7):
        with pytest.raises(TableFormatError):
            loads(content[:length])


@given(name=names, data=st.data(), mask=st.integers(1, 255))
@settings(max_examples=400, deadline=None)
def test_a_flipped_byte_changes_nothing_or_is_refused(name: str, data: st.DataObject, mask: int) -> None:
    damaged = bytearray(CONTENTS[name])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= mask
    refused_or_the_same(name, bytes(damaged))


@given(name=names, data=st.data())
@settings(max_examples=100, deadline=None)
def test_lines_lost_doubled_or_in_another_order_are_refused_or_change_nothing(name: str, data: st.DataObject) -> None:
    lines = CONTENTS[name].decode().removesuffix("\n").split("\n")
    chosen = data.draw(st.lists(st.sampled_from(range(len(lines))), max_size=len(lines) + 2))
    refused_or_the_same(name, "".join(lines[i] + "\n" for i in chosen).encode())
    shuffled = data.draw(st.permutations(lines))
    refused_or_the_same(name, "".join(line + "\n" for line in shuffled).encode())


@given(name=names, data=st.data())
@settings(max_examples=60, deadline=None)
def test_rows_in_another_order_with_a_new_checksum_are_the_same_table(name: str, data: st.DataObject) -> None:
    manifest, *rows = lines_of(name)
    assert loads(sealed([manifest, *data.draw(st.permutations(rows))])) == TABLES[name]
    some = data.draw(st.lists(st.sampled_from(rows), max_size=len(rows)))
    found = refused_or_sound(sealed([manifest, *some]))
    assert (found is None) == (len({json.dumps(row) for row in some}) < len(some)), "only a double row is refused"


@given(name=names, data=st.data(), value=st.integers(-5, 10**7) | st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=300, deadline=None)
def test_a_changed_figure_is_refused_under_the_old_checksum_and_read_as_it_is_under_a_new_one(
    name: str, data: st.DataObject, value: float
) -> None:
    lines = lines_of(name)
    line = data.draw(st.integers(0, len(lines) - 1))
    places = figures(lines[line])
    if not places:
        return
    path = data.draw(st.sampled_from(places))
    lines[line] = with_value(lines[line], path, value)
    content = sealed(lines)
    end = CONTENTS[name].rstrip(b"\n").rpartition(b"\n")[2]
    refused_or_the_same(name, content.rstrip(b"\n").rpartition(b"\n")[0] + b"\n" + end + b"\n")
    found = refused_or_sound(content)
    if found is not None and line > 0:
        row = json.loads(dumps(found).split("\n")[line])
        for step in path:
            row = row[step]
        assert row == value


@given(name=names, data=st.data(), value=json_values)
@settings(max_examples=300, deadline=None)
def test_a_field_that_is_something_else_is_refused_or_a_table(name: str, data: st.DataObject, value: object) -> None:
    lines = lines_of(name)
    line = data.draw(st.integers(0, len(lines) - 1))
    field = data.draw(st.sampled_from([*lines[line], "a new one"]))
    lines[line][field] = value
    refused_or_sound(sealed(lines))


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("depth", [100, 900, 980, 990, 1000, 3000, 100_000])
def test_what_nests_beyond_reason_is_refused_wherever_it_stands(name: str, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    for line, record in enumerate(lines_of(name)):
        for field in record:
            lines = lines_of(name)
            lines[line] = json.dumps(record | {field: "HERE"}).replace('"HERE"', nested)
            with pytest.raises(TableFormatError):
                loads(sealed(lines))


@given(st.binary(max_size=200) | names.map(lambda name: CONTENTS[name][:150]))
@settings(max_examples=100, deadline=None)
def test_a_first_line_that_is_no_manifest_is_refused_in_words(tmp_path_factory: Any, content: bytes) -> None:
    path = tmp_path_factory.mktemp("first") / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(TableFormatError):
        read_manifest(path)
