"""Searchers without a model: an inner searcher with the whole space as its region. The baselines, had for free."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.core import Architecture, Proposal, Trial
from hwnas.searchers.history import History
from hwnas.searchers.inner import InnerSearcher, Request, leftovers
from hwnas.searchers.problem import SearchProblem


class PlainSearcher:
    """Proposes what an inner searcher draws, feasible and never twice.

    Args:
        problem: What to solve.
        inner: Where candidates come from.
        seed: Of the randomness.
    """

    def __init__(self, problem: SearchProblem, inner: InnerSearcher, *, seed: int) -> None:
        self._problem = problem
        self._inner = inner
        self._seed = seed
        self._history = History(problem)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Replaces what is known."""
        self._history.replace(trials)

    def ask(self, n: int, *, pending: Sequence[Architecture]) -> list[Proposal]:
        """Proposes up to ``n`` new architectures."""
        rng = self._history.rng(self._seed, pending)
        taken = self._history.seen | {architecture.id for architecture in pending}
        request = Request(
            history=self._history, accept=self._problem.feasible, taken=taken, pending=tuple(pending), rng=rng
        )
        found = self._inner.propose(n, request)
        found += leftovers(n - len(found), self._history, rng, taken=taken) if len(found) < n else []
        why = {"inner": self._inner.name, **request.notes}
        return [Proposal(architecture=architecture, why=why) for architecture in found]
