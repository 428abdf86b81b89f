"""What is shown while a command runs: lines for people, events for programs, and when it will be over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hwnas.commands.printing import form, say
from hwnas.commands.progress import counted, left
from hwnas.commands.search_progress import _ExportClock, export_progress, search_progress
from hwnas.exports import ExportStep
from hwnas.study import Found, SearchProgress
from tests.cli.test_cli import BRIEF, TINY, Hwnas, here_table, hwnas

__all__ = ["here_table", "hwnas"]  # fixtures


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def as_json() -> Iterator[None]:
    token = form.set("json")
    yield
    form.reset(token)


def events(err: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in err.splitlines()]


def a_trial(**changes: Any) -> SearchProgress:
    found = Found(trial=None, front_size=2, hypervolume=0.5, best={"accuracy": 0.9})
    known: dict[str, Any] = {"stage": "trials", "done": 4, "total": 10, "eta_s": 60.0, "unit_s": 10.0, "ahead": ()}
    return SearchProgress(**{**known, "found": found, **changes})


def test_a_search_is_told_as_lines_of_json_and_nothing_else(
    hwnas: Hwnas, here_table: Path, quick_exporter: None
) -> None:
    answer = hwnas("search", *TINY, *BRIEF, "--table", str(here_table), "--trials", "2", "--allow-other-device",
                   "--max-latency", "50us", "--progress", "json", "--json")  # fmt: skip
    assert answer.status == 0
    told = events(answer.err)
    assert list(dict.fromkeys(event["stage"] for event in told)) == ["feasibility", "trials", "export"]
    trials = [event for event in told if event["stage"] == "trials"]
    assert [(event["done"], event["total"]) for event in trials] == [(0, 2), (1, 2), (2, 2)]
    assert trials[0]["eta_s"] is None
    assert all(event["eta_s"] >= 0 and event["ahead"] == [] for event in trials[1:])
    assert {"front_size", "hypervolume", "best"} <= trials[-1].keys()
    exports = [event for event in told if event["stage"] == "export"]
    assert {(event["epoch"], event["epochs"]) for event in exports} == {(0, 2), (1, 2), (2, 2)}
    assert json.loads(answer.out)["front"]


def test_an_error_and_a_remark_are_events_as_well(
    hwnas: Hwnas, as_json: None, capsys: pytest.CaptureFixture[str]
) -> None:
    say("something to know")
    assert events(capsys.readouterr().err) == [{"message": "something to know"}]
    answer = hwnas("export", "nowhere", "--progress", "json")
    assert answer.status == 2
    assert "is no run folder" in events(answer.err)[0]["message"]
    assert hwnas("report", "nowhere").err.startswith("Error: ")  # the next command tells in its own way


def test_the_time_of_the_exports_to_come_is_part_of_what_is_left(
    as_json: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with search_progress(trains=True) as show:
        show(a_trial())
        show(a_trial(stage="supernet", ahead=("trials", "winners"), found=None))
        show(a_trial(stage="winners", found=None))
    with search_progress(trains=False) as show:
        show(a_trial())
    found = [(event["eta_s"], event["ahead"]) for event in events(capsys.readouterr().err)]
    assert found == [
        (60.0 + 2 * 2 * 10.0, []),  # two winners, each with twice the epochs
        (60.0, ["trials", "winners", "export"]),
        (60.0 + 3 * 2 * 10.0, []),
        (60.0, ["export"]),
    ]


def test_people_read_what_comes_after_the_time_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    with search_progress(trains=False) as show:
        show(a_trial(ahead=("winners",)))
        show(a_trial(stage="part 1 of 4", ahead=("trials", "winners"), found=None, eta_s=None))
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith("best accuracy 0.9, time 60 s left, then winners and export")
    assert said[1] == "search: part 1 of 4: 4/10"


@pytest.mark.parametrize(("shape", "lines"), [("plain", 22), ("json", 102)])
def test_what_only_counts_fills_no_more_than_some_lines(
    shape: str, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    token = form.set(shape)
    with counted("profile", "profiling cpu.jsonl") as now:
        for done in range(1, 5001):
            now(done, 5000)
    form.reset(token)
    said = capsys.readouterr().err.splitlines()
    assert 20 <= len(said) <= lines
    assert "5000/5000" in said[-1] or json.loads(said[-1])["done"] == 5000


def test_an_export_is_timed_by_its_epochs_and_by_what_comes_after_them() -> None:
    """Three roles, two networks, four epochs of 10 s each and 7 s for what follows; the first one goes on after two."""
    clock = Clock()
    timed = _ExportClock({"knee": "a", "fastest": "b", "best": "a"}, clock=clock)

    def told(pick: str, name: str, epoch: int, seconds: float) -> float | None:
        clock.now += seconds
        step = ExportStep(name=name, epoch=epoch, epochs=4)
        timed.told(pick, step)
        return timed.left_s(step)

    assert told("knee", "training", 0, 1.0) is None
    assert told("knee", "training", 3, 10.0) is None  # two epochs were there
    assert told("knee", "training", 4, 10.0) == pytest.approx(40.0)
    told("knee", "exporting", 4, 0.0)
    assert told("fastest", "training", 0, 7.0) == pytest.approx(4 * 10.0 + 2 * 7.0)
    told("fastest", "training", 1, 10.0)
    assert told("fastest", "training", 2, 10.0) == pytest.approx(2 * 10.0 + 2 * 7.0)
    told("fastest", "training", 3, 10.0)
    told("fastest", "training", 4, 10.0)
    assert told("best", "exporting", 4, 7.0) == pytest.approx(7.0)
    assert timed.over == 2


def test_of_exports_people_read_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    with export_progress({"knee": "a", "best": "b"}) as show:
        for pick in ("knee", "best"):
            for epoch in range(3):
                show(pick, ExportStep(name="training", epoch=epoch, epochs=2))
    assert capsys.readouterr().err.splitlines() == ["exporting knee", "exporting best"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (0.2, "0 s left"), (119.0, "119 s left"), (180.0, "3 min left"), (9000.0, "2 h 30 min left")],
)
def test_the_time_left_as_people_say_it(seconds: float | None, said: str) -> None:
    assert left(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, ""), (0, ""), (119.0, "at least 119 s left"), (180.0, "at least 3 min left")]
)
def test_where_more_may_come_the_time_left_is_the_least(seconds: float | None, said: str) -> None:
    assert left(seconds, at_least=True) == said


def test_measurements_that_may_become_more_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    with counted("profile", "profiling") as now:
        now(0, 2, further=True)
        now(2, 2, further=True)
        now(3, 3)
    assert [line.partition(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        *("profiling: 0/2", "profiling: 2/2", "profiling: 3/3")
    ]
