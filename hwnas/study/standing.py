"""How a search stands: its trials that ended and what follows from them, kept up trial by trial.

A run's own methods work everything out anew from all of its trials, which is what a report wants. A search asks after
every trial, and then that costs more the longer it goes.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Objective, Trial, cost_matrix
from hwnas.pareto import Front, hypervolume
from hwnas.study.run import Run, fastest_first, spent_of

_number = attrgetter("number")


class Standing:
    """The trials of a run that ended.

    Args:
        run: The run; what its trials count for, where winners were trained, is that of this moment.
        finished: Its trials that ended, in the order of their numbers.

    Attributes:
        trials: Those and all that were added, likewise.
        spent: How many count in the budget.
        complete: How many were evaluated to their end.
        stopped: How many were stopped early.
        epochs_saved: Epochs that those were spared.
    """

    def __init__(self, run: Run, finished: Sequence[Trial]) -> None:
        self._run, self._counted = run, run.judge()
        self._objectives: tuple[Objective, ...] = run.objectives
        self.trials = list(finished)
        self.spent = spent_of(finished)
        self.stopped = sum(trial.stopped is not None for trial in finished)
        self.epochs_saved = run.epochs_saved(finished)
        complete = [trial for trial in finished if trial.complete]
        counted = [trial for trial in map(self._counted, finished) if trial is not None and run.keeps(trial)]
        self.complete = len(complete)
        costs = self._costs(complete)
        self._lowest = costs.min(axis=0, initial=np.inf)
        self._own: Front[Trial] = Front(complete, costs)
        self._fronts: dict[str | None, Front[Trial]] = {
            device: Front(counted, self._costs(counted, device)) for device in run.devices
        }
        self._hypervolume: float | None = None

    def add(self, trial: Trial) -> list[str | None]:
        """Takes a trial that ended.

        Returns:
            Those of the run's devices whose front is another one now.
        """
        insort(self.trials, trial, key=_number)
        self.spent += spent_of([trial])
        self.stopped += trial.stopped is not None
        self.epochs_saved += self._run.epochs_saved([trial])
        if not trial.complete:
            return []
        self.complete += 1
        (cost,) = self._costs([trial])
        self._lowest = np.minimum(self._lowest, cost)
        if self._own.add(trial, cost):
            self._hypervolume = None
        counted = self._counted(trial)
        if counted is None or not self._run.keeps(counted):
            return []
        return [
            device for device, front in self._fronts.items() if front.add(counted, self._costs([counted], device)[0])
        ]

    def admits(self, trial: Trial) -> bool:
        """Whether a trial would be on the front of those that were evaluated to their end."""
        return self._own.admits(self._costs([trial])[0])

    @property
    def front(self) -> list[Trial]:
        """As ``Run.front``."""
        return self.front_on(None)

    def front_on(self, device: str | None) -> list[Trial]:
        """As ``Run.front_on``."""
        return fastest_first(self._fronts[device].members, device)

    @property
    def hypervolume(self) -> float:
        """Hypervolume of the trials that were evaluated to their end."""
        if self._hypervolume is None:  # what is dominated adds nothing
            self._hypervolume = hypervolume(self._own.costs, self._run.reference_costs)
        return self._hypervolume

    @property
    def best(self) -> Mapping[str, float]:
        """Best value of each objective, by name; empty before a trial was evaluated to its end."""
        pairs = zip(self._objectives, self._lowest.tolist(), strict=True) if self.complete else ()
        return {goal.name: goal.from_cost(cost) for goal, cost in pairs}

    def _costs(self, trials: Sequence[Trial], device: str | None = None) -> NDArray[np.float64]:
        return cost_matrix(trials, self._run.objectives_on(device))
