"""What a searcher has been told, in the form searchers need it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import compress, count
from operator import attrgetter, is_not

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Trial
from hwnas.pareto import Front
from hwnas.searchers.problem import SearchProblem

_ROOM = 64  # rows kept ready for costs to come, at least

_number = attrgetter("number")


class History:
    """Finished trials, those without a value, or with one that is no finite number, apart.

    A study that grew by some trials since it was last told costs the work for these alone.

    Args:
        problem: For the sign of the objectives.

    Attributes:
        problem: That.
        trials: Trials with finite values, in the order of their numbers.
        seen: Ids of every architecture evaluated, those set apart included.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        self.trials: list[Trial] = []
        self.seen: set[str] = set()
        self._rows = self._room(0)
        self._told: list[Trial] = []
        self._front: Front[Trial] | None = None

    @property
    def costs(self) -> NDArray[np.float64]:
        """Costs of ``trials``, shape ``(n, m)``; never changed, also when further trials are told."""
        costs = self._rows[: len(self.trials)]
        costs.flags.writeable = False
        return costs

    def replace(self, trials: Sequence[Trial]) -> None:
        """Takes the finished trials of a study: all of them, whatever was told before."""
        new = added(self._told, trials)
        if new is None:
            new = list(trials)
            self.trials, self.seen, self._rows, self._front = [], set(), self._room(0), None
        self._told = list(trials)
        self.seen.update(trial.architecture.id for trial in new)
        valued = sorted((trial for trial in new if trial.complete), key=_number)
        costs = self.problem.costs(valued)
        finite = np.asarray(np.isfinite(costs).all(axis=1))
        self._take([trial for trial, good in zip(valued, finite, strict=True) if good], costs[finite])

    def front(self) -> list[Architecture]:
        """Architectures of the non-dominated trials."""
        if self._front is None:
            self._front = Front(self.trials, self.costs)
        return [trial.architecture for trial in sorted(self._front.members, key=_number)]

    def taken(self, pending: Sequence[Architecture]) -> set[str]:
        """Ids not to propose again: of what was evaluated, and of what is under evaluation."""
        return self.seen | {architecture.id for architecture in pending}

    def rng(self, seed: int, pending: Sequence[Architecture]) -> np.random.Generator:
        """Randomness that depends on the seed and on how far the study is, on nothing else."""
        return np.random.default_rng([seed, len(self.seen), len(pending)])

    def _take(self, trials: Sequence[Trial], costs: NDArray[np.float64]) -> None:
        """Puts valued trials, in the order of their numbers, where they belong."""
        if self._front is not None:
            for trial, cost in zip(trials, costs, strict=True):
                self._front.add(trial, cost)
        before = len(self.trials)
        if not self.trials or not trials or trials[0].number >= self.trials[-1].number:
            if before + len(trials) > len(self._rows):
                self._rows = np.concatenate([self.costs, self._room(max(before + 2 * len(trials), _ROOM))])
            self._rows[before : before + len(trials)] = costs
            self.trials += trials
            return
        places = [bisect_right(self.trials, trial.number, key=_number) for trial in trials]
        self._rows = np.insert(self.costs, places, costs, axis=0)  # another array: who has the old one may keep it
        for shift, (place, trial) in enumerate(zip(places, trials, strict=True)):
            self.trials.insert(place + shift, trial)

    def _room(self, rows: int) -> NDArray[np.float64]:
        return np.zeros((rows, len(self.problem.objectives)))


def added(before: Sequence[Trial], now: Sequence[Trial]) -> list[Trial] | None:
    """The trials that a study has now and had not before; ``None`` where it is not the same one, grown.

    Trials are told apart as objects, which takes next to no time for those that are the same.
    """
    same = next(compress(count(), map(is_not, before, now)), min(len(before), len(now)))
    rest = {id(trial) for trial in before[same:]}
    new = [trial for trial in now[same:] if id(trial) not in rest]
    return new if len(before) + len(new) == len(now) else None
