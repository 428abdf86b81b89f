"""Shipped tables are found by name, and a card says what a table says of itself and no more."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings

from latency_tables import (
    LatencyTable,
    TableError,
    TableFormatError,
    UnknownTableError,
    card,
    open_shipped,
    read_manifest,
    read_table,
    resolve,
    shipped,
    table_sha256,
    write_table,
)
from latency_tables.catalog import data_folder
from tests.builders import made_up_manifest
from tests.latency_tables.strategies import tables

GOLDEN = Path(__file__).parent / "golden" / "schema2.jsonl"
TABLE = read_table(GOLDEN)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write_table(TABLE, folder / "epyc-ort-mobilenet_small-fp32+int8.jsonl")
    write_table(LatencyTable(made_up_manifest()), folder / "fake-ort-mobilenet_tiny-fp32.jsonl")
    (folder / "fake-ort-mobilenet_tiny-fp32.md").write_text("# card")
    (folder / "README.md").write_text("# not a table")
    return folder


def test_shipped_tables_are_listed_by_name_with_manifest_and_card(root: Path) -> None:
    first, second = shipped(root=root)
    assert (first.name, second.name) == ("epyc-ort-mobilenet_small-fp32+int8", "fake-ort-mobilenet_tiny-fp32")
    assert (first.card, second.card) == (None, root / "fake-ort-mobilenet_tiny-fp32.md")
    assert first.path == root / f"{first.name}.jsonl"
    assert first.manifest == TABLE.manifest


def test_only_the_first_line_of_a_table_is_read_for_the_list(root: Path) -> None:
    path = root / "fake-ort-mobilenet_tiny-fp32.jsonl"
    path.write_text(path.read_text().partition("\n")[0] + "\nnot a row\n")
    assert shipped(root=root)[1].manifest == made_up_manifest()
    with pytest.raises(TableFormatError):
        open_shipped("fake-ort-mobilenet_tiny-fp32", root=root)


def test_a_shipped_table_is_opened_by_its_name(root: Path) -> None:
    assert open_shipped("epyc-ort-mobilenet_small-fp32+int8", root=root) == TABLE


def test_a_file_wins_over_a_shipped_table_of_its_name(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "fake-ort-mobilenet_tiny-fp32"
    assert resolve(name, root=root) == root / f"{name}.jsonl"
    Path(name).mkdir()
    assert resolve(name, root=root) == root / f"{name}.jsonl", "a folder is no table"
    Path(name).rmdir()
    Path(name).write_text("mine")
    assert resolve(name, root=root) == Path(name)
    assert resolve(GOLDEN, root=root) == GOLDEN


def test_a_folder_is_handed_on_to_be_refused_where_it_is_read(root: Path) -> None:
    assert resolve(root, root=root) == root
    with pytest.raises(OSError, match="data"):
        read_table(resolve(root, root=root))


def test_what_is_neither_is_refused_naming_both_and_the_nearest(root: Path) -> None:
    for ask in (lambda: resolve("fake-ort-mobilenet_tiny", root=root), lambda: open_shipped("fake-ort", root=root)):
        with pytest.raises(UnknownTableError) as caught:
            ask()
        message = str(caught.value)
        for part in ("expected the path of a table or the name of a shipped one", "there is no such file"):
            assert part in message
        assert "epyc-ort-mobilenet_small-fp32+int8, fake-ort-mobilenet_tiny-fp32" in message
        assert "hwnas profile" in message
        assert "\n" not in message
    with pytest.raises(UnknownTableError, match="Did you mean 'fake-ort-mobilenet_tiny-fp32'"):
        resolve("fake-ort-mobilenet_tiny", root=root)
    assert isinstance(caught.value, (TableError, LookupError))


def test_where_nothing_is_shipped_it_says_so(tmp_path: Path) -> None:
    assert shipped(root=tmp_path / "absent") == ()
    with pytest.raises(UnknownTableError, match="no tables are shipped with this version"):
        resolve("nowhere.jsonl", root=tmp_path / "absent")


def test_the_package_has_its_folder_and_every_table_in_it_is_sound_and_has_a_card() -> None:
    assert (resources.files("latency_tables") / "data" / "README.md").is_file()
    for one in shipped():
        assert one.path.parent == data_folder()
        assert one.card is not None
        assert open_shipped(one.name).manifest == one.manifest


# --- the first line


def test_the_manifest_is_read_alone() -> None:
    assert read_manifest(GOLDEN) == TABLE.manifest


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff", b"{}", b"[]\n", b"hello\nworld\n"])
def test_a_first_line_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(TableFormatError, match=re.escape(str(path))):
        read_manifest(path)


# --- cards


def test_a_card_says_what_the_table_says() -> None:
    text = card(TABLE, command="hwnas profile --device cpu \\\n  --out cpu.jsonl")
    for part in (
        *("# Latency table: AMD EPYC, onnxruntime 1.32.0, mobilenet:small", "`CPUExecutionProvider`"),
        *("- `threads`: `1`", "- `batches`: `1`, `8`", "- `created`: `2026-11-23T08:00:00+00:00`"),
        *("| kernel | 2 | 0 (0.0%) |", "| block | 2 | - |", "| step | 1 | - |"),
        *("    hwnas profile --device cpu \\\n      --out cpu.jsonl", "- `quiet_fraction`: `0.25`"),
        *("- `sentinel_slowdown.max`: `1.2`", "- `cpu_quota`: none", "`energy_mj`: this processor has no energy"),
        *("fewer than 10", "## Licence\n\nApache-2.0", table_sha256(TABLE)),
    ):
        assert part in text


def test_a_card_of_nothing_known_says_so() -> None:
    text = card(LatencyTable(made_up_manifest(conditions={}, unknown={})), command="")
    assert "The command is not known." in text
    assert "## Conditions while measuring\n\nNothing was recorded." in text
    assert "finds nothing to say against it" in text
    assert "| network | 0 | - |" in text


def test_a_card_keeps_strange_texts_on_their_line() -> None:
    text = card(
        LatencyTable(made_up_manifest(device_name="A `B` | *C*\n# D_E _F_", conditions={"a_b": "``"})), command="x"
    )
    assert "# Latency table: A \\`B\\` \\| \\*C\\* \\# D_E \\_F\\_, onnxruntime" in text
    assert "- `device_name`: `` A `B` | *C* # D_E _F_ ``" in text
    assert "- `a_b`: ``` `` ```" in text


@given(tables)
@settings(max_examples=60, deadline=None)
def test_any_table_has_a_card(table: LatencyTable) -> None:
    text = card(table, command="hwnas profile")
    assert text == card(table, command="hwnas profile")
    headings = [line for line in text.split("\n") if line.startswith("#")]
    assert len(headings) == 10, "what stands in a table never makes a heading"
    assert "None" not in headings
