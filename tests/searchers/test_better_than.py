"""Is the engine better than its baselines? Slow; run by ``make science``."""

from __future__ import annotations

import os
from functools import cache

import numpy as np
import pytest
from scipy.stats import binomtest

from hwnas.core import Objective, Trial, in_data_folder
from hwnas.pareto import hypervolume
from hwnas.searchers import SearchProblem, make_searcher
from hwnas.spaces import from_string, mobilenet_space, nasbench201_space
from tests.searchers.problems import accuracy_of, evaluated, made_up_problem

pytestmark = pytest.mark.science


def final_hypervolume(name: str, problem: SearchProblem, *, seed: int, evaluations: int = 60) -> float:
    accuracy = accuracy_of(problem.space, seed=seed)
    searcher = make_searcher(name, problem, seed=seed)
    trials = evaluated(problem, [], accuracy)
    while len(trials) < evaluations:
        searcher.tell(trials)
        found = [p.architecture for p in searcher.ask(1, pending=[])]
        trials = evaluated(problem, [*(t.architecture for t in trials), *found], accuracy)
    return hypervolume(problem.costs(trials), problem.reference)


def test_lamoo_beats_random_search_in_hypervolume_over_twenty_seeds() -> None:
    problem = made_up_problem(mobilenet_space("small"))
    wins = sum(
        final_hypervolume("lamoo", problem, seed=s) > final_hypervolume("random", problem, seed=s) for s in range(20)
    )
    assert binomtest(int(wins), 20, 0.5, alternative="greater").pvalue < 0.01, f"{wins} wins of 20"


def test_lamoo_with_a_known_cost_beats_the_same_without_it() -> None:
    space = mobilenet_space("small")
    informed, blind = made_up_problem(space), made_up_problem(space, known=False)
    gains = [
        final_hypervolume("lamoo", informed, seed=s) - final_hypervolume("lamoo", blind, seed=s) for s in range(20)
    ]
    assert np.mean(gains) > 0


@cache
def cifar10() -> dict[str, float]:
    """Test accuracy of every cell of NAS-Bench-201 in percent, by the architecture's id."""
    parquet = pytest.importorskip("pyarrow.parquet")
    if not os.environ.get("HWNAS_DATA"):
        pytest.skip("HWNAS_DATA names no folder with nasbench201.parquet")
    file = in_data_folder("nasbench201.parquet", purpose="this test", about="the README beside it")
    table = parquet.read_table(file, columns=["arch_str", "cifar10_test_acc_200"]).to_pydict()
    return {from_string(name).id: float(value) for name, value in zip(*table.values(), strict=True)}


def samples_to_best(name: str, *, seed: int, most: int = 1500) -> int:
    accuracy = cifar10()
    best = max(accuracy.values())
    goal = Objective(name="accuracy", unit="%", direction="maximize", known="trained")
    problem = SearchProblem(space=nasbench201_space(), objectives=(goal,), reference=np.zeros(1))
    searcher = make_searcher(name, problem, seed=seed)
    trials: list[Trial] = []
    while len(trials) < most and not any(trial.values["accuracy"] == best for trial in trials):
        searcher.tell(trials)
        for proposal in searcher.ask(10, pending=[]):
            one = proposal.architecture
            trials.append(Trial(number=len(trials), architecture=one, values={"accuracy": accuracy[one.id]}))
    return len(trials)


@pytest.mark.parametrize("name", ["lanas", "alphax"])
def test_the_best_of_nasbench201_is_found_in_far_fewer_samples_than_at_random(name: str) -> None:
    at_random = len(cifar10()) / 2  # samples that random search without repeats needs on average
    assert np.median([samples_to_best(name, seed=seed) for seed in range(10)]) < at_random / 8
