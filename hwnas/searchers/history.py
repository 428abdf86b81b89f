"""What a searcher has been told, in the form searchers need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Trial
from hwnas.pareto import non_dominated
from hwnas.searchers.problem import SearchProblem


@dataclass
class History:
    """Finished trials, those without a value, or with one that is no finite number, apart.

    Attributes:
        problem: For the sign of the objectives.
        trials: Trials with finite values, in the order of their numbers.
        costs: Their costs, shape ``(n, m)``.
        seen: Ids of every architecture evaluated, those set apart included.
    """

    problem: SearchProblem
    trials: list[Trial] = field(default_factory=list)
    costs: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    seen: set[str] = field(default_factory=set)

    def replace(self, trials: Sequence[Trial]) -> None:
        """Takes the finished trials of a study."""
        ordered = sorted(trials, key=lambda trial: trial.number)
        valued = [trial for trial in ordered if trial.complete]
        costs = self.problem.costs(valued)
        finite = np.asarray(np.isfinite(costs).all(axis=1))
        self.trials = [trial for trial, good in zip(valued, finite, strict=True) if good]
        self.costs = costs[finite]
        self.seen = {trial.architecture.id for trial in ordered}

    def front(self) -> list[Architecture]:
        """Architectures of the non-dominated trials."""
        return [trial.architecture for trial, kept in zip(self.trials, non_dominated(self.costs), strict=True) if kept]

    def taken(self, pending: Sequence[Architecture]) -> set[str]:
        """Ids not to propose again: of what was evaluated, and of what is under evaluation."""
        return self.seen | {architecture.id for architecture in pending}

    def rng(self, seed: int, pending: Sequence[Architecture]) -> np.random.Generator:
        """Randomness that depends on the seed and on how far the study is, on nothing else."""
        return np.random.default_rng([seed, len(self.seen), len(pending)])
