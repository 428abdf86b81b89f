"""Figures as files, and pages that follow a search."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from hwnas.core import MachineError, UsageError
from hwnas.reports import Watched, report, watch
from hwnas.reports.figures import hypervolume_figure
from hwnas.reports.files import write_figures
from hwnas.reports.numbers import collect
from hwnas.reports.svg import PAPER
from hwnas.study import Run
from tests.reports.conftest import enter_trials
from tests.reports.pages import ACCURACIES, MakeRun

STYLE = Path(report.__code__.co_filename).with_name("style.html")


def test_the_colours_of_files_are_the_light_ones_of_the_page() -> None:
    light = STYLE.read_text(encoding="utf-8").partition("@media")[0]
    for name, color in PAPER.items():
        assert f"--{name}: {color};" in light


def test_every_figure_of_the_page_is_written_as_svg_and_png(run: Run, tmp_path: Path) -> None:
    page = report(run, figures=tmp_path / "new" / "figures").read_text(encoding="utf-8")
    files = sorted((tmp_path / "new" / "figures").iterdir())
    names = {"front-latency", "hypervolume", "spending"}
    assert {file.name for file in files} == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    assert page.count("<figure") == len(names)
    for file in files:
        if file.suffix == ".svg":
            text = file.read_text(encoding="utf-8")
            assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  (written above)
            assert "var(" not in text
            assert not re.search(r"#0[1-9a]0[1-9a]0[1-9a]", text)
            assert PAPER["ink"] in text
        else:
            with Image.open(file) as image:
                assert image.size[0] > 2000
                assert image.getpixel((0, 0))[:3] == (255, 255, 255)  # type: ignore[index]


def test_equal_figures_give_equal_svg_files(run: Run, tmp_path: Path) -> None:
    numbers = collect(run)
    files = [write_figures([hypervolume_figure(numbers)], tmp_path / name)[1] for name in ("one", "other")]
    assert files[0].name == "hypervolume.svg"
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_run_without_trials_has_no_figures(make_run: MakeRun, tmp_path: Path) -> None:
    report(make_run(), figures=tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_watching_writes_the_page_as_the_search_grows_and_ends_with_it(make_run: MakeRun) -> None:
    run = make_run(trials=3)
    told: list[Watched] = []
    pages: list[str] = []
    paused_s: list[float] = []

    def tell(watched: Watched) -> None:
        told.append(watched)
        pages.append(watched.page.read_text(encoding="utf-8"))

    def pause(seconds: float) -> None:
        paused_s.append(seconds)
        if len(paused_s) == 2:  # after the first look nothing happens, and no page is written
            enter_trials(run, ACCURACIES[:3])

    assert watch(run.folder, tell, every_s=7, pause=pause) == run.folder / "report.html"
    assert [(one.ended, one.trials, one.finished) for one in told] == [(0, 3, False), (3, 3, True)]
    assert [page.count('http-equiv="refresh" content="7"') for page in pages] == [1, 0]
    assert "No trial has finished yet" in pages[0]
    assert len(paused_s) == 2
    assert min(paused_s) >= 7


def test_watching_needs_a_run_and_outlives_a_locked_record(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="is no run folder"):
        watch(tmp_path / "nothing", print)
    run = make_run(trials=2)
    finished: Callable[[Run], bool] = Run.is_finished
    paused: list[float] = []

    def locked_once(one: Run) -> bool:
        if len(paused) == 1:
            raise MachineError("cannot use the record: database is locked")
        return finished(one)

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 2:
            enter_trials(run, ACCURACIES[:2])

    monkeypatch.setattr(Run, "is_finished", locked_once)
    watch(run.folder, lambda _: None, pause=pause)
    assert len(paused) == 2
    paused[:] = [1.0]
    with pytest.raises(MachineError, match="locked"):
        watch(run.folder, lambda _: None)
