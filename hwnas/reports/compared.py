"""What runs side by side tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Objective

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """What one run found, measured like the others.

    Attributes:
        name: Its folder, as short as it stays unique.
        group: Runs of this name differ from it in nothing but the seed.
        seed: Its seed.
        trials: Trials that came to their end.
        finished: Whether its search is over.
        curve: Hypervolume after each of them, shape ``(n,)``.
        front: Values of the objectives of its front, shape ``(k, m)``, in the objectives' own units.
        best: The best value of each objective, by name.
        medians: The median over the trials, by name.
        share: Of the joint front, what it holds.
    """

    name: str
    group: str
    seed: int
    trials: int
    finished: bool
    curve: Array
    front: Array
    best: Mapping[str, float]
    medians: Mapping[str, float]
    share: float

    @property
    def hypervolume(self) -> float:
        """At the end."""
        return float(self.curve[-1]) if len(self.curve) else 0.0

    def at(self, trials: int) -> float:
        """The hypervolume after so many trials."""
        return float(self.curve[min(trials, len(self.curve)) - 1]) if len(self.curve) and trials else 0.0


@dataclass(frozen=True, kw_only=True)
class ComparedGroup:
    """Runs that repeat one another.

    Attributes:
        name: What sets them apart.
        runs: Names of the runs.
        hypervolume: The median at the common budget.
        lowest: The least of it.
        highest: The most of it.
    """

    name: str
    runs: tuple[str, ...]
    hypervolume: float
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True)
class GroupTest:
    """Two groups compared by their hypervolumes at the common budget.

    Attributes:
        better: The group with the larger median, or the first of equals.
        worse: The other.
        test: ``"sign test"`` on the seeds both have, or ``"Mann-Whitney"`` on all runs.
        runs: Pairs, or runs of both.
        p: Chance of so uneven a result, either way, if both were equally good.
    """

    better: str
    worse: str
    test: str
    runs: int
    p: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs side by side.

    Attributes:
        objectives: What all of them trade.
        reference: The common reference point by objective, in its own unit: the worst of the runs' own.
        budget: Trials that every run has: where their hypervolumes are compared.
        runs: In the order given.
        groups: By the median, the best first.
        tests: Every pair of groups that has runs enough.
        remarks: What else differs between the runs, for whoever reads the figures.
    """

    objectives: tuple[Objective, ...]
    reference: Mapping[str, float]
    budget: int
    runs: tuple[ComparedRun, ...]
    groups: tuple[ComparedGroup, ...]
    tests: tuple[GroupTest, ...]
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, for a file or another program."""
        return {
            "objectives": [goal.name for goal in self.objectives],
            "reference": dict(self.reference),
            "budget": self.budget,
            "runs": [_run_json(one, self) for one in self.runs],
            "groups": [{**vars(one), "runs": list(one.runs)} for one in self.groups],
            "tests": [vars(one) for one in self.tests],
            "remarks": list(self.remarks),
        }


def _run_json(run: ComparedRun, comparison: Comparison) -> dict[str, Any]:
    kept = ("name", "group", "seed", "trials", "finished", "share")
    return {
        **{name: getattr(run, name) for name in kept},
        "hypervolume": run.hypervolume,
        "hypervolume_at_budget": run.at(comparison.budget),
        "best": dict(run.best),
        "medians": dict(run.medians),
        "front": [
            dict(zip((g.name for g in comparison.objectives), map(float, row), strict=True)) for row in run.front
        ],
    }
