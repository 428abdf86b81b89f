"""``hwnas bench``: what it prints and leaves behind, and the exit status of what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cli


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["hwnas", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_benchmark_leaves_figures_and_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    budget = ["--evaluations", "12", "--initial", "6", "--batch", "3", "--out", str(out)]
    command = ["bench", "branin-currin", "--algorithms", "random,lamoo", "--seeds", "2", *budget]
    assert run(command, monkeypatch) == 0
    told = capsys.readouterr()
    assert "lamoo" in told.out
    assert "at the end" in told.out
    assert {path.name for path in out.iterdir()} >= {
        "bench.html", "bench.json", "curves.csv", "runs.csv", "summary.json", "runs",
    }  # fmt: skip
    assert run([*command, "--json"], monkeypatch) == 0
    held = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in held["algorithms"]] == ["random", "lamoo"]
    assert held["settings"]["evaluations"] == 12
    assert run(["bench", "branin-currin", "--seeds", "1", "--out", str(out)], monkeypatch) == 2
    assert "was begun with other settings" in capsys.readouterr().err


def test_inner_searchers_make_an_algorithm_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = ["--evaluations", "8", "--initial", "6", "--seeds", "1", "--out", str(tmp_path)]
    command = ["bench", "branin-currin", "--algorithms", "lamoo", "--inner", "random,mutation", *budget, "--json"]
    assert run(command, monkeypatch) == 0
    names = [one["name"] for one in json.loads(capsys.readouterr().out)["algorithms"]]
    assert names == ["lamoo+random", "lamoo+mutation"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["bench"], 2, "expected a problem"),
        (["bench", "nasbench"], 2, "unknown benchmark problem 'nasbench'"),
        (["bench", "branin-currin", "--seeds", "0"], 2, "expected at least 1 of seeds, received 0"),
        (["bench", "branin-currin", "--algorithms", "lamo"], 2, "unknown algorithm 'lamo'"),
        (["bench", "macro"], 3, "HWNAS_DATA"),
    ],
)
def test_what_cannot_be_run_ends_with_its_status(
    arguments: list[str],
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("HWNAS_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(arguments, monkeypatch) == status
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_problems_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--list"], monkeypatch) == 0
    assert {"nasbench201", "ofa", "macro", "accel:zcu102"} <= set(capsys.readouterr().out.split())
