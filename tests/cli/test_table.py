"""``hwnas table``: what its commands print, write and refuse."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

import cli
from latency_tables import BlockRow, LatencyTable, merge_tables, read_table, write_table
from tests.builders import made_up_manifest
from tests.profilers.fakes_backend import FakeBackend, campaign

GOLDEN = Path(__file__).parents[1] / "latency_tables" / "golden"
FIRST, SECOND = GOLDEN / "schema1.jsonl", GOLDEN / "schema2.jsonl"
COMMANDS = ("show", "diff", "merge", "validate", "export", "list", "card", "recover")


class Answer(NamedTuple):
    status: int
    out: str
    err: str


Hwnas = Callable[..., Answer]


@pytest.fixture
def hwnas(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Hwnas:
    """Runs the command line in a temporary folder and gives its status and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["hwnas", "table", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return Answer(int(caught.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def shipped_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of shipped tables with one in it, named ``epyc-ort-small-fp32``."""
    folder = tmp_path_factory.mktemp("data")
    monkeypatch.setattr("latency_tables.catalog.data_folder", lambda: folder)
    write_table(read_table(SECOND), folder / "epyc-ort-small-fp32.jsonl")
    return folder


def folded(text: str) -> str:
    """What stands in the cells of a printed table, put together again."""
    return re.sub(r"[\s│┃]+", "", text)


def variant(path: Path = SECOND, *, factor: float = 1.0, **manifest: object) -> LatencyTable:
    table = read_table(path)
    rows = [
        replace(row, timing=replace(row.timing, latency_ms=factor * row.timing.latency_ms))
        for row in table.kernels.values()
    ]
    return LatencyTable.from_rows(replace(table.manifest, **manifest), [*table.rows(), *rows])  # type: ignore[arg-type]


# --- every command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_table_command_has_help(hwnas: Hwnas, command: str) -> None:
    answer = hwnas(command, "--help")
    assert answer.status == 0
    assert "--json" in answer.out


def test_all_commands_are_listed(hwnas: Hwnas) -> None:
    answer = hwnas("--help")
    assert answer.status == 0
    assert all(re.search(rf"^ *{name} ", answer.out, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["show", "nowhere.jsonl"], 2, "path of a table or the name of a shipped one, received 'nowhere.jsonl'"),
        (["show", "."], 3, "cannot use .: Is a directory"),
        (["show", SECOND, "--kind", "kernal"], 2, "--kind: expected one of kernel, block, network, floor, step"),
        (["show", SECOND, "--sort", "size"], 2, "--sort: expected one of latency, key, received 'size'"),
        (["show", SECOND, "--limit", "0"], 2, "--limit"),
        (["show"], 2, "Missing argument 'TABLE'"),
        (["diff", SECOND], 2, "Missing argument"),
        (["diff", SECOND, SECOND, "--tolerance", "-1"], 2, "--tolerance"),
        (["diff", SECOND, SECOND, "--tolerance", "nan"], 2, "--tolerance"),
        (["diff", SECOND, SECOND, "--tolerance", "inf"], 2, "--tolerance"),
        (["merge", SECOND, "--out", "new.jsonl"], 2, "expected two tables or more"),
        (["merge", SECOND, FIRST], 2, "--out"),
        (["merge", SECOND, SECOND, "--out", ".", "--force"], 3, r"cannot use \.: Is a directory"),
        (["merge", SECOND, SECOND, "--out", "/dev/null/new.jsonl"], 3, "cannot use /dev/null/new.jsonl: Not a dir"),
        (["export", SECOND, "--out", ".", "--force"], 3, r"cannot use \.: Is a directory"),
        (["export", SECOND, "--out", "/dev/null/new/t.csv"], 3, "cannot use /dev/null/new/t.csv: Not a directory"),
        (["export", SECOND, "--out", "x" * 300], 3, "cannot use x+: File name too long"),
        (["merge", SECOND, FIRST, "--out", "new.jsonl"], 2, "cannot be merged.*protocol.name"),
        (["export", SECOND, "--format", "xlsx", "--out", "x"], 2, "--format: expected one of csv, parquet"),
        (["export", SECOND], 2, "--out"),
        (["card"], 2, "Missing argument"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_a_users_mistake_is_one_message_with_its_status(
    hwnas: Hwnas, arguments: list[object], status: int, message: str
) -> None:
    answer = hwnas(*arguments)
    assert answer.status == status
    assert re.search(message, answer.err), answer.err
    assert answer.err.count("\n") == 1
    assert "unforeseen" not in answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", [["show"], ["validate"], ["card"], ["export", "--out", "x.csv"]])
@pytest.mark.parametrize("content", ["", "not a table", "{}", FIRST.read_text(encoding="utf-8")[:900]])
def test_a_damaged_table_is_refused_by_every_command(hwnas: Hwnas, command: list[str], content: str) -> None:
    Path("bad.jsonl").write_text(content)
    answer = hwnas(*command, "bad.jsonl")
    assert answer.status == 2
    assert answer.err.startswith("Error: bad.jsonl")
    assert "hwnas profile" in answer.err
    assert [path.name for path in Path().iterdir()] == ["bad.jsonl"]


@pytest.mark.parametrize("command", ["show", "validate", "card"])
def test_a_shipped_table_is_taken_by_its_name(hwnas: Hwnas, shipped_folder: Path, command: str) -> None:
    named, by_path = (hwnas(command, table, "--json") for table in ("epyc-ort-small-fp32", SECOND))
    answers = [json.loads(answer.out) for answer in (named, by_path)]
    assert [answer.pop("table") for answer in answers] == ["epyc-ort-small-fp32", str(SECOND)]
    assert answers[0] == answers[1]


# --- show


def test_show_says_where_the_figures_are_from(hwnas: Hwnas) -> None:
    answer = hwnas("show", SECOND)
    assert answer.status == 0
    for part in (
        *("AMD EPYC (cpu), onnxruntime 1.32.0, CPUExecutionProvider, threads 1", "batch 1, fp32; batch 8, int8"),
        *("Unknown: energy_mj, this processor has no energy counter", "--kind"),
    ):
        assert part in answer.out
    assert "kernel2" in folded(answer.out)


@pytest.mark.parametrize("kind", ["kernel", "block", "network", "floor", "step"])
def test_show_lists_rows_with_their_whole_keys(hwnas: Hwnas, kind: str) -> None:
    answer = hwnas("show", SECOND, "--kind", kind)
    assert answer.status == 0
    assert "…" not in answer.out
    cells = [re.split("[│┃]", line)[1].strip() for line in answer.out.splitlines() if "│" in line]
    keys = "".join("".join(cells).split())
    assert all("".join(key.split()) in keys for key in read_table(SECOND).by_kind()[kind])


def test_show_sorts_and_limits(hwnas: Hwnas) -> None:
    def listed(*options: str) -> list[str]:
        return [row["key"] for row in json.loads(hwnas("show", FIRST, *options, "--json").out)["listed"]]

    table = read_table(FIRST)
    slowest = max(table.kernels.values(), key=lambda row: row.timing.latency_ms).key
    assert listed("--kind", "kernel", "--limit", "1") == [slowest]
    assert listed("--kind", "kernel", "--sort", "key") == list(table.kernels)
    assert sorted(listed()) == sorted(row.key for row in table.rows())
    few = hwnas("show", FIRST, "--kind", "kernel", "--limit", "2")
    assert "2 of 8 kernel rows; --limit and --json show more." in few.out


def test_show_as_json_is_complete(hwnas: Hwnas) -> None:
    shown = json.loads(hwnas("show", SECOND, "--json").out)
    lines = [json.loads(line) for line in SECOND.read_text(encoding="utf-8").splitlines()]
    assert shown["manifest"] == lines[0]
    assert sorted(map(json.dumps, shown["listed"])) == sorted(map(json.dumps, lines[1:-1]))
    assert shown["rows"] == {"kernel": 2, "block": 2, "network": 1, "floor": 1, "step": 1}


def test_nothing_in_a_table_is_taken_for_markup(hwnas: Hwnas) -> None:
    strange = LatencyTable.from_rows(
        made_up_manifest(device_name="[red]CPU[/blue]", unknown={"[/x]": ":smile: [b]"}),
        [BlockRow(key="[bold]b[/]", kernels={"[/k]": 1})],
    )
    write_table(strange, "[a].jsonl")
    assert "[red]CPU[/blue]" in hwnas("show", "[a].jsonl").out
    assert "[bold]b[/]" in hwnas("show", "[a].jsonl", "--kind", "block").out
    assert "[/k]" in folded(hwnas("validate", "[a].jsonl").out)
    write_table(LatencyTable(made_up_manifest(device_name="[/]")), "b.jsonl")
    assert '"[/]"' in hwnas("diff", "[a].jsonl", "b.jsonl").out


# --- diff


def test_diff_lists_changed_fields_and_rows_and_sums_up(hwnas: Hwnas) -> None:
    write_table(variant(factor=1.5, fingerprint={"cpu": "Other"}, runtime_version="2"), "b.jsonl")
    answer = hwnas("diff", SECOND, "b.jsonl")
    assert answer.status == 0, "tables may differ"
    for part in ("fingerprint.cpu", "fingerprint.threads", "runtime_version", '"1.32.0"', "1.500"):
        assert part in answer.out
    assert "B takes 1.500 times as long as A (median)" in answer.out
    assert "apart by 50.0% (median) and 50.0% (95th percentile)" in answer.out


def test_diff_as_json_is_complete_and_heeds_the_tolerance(hwnas: Hwnas) -> None:
    write_table(variant(factor=1.2), "b.jsonl")
    strict, loose = (
        json.loads(hwnas("diff", SECOND, "b.jsonl", "--tolerance", limit, "--json").out) for limit in ("0.05", "0.3")
    )
    assert {change["key"] for change in strict["latencies"]} == set(read_table(SECOND).kernels)
    assert (strict["same_rows"], loose["same_rows"]) == (False, True)
    assert strict["summary"]["kernel"]["common"] == 2


def test_a_long_difference_is_cut_short_for_people_alone(hwnas: Hwnas) -> None:
    rows = [BlockRow(key=f"b{i:03}", kernels={}) for i in range(30)]
    write_table(LatencyTable(made_up_manifest()), "a.jsonl")
    write_table(LatencyTable.from_rows(made_up_manifest(), rows), "b.jsonl")
    text = hwnas("diff", "a.jsonl", "b.jsonl").out
    assert "b019" in text
    assert "b020" not in text
    assert "… and 10 more; --json has them all." in text
    assert len(json.loads(hwnas("diff", "a.jsonl", "b.jsonl", "--json").out)["only_b"]["block"]) == 30


# --- recover


def test_recover_makes_a_table_of_what_was_measured(hwnas: Hwnas, tmp_path: Path) -> None:
    stopped_campaign(tmp_path / "board.jsonl")
    answer = hwnas("recover", "board.jsonl.partial", "--out", "found.jsonl")
    assert answer.status == 0, answer.err
    assert re.search(r"found\.jsonl: 1 kernel, 1 of them noisy; [1-9]\d* were not measured\.", answer.out)
    assert len(read_table(tmp_path / "found.jsonl").kernels) == 1
    assert hwnas("recover", "board.jsonl.partial", "--out", "found.jsonl").status == 2  # it is there already
    told = json.loads(hwnas("recover", "board.jsonl.partial", "--out", "found.jsonl", "--force", "--json").out)
    assert (told["rows"]["kernel"], told["noisy_kernels"]) == (1, 1)
    assert told["unmeasured"] > 0


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [("board.jsonl", 2, r"expected the \.partial file"), ("none.partial", 3, "cannot use none.partial: No such file")],
)
def test_recover_refuses_what_is_no_journal(hwnas: Hwnas, name: str, status: int, message: str) -> None:
    answer = hwnas("recover", name, "--out", "found.jsonl")
    assert answer.status == status
    assert re.search(message, answer.err)
    assert not Path("found.jsonl").exists()


def stopped_campaign(out: Path) -> None:
    """The journal of a campaign that ended with its second kernel."""
    backend = FakeBackend(
        method="isolated",
        failure=lambda one: KeyboardInterrupt() if one.measuring and sum(backend.measured.values()) else None,
    )
    with pytest.raises(KeyboardInterrupt):
        campaign(backend, out, references=[])


# --- merge


def test_merge_writes_what_the_library_merges(hwnas: Hwnas) -> None:
    other = variant(factor=0.5, created="2027-01-01T00:00:00+00:00")
    write_table(other, "b.jsonl")
    answer = hwnas("merge", SECOND, "b.jsonl", "--out", "new/merged.jsonl", "--json")
    assert answer.status == 0
    assert read_table("new/merged.jsonl") == merge_tables([read_table(SECOND), other])
    assert json.loads(answer.out)["rows"]["kernel"] == 2


def test_merge_replaces_nothing_unless_told_to(hwnas: Hwnas) -> None:
    Path("old.jsonl").write_text("old")
    refused = hwnas("merge", SECOND, SECOND, "--out", "old.jsonl")
    assert refused.status == 2
    assert "old.jsonl exists" in refused.err
    assert "--force" in refused.err
    assert Path("old.jsonl").read_text() == "old"
    assert hwnas("merge", SECOND, SECOND, "--out", "old.jsonl", "--force").status == 0
    assert read_table("old.jsonl") == read_table(SECOND)


# --- validate


def test_validate_is_content_with_warnings(hwnas: Hwnas) -> None:
    answer = hwnas("validate", SECOND)
    assert answer.status == 0
    assert "sound, 0 errors" in answer.out
    assert "fewer than 10" in " ".join(answer.out.split())


def test_validate_refuses_an_unsound_table_with_status_2(hwnas: Hwnas) -> None:
    rows = [BlockRow(key=f"b{i}", kernels={"gone": 1}) for i in range(3)]
    write_table(LatencyTable.from_rows(made_up_manifest(), rows), "bad.jsonl")
    answer = hwnas("validate", "bad.jsonl")
    assert answer.status == 2
    assert "bad.jsonl: unsound, 3 errors" in answer.out
    assert "(and2morelikeit)" in folded(answer.out)
    found = json.loads(hwnas("validate", "bad.jsonl", "--json").out)
    assert not found["sound"]
    assert [one["row"] for one in found["findings"] if one["severity"] == "error"] == [
        "block b0",
        "block b1",
        "block b2",
    ]


# --- export


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_export_writes_every_row(hwnas: Hwnas, form: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    answer = hwnas("export", SECOND, "--format", form, "--out", f"new/t.{form}", "--json")
    assert answer.status == 0
    path = Path(f"new/t.{form}")
    if form == "csv":
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    else:
        rows = parquet.read_table(path).to_pylist()
    assert [row["key"] for row in rows] == [row.key for row in read_table(SECOND).rows()]
    assert json.loads(answer.out) == {"file": str(path), "format": form, "rows": 7}


def test_export_replaces_nothing_unless_told_to(hwnas: Hwnas) -> None:
    Path("t.csv").write_text("old")
    assert hwnas("export", SECOND, "--out", "t.csv").status == 2
    assert Path("t.csv").read_text() == "old"
    assert hwnas("export", SECOND, "--out", "t.csv", "--force").status == 0
    assert Path("t.csv").read_text().startswith("kind,key,")


def test_parquet_without_pyarrow_exits_3_with_the_line_that_installs_it(
    hwnas: Hwnas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = hwnas("export", SECOND, "--format", "parquet", "--out", "t.parquet")
    assert answer.status == 3
    assert 'pip install "hwnas[parquet]"' in answer.err
    assert not Path("t.parquet").exists()


# --- shipped tables and cards


def test_list_shows_what_comes_with_the_package(hwnas: Hwnas, shipped_folder: Path) -> None:
    assert "epyc-ort-small-fp32" in hwnas("list").out
    (one,) = json.loads(hwnas("list", "--json").out)["tables"]
    assert (one["name"], one["card"]) == ("epyc-ort-small-fp32", None)
    assert one["path"] == str(shipped_folder / "epyc-ort-small-fp32.jsonl")
    assert one["manifest"]["device_name"] == "AMD EPYC"
    missing = hwnas("show", "epyc-ort-small")
    assert missing.status == 2
    assert "Did you mean 'epyc-ort-small-fp32'?" in missing.err


def test_list_says_when_nothing_comes_with_the_package(
    hwnas: Hwnas, shipped_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latency_tables.catalog.data_folder", lambda: shipped_folder / "absent")
    assert "No tables come with this version of hwnas" in hwnas("list").out
    assert json.loads(hwnas("list", "--json").out) == {"tables": []}


def test_card_prints_markdown_with_the_command(hwnas: Hwnas) -> None:
    text = hwnas("card", SECOND, "--command", "hwnas profile --out x.jsonl").out
    assert text.startswith("# Latency table: AMD EPYC, onnxruntime 1.32.0, mobilenet:small\n")
    assert "\n    hwnas profile --out x.jsonl\n" in text
    assert text.endswith("Apache-2.0\n")
    assert json.loads(hwnas("card", SECOND, "--json").out)["card"].startswith("# Latency table")
