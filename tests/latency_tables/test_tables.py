"""Tables survive writing and reading, and no damaged one is ever believed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_tables import (
    BlockRow,
    KernelRow,
    LatencyTable,
    Manifest,
    MissingRowError,
    NetworkRow,
    Row,
    TableError,
    TableFormatError,
    TableMismatchError,
    Timing,
    dumps,
    fingerprint_sha256,
    loads,
    read_table,
    table_sha256,
    write_atomically,
    write_table,
)
from tests.builders import PROVIDER, made_up_manifest, made_up_timing

ROWS: tuple[Row, ...] = (
    KernelRow(key="Conv(1x8x8x8)", timing=made_up_timing(0.125), provider=PROVIDER),
    KernelRow(key="Add\u2028(1x8x8x8)", timing=made_up_timing(0.0, noise="noisy"), provider=PROVIDER),
    BlockRow(key="stem(in=1,out=8)", kernels={"Conv(1x8x8x8)": 2, "Add\u2028(1x8x8x8)": 1}),
    NetworkRow(key="0123456789", blocks={"stem(in=1,out=8)": 1}, timing=made_up_timing(0.25)),
)
TABLE = LatencyTable.from_rows(made_up_manifest(device_name="Grüße \u2028\u0085\x1c ☃"), ROWS)
CONTENT = dumps(TABLE).encode()
END = CONTENT[:-1].rfind(b"\n") + 1  # where the checksum line begins

texts = st.text(max_size=12) | st.sampled_from(
    ["\u2028", "\u2029", "\u0085", "\n", "\r\n", "\x00", '"', "\\", "", "\x1c"]
)
times = st.floats(min_value=0, max_value=1e11)
timings = st.builds(
    Timing,
    latency_ms=times,
    min_ms=times,
    median_ms=times,
    iqr_ms=times,
    n=st.integers(1, 10**6),
    noise=st.sampled_from(["ok", "noisy"]),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(texts, json_values, max_size=3)
manifests = st.builds(
    Manifest,
    **dict.fromkeys(
        ("device", "device_name", "runtime", "runtime_version", "provider", "precision", "space", "created"), texts
    ),
    threads=st.integers(1, 512),
    batch=st.integers(1, 512),
    protocol=json_objects,
    fingerprint=json_objects,
    conditions=json_objects,
)
counts = st.dictionaries(texts, st.integers(1, 99), max_size=4)
rows = (
    st.builds(KernelRow, key=texts, timing=timings, provider=texts)
    | st.builds(BlockRow, key=texts, kernels=counts)
    | st.builds(NetworkRow, key=texts, blocks=counts, timing=timings)
)
tables = st.builds(LatencyTable.from_rows, manifests, st.lists(rows, max_size=6))


def sealed(lines: list[Any]) -> bytes:
    """Lines with a checksum that fits them, as somebody who knows the format could write them."""
    body = "".join((line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n" for line in lines)
    end = {"kind": "end", "rows": len(lines) - 1, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    return (body + json.dumps(end) + "\n").encode()


def parsed() -> list[Any]:
    return [json.loads(line) for line in CONTENT.decode().split("\n")[:-2]]


def with_field(line: int, name: str, value: object) -> bytes:
    lines = parsed()
    lines[line] |= {name: value}
    return sealed(lines)


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
        with pytest.raises(TableFormatError, match=r"x\.jsonl") as caught:
            loads(content, path="x.jsonl")
        assert "hwnas profile" in str(caught.value) or "schema" in str(caught.value)


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
        (b"hello\n", "expected a JSON object, received 'hello'"),
        (b"[1, 2]\n", "expected a JSON object, received list"),
        (b'{"a": ' * 100_000, "expected a JSON object"),
        (b'{"threads": ' + b"7" * 5000 + b"}\n", "expected a JSON object"),
        (CONTENT[:END], "truncated"),
        (CONTENT[:END] + b"7" * 5000, "truncated"),
        (CONTENT.replace(b"0.125", b"0.124", 1), "does not match its checksum"),
        (CONTENT.replace(b'"rows": 4', b'"rows": 5'), "expected 5 rows, received 4"),
        (with_field(0, "schema_version", 2), "expected schema version 1, received 2"),
        (with_field(0, "schema_version", None), "expected schema version 1, received None"),
        (with_field(0, "threads", "1"), "expected field 'threads' of type int, received '1'"),
        (with_field(0, "threads", True), "expected field 'threads' of type int, received True"),
        (with_field(0, "fingerprint", []), "expected field 'fingerprint' of type dict"),
        (with_field(1, "key", 5), "expected field 'key' of type str, received 5"),
        (with_field(1, "provider", None), "expected field 'provider' of type str, received None"),
        (with_field(1, "latency_ms", "0.1"), "expected field 'latency_ms' of type int or float, received '0.1'"),
        (with_field(1, "n", 1.5), "expected field 'n' of type int, received 1.5"),
        (with_field(3, "kernels", None), "expected field 'kernels' of type dict"),
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


@pytest.mark.parametrize("name", ["latency_ms", "min_ms", "median_ms", "iqr_ms"])
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "-1", "-1e-9", "1e400", "1e12", "1" * 4000])
def test_times_nobody_measured_are_refused(name: str, literal: str) -> None:
    lines = parsed()
    lines[1][name] = "HERE"
    lines[1] = json.dumps(lines[1]).replace('"HERE"', literal)
    with pytest.raises(TableFormatError, match=rf"x\.jsonl, line 2: .*{name}"):
        loads(sealed(lines), path="x.jsonl")


def test_a_time_of_five_thousand_digits_is_refused() -> None:
    lines = parsed()
    lines[1] = json.dumps(lines[1] | {"latency_ms": "HERE"}).replace('"HERE"', "1" * 5000)
    with pytest.raises(TableFormatError, match="line 2"):
        loads(sealed(lines))


@pytest.mark.parametrize(("line", "name"), [(3, "kernels"), (4, "blocks")])
@pytest.mark.parametrize("count", [0, -1, 1.5, True, None, "1", []])
def test_counts_that_count_nothing_are_refused(line: int, name: str, count: object) -> None:
    with pytest.raises(TableFormatError, match=rf"line {line + 1}: expected a whole number of at least 1 for 'c'"):
        loads(with_field(line, name, {"c": count}))


def test_a_file_of_another_kind_is_refused_by_its_schema() -> None:
    for schema in ("some-other-file", None, 3, ["hwnas-latency-table"]):
        with pytest.raises(TableFormatError, match="line 1: expected a hwnas-latency-table file, received schema"):
            loads(with_field(0, "schema", schema))


@pytest.mark.parametrize("kind", ["end", "manifest", None, 3, True])
def test_an_unknown_kind_of_row_is_refused(kind: object) -> None:
    with pytest.raises(TableFormatError, match="line 2: expected kind kernel or block or network"):
        loads(with_field(1, "kind", kind))


@pytest.mark.parametrize("noise", ["loud", "", None, 0])
def test_an_unknown_noise_is_refused(noise: object) -> None:
    with pytest.raises(TableFormatError, match="line 2: expected noise 'ok' or 'noisy'"):
        loads(with_field(1, "noise", noise))


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
