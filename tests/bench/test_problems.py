"""Benchmark problems: figures as published, costs told beforehand as they are found, and what is refused."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hwnas.bench import PROBLEMS, BenchProblem, open_problem
from hwnas.bench.functions import ackley_values, branin_currin_values, rosenbrock_values, vehicle_safety_values
from hwnas.core import MachineError, UsageError
from hwnas.pareto import hypervolume

FUNCTIONS = ("branin-currin", "vehicle-safety", "ackley20", "rosenbrock")
DEVICES = ("nasbench201:pixel3", "nasbench201:pixel3+eyeriss")
WITH_DATA = ("nasbench201", *DEVICES, "nasbench201-accuracy", "macro", "ofa", "accel")


@cache
def opened(name: str) -> BenchProblem:
    for file in ("nasbench201.parquet", "nasbench_macro_cifar10.parquet", "accel_nasbench_imagenet.parquet"):
        if name not in FUNCTIONS and not Path(os.environ.get("HWNAS_DATA", ""), file).is_file():
            pytest.skip(f"needs {file} in the folder that HWNAS_DATA names")
    return open_problem(name)


@pytest.mark.parametrize("name", [*FUNCTIONS, *WITH_DATA])
def test_what_is_known_beforehand_is_what_is_found_and_no_front_exceeds_the_best(name: str) -> None:
    problem = opened(name)
    search, rng = problem.search, np.random.default_rng(0)
    architectures = [search.space.sample(rng) for _ in range(60)]
    values = [problem.evaluator.evaluate(one) for one in architectures]
    costs = np.array([[goal.to_cost(found[goal.name]) for goal in search.objectives] for found in values])
    assert np.isfinite(costs).all()
    if search.known is not None:
        assert search.known(architectures) == pytest.approx(costs[:, list(search.cheap)])
        assert search.known([]).shape == (0, len(search.cheap))
    assert 0 <= hypervolume(costs, search.reference) <= problem.best * (1 + 1e-9)
    assert search.feasible(architectures).all()


def test_lamoos_own_problem_has_its_fourteen_pareto_points_and_nearly_its_hypervolume() -> None:
    problem = opened("nasbench201")
    table = problem.evaluator.columns  # type: ignore[attr-defined]
    costs = np.stack([-table["accuracy"], table["flops"]], axis=1)
    by_flops = costs[np.lexsort(costs.T)]
    cheaper = np.concatenate([[np.inf], np.minimum.accumulate(by_flops[:, 0])[:-1]])
    front = by_flops[by_flops[:, 0] < cheaper]  # equal points count once
    assert len(front) == 14  # as published; three of them are reached by two cells of equal accuracy
    assert (front < problem.search.reference).all()
    assert problem.search.reference.tolist() == [3, 6]
    # the table of the publication, 8.06987, averages other trainings for 15 % of the cells
    assert problem.best == pytest.approx(8.05260, abs=1e-5)
    assert problem.best == pytest.approx(8.06987476, rel=0.0025)


def test_devices_are_searched_on_validation_accuracy_and_reported_by_test_accuracy() -> None:
    problem = opened("nasbench201:pixel3")
    names = [goal.name for goal in problem.search.objectives]
    assert names == ["accuracy", "latency"]
    assert problem.report is not None
    assert [goal.name for goal in problem.report.objectives] == ["test_accuracy", "latency"]
    table = problem.evaluator.columns  # type: ignore[attr-defined]
    assert np.corrcoef(table["accuracy"], table["cifar100_valid_acc_200"])[0, 1] == pytest.approx(1)
    assert np.corrcoef(table["test_accuracy"], table["cifar100_test_acc_200"])[0, 1] == pytest.approx(1)


def test_several_devices_are_an_objective_each() -> None:
    problem = opened("nasbench201:pixel3+eyeriss")
    assert [goal.name for goal in problem.search.objectives] == ["accuracy", "latency@pixel3", "latency@eyeriss"]
    assert problem.search.cheap == (1, 2)
    table = problem.evaluator.columns  # type: ignore[attr-defined]
    assert np.corrcoef(table["latency@eyeriss"], table["eyeriss_latency_ms"])[0, 1] == pytest.approx(1)


def test_formulas_give_the_figures_of_the_fields_implementations() -> None:
    points = np.array([[0.6369616873214543, 0.2697867137638703], [0.04097352393619469, 0.016527635528529094]])
    expected = [[15.331645306279745, 9.256041586458348], [238.4455587734342, 7.094872358119808]]
    assert branin_currin_values(points) == pytest.approx(np.array(expected))
    assert np.isfinite(branin_currin_values(np.zeros((1, 2)))).all()
    car = [[1.4043361879509693, 2.8758102172719786, 1.189553356722334, 1.0097988299771512, 1.6458416073279567]]
    found = [1670.8361580378485, 7.4089517315107924, 0.10486866897776201]
    assert vehicle_safety_values(np.array(car))[0] == pytest.approx(found)
    assert ackley_values(np.zeros((1, 20))) == pytest.approx(0, abs=1e-12)
    assert rosenbrock_values(np.ones((1, 20))) == 0
    assert rosenbrock_values(np.zeros((1, 20))) == 19


def test_a_black_box_tells_nothing_beforehand() -> None:
    opened("macro")
    problem = open_problem("macro", black_box=True)
    assert problem.search.known is None
    assert problem.search.paid == (0, 1)


def test_unknown_problems_and_devices_are_refused_with_the_likeliest_meant() -> None:
    with pytest.raises(UsageError, match=r"unknown benchmark problem 'nasbench201:pixel2'.*Did you mean 'nasbench201:"):
        open_problem("nasbench201:pixel2")
    with pytest.raises(UsageError, match=r"unknown device of nasbench201 'pixel2'.*Did you mean"):
        open_problem("nasbench201:pixel3+pixel2")
    with pytest.raises(UsageError, match=r"expected each device once, received pixel3\+pixel3"):
        open_problem("nasbench201:pixel3+pixel3")
    assert {"nasbench201", "ofa", "macro", "accel", *FUNCTIONS} <= set(PROBLEMS)


def test_without_the_data_folder_the_variable_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HWNAS_DATA", raising=False)
    for name in ("nasbench201", "macro", "accel", "ofa"):
        with pytest.raises(MachineError, match=r"HWNAS_DATA.*see docs/benchmarks\.md"):
            open_problem(name)
    monkeypatch.setenv("HWNAS_DATA", str(tmp_path))
    with pytest.raises(MachineError, match=r"nasbench201\.parquet does not exist"):
        open_problem("nasbench201")
    assert open_problem("ackley20").search.space.size == float("inf")
