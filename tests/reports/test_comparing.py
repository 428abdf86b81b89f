"""Runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hwnas.core import UsageError
from hwnas.pareto import hypervolume
from hwnas.reports import compare, comparison_page
from hwnas.study import Run
from hwnas.training import Recipe
from tests.reports.conftest import Page
from tests.reports.pages import ACCURACIES, AddTrials, MakeRun


@pytest.fixture
def pair(make_run: MakeRun, add_trials: AddTrials) -> list[Run]:
    """A good run, and a worse one of half as many trials with another algorithm."""
    good, bad = make_run(folder="good"), make_run(folder="bad", algorithm="random")
    add_trials(good, ACCURACIES)
    add_trials(bad, [0.5 * accuracy for accuracy in ACCURACIES[:3]])
    return [good, bad]


def test_hypervolumes_have_one_reference_point_and_one_budget(make_run: MakeRun, add_trials: AddTrials) -> None:
    runs = [make_run(folder=name) for name in ("one", "other")]
    object.__setattr__(runs[1], "reference", {"accuracy": 0.05, "latency_ms": 0.2})
    for run, count in zip(runs, (6, 4), strict=True):
        add_trials(run, ACCURACIES[:count])
    found = compare(runs)
    assert found.reference == pytest.approx({"accuracy": 0.05, "latency_ms": 0.5})
    assert found.budget == 4
    for run, one in zip(runs, found.runs, strict=True):
        costs = run.cost_matrix(run.trials())
        assert one.hypervolume == pytest.approx(hypervolume(costs, np.array([-0.05, 0.5])))
        assert one.at(4) == pytest.approx(hypervolume(costs[:4], np.array([-0.05, 0.5])))
        assert len(one.front) == len(run.front())
    assert found.runs[0].at(4) == found.runs[1].at(4)


def test_best_medians_and_shares_are_those_of_the_trials(pair: list[Run]) -> None:
    good, bad = compare(pair).runs
    assert good.best["accuracy"] == max(ACCURACIES)
    assert good.medians["accuracy"] == pytest.approx(0.92)
    assert good.best["latency_ms"] == min(trial.values["latency_ms"] for trial in pair[0].trials())
    assert (good.share, bad.share) == (1.0, 0.0)
    assert (good.name, bad.name) == ("good", "bad")


@pytest.mark.parametrize(
    ("shared", "test", "runs", "p"), [(True, "sign test", 2, 0.5), (False, "Mann-Whitney", 4, 1 / 3)]
)
def test_settings_are_tested_in_pairs_where_seeds_are_shared_and_by_ranks_else(
    make_run: MakeRun, add_trials: AddTrials, shared: bool, test: str, runs: int, p: float
) -> None:
    made = []
    for seed in range(2):
        for i, algorithm in enumerate(("mutation", "random")):
            run = make_run(folder=f"{algorithm}{seed}", algorithm=algorithm, seed=seed + (0 if shared else 10 * i))
            add_trials(run, [(0.9 - 0.3 * i + 0.01 * seed)] * 2)
            made.append(run)
    found = compare(made)
    assert [group.name for group in found.groups] == ["mutation", "random"]
    assert [len(group.runs) for group in found.groups] == [2, 2]
    assert found.groups[0].lowest <= found.groups[0].hypervolume <= found.groups[0].highest
    (one,) = found.tests
    assert (one.better, one.worse, one.test, one.runs) == ("mutation", "random", test, runs)
    assert one.p == pytest.approx(p)


def test_one_run_of_each_setting_is_no_statistics(pair: list[Run], tmp_path: Path) -> None:
    found = compare(pair)
    assert found.tests == ()
    assert "No test: it takes at least two runs" in _page(found, tmp_path).said


def test_settings_that_share_an_algorithm_are_told_apart(make_run: MakeRun, add_trials: AddTrials) -> None:
    runs = [make_run(folder="a", recipe=Recipe(epochs=2)), make_run(folder="b", recipe=Recipe(epochs=3))]
    for run in runs:
        add_trials(run, ACCURACIES[:2])
    found = compare(runs)
    assert [group.name for group in found.groups] == ["lamoo (1)", "lamoo (2)"]
    assert found.remarks == ("the runs have different training recipes: accuracies need not be comparable",)


def test_folders_of_one_name_are_told_apart(make_run: MakeRun, add_trials: AddTrials, tmp_path: Path) -> None:
    runs = [make_run(folder="a/run"), make_run(folder="b/run")]
    assert [one.name for one in compare(runs).runs] == ["a/run", "b/run"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": ("params",)}, "their objectives differ, accuracy, latency_ms and accuracy, params_m"),
        ({"data_sha256": "e" * 64, "data": "mine"}, r"their data differ, digits \(dddddddd\) and mine \(eeeeeeee\)"),
        (
            {"device_name": "Other"},
            "their device differ, Test device with onnxruntime.* Compare runs with latency tables",
        ),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(make_run: MakeRun, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compare([make_run(folder="one"), make_run(folder="other", **changes)])


def test_objectives_may_come_in_any_order(make_run: MakeRun, add_trials: AddTrials) -> None:
    runs = [make_run(folder="a", targets=("latency", "params")), make_run(folder="b", targets=("params", "latency"))]
    for run in runs:
        add_trials(run, ACCURACIES)
    one, other = compare(runs).runs
    assert one.hypervolume == pytest.approx(other.hypervolume)
    assert one.best == other.best


def test_fewer_than_two_runs_or_one_twice_are_refused(run: Run) -> None:
    with pytest.raises(UsageError, match="expected at least two runs to compare, received 1"):
        compare([run])
    with pytest.raises(UsageError, match="was given twice"):
        compare([run, run])


def test_runs_without_trials_are_compared_as_far_as_they_go(pair: list[Run], make_run: MakeRun, tmp_path: Path) -> None:
    empty = make_run(folder="empty")
    found = compare([*pair, empty])
    assert (found.budget, found.runs[2].hypervolume) == (0, 0.0)
    page = _page(found, tmp_path)
    assert "Not every run has a finished trial yet" in page.said
    assert page.source.count("<figure") == 2
    assert _page(compare([empty, make_run(folder="void")]), tmp_path).source.count("<figure") == 0


def test_the_page_shows_every_run_and_needs_nothing_but_itself(
    make_run: MakeRun, add_trials: AddTrials, tmp_path: Path
) -> None:
    evil = "<script>alert(1)"
    runs = [
        make_run(folder=evil, data=evil, targets=("latency", "params")),
        make_run(folder="b", data=evil, targets=("latency", "params")),
    ]
    for run in runs:
        add_trials(run, ACCURACIES)
    page = _page(compare(runs), tmp_path)
    assert page.source.count("<script") == 1
    assert [row["data-run"] for row in page.having("tr") if "data-run" in row] == [evil, "b"]
    assert page.source.count("<figure") == 3
    assert "http" not in page.source.replace("http-equiv", "")
    ids = [attributes["id"] for _, attributes in page.opened if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(page.having("caption")) == len(page.having("table"))


def test_everything_is_json(pair: list[Run]) -> None:
    held = json.loads(json.dumps(compare(pair).to_json()))
    assert held["objectives"] == ["accuracy", "latency_ms"]
    assert [run["name"] for run in held["runs"]] == ["good", "bad"]
    assert held["runs"][0]["front"][0].keys() == {"accuracy", "latency_ms"}


def _page(comparison: object, folder: Path) -> Page:
    return Page(comparison_page(comparison, folder / "compare.html").read_text(encoding="utf-8"))  # type: ignore[arg-type]
