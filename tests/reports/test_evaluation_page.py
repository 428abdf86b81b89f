"""The page of an evaluation, and the same part in the report of a run: right about the evaluation, whatever it says."""

from __future__ import annotations

import html
import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwnas.networks import NetworkFamily
from hwnas.predictors import Accuracy, Evaluation, gates, write_evaluation
from hwnas.reports import evaluation_page, formats
from hwnas.reports.evaluations import accuracy_columns
from hwnas.study import Run
from tests.evaluations import made_up_evaluation
from tests.reports.pages import SECTIONS, Read


@pytest.fixture(scope="module")
def evaluation(tiny_family: NetworkFamily) -> Evaluation:
    found = made_up_evaluation(
        tiny_family, networks=15, slower=1.04, half=1.01, disturbed=lambda index: 1 + 0.03 * (index % 4)
    )
    return replace(found, gates=gates(found.groups, estimate="session", max_mape=0.02, min_kendall=0.5))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Evaluation], str]:
    """Writes the page of an evaluation and gives its source."""
    return lambda found: evaluation_page(found, tmp_path / "page.html").read_text(encoding="utf-8")


def columns(source: str) -> dict[tuple[str, str], list[str]]:
    """Group and estimate to the cells of their column."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for group, cells in re.findall(r'<tr data-group="(\w+)" data-figure="\w+">(.*?)</tr>', source, flags=re.DOTALL):
        values = re.findall(r'<td class="n">(.*?)</td>', cells)
        for name, value in zip(("table", "session", "flops", "params", "noise"), values, strict=True):
            found[group, name].append(value)
    return dict(found)


def as_written(found: Accuracy) -> list[str]:
    shares = [found.mape, found.median_error, found.bias, found.within_5, found.within_10, found.worst_5]
    ranks = [formats.correlation(value) for value in (found.spearman, found.kendall)]
    regrets = [formats.percent(value) for value in (found.top_1_regret, found.top_k_regret, found.inside)]
    return [*map(formats.percent, shares), *ranks, *regrets]


def test_the_numbers_on_the_page_are_those_of_the_json(
    evaluation: Evaluation, write: Callable[[Evaluation], str]
) -> None:
    again = Evaluation.from_json(json.loads(json.dumps(evaluation.to_json())))
    found = columns(write(evaluation))
    expected = {
        (group, name): as_written(figures)
        for group, accuracy in again.groups.items()
        for name, figures in accuracy_columns(accuracy)
    }
    assert found == expected
    assert len(found) == 10


def test_what_was_measured_where_when_and_by_which_table_is_told(
    evaluation: Evaluation, write: Callable[[Evaluation], str]
) -> None:
    source = html.unescape(write(evaluation))
    about = evaluation.about
    for expected in (
        about.device_name,
        f"{about.runtime} {about.runtime_version}",
        about.measured,
        about.table,
        about.table_sha256,
        about.table_created,
        about.front,
        "8 rounds or more",
        f"{evaluation.session.device_speed:.3f} times as long",
        *map(str, evaluation.gates),
    ):
        assert expected in source


def test_every_network_is_drawn_once_in_each_drawing_and_groups_differ_in_shape(
    evaluation: Evaluation, write: Callable[[Evaluation], str]
) -> None:
    source = write(evaluation)
    for name in ("table", "session"):
        for shape in ("wide", "narrow"):
            drawn = re.findall(rf'<g id="scatter-{name}-{shape}-n(\d+)" class="point (\w+)"', source)
            assert sorted((int(index), group) for index, group in drawn) == [
                (index, one.group) for index, one in enumerate(evaluation.networks)
            ]
    markers = {
        group: set(re.findall(rf'class="point {group}".*?<use [^>]*href="#([^"]+)"', source, flags=re.DOTALL))
        for group in evaluation.groups
    }
    assert not markers["random"] & markers["front"]
    assert "chosen by the prediction" in source


def test_the_page_needs_nothing_but_itself_and_equal_evaluations_give_equal_pages(
    evaluation: Evaluation, write: Callable[[Evaluation], str]
) -> None:
    source = write(evaluation)
    assert not re.search(r"(https?|ftp|file):", source)
    assert not re.search(r"<(script|iframe|img|object|embed|base|form)\b", source)
    assert set(re.findall(r"url\((.)", source)) <= {"#"}
    ids = re.findall(r'\sid="([^"]+)"', source)
    assert len(ids) == len(set(ids))
    assert write(evaluation) == source


def test_an_undefined_figure_noisy_networks_and_missing_ones_are_told(
    evaluation: Evaluation, write: Callable[[Evaluation], str]
) -> None:
    group = evaluation.groups["random"]
    flat = replace(group.estimates["params"], spearman=None, kendall=None)
    changed = replace(
        evaluation,
        groups={"random": replace(group, estimates={**group.estimates, "params": flat})},
        networks=(replace(evaluation.networks[0], noise="noisy"), *evaluation.networks[1:]),
        unmeasured=("abc123",),
        gates=(),
    )
    source = write(changed)
    assert columns(source)["random", "params"][6:8] == [formats.MISSING] * 2
    assert re.search(r"1 network of \d+ is flagged noisy", source)
    assert "hollow: measured noisily" in source
    assert "Not measured, since the device could not hold them: abc123." in source


def test_names_from_outside_are_escaped(evaluation: Evaluation, write: Callable[[Evaluation], str]) -> None:
    evil = "<script>alert('x')</script>"
    source = write(replace(evaluation, about=replace(evaluation.about, device_name=evil, table=evil, front=evil)))
    assert "<script" not in source
    assert html.escape(evil, quote=False).replace("'", "&#39;") in source


def test_a_page_that_cannot_be_written_says_so(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OSError, match="file"):
        evaluation_page(evaluation, tmp_path / "file" / "page.html")


# --- in the report of a run


def test_the_report_of_a_run_shows_the_evaluation_in_its_folder(run: Run, read: Read, evaluation: Evaluation) -> None:
    assert "evaluation" not in [section["id"] for section in read(run).having("section")]
    write_evaluation(evaluation, run.folder / "evaluation.json")
    page = read(run)
    assert {section["id"] for section in page.having("section")} == {*SECTIONS, "evaluation"}
    assert page.having("a", href="#evaluation")
    assert columns(page.source)["front", "table"] == as_written(evaluation.groups["front"].estimates["table"])
    ids = [attributes["id"] for _, attributes in page.opened if "id" in attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": "hwnas-evaluation", "schema_version": 9}'])
def test_a_damaged_evaluation_is_named_and_costs_nothing_else(run: Run, read: Any, content: str) -> None:
    (run.folder / "evaluation.json").write_text(content)
    page = read(run)
    assert "evaluation.json cannot be read" in page.said
    assert tuple(section["id"] for section in page.having("section")) == SECTIONS
