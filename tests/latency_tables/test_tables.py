"""Tables survive writing and reading, and no damaged one is ever believed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_tables import (
    BlockRow,
    FloorRow,
    KernelRow,
    LatencyTable,
    MissingRowError,
    NetworkRow,
    Row,
    StepRow,
    TableError,
    TableFormatError,
    TableMismatchError,
    Timing,
    dumps,
    fingerprint_sha256,
    loads,
    read_table,
    require_writable,
    table_sha256,
    write_atomically,
    write_table,
)
from tests.builders import PROVIDER, made_up_manifest, made_up_timing
from tests.latency_tables.strategies import json_objects, json_values, sealed, tables, texts

FULL = replace(made_up_timing(0.125), uncertainty=0.02, percentiles_ms={"p99": 0.5, "p50": 0.25, "p99.9": 0.75})
ROWS: tuple[Row, ...] = (
    KernelRow(key="Conv(1x8x8x8)", timing=FULL, provider=PROVIDER, arithmetic="fp32", memory_mib=0.5, energy_mj=0.0625),
    KernelRow(key="Add\u2028(1x8x8x8)", timing=made_up_timing(0.0, noise="noisy"), provider=PROVIDER),
    BlockRow(key="stem(in=1,out=8)", kernels={"Conv(1x8x8x8)": 2, "Add\u2028(1x8x8x8)": 1}),
    NetworkRow(
        key="0123456789",
        blocks={"stem(in=1,out=8)": 1},
        timing=FULL,
        provider=PROVIDER,
        load_ms=8.5,
        first_ms=1.5,
        memory_mib=3.25,
        energy_mj=0.75,
    ),
    FloorRow(key="call", timing=made_up_timing(0.0625), provider=PROVIDER),
    StepRow(key="Conv 3x3 dense float: output channels", step=16, widths=(31, 32, 33), latency_ms=(0.5, 0.5, 0.75)),
)
TABLE = LatencyTable.from_rows(made_up_manifest(device_name="Grüße \u2028\u0085\x1c ☃"), ROWS)
CONTENT = dumps(TABLE).encode()
END = CONTENT[:-1].rfind(b"\n") + 1  # where the checksum line begins


def parsed() -> list[Any]:
    return [json.loads(line) for line in CONTENT.decode().split("\n")[:-2]]


def with_field(line: int, name: str, value: object) -> bytes:
    lines = parsed()
    lines[line] |= {name: value}
    return sealed(lines)


def with_literal(line: int, name: str, literal: str) -> bytes:
    """A field given as JSON text, also where ``json.dumps`` would not write it."""
    lines = parsed()
    lines[line] = json.dumps(lines[line] | {name: "HERE"}, ensure_ascii=False).replace('"HERE"', literal)
    return sealed(lines)


def reordered(value: Any) -> Any:
    """The same with every object back to front, however deep it lies."""
    if isinstance(value, dict):
        return {name: reordered(inner) for name, inner in reversed(value.items())}
    return [reordered(inner) for inner in value] if isinstance(value, list) else value


def refusal(content: bytes) -> str:
    """What ``loads`` says against a file; it is named first and the cure stands last, at a length people read."""
    with pytest.raises(TableFormatError) as caught:
        loads(content, path="x.jsonl")
    message = str(caught.value)
    assert message.startswith("x.jsonl")
    assert message.endswith(". Make the table anew with `hwnas profile`.")
    assert len(message) < 300
    return message


def assert_never_silently_wrong(content: bytes) -> None:
    try:
        found = loads(content, path="x.jsonl")
    except TableFormatError as error:
        assert "x.jsonl" in str(error)  # noqa: PT017  (being refused is one of the two allowed outcomes)
        return
    assert found == TABLE
    assert content[: END - 1] == CONTENT[: END - 1]  # only the checksum line's own spelling may differ


# --- round trip


@given(tables)
@settings(max_examples=150, deadline=None)
def test_every_table_survives_writing_and_reading(table: LatencyTable) -> None:
    text = dumps(table)
    found = loads(text.encode())
    assert found == table
    assert dumps(found) == text


@given(tables)
@settings(max_examples=25, deadline=None)
def test_every_table_is_written_one_line_a_row(table: LatencyTable) -> None:
    text = dumps(table)
    assert text.endswith("\n")
    assert text.count("\n") == len(table.rows()) + 2
    for line in text.removesuffix("\n").split("\n"):
        assert isinstance(json.loads(line), dict)


def test_a_table_survives_the_disk(tmp_path: Path) -> None:
    path = write_table(TABLE, tmp_path / "new" / "folder" / "table.jsonl")
    assert path.read_bytes() == CONTENT
    assert read_table(path) == TABLE
    assert read_table(str(path)) == TABLE


def test_a_table_without_rows_is_a_table() -> None:
    table = LatencyTable(made_up_manifest())
    assert loads(dumps(table).encode()) == table


@given(st.permutations(ROWS))
@settings(max_examples=24, deadline=None)
def test_the_order_of_the_rows_changes_neither_text_nor_hash(shuffled: list[Row]) -> None:
    table = LatencyTable.from_rows(TABLE.manifest, shuffled)
    assert dumps(table) == dumps(TABLE)
    assert table_sha256(table) == table_sha256(TABLE)


def test_the_order_inside_a_row_changes_no_text() -> None:
    reordered = BlockRow(key="stem(in=1,out=8)", kernels={"Add\u2028(1x8x8x8)": 1, "Conv(1x8x8x8)": 2})
    assert dumps(LatencyTable.from_rows(TABLE.manifest, [*ROWS, reordered])) == dumps(TABLE)


@pytest.mark.parametrize("name", ["protocol", "fingerprint", "conditions"])
@pytest.mark.parametrize(
    "record",
    [{"b": 1, "a": [2, 1]}, {"a": {"y": 1, "x": {"q": 1, "p": 2}}}, {"a": [{"y": 1, "x": 2}, 3]}],
    ids=["flat", "object in object", "object in list"],
)
def test_the_order_inside_the_manifest_changes_neither_text_nor_hash(name: str, record: dict[str, Any]) -> None:
    first, other = (
        LatencyTable.from_rows(made_up_manifest(**{name: inside}), ROWS) for inside in (record, reordered(record))
    )
    assert first == other
    assert dumps(first) == dumps(other)
    assert table_sha256(first) == table_sha256(other)


def test_whole_times_are_those_with_a_point_in_memory_in_text_and_from_a_file() -> None:
    whole, pointed = (
        Timing(latency_ms=one, min_ms=zero, median_ms=one, iqr_ms=zero, n=3, noise="ok")
        for one, zero in ((1, 0), (1.0, 0.0))
    )
    assert whole == pointed
    assert {type(time) for time in (whole.latency_ms, whole.min_ms, whole.median_ms, whole.iqr_ms)} == {float}
    held = [
        LatencyTable.from_rows(TABLE.manifest, [KernelRow(key="k", timing=timing, provider=PROVIDER)])
        for timing in (whole, pointed)
    ]
    assert dumps(held[0]) == dumps(held[1])
    read = [loads(with_literal(2, "latency_ms", literal)) for literal in ("2", "2.0", "2e0")]
    assert read[0] == read[1] == read[2]
    assert len({table_sha256(table) for table in read}) == 1


def test_nothing_below_zero_is_nothing() -> None:
    above, below = (
        LatencyTable.from_rows(TABLE.manifest, [KernelRow(key="k", timing=made_up_timing(zero), provider=PROVIDER)])
        for zero in (0.0, -0.0)
    )
    assert above == below
    assert table_sha256(above) == table_sha256(below)


@pytest.mark.parametrize("name", ["latency_ms", "min_ms", "median_ms", "iqr_ms"])
@pytest.mark.parametrize(
    "time", [float("nan"), float("inf"), -float("inf"), -1, -1e-9, 10**400], ids=lambda time: f"{time!r:.5}"
)
def test_times_nobody_measured_make_no_timing(name: str, time: float) -> None:
    times_given = dict.fromkeys(("latency_ms", "min_ms", "median_ms", "iqr_ms"), 1.0) | {name: time}
    with pytest.raises(ValueError, match=f"expected a finite {name} of at least 0, received"):
        Timing(**times_given, n=1, noise="ok")


def test_the_hash_is_that_of_the_file_and_sees_every_change() -> None:
    assert table_sha256(TABLE) == hashlib.sha256(CONTENT).hexdigest()
    slower = KernelRow(key="Conv(1x8x8x8)", timing=made_up_timing(0.1250001), provider=PROVIDER)
    changed = [
        LatencyTable.from_rows(TABLE.manifest, [*ROWS, slower]),
        LatencyTable.from_rows(TABLE.manifest, ROWS[:-1]),
        LatencyTable.from_rows(made_up_manifest(threads=2), ROWS),
    ]
    assert len({table_sha256(table) for table in [TABLE, *changed]}) == 4


def test_of_two_rows_with_one_key_the_later_counts() -> None:
    slower = KernelRow(key="Conv(1x8x8x8)", timing=made_up_timing(9.0), provider=PROVIDER)
    assert LatencyTable.from_rows(TABLE.manifest, [*ROWS, slower]).kernels["Conv(1x8x8x8)"] == slower


# --- damage


def test_a_table_truncated_at_any_byte_is_refused() -> None:
    for length in range(len(CONTENT) - 1):
        with pytest.raises(TableFormatError):
            loads(CONTENT[:length])
    assert loads(CONTENT[:-1]) == TABLE  # only the last line break may go


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_any_flipped_bit_is_refused_or_changes_nothing(mask: int) -> None:
    for index in range(len(CONTENT)):
        damaged = bytearray(CONTENT)
        damaged[index] ^= mask
        assert_never_silently_wrong(bytes(damaged))


@given(start=st.integers(0, len(CONTENT)), removed=st.integers(0, 40), inserted=st.binary(max_size=8))
@settings(max_examples=300, deadline=None)
def test_bytes_removed_and_inserted_are_refused_or_change_nothing(start: int, removed: int, inserted: bytes) -> None:
    assert_never_silently_wrong(CONTENT[:start] + inserted + CONTENT[start + removed :])


@given(start=st.integers(0, len(CONTENT)), inserted=st.text(alphabet="0123456789 \t\r\n,:{}[]\"'-.eE\\un", max_size=4))
@settings(max_examples=300, deadline=None)
def test_plausible_characters_inserted_are_refused_or_change_nothing(start: int, inserted: str) -> None:
    assert_never_silently_wrong(CONTENT[:start] + inserted.encode() + CONTENT[start:])


def _line_damages() -> Iterator[bytes]:
    lines = CONTENT.decode().removesuffix("\n").split("\n")
    for i in range(len(lines)):
        yield "\n".join([*lines[:i], *lines[i + 1 :]]).encode() + b"\n"  # lost
        yield "\n".join([*lines[:i], lines[i], *lines[i:]]).encode() + b"\n"  # doubled
        yield "\n".join([*lines[:i], "", *lines[i:]]).encode() + b"\n"  # a blank line
        for j in range(i):
            swapped = list(lines)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            yield "\n".join(swapped).encode() + b"\n"
    yield CONTENT + CONTENT
    yield CONTENT.replace(b"\n", b"\r\n")
    yield b"\xef\xbb\xbf" + CONTENT
    yield CONTENT.decode().encode("utf-16")


def test_lines_lost_doubled_swapped_or_converted_are_refused() -> None:
    for content in _line_damages():
        refusal(content)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_random_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(TableFormatError):
        loads(content)


@given(st.lists(json_values, max_size=4))
@settings(max_examples=100, deadline=None)
def test_other_json_lines_are_refused_even_with_a_checksum_that_fits(lines: list[object]) -> None:
    with pytest.raises(TableFormatError):
        loads(sealed(["{}", *lines]))


@given(
    line=st.integers(0, len(ROWS)),
    data=st.data(),
    value=st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
)
@settings(max_examples=300, deadline=None)
def test_a_changed_field_with_a_fitting_checksum_is_refused_or_a_table_that_can_be_written(
    line: int, data: st.DataObject, value: object
) -> None:
    name = data.draw(st.sampled_from(sorted(parsed()[line])))
    try:
        found = loads(with_field(line, name, value))
    except TableFormatError:
        return
    assert loads(dumps(found).encode()) == found


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"hello\n", "line 1: expected a JSON object, received 'hello'"),
        (b"[1, 2]\n", "line 1: expected a JSON object, received [1, 2]"),
        (b'{"a": ' * 100_000, "expected a JSON object"),
        (b'{"threads": ' + b"7" * 5000 + b"}\n", "expected a JSON object"),
        (CONTENT[:END], "truncated"),
        (CONTENT[:END] + b"7" * 5000, "truncated"),
        (CONTENT.replace(b"0.125", b"0.124", 1), "does not match its checksum"),
        (CONTENT.replace(b'"rows": 6', b'"rows": 5'), "expected 5 rows, received 6"),
        (with_field(0, "schema_version", 0), "line 1: expected a schema version from 1 to 2, received 0"),
        (with_field(0, "schema_version", None), "line 1: expected a schema version from 1 to 2, received None"),
        (with_field(0, "schema_version", True), "line 1: expected a schema version from 1 to 2, received True"),
        (with_field(0, "schema_version", 2.0), "line 1: expected a schema version from 1 to 2, received 2.0"),
        (with_field(0, "threads", "1"), "line 1: expected a whole number of at least 1 as 'threads', received '1'"),
        (with_field(0, "threads", True), "line 1: expected a whole number of at least 1 as 'threads', received True"),
        (with_field(0, "fingerprint", []), "line 1: expected a JSON object as 'fingerprint', received []"),
        (with_field(0, "protocol", "p"), "line 1: expected a JSON object as 'protocol', received 'p'"),
        (with_field(1, "key", 5), "line 2: expected text as 'key', received 5"),
        (with_field(1, "provider", None), "line 2: expected text as 'provider', received None"),
        (
            with_field(1, "latency_ms", "0.1"),
            "line 2: expected a finite number of at least 0 as 'latency_ms', received",
        ),
        (with_field(1, "latency_ms", True), "line 2: expected a finite number of at least 0 as 'latency_ms', received"),
        (with_field(1, "n", 1.5), "line 2: expected a whole number of at least 0 as 'n', received 1.5"),
        (with_field(3, "kernels", None), "line 4: expected a JSON object as 'kernels', received None"),
        (with_field(4, "blocks", ["b"]), "line 5: expected a JSON object as 'blocks', received ['b']"),
        (with_field(0, "precisions", []), "line 1: expected a list of texts as 'precisions', received []"),
        (with_field(0, "precisions", "fp32"), "line 1: expected a list of texts as 'precisions', received 'fp32'"),
        (with_field(0, "precisions", ["fp32", 8]), "expected a list of texts as 'precisions', received ['fp32', 8]"),
        (with_field(0, "batches", []), "line 1: expected a list of whole numbers as 'batches', received []"),
        (with_field(0, "batches", [1, 0]), "line 1: expected whole numbers from 1 in 'batches', received 0"),
        (with_field(0, "batches", [True]), "line 1: expected whole numbers from 1 in 'batches', received True"),
        (with_field(0, "unknown", {"energy_mj": None}), "expected a reason in words for each quantity in 'unknown'"),
        (with_field(1, "uncertainty", -0.1), "expected a finite number of at least 0 as 'uncertainty', received -0.1"),
        (with_field(1, "arithmetic", None), "line 2: expected text as 'arithmetic', received None"),
        (with_field(1, "memory_mib", "1"), "expected a finite number of at least 0 as 'memory_mib', received '1'"),
        (with_field(4, "load_ms", []), "expected a finite number of at least 0 as 'load_ms', received []"),
        (with_field(1, "percentiles_ms", None), "line 2: expected a JSON object as 'percentiles_ms', received None"),
        (with_field(1, "percentiles_ms", {"median": 1}), "expected percentiles such as 'p90' with finite times"),
        (with_field(1, "percentiles_ms", {"p90": None}), "expected percentiles such as 'p90' with finite times"),
        (with_field(1, "percentiles_ms", {"p90\n": 1}), "expected percentiles such as 'p90' with finite times"),
        (with_field(6, "step", 0), "line 7: expected a whole number of at least 1 as 'step', received 0"),
        (with_field(6, "widths", []), "line 7: expected a list of whole numbers as 'widths', received []"),
        (with_field(6, "widths", [31, 32]), "line 7: expected as many latencies as widths, received '3 and 2'"),
        (with_field(6, "latency_ms", 0.5), "line 7: expected a list of finite numbers as 'latency_ms', received 0.5"),
        (with_field(6, "latency_ms", [0.5, None, 1]), "line 7: expected a list of finite numbers as 'latency_ms'"),
    ],
)
def test_what_is_wrong_is_said_with_the_file_and_the_cure(content: bytes, cause: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(content)
    with pytest.raises(TableFormatError) as caught:
        read_table(path)
    message = str(caught.value)
    assert cause in message
    assert message.startswith(str(path))
    assert "hwnas profile" in message
    assert caught.value.path == str(path)
    assert isinstance(caught.value, (TableError, ValueError))


NO_NUMBERS = ("NaN", "Infinity", "-Infinity")  # Python writes and reads them, JSON does not know them


@pytest.mark.parametrize("name", ["latency_ms", "min_ms", "median_ms", "iqr_ms", "uncertainty", "memory_mib"])
@pytest.mark.parametrize("literal", [*NO_NUMBERS, "-1", "-1e-9", "1e400", "1e12", "1" * 4000])
def test_times_nobody_measured_are_refused(name: str, literal: str) -> None:
    message = refusal(with_literal(1, name, literal))
    assert message.startswith("x.jsonl, line 2: expected")
    assert f"as {name!r}" in message or (literal in NO_NUMBERS and f"received {literal}" in message)


def test_a_time_of_five_thousand_digits_is_refused() -> None:
    assert refusal(with_literal(1, "latency_ms", "1" * 5000)).startswith("x.jsonl, line 2: expected")


@pytest.mark.parametrize("name", ["protocol", "fingerprint", "conditions", "unknown"])
@pytest.mark.parametrize("literal", [*NO_NUMBERS, "1e400", "-1e400"])
@pytest.mark.parametrize("form", ['{"a": HERE}', '{"a": [1, {"b": HERE}]}'])
def test_what_is_no_number_is_refused_inside_the_manifest_too(name: str, literal: str, form: str) -> None:
    message = refusal(with_literal(0, name, form.replace("HERE", literal)))
    assert message.startswith("x.jsonl, line 1: expected")
    assert f"{name!r}" in message or f"received {literal}" in message


HALF = '"\\ud800"'  # half of a surrogate pair: JSON can say it, UTF-8 cannot


@pytest.mark.parametrize(
    ("line", "name", "literal"),
    [
        (0, "device_name", HALF),
        (0, "created", HALF),
        (0, "protocol", f'{{"a": {HALF}}}'),
        (0, "fingerprint", f'{{"a": [{{"b": {HALF}}}]}}'),
        (0, "conditions", f"{{{HALF}: 1}}"),
        (1, "kind", HALF),
        (1, "key", HALF),
        (1, "provider", HALF),
        (1, "noise", HALF),
        (3, "key", HALF),
        (3, "kernels", f"{{{HALF}: 1}}"),
        (4, "key", HALF),
        (4, "blocks", f"{{{HALF}: 1}}"),
    ],
)
def test_text_that_cannot_be_written_again_is_refused(line: int, name: str, literal: str) -> None:
    message = refusal(with_literal(line, name, literal))
    assert message.startswith(f"x.jsonl, line {line + 1}: expected")
    assert name in message


def test_a_whole_surrogate_pair_is_text() -> None:
    found = loads(with_literal(2, "provider", '"\\ud83d\\ude00"'))
    assert found.kernels["Conv(1x8x8x8)"].provider == "\U0001f600"
    assert loads(dumps(found).encode()) == found


def test_an_object_nested_beyond_reason_is_refused_or_can_be_written_again() -> None:
    for depth in (100, 400, 600, 900, 3000, 100_000):
        content = with_literal(0, "fingerprint", '{"a": ' + "[" * depth + "]" * depth + "}")
        try:
            found = loads(content)
        except TableFormatError:
            continue
        assert loads(dumps(found).encode()) == found


@pytest.mark.parametrize(("line", "name"), [(3, "kernels"), (4, "blocks")])
@pytest.mark.parametrize("count", [0, -1, 1.5, 1.0, True, None, "1", [], {}, 10**400, -(10**400)])
def test_counts_that_count_nothing_are_refused(line: int, name: str, count: object) -> None:
    message = refusal(with_field(line, name, {"c": count}))
    start = f"x.jsonl, line {line + 1}: expected a whole number of at least 1 for 'c' in {name!r}, received "
    assert message.startswith(start + repr(count)[:80])


@pytest.mark.parametrize(("line", "name", "least"), [(0, "threads", 1), (6, "step", 1), (1, "n", 0), (4, "n", 0)])
@pytest.mark.parametrize("number", [-1, -(10**9), 10**400, -(10**400), 1.0, True, None, "1", [], {}])
def test_numbers_that_no_campaign_has_are_refused(line: int, name: str, least: int, number: object) -> None:
    message = refusal(with_field(line, name, number))
    start = f"x.jsonl, line {line + 1}: expected a whole number of at least {least} as {name!r}, received "
    assert message.startswith(start + repr(number)[:80])


def test_no_threads_are_refused_and_no_runs_are_not() -> None:
    assert "as 'threads', received 0" in refusal(with_field(0, "threads", 0))
    assert loads(with_field(2, "n", 0)).kernels["Conv(1x8x8x8)"].timing.n == 0


@pytest.mark.parametrize("line", range(1, len(ROWS) + 1))
def test_a_row_that_stands_twice_is_refused_whether_or_not_it_differs(line: int) -> None:
    for change in ({}, {"kernels": {}, "blocks": {}, "latency_ms": 9.0}):
        lines = parsed()
        again = {name: change.get(name, value) for name, value in lines[line].items()}
        if again["kind"] == "step":  # whose latencies are a list
            again["latency_ms"] = lines[line]["latency_ms"]
        for position in {line + 1, len(lines)}:
            assert "a row stands twice" in refusal(sealed([*lines[:position], again, *lines[position:]]))


def test_rows_of_different_kinds_may_share_a_key() -> None:
    timing = made_up_timing(0.5)
    shared: list[Row] = [KernelRow(key="k", timing=timing, provider=PROVIDER), BlockRow(key="k", kernels={"k": 1})]
    table = LatencyTable.from_rows(TABLE.manifest, [*shared, NetworkRow(key="k", blocks={"k": 1}, timing=timing)])
    assert loads(dumps(table).encode()) == table
    assert len(table.rows()) == 3


def test_a_file_of_another_kind_is_refused_by_its_schema() -> None:
    for schema in ("some-other-file", None, 3, ["hwnas-latency-table"]):
        message = refusal(with_field(0, "schema", schema))
        assert message.startswith(f"x.jsonl, line 1: expected a hwnas-latency-table file, received {schema!r}. ")


KINDS = "'kernel', 'block', 'network', 'floor', 'step'"


@pytest.mark.parametrize("kind", ["end", "manifest", None, 3, True, [], {}, ["kernel"]])
def test_an_unknown_kind_of_row_is_refused(kind: object) -> None:
    message = refusal(with_field(1, "kind", kind))
    assert message.startswith(f"x.jsonl, line 2: expected kind {KINDS}, received {kind!r}. ")


@pytest.mark.parametrize("noise", ["loud", "", None, 0, [], {}, ["ok"]])
def test_an_unknown_noise_is_refused(noise: object) -> None:
    for line in (1, 4):
        message = refusal(with_field(line, "noise", noise))
        assert message.startswith(
            f"x.jsonl, line {line + 1}: expected 'ok' or 'noisy' as 'noise', received {noise!r}. "
        )


def test_every_field_is_required() -> None:
    for line, fields in enumerate(parsed()):
        for name in fields:
            lines = parsed()
            del lines[line][name]
            with pytest.raises(TableFormatError, match=f"line {line + 1}"):
                loads(sealed(lines))


def test_what_cannot_be_read_is_an_operating_system_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    for path in (tmp_path, tmp_path / "absent.jsonl", tmp_path / "file" / "below.jsonl"):
        with pytest.raises(OSError, match=path.name):
            read_table(path)


# --- writing


def _refuse(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("old", ["what was there before", None])
@pytest.mark.parametrize(("owner", "name"), [(Path, "replace"), (os, "fsync"), (Path, "chmod")])
@pytest.mark.parametrize(("failure", "kind"), [(_refuse, OSError), (_interrupt, KeyboardInterrupt)])
def test_when_writing_fails_the_old_file_stays_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: str | None,
    owner: Any,
    name: str,
    failure: Callable[..., None],
    kind: type[BaseException],
) -> None:
    path = tmp_path / "table.jsonl"
    if old is not None:
        path.write_text(old)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, failure)
        with pytest.raises(kind):
            write_table(TABLE, path)
    assert {entry.name: entry.read_text() for entry in tmp_path.iterdir()} == ({} if old is None else {path.name: old})
    write_table(TABLE, path)
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name}
    assert read_table(path) == TABLE


def test_a_text_that_is_no_unicode_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "file", "\ud800")
    assert list(tmp_path.iterdir()) == []


UNWRITABLE = {
    "a folder": ("folder", IsADirectoryError),
    "a file in place of its folder": ("file/new/t.jsonl", NotADirectoryError),
    "a name too long": ("x" * 300, OSError),
    "a folder's name too long": ("x" * 300 + "/t.jsonl", OSError),
    "a link that leads in circles": ("circle/t.jsonl", OSError),
}


@pytest.mark.parametrize("what", UNWRITABLE)
def test_a_file_that_cannot_be_written_is_known_beforehand_by_its_own_name(tmp_path: Path, what: str) -> None:
    name, kind = UNWRITABLE[what]
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "circle").symlink_to("circle")
    before = sorted(entry.name for entry in tmp_path.iterdir())
    for write in (require_writable, lambda path: write_atomically(path, "text")):
        with pytest.raises(kind) as caught:
            write(tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_known_beforehand(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        for name in ("t.jsonl", "new/t.jsonl"):
            with pytest.raises(PermissionError) as caught:
                require_writable(tmp_path / name)
            assert caught.value.filename == str(tmp_path / name)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("name", ["t.jsonl", "old.jsonl", "new/and/newer/t.jsonl"])
def test_looking_whether_a_file_can_be_written_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    (tmp_path / "old.jsonl").write_text("old")
    require_writable(tmp_path / name)
    assert {entry.name: entry.read_text() for entry in tmp_path.iterdir()} == {"old.jsonl": "old"}


def test_a_folder_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_atomically(tmp_path / "folder", "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


@given(st.text(max_size=50) | st.sampled_from(["a\r\nb\rc\n", "\u2028", ""]))
@settings(max_examples=30, deadline=None)
def test_text_is_written_as_it_is(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "file.txt")
        for content in ("something longer that was there before", text):
            assert write_atomically(str(path), content) == path
        assert path.read_bytes() == text.encode()


# --- lookups


def test_the_cost_of_a_block_is_the_sum_over_its_kernels() -> None:
    assert TABLE.block_cost("stem(in=1,out=8)") == (0.25, 3)


def test_a_missing_block_is_named_with_its_nearest_and_the_command() -> None:
    with pytest.raises(MissingRowError) as caught:
        TABLE.block_cost("stem(in=3,out=8)")
    error = caught.value
    assert error.missing == ("stem(in=3,out=8)",)
    assert error.nearest == ("stem(in=1,out=8)",)
    assert isinstance(error, KeyError)
    assert isinstance(error, TableError)
    for part in ("no block stem(in=3,out=8)", "1 block rows", "Nearest: stem(in=1,out=8).", "`hwnas profile`"):
        assert part in str(error)


def test_missing_kernels_are_counted_and_the_first_is_named() -> None:
    block = BlockRow(key="b", kernels={"Conv(1x8x8x9)": 1, "Conv(1x8x8x8)": 1, "\u2603": 2})
    with pytest.raises(MissingRowError) as caught:
        LatencyTable.from_rows(TABLE.manifest, [*ROWS, block]).block_cost("b")
    assert caught.value.missing == ("Conv(1x8x8x9)", "\u2603")
    assert caught.value.nearest[0] == "Conv(1x8x8x8)"
    assert "no kernel Conv(1x8x8x9) (and 1 more)" in str(caught.value)


def test_where_nothing_is_near_nothing_is_suggested() -> None:
    with pytest.raises(MissingRowError) as caught:
        LatencyTable(TABLE.manifest).block_cost("stem")
    assert caught.value.nearest == ()
    assert "Nearest" not in str(caught.value)


# --- fingerprints


def test_the_fingerprint_of_the_same_machine_is_accepted() -> None:
    TABLE.require_fingerprint(dict(reversed(TABLE.manifest.fingerprint.items())), override="--any-device")


def test_every_difference_of_fingerprints_is_named_with_the_override() -> None:
    with pytest.raises(TableMismatchError) as caught:
        TABLE.require_fingerprint({"cpu": "Other CPU", "threads": 1, "governor": "powersave"}, override="--any-device")
    assert caught.value.differences == {
        "cpu": ("Other CPU", "Fake CPU"),
        "governor": ("powersave", None),
        "isa": (None, ["avx2", "fma"]),
    }
    message = str(caught.value)
    for part in ("cpu: here 'Other CPU', in the table 'Fake CPU'", "governor", "isa", "--any-device", "hwnas profile"):
        assert part in message
    assert "threads" not in message


@given(json_objects, json_objects)
@settings(max_examples=60, deadline=None)
def test_fingerprints_that_differ_are_refused(recorded: dict[str, Any], current: dict[str, Any]) -> None:
    names = {n for n in {*recorded, *current} if recorded.get(n) != current.get(n)}
    table = LatencyTable(made_up_manifest(fingerprint=recorded))
    if not names:
        table.require_fingerprint(current, override="--any-device")
        return
    with pytest.raises(TableMismatchError) as caught:
        table.require_fingerprint(current, override="--any-device")
    assert set(caught.value.differences) == names


@given(json_objects)
@settings(max_examples=30, deadline=None)
def test_the_short_name_of_a_fingerprint_ignores_its_order(fingerprint: dict[str, Any]) -> None:
    short = fingerprint_sha256(fingerprint)
    assert fingerprint_sha256(dict(reversed(fingerprint.items()))) == short
    assert fingerprint_sha256({**fingerprint, "one more": 1}) != fingerprint_sha256({**fingerprint, "one more": 2})
