"""Searchers without a partition: an inner searcher with the whole space as its region. The baselines, had for free."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.core import Architecture, Proposal, Trial
from hwnas.searchers.history import History
from hwnas.searchers.initial import InitialDesign
from hwnas.searchers.inner import InnerSearcher, Request, leftovers
from hwnas.searchers.problem import SearchProblem


class PlainSearcher:
    """Proposes what an inner searcher draws, feasible and never twice.

    Args:
        problem: What to solve.
        inner: Where candidates come from.
        seed: Of the randomness.
        initial: Architectures before the inner searcher is asked, spread over the known cost.
    """

    def __init__(self, problem: SearchProblem, inner: InnerSearcher, *, seed: int, initial: int = 0) -> None:
        self._problem = problem
        self._inner = inner
        self._seed = seed
        self._initial = InitialDesign(problem, size=initial, seed=seed)
        self._history = History(problem)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Replaces what is known."""
        self._history.replace(trials)

    def ask(self, n: int, *, pending: Sequence[Architecture]) -> list[Proposal]:
        """Proposes up to ``n`` new architectures."""
        rng = self._history.rng(self._seed, pending)
        taken = self._history.taken(pending)
        start = self._initial.propose(n, taken)
        if start:
            return start
        request = Request(
            history=self._history, accept=self._problem.feasible, taken=taken, pending=tuple(pending), rng=rng
        )
        found = self._inner.propose(n, request)
        left = leftovers(n - len(found), self._history, rng, taken=taken) if len(found) < n else []
        return [
            Proposal(architecture=architecture, why={"inner": name, **request.notes})
            for name, some in ((self._inner.name, found), ("leftovers", left))
            for architecture in some
        ]
