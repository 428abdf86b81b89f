"""One run: an algorithm, a seed, and a budget of evaluations."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwnas.bench.problem import BenchProblem
from hwnas.bench.settings import BenchSettings
from hwnas.core import Architecture, Searcher, StudyError, Trial
from hwnas.pareto import hypervolume
from hwnas.searchers import make_searcher
from hwnas.searchers.inner import random_stream, take
from latency_tables import write_atomically

Array = NDArray[np.float64]
_DESIGN = 1_000_003  # sets the stream of the first designs apart from those of the searchers
_EXACT = 1e-9  # relative: what floating point may cost a hypervolume that is the best


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request to a searcher.

    Attributes:
        told: Trials it knew.
        proposed: Architectures it gave.
        seconds: Of wall time, for telling and asking.
    """

    told: int
    proposed: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class BenchRun:
    """What a run found, in the order of its evaluations.

    Attributes:
        algorithm: Its name, with ``+`` and an inner searcher where one was named.
        seed: Of its randomness.
        ids: Of the architectures evaluated.
        values: Of each of them, by name.
        asks: What the searcher took.
    """

    algorithm: str
    seed: int
    ids: tuple[str, ...]
    values: tuple[Mapping[str, float], ...]
    asks: tuple[Ask, ...]

    def write(self, path: Path) -> None:
        """Writes the run as JSON, whole or not at all."""
        write_atomically(path, json.dumps(asdict(self)) + "\n")

    @classmethod
    def read(cls, path: Path) -> BenchRun:
        """A run that was written.

        Raises:
            StudyError: The file is damaged.
        """
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                algorithm=str(held["algorithm"]),
                seed=int(held["seed"]),
                ids=tuple(held["ids"]),
                values=tuple(held["values"]),
                asks=tuple(Ask(**ask) for ask in held["asks"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"cannot read the run {path}: {error!r}. Remove it to have it made again") from error


def searcher_of(algorithm: str, problem: BenchProblem, *, seed: int, initial: int) -> Searcher:
    """The searcher of a name such as ``lamoo`` or ``lamoo+mutation``, an algorithm and what draws in its regions.

    Raises:
        UsageError: No such algorithm or inner searcher, or they do not go together.
    """
    name, _, inner = algorithm.partition("+")
    return make_searcher(name, problem.search, seed=seed, inner=inner or None, initial=initial)


def first_designs(problem: BenchProblem, n: int, *, seed: int) -> list[Architecture]:
    """Random feasible architectures, none twice; the same for every algorithm."""
    rng = np.random.default_rng([_DESIGN, seed])
    return take(n, random_stream(problem.search, rng), problem.search.feasible, taken=set())


def run_once(
    problem: BenchProblem,
    settings: BenchSettings,
    *,
    algorithm: str,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> BenchRun:
    """Evaluates until the budget is spent, the space is, or the share of ``stop_at`` is reached.

    Args:
        problem: What to solve.
        settings: The budget.
        algorithm: A name ``searcher_of`` knows.
        seed: Of all randomness.
        clock: Seconds.

    Raises:
        StudyError: The searcher proposed an architecture twice.
    """
    searcher = searcher_of(algorithm, problem, seed=seed, initial=settings.initial)
    trials = _evaluated(problem, [], first_designs(problem, settings.initial, seed=seed))
    asks: list[Ask] = []
    while len(trials) < settings.evaluations and not _arrived(problem, settings, trials):
        start = clock()
        searcher.tell(trials)
        proposals = searcher.ask(min(settings.batch, settings.evaluations - len(trials)), pending=[])
        asks.append(Ask(told=len(trials), proposed=len(proposals), seconds=clock() - start))
        if not proposals:
            break
        trials = _evaluated(problem, trials, [proposal.architecture for proposal in proposals])
        if len({trial.architecture.id for trial in trials}) < len(trials):
            raise StudyError(f"{algorithm} proposed an architecture twice, after {asks[-1].told} evaluations")
    return BenchRun(
        algorithm=algorithm,
        seed=seed,
        ids=tuple(trial.architecture.id for trial in trials),
        values=tuple(trial.values for trial in trials),
        asks=tuple(asks),
    )


def _evaluated(problem: BenchProblem, trials: Sequence[Trial], found: Sequence[Architecture]) -> list[Trial]:
    return [
        *trials,
        *(
            Trial(number=number, architecture=one, values=problem.evaluator.evaluate(one))
            for number, one in enumerate(found, start=len(trials))
        ),
    ]


def _arrived(problem: BenchProblem, settings: BenchSettings, trials: Sequence[Trial]) -> bool:
    if settings.stop_at is None:
        return False
    reached = hypervolume(problem.search.costs(trials), problem.search.reference)
    return reached >= settings.stop_at * problem.best * (1 - _EXACT)
