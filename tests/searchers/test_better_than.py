"""Is the engine better than its baselines? Slow; run by ``make science``."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from hwnas.pareto import hypervolume
from hwnas.searchers import SearchProblem, make_searcher
from hwnas.spaces import mobilenet_space
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
