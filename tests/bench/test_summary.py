"""What runs tell together, checked by hand."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.bench import (
    Ask,
    Bench,
    BenchRun,
    BenchSettings,
    BenchSummary,
    Report,
    open_problem,
    sign_test,
    summarize,
    to_json,
    write_figures,
)
from hwnas.bench.growing import hypervolumes
from hwnas.pareto import hypervolume


def run(algorithm: str, seed: int, values: list[tuple[float, float]]) -> BenchRun:
    return BenchRun(
        algorithm=algorithm,
        seed=seed,
        ids=tuple(f"{seed}-{i}" for i in range(len(values))),
        values=tuple({"branin": a, "currin": b, "again": b} for a, b in values),
        asks=tuple(Ask(told=i + 1, proposed=1, seconds=0.001 * (i + 1)) for i in range(len(values) - 1)),
    )


def made_up() -> BenchSummary:
    """Two algorithms and two seeds of at most four evaluations; the reference is (18, 6), the best hypervolume 100."""
    problem = open_problem("branin-currin")
    report = Report(
        words="another figure",
        objectives=(problem.search.objectives[0], replace(problem.search.objectives[1], name="again")),
        reference=problem.search.reference,
        best=50.0,
    )
    problem = replace(problem, best=100.0, levels=(0.25, 0.5), report=report)
    runs = (
        run("good", 0, [(20.0, 7.0), (8.0, 1.0), (18.0, 0.0), (8.0, 0.0)]),  # 0, 50, 50, 60
        run("good", 1, [(13.0, 1.0), (13.0, 1.0)]),  # 25, and ended
        run("bad", 0, [(17.0, 5.0)] * 4),  # 1
        run("bad", 1, [(13.0, 1.0)] * 4),  # 25
    )
    settings = BenchSettings(problem="branin-currin", evaluations=4, batch=1, initial=1)
    return summarize(Bench(problem=problem, settings=settings, runs=runs))


def test_curves_levels_and_ends_are_those_counted_by_hand() -> None:
    good, bad = made_up().algorithms
    assert good.shares == pytest.approx(np.array([[0, 0.5, 0.5, 0.6], [0.25, 0.25, 0.25, 0.25]]))
    assert good.to_level.tolist() == [[2, 2], [1, math.inf]]
    assert [good.median_to(0), good.median_to(1)] == [2, math.inf]
    assert [good.reached(0), good.reached(1), bad.reached(1)] == [2, 1, 0]
    assert good.evaluations.tolist() == [4, 2]
    assert good.mean[-1] == pytest.approx(0.425)
    assert good.standard_error[-1] == pytest.approx(0.175)
    assert good.reported == pytest.approx([1.2, 0.5])
    assert good.log_gaps(100.0)[0, -1] == pytest.approx(math.log10(40))
    assert good.ask_ms() == pytest.approx(1.5)
    assert good.late_ask_ms() == pytest.approx(3.0)


def test_algorithms_are_compared_seed_by_seed() -> None:
    end, over = made_up().tests
    assert (end.better, end.worse, end.wins, end.losses, end.ties, end.p) == ("good", "bad", 1, 0, 1, 1.0)
    assert over.measure == "mean over the run"


@given(st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_the_sign_test_is_the_exact_binomial_one(wins: int, losses: int) -> None:
    from scipy.stats import binomtest

    values = np.array([1.0] * wins + [0.0] * losses + [5.0])
    others = np.array([0.0] * wins + [1.0] * losses + [5.0])
    found = sign_test(("a", values), ("b", others), measure="m")
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert found.p == pytest.approx(expected)
    assert (found.wins, found.losses, found.ties) == (max(wins, losses), min(wins, losses), 1)
    assert found.better == ("a" if wins >= losses else "b")


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6)), max_size=20))
@settings(max_examples=60, deadline=None)
def test_growing_hypervolumes_are_those_of_the_first_points(points: list[tuple[int, int, int]]) -> None:
    costs, reference = np.array(points, dtype=float).reshape(-1, 3), np.array([5.0, 5.0, 5.0])
    expected = [hypervolume(costs[: i + 1], reference) for i in range(len(costs))]
    assert hypervolumes(costs, reference) == pytest.approx(np.array(expected))


def test_figures_are_written_as_json_and_csv(tmp_path: Path) -> None:
    summary = made_up()
    names = [path.name for path in write_figures(summary, tmp_path)]
    assert names == ["summary.json", "curves.csv", "runs.csv"]
    held = json.loads((tmp_path / "summary.json").read_text())
    assert held == json.loads(json.dumps(to_json(summary)))
    assert held["algorithms"][0]["evaluations_to"]["50 %"] == {"median": None, "reached": 1}
    curves = list(csv.DictReader((tmp_path / "curves.csv").read_text().splitlines()))
    assert len(curves) == 8
    assert [float(row["mean"]) for row in curves[:4]] == pytest.approx([0.125, 0.375, 0.375, 0.425])
    runs = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert [row["evaluations_to_50"] for row in runs] == ["2", "", "", ""]
    assert runs[1]["evaluations"] == "2"
