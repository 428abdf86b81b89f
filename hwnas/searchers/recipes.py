"""Searchers by the name they have on the command line: named compositions of the parts.

What an algorithm is made of is imported when it is made, so that naming them all costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from hwnas.core import Searcher, UsageError, unknown
from hwnas.searchers.initial import DEFAULT_INITIAL
from hwnas.searchers.inner import InnerSearcher
from hwnas.searchers.plain import PlainSearcher
from hwnas.searchers.problem import SearchProblem


@dataclass(frozen=True)
class _Lazy:
    """Makes an inner searcher of a class that is imported then."""

    module: str
    name: str

    def __call__(self) -> InnerSearcher:
        return cast("InnerSearcher", getattr(import_module(self.module), self.name)())


INNERS: Mapping[str, Callable[[], InnerSearcher]] = {
    "random": _Lazy("hwnas.searchers.inner", "RandomInner"),
    "mutation": _Lazy("hwnas.searchers.inner", "MutationInner"),
    "local-search": _Lazy("hwnas.searchers.evolution", "LocalSearchInner"),
    "regularized-evolution": _Lazy("hwnas.searchers.evolution", "RegularizedEvolutionInner"),
    "nsga2": _Lazy("hwnas.searchers.evolution", "Nsga2Inner"),
    "cmaes": _Lazy("hwnas.searchers.evolution", "CmaEsInner"),
    "warm-cmaes": _Lazy("hwnas.searchers.evolution", "WarmCmaEsInner"),
    "lemonade": _Lazy("hwnas.searchers.evolution", "LemonadeInner"),
    "tnd-nas": _Lazy("hwnas.searchers.policy_gradient", "PolicyGradientInner"),
    "qehvi": _Lazy("hwnas.searchers.bayes", "QehviInner"),
    "qnehvi": _Lazy("hwnas.searchers.bayes", "QnehviInner"),
    "turbo": _Lazy("hwnas.searchers.bayes", "TurboInner"),
    "grey-ehvi": _Lazy("hwnas.searchers.greybox", "GreyBoxInner"),
}
"""What proposes inside a region, by name."""

Make = Callable[[SearchProblem, InnerSearcher, int, int], Searcher]


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """An entry of the catalogue.

    Attributes:
        summary: What it does, in a line.
        inner: The inner searcher it draws with unless told otherwise; ``None`` where none can be given.
        refusal: Why none can be given.
        make: From a problem, an inner searcher, a seed and the number of initial architectures.
    """

    summary: str
    make: Make
    inner: str | None = None
    refusal: str = ""


def _partition(name: str) -> Make:
    def make(problem: SearchProblem, inner: InnerSearcher, seed: int, initial: int) -> Searcher:
        recipe = getattr(import_module("hwnas.searchers.tree"), name)
        return cast("Searcher", recipe(problem, inner, seed=seed, initial=initial))

    return make


def _constructed(*, meta_dnn: bool) -> Make:
    def make(problem: SearchProblem, inner: InnerSearcher, seed: int, initial: int) -> Searcher:
        from hwnas.searchers.mcts import AlphaX  # noqa: PLC0415

        del inner
        return AlphaX(problem, seed=seed, initial=initial, meta_dnn=meta_dnn)

    return make


def _alone(name: str) -> Algorithm:
    def make(problem: SearchProblem, inner: InnerSearcher, seed: int, initial: int) -> Searcher:
        del inner
        return PlainSearcher(problem, INNERS[name](), seed=seed, initial=0 if name == "random" else initial)

    return Algorithm(
        summary=f"the inner searcher {name} alone, over the whole space",
        make=make,
        refusal=f"it is the inner searcher {name} with the whole space as its region",
    )


ALGORITHMS: Mapping[str, Algorithm] = {
    "lamoo": Algorithm(
        summary="partition by dominance rank, valued by hypervolume; made for several objectives",
        make=_partition("LaMOO"),
        inner="grey-ehvi",
    ),
    "la-mcts": Algorithm(
        summary="partition by clusters of vector and merit, with kernel boundaries; made for one objective",
        make=_partition("LaMCTS"),
        inner="mutation",
    ),
    "lanas": Algorithm(
        summary="partition of fixed height by linear regression; made for one objective",
        make=_partition("LaNAS"),
        inner="random",
    ),
    "plalam": Algorithm(
        summary="partition of what came of trials, in codes that are learned, by the best of a region",
        make=_partition("PlaLaM"),
        inner="warm-cmaes",
    ),
    "alphax": Algorithm(
        summary="Monte Carlo tree search over construction actions with a learned judge of rollouts",
        make=_constructed(meta_dnn=True),
        refusal="its candidates are the rollouts of its own tree",
    ),
    "mcts": Algorithm(
        summary="the same tree with random rollouts and nothing learned: plain UCT",
        make=_constructed(meta_dnn=False),
        refusal="its candidates are the rollouts of its own tree",
    ),
    **{name: _alone(name) for name in INNERS},
}
"""Every searcher by name: those with a partition or a tree of decisions, and each inner searcher alone."""


def make_searcher(
    name: str, problem: SearchProblem, *, seed: int, inner: str | None = None, initial: int = DEFAULT_INITIAL
) -> Searcher:
    """The searcher of a name.

    Args:
        name: One of ``ALGORITHMS``.
        problem: What to solve.
        seed: Of its randomness.
        inner: One of ``INNERS``, where the algorithm draws with one; by default the algorithm's own.
        initial: Architectures before it has learned anything, spread over the known cost; ``random`` needs none.

    Raises:
        UsageError: No such algorithm or inner searcher, or the algorithm takes none.
    """
    chosen = require_inner(name, inner)
    return ALGORITHMS[name].make(problem, INNERS[chosen or "random"](), seed, initial)


def require_algorithm(name: str) -> None:
    """Checks the name of an algorithm before anything is paid for.

    Raises:
        UsageError: No such algorithm.
    """
    if name not in ALGORITHMS:
        raise unknown("algorithm", name, ALGORITHMS)


def require_inner(algorithm: str, inner: str | None) -> str | None:
    """The inner searcher that an algorithm will draw with.

    Args:
        algorithm: Its name.
        inner: The name asked for; ``None`` for the algorithm's own.

    Returns:
        A name of ``INNERS``, or ``None`` where the algorithm draws with none.

    Raises:
        UsageError: No such algorithm, no such inner searcher, or the algorithm takes none.
    """
    require_algorithm(algorithm)
    entry = ALGORITHMS[algorithm]
    if inner is None:
        return entry.inner
    if inner not in INNERS:
        raise unknown("inner searcher", inner, INNERS)
    if entry.inner is None:
        takers = ", ".join(name for name, other in ALGORITHMS.items() if other.inner is not None)
        raise UsageError(
            f"algorithm {algorithm} takes no inner searcher, received {inner!r}: {entry.refusal}. Leave --inner out, "
            f"or choose one of {takers}"
        )
    return inner
