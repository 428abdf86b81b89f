"""Paths of edits on NAS-Bench-201: a path from a seed network as the solution, the costs along it as what is told.

A path is 8 edits, each of which sets one edge to one operation or leaves all as it is; what counts is the CIFAR-10
validation accuracy of the network at its end, and what is told of it are the FLOPs, the parameters and a latency after
every edit. Beside it the same searchers on the cells themselves. Regret: points of accuracy below the best of all.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from trials import trials_of

from hwnas.core import Architecture, Objective
from hwnas.evaluators import TabularEvaluator, nasbench201_table
from hwnas.searchers import SearchProblem, make_searcher
from hwnas.spaces import Choice, SearchSpace

EDITS = 8
INITIAL = BATCH = 20
ACCURACY = "cifar10_valid_acc_200"
COSTS = ("flops_m", "params_m", "pixel3_latency_ms")
STAY = "stay"
ARMS = ("random", "regularized-evolution", "warm-cmaes", "plalam", "plalam+regularized-evolution")


@dataclass(frozen=True)
class Edits:
    """A space of paths from the first cell of a space.

    Attributes:
        table: Of all cells.
    """

    table: TabularEvaluator

    @property
    def space(self) -> SearchSpace:
        """One choice an edit."""
        options = (STAY, *(f"{one.name}={value}" for one in self.table.space.choices for value in one.options))
        steps = (Choice(name=f"edit{i}", options=options, ordinal=False) for i in range(EDITS))
        return SearchSpace("edit-paths", tuple(steps))

    def passed(self, path: Architecture) -> list[Architecture]:
        """The cells after every edit."""
        here = next(iter(self.table.space.enumerate()))
        found = []
        for edit in path.values():
            if edit != STAY:
                name, _, value = str(edit).partition("=")
                here = self.table.space.architecture({**here, name: value})
            found.append(here)
        return found

    def evaluate(self, path: Architecture) -> Mapping[str, float]:
        """The accuracy at the end, and the costs along the path."""
        cells = self.passed(path)
        costs = np.array([self.table.values(name, cells) for name in COSTS]).T  # (edits, costs)
        told = {f"path.{i}": float(cost) for i, cost in enumerate(costs.ravel())}
        return {ACCURACY: float(self.table.values(ACCURACY, cells[-1:])[0]), **told}


def best_found(name: str, where: TabularEvaluator | Edits, *, samples: int, seed: int) -> float:
    """The highest accuracy after some samples."""
    goal = Objective(name=ACCURACY, unit="%", direction="maximize", known="trained")
    problem = SearchProblem(space=where.space, objectives=(goal,), reference=np.zeros(1))
    algorithm, _, inner = name.partition("+")
    searcher = make_searcher(algorithm, problem, seed=seed, inner=inner or None, initial=INITIAL)
    trials = trials_of(searcher, where.evaluate, n=samples, batch=BATCH)
    return max(trial.values[ACCURACY] for trial in trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    table = nasbench201_table([ACCURACY, *COSTS])
    best = float(table.columns[ACCURACY].max())
    for title, where in (("cells", table), ("paths", Edits(table))):
        for name in ARMS:
            regrets = [
                best - best_found(name, where, samples=arguments.samples, seed=seed) for seed in range(arguments.seeds)
            ]
            print(f"{title}, {name}: regret {np.mean(regrets):.3f} in the mean, {np.median(regrets):.3f}", flush=True)


if __name__ == "__main__":
    main()
