"""Searchers by the name they have on the command line: named compositions of the parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hwnas.core import Searcher, unknown
from hwnas.searchers.inner import MutationInner, RandomInner
from hwnas.searchers.plain import PlainSearcher
from hwnas.searchers.problem import SearchProblem
from hwnas.searchers.tree import LaMOO

ALGORITHMS: Mapping[str, Callable[[SearchProblem, int], Searcher]] = {
    "lamoo": lambda problem, seed: LaMOO(problem, MutationInner(), seed=seed),
    "mutation": lambda problem, seed: PlainSearcher(problem, MutationInner(), seed=seed),
    "random": lambda problem, seed: PlainSearcher(problem, RandomInner(), seed=seed),
}


def make_searcher(name: str, problem: SearchProblem, *, seed: int) -> Searcher:
    """The searcher of a name.

    Args:
        name: ``lamoo``, ``mutation`` (from the front) or ``random``.
        problem: What to solve.
        seed: Of its randomness.

    Raises:
        UsageError: No such algorithm.
    """
    require_algorithm(name)
    return ALGORITHMS[name](problem, seed)


def require_algorithm(name: str) -> None:
    """Checks the name of an algorithm before anything is paid for.

    Raises:
        UsageError: No such algorithm.
    """
    if name not in ALGORITHMS:
        raise unknown("algorithm", name, ALGORITHMS)
