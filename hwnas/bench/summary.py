"""What runs tell together: curves, evaluations to a level, comparisons, and the time that asking takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hwnas.bench.benching import Bench
from hwnas.bench.growing import hypervolumes
from hwnas.bench.problem import BenchProblem, Report
from hwnas.bench.running import BenchRun
from hwnas.core import Objective
from hwnas.pareto import hypervolume, non_dominated

Array = NDArray[np.float64]
AT_END, OVER_RUN = "at the end", "mean over the run"  # measures of the sign tests
_FLOOR = 1e-9  # of the best hypervolume: the smallest distance from it whose logarithm is taken
_EXACT = 1e-9  # relative: what floating point may cost a level that is reached


@dataclass(frozen=True, kw_only=True)
class AlgorithmSummary:
    """What one algorithm's runs tell.

    Attributes:
        name: The algorithm.
        shares: Hypervolume of everything evaluated so far over the best, shape ``(seeds, evaluations)``; a run that
            ended early keeps its last.
        to_level: Evaluations until each level was reached, shape ``(seeds, levels)``; infinite where it was not.
        evaluations: Each run's, shape ``(seeds,)``.
        asks: Trials told, proposals and seconds of every request, shape ``(k, 3)``.
        reported: Share of the best by the problem's report, shape ``(seeds,)``; ``None`` without one.
    """

    name: str
    shares: Array
    to_level: Array
    evaluations: NDArray[np.int64]
    asks: Array
    reported: Array | None

    @property
    def final(self) -> Array:
        """Share of the best hypervolume at the end, shape ``(seeds,)``."""
        return self.shares[:, -1]

    @property
    def mean(self) -> Array:
        """Mean share over the seeds, shape ``(evaluations,)``."""
        return np.asarray(self.shares.mean(axis=0))

    @property
    def standard_error(self) -> Array:
        """Of that mean; zero for one seed."""
        n = len(self.shares)
        return np.asarray(self.shares.std(axis=0, ddof=1) / math.sqrt(n)) if n > 1 else np.zeros(self.shares.shape[1])

    def quantile(self, q: float) -> Array:
        """Quantile of the share over the seeds, shape ``(evaluations,)``."""
        return np.asarray(np.quantile(self.shares, q, axis=0))

    def log_gaps(self, best: float) -> Array:
        """log10 of the distance to the best hypervolume, shape ``(seeds, evaluations)``; never below 1e-9 of it."""
        return np.asarray(np.log10(np.maximum(best * (1 - self.shares), _FLOOR * best)))

    def median_to(self, level: int) -> float:
        """Median number of evaluations to a level, by its position; infinite where half of the runs did not reach it.

        Of an even number of runs, the later of the two in the middle.
        """
        return float(np.sort(self.to_level[:, level])[len(self.to_level) // 2])

    def reached(self, level: int) -> int:
        """Runs that reached a level, by its position."""
        return int(np.isfinite(self.to_level[:, level]).sum())

    def ask_ms(self, quantile: float = 0.5) -> float:
        """Quantile of the time that a request took, in milliseconds; NaN where nothing was asked."""
        return float(1e3 * np.quantile(self.asks[:, 2], quantile)) if len(self.asks) else math.nan

    def late_ask_ms(self) -> float:
        """Median time of the last tenth of the requests, by trials told, in milliseconds; NaN where there are none."""
        if not len(self.asks):
            return math.nan
        told = self.asks[:, 0]
        return float(1e3 * np.median(self.asks[told >= np.quantile(told, 0.9), 2]))


@dataclass(frozen=True, kw_only=True)
class SignTest:
    """How two algorithms did on the same seeds.

    Attributes:
        better: The one that won more often, or the first of equals.
        worse: The other.
        measure: What was compared.
        wins: Seeds on which ``better`` was better.
        losses: Seeds on which it was worse; the rest are ties.
        ties: Seeds without a winner.
        p: Chance of so uneven a result, either way, if both were equally good (two-sided sign test; ties left out).
    """

    better: str
    worse: str
    measure: str
    wins: int
    losses: int
    ties: int
    p: float


@dataclass(frozen=True, kw_only=True)
class BenchSummary:
    """What a benchmark tells.

    Attributes:
        bench: What was run.
        algorithms: In the order asked for.
        tests: Every pair of algorithms, by the hypervolume at the end and by its mean over the run.
    """

    bench: Bench
    algorithms: tuple[AlgorithmSummary, ...]
    tests: tuple[SignTest, ...]

    def named(self, name: str) -> AlgorithmSummary:
        """The summary of an algorithm."""
        return next(one for one in self.algorithms if one.name == name)


def summarize(bench: Bench) -> BenchSummary:
    """Curves, levels, comparisons and times of some runs."""
    algorithms = tuple(
        _summary(bench.problem, name, [run for run in bench.runs if run.algorithm == name], bench.settings.evaluations)
        for name in bench.algorithms
    )
    tests = []
    for one, other in combinations(algorithms, 2):
        tests.append(sign_test((one.name, one.final), (other.name, other.final), measure=AT_END))
        means = (one.shares.mean(axis=1), other.shares.mean(axis=1))
        tests.append(sign_test((one.name, means[0]), (other.name, means[1]), measure=OVER_RUN))
    return BenchSummary(bench=bench, algorithms=algorithms, tests=tuple(tests))


def sign_test(one: tuple[str, Array], other: tuple[str, Array], *, measure: str) -> SignTest:
    """Compares two algorithms seed by seed.

    Args:
        one: Name of the first, and its value with each seed, shape ``(seeds,)``; larger is better.
        other: The same of the second.
        measure: What the values are.
    """
    values, others = one[1], other[1]
    near = np.isclose(values, others, rtol=_EXACT, atol=0)
    wins, losses = int((~near & (values > others)).sum()), int((~near & (values < others)).sum())
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n
    first = wins >= losses
    return SignTest(
        better=one[0] if first else other[0],
        worse=other[0] if first else one[0],
        measure=measure,
        wins=max(wins, losses),
        losses=min(wins, losses),
        ties=int(near.sum()),
        p=min(1.0, 2 * tail),
    )


def _summary(problem: BenchProblem, name: str, runs: Sequence[BenchRun], evaluations: int) -> AlgorithmSummary:
    search = problem.search
    shares = np.zeros((len(runs), evaluations))
    for row, run in zip(shares, runs, strict=True):
        found = hypervolumes(_costs(run.values, search.objectives), search.reference) / problem.best
        row[: len(found)] = found
        row[len(found) :] = found[-1]
    to_level = [[_first(row, level) for level in problem.levels] for row in shares]
    asks = [[ask.told, ask.proposed, ask.seconds] for run in runs for ask in run.asks]
    return AlgorithmSummary(
        name=name,
        shares=shares,
        to_level=np.array(to_level, dtype=np.float64),
        evaluations=np.array([len(run.values) for run in runs]),
        asks=np.array(asks, dtype=np.float64).reshape(-1, 3),
        reported=_reported(problem, problem.report, runs) if problem.report else None,
    )


def _first(shares: Array, level: float) -> float:
    there = np.flatnonzero(shares >= level * (1 - _EXACT))
    return float(there[0] + 1) if len(there) else math.inf


def _reported(problem: BenchProblem, report: Report, runs: Sequence[BenchRun]) -> Array:
    """The front is chosen by what was searched with, and judged by what is reported."""
    found = []
    for run in runs:
        front = non_dominated(_costs(run.values, problem.search.objectives))
        judged = _costs(run.values, report.objectives)[front]
        found.append(hypervolume(judged, report.reference) / report.best)
    return np.array(found)


def _costs(values: Sequence[Mapping[str, float]], objectives: Sequence[Objective]) -> Array:
    rows = [[goal.to_cost(one[goal.name]) for goal in objectives] for one in values]
    return np.array(rows, dtype=np.float64).reshape(len(values), len(objectives))
