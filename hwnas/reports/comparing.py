"""Runs side by side: one reference point for all, fronts, medians, and tests where runs repeat one another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from hwnas.bench.growing import hypervolumes
from hwnas.bench.summary import sign_test
from hwnas.core import Objective, Trial, UsageError, cost_matrix
from hwnas.pareto import non_dominated
from hwnas.reports.compared import Array, ComparedGroup, ComparedRun, Comparison, GroupTest
from hwnas.study import Run

_PAIRED, _FEWEST = 2, 2  # seeds that two groups share for a paired test; runs of each for one of ranks
_SAME = (
    "space",
    "targets",
    "algorithm",
    "inner",
    "limits",
    "min_accuracy",
    "evaluator",
    "halving",
    "recipe",
    "table_sha256",
)


def compare(runs: Sequence[Run]) -> Comparison:
    """Puts runs side by side.

    Args:
        runs: At least two, of the same objectives and data and for the same device; finished or not.

    Raises:
        UsageError: They are fewer, one is given twice, or they cannot be compared.
        StudyError: A record cannot be read.
    """
    _require_comparable(runs)
    goals = runs[0].objectives  # the others have the same, perhaps in another order
    corner = np.max([[goal.to_cost(run.reference[goal.name]) for goal in goals] for run in runs], axis=0)
    trials = [run.judged(run.record.finished()) for run in runs]
    costs = [cost_matrix(some, goals) for some in trials]
    names, groups = _names(runs), _groups(runs)
    shares = _shares(costs)
    compared = tuple(
        _compared(run, goals, some, hypervolumes(own, corner), name=name, group=group, share=share)
        for run, some, own, name, group, share in zip(runs, trials, costs, names, groups, shares, strict=True)
    )
    budget = min(one.trials for one in compared)
    grouped = {name: [one for one in compared if one.group == name] for name in dict.fromkeys(groups)}
    return Comparison(
        objectives=goals,
        reference={goal.name: goal.from_cost(float(value)) for goal, value in zip(goals, corner, strict=True)},
        budget=budget,
        runs=compared,
        groups=tuple(sorted((_group(*item, budget) for item in grouped.items()), key=lambda one: -one.hypervolume)),
        tests=tuple(
            test for pair in combinations(grouped.items(), 2) if (test := _test(*pair, budget=budget)) is not None
        ),
        remarks=_remarks(runs),
    )


def _require_comparable(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise UsageError(f"expected at least two runs to compare, received {len(runs)}")
    first, folders = runs[0], [run.folder.resolve() for run in runs]
    twice = next((folder for i, folder in enumerate(folders) if folder in folders[:i]), None)
    if twice is not None:
        raise UsageError(f"{twice} was given twice: expected each run once")
    for other in runs[1:]:
        for what, mine, theirs, cure in (
            ("objectives", _goals(first), _goals(other), "runs that trade the same --target"),
            ("data", _data(first), _data(other), "runs on the same --data"),
            ("device", _device(first), _device(other), "runs with latency tables of one device and runtime"),
        ):
            if mine != theirs:
                raise UsageError(
                    f"{first.folder} and {other.folder} cannot be compared: their {what} differ, {mine} and {theirs}. "
                    f"Compare {cure}"
                )


def _goals(run: Run) -> str:
    return ", ".join(sorted(goal.name for goal in run.objectives))


def _data(run: Run) -> str:
    return f"{run.settings.data} ({run.settings.data_sha256[:8]})"


def _device(run: Run) -> str:
    m = run.table.manifest
    return f"{m.device_name} with {m.runtime}, {m.provider}, {m.threads} thread{'' if m.threads == 1 else 's'}"


def _names(runs: Sequence[Run]) -> list[str]:
    """The last part of each folder, with as many before it as tell all apart."""
    parts = [run.folder.resolve().parts for run in runs]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return names


def _groups(runs: Sequence[Run]) -> list[str]:
    """A name for the settings of each run, the seed left out: its algorithm, and a number where that is not enough."""
    keys = [json.dumps({name: _plain(run, name) for name in _SAME}, sort_keys=True) for run in runs]
    stems = [run.settings.algorithm + (f"+{run.settings.inner}" if run.settings.inner else "") for run in runs]
    kinds = {stem: list(dict.fromkeys(k for k, s in zip(keys, stems, strict=True) if s == stem)) for stem in stems}
    return [
        stem if len(kinds[stem]) == 1 else f"{stem} ({kinds[stem].index(key) + 1})"
        for key, stem in zip(keys, stems, strict=True)
    ]


def _plain(run: Run, name: str) -> Any:
    value = run.settings.to_json()[name]
    return {k: v for k, v in value.items() if k != "device"} if name == "recipe" else value


def _remarks(runs: Sequence[Run]) -> tuple[str, ...]:
    """What else differs, and makes the figures harder to compare."""
    found = []
    for name, words in (
        ("space", "search spaces"),
        ("recipe", "training recipes: accuracies need not be comparable"),
        ("evaluator", "evaluators: accuracies need not be comparable"),
        ("limits", "limits"),
        ("min_accuracy", "smallest accuracies"),
        ("table_sha256", "latency tables of the same device"),
    ):
        if len({json.dumps(_plain(run, name), sort_keys=True) for run in runs}) > 1:
            found.append(f"the runs have different {words}")
    return tuple(found)


def _shares(costs: Sequence[Array]) -> list[float]:
    """Of the front of all runs together, the share that each holds; what several found counts for each."""
    points = np.unique(np.concatenate(costs), axis=0)
    joint = {tuple(point) for point in points[non_dominated(points)]}
    return [len(joint & {tuple(point) for point in one}) / max(1, len(joint)) for one in costs]


def _compared(
    run: Run, goals: Sequence[Objective], trials: Sequence[Trial], curve: Array, *, name: str, group: str, share: float
) -> ComparedRun:
    values = np.array([[trial.values[goal.name] for goal in goals] for trial in trials]).reshape(-1, len(goals))
    costs = cost_matrix(trials, goals)
    return ComparedRun(
        name=name,
        group=group,
        seed=run.settings.seed,
        trials=len(trials),
        finished=run.is_finished(),
        curve=curve,
        front=values[non_dominated(costs)],
        best={g.name: g.from_cost(float(costs[:, i].min())) for i, g in enumerate(goals) if trials},
        medians={goal.name: float(np.median(values[:, i])) for i, goal in enumerate(goals) if trials},
        share=share,
    )


def _group(name: str, runs: Sequence[ComparedRun], budget: int) -> ComparedGroup:
    values = [run.at(budget) for run in runs]
    return ComparedGroup(
        name=name,
        runs=tuple(run.name for run in runs),
        hypervolume=float(median(values)),
        lowest=min(values),
        highest=max(values),
    )


def _test(
    one: tuple[str, Sequence[ComparedRun]], other: tuple[str, Sequence[ComparedRun]], *, budget: int
) -> GroupTest | None:
    """Paired where the groups share seeds, of ranks where each has runs enough; ``None`` where neither holds."""
    if budget == 0:
        return None
    names = [one[0], other[0]]
    seeds = [{run.seed: run.at(budget) for run in group} for _, group in (one, other)]
    shared = sorted(seeds[0].keys() & seeds[1].keys())
    if len(shared) >= _PAIRED:
        values = [np.array([found[seed] for seed in shared]) for found in seeds]
        signs = sign_test((names[0], values[0]), (names[1], values[1]), measure="hypervolume")
        return GroupTest(better=signs.better, worse=signs.worse, test="sign test", runs=len(shared), p=signs.p)
    values = [np.array([run.at(budget) for run in group]) for _, group in (one, other)]
    if min(map(len, values)) < _FEWEST:
        return None
    if float(np.median(values[0])) < float(np.median(values[1])):
        names.reverse()
    p = float(mannwhitneyu(*values, alternative="two-sided").pvalue)
    return GroupTest(better=names[0], worse=names[1], test="Mann-Whitney", runs=sum(map(len, values)), p=p)
