"""``hwnas report``: what it prints and leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import cli
from hwnas.networks import network_family
from hwnas.study import Run
from latency_tables import LatencyTable
from tests.reports.conftest import MANIFEST, SPACE, _rows, enter_trials, runs_in

Hwnas = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    return LatencyTable.from_rows(MANIFEST, _rows(network_family(SPACE)))


@pytest.fixture
def hwnas(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hwnas:
    """Runs a command; returns its status and what it printed."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["hwnas", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


@pytest.fixture
def run(tmp_path: Path, table: LatencyTable) -> Run:
    with runs_in(tmp_path, table, journal=False) as make:
        made = make(trials=2)
        enter_trials(made, (0.9, 0.8))
    return made


def test_the_page_and_its_figures_go_where_they_are_asked_for(hwnas: Hwnas, run: Run, tmp_path: Path) -> None:
    page, figures = tmp_path / "page.html", tmp_path / "figures"
    status, out, _ = hwnas("report", run.folder, "--out", page, "--figures", figures, "--json")
    assert (status, json.loads(out)) == (0, {"report": str(page), "figures": str(figures)})
    assert page.is_file()
    assert (figures / "hypervolume.svg").is_file()


def test_watching_a_finished_run_writes_one_page_and_ends(hwnas: Hwnas, run: Run) -> None:
    status, out, err = hwnas("report", run.folder, "--watch")
    assert (status, out.strip()) == (0, str(run.folder / "report.html"))
    assert err.count("2 of 2 trials, finished") == 1
    event = json.loads(hwnas("report", run.folder, "--watch", "--progress", "json")[2])
    assert event == {"stage": "report", "done": 2, "total": 2, "finished": True}


def test_stopping_to_watch_is_no_fault(hwnas: Hwnas, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr("hwnas.reports.watch", stopped)
    status, _, err = hwnas("report", run.folder, "--watch")
    assert status == 0
    assert "Stopped watching" in err


def test_runs_are_compared_for_people_and_for_programs(hwnas: Hwnas, tmp_path: Path, table: LatencyTable) -> None:
    with runs_in(tmp_path, table) as make:
        made = [make(trials=3, folder=name, algorithm=name) for name in ("mutation", "random")]
        for one, accuracies in zip(made, ((0.9, 0.8, 0.7), (0.6, 0.5)), strict=True):
            enter_trials(one, accuracies)
    folders = [one.folder for one in made]
    status, out, _ = hwnas("compare", *folders)
    assert status == 0
    assert "Hypervolume with a common reference point" in out
    assert out.rstrip().endswith(str(folders[0] / "compare.html"))
    status, out, _ = hwnas("compare", *folders, "--out", tmp_path / "page.html", "--json")
    held = json.loads(out)
    assert (status, held["budget"], held["page"]) == (0, 2, str(tmp_path / "page.html"))
    assert [one["name"] for one in held["runs"]] == ["mutation", "random"]


@pytest.mark.parametrize(
    ("names", "message"), [(("run",), "expected at least two runs"), (("run", "nowhere"), "nowhere is no run folder")]
)
def test_what_cannot_be_compared_is_said(hwnas: Hwnas, run: Run, names: tuple[str, ...], message: str) -> None:
    status, _, err = hwnas("compare", *(run.folder.parent / name for name in names))
    assert status == 2
    assert message in err


@pytest.mark.parametrize(
    ("file", "message", "ended"),
    [
        ("run.json", "run.json is damaged", 1),
        ("study.db", "study.db is damaged", 1),
        ("latency_table.jsonl", "latency_table.jsonl", 2),
        ("measured.jsonl", "measured.jsonl", 2),
    ],
)
def test_a_half_written_run_is_refused_with_the_file_to_blame_and_an_older_page_stays(
    hwnas: Hwnas, run: Run, file: str, message: str, ended: int
) -> None:
    run.record.close()
    (run.folder / "report.html").write_text("older")
    written = (run.folder / file).read_bytes() if (run.folder / file).exists() else b'{"schema": "hwnas'
    (run.folder / file).write_bytes(written[: min(len(written) // 2, 5000)])
    status, _, err = hwnas("report", run.folder)
    assert status == ended
    assert message in err
    assert "Traceback" not in err
    assert (run.folder / "report.html").read_text() == "older"
