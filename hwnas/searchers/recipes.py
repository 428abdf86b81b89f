"""Searchers by the name they have on the command line: named compositions of the parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hwnas.core import Searcher, UsageError, unknown
from hwnas.searchers.inner import InnerSearcher, MutationInner, RandomInner
from hwnas.searchers.plain import PlainSearcher
from hwnas.searchers.problem import SearchProblem
from hwnas.searchers.tree import LaMOO

INNERS: Mapping[str, Callable[[], InnerSearcher]] = {"mutation": MutationInner, "random": RandomInner}

ALGORITHMS: Mapping[str, str] = {"lamoo": "mutation", "mutation": "mutation", "random": "random"}  # and what draws


def make_searcher(
    name: str, problem: SearchProblem, *, seed: int, inner: str | None = None, initial: int = 10
) -> Searcher:
    """The searcher of a name.

    Args:
        name: ``lamoo``, ``mutation`` (from the front) or ``random``.
        problem: What to solve.
        seed: Of its randomness.
        inner: What draws inside the regions of ``lamoo``, one of ``INNERS``; by default ``mutation``.
        initial: Architectures before the first partition.

    Raises:
        UsageError: No such algorithm or inner searcher, or the algorithm takes none.
    """
    require_algorithm(name)
    if inner is not None and inner not in INNERS:
        raise unknown("inner searcher", inner, INNERS)
    if name == "lamoo":
        return LaMOO(problem, INNERS[inner or ALGORITHMS[name]](), seed=seed, initial=initial)
    if inner is not None:
        raise UsageError(f"algorithm {name} learns no regions and takes no inner searcher, received {inner!r}")
    return PlainSearcher(problem, INNERS[ALGORITHMS[name]](), seed=seed)


def require_algorithm(name: str) -> None:
    """Checks the name of an algorithm before anything is paid for.

    Raises:
        UsageError: No such algorithm.
    """
    if name not in ALGORITHMS:
        raise unknown("algorithm", name, ALGORITHMS)
