"""Designs that somebody wants evaluated before a searcher is asked."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.core import Architecture, Proposal, Searcher, Trial
from hwnas.searchers.history import added
from hwnas.searchers.problem import SearchProblem

_AT_ONCE = 64  # designs that are looked at together; there may be as many as a space has networks


class DesignsFirst:
    """Proposes designs that are given, as far as they are feasible and new, and then what a searcher does.

    Args:
        searcher: Asked when no design is left.
        designs: In this order.
        problem: Says what is feasible.
    """

    def __init__(self, searcher: Searcher, designs: Sequence[Proposal], *, problem: SearchProblem) -> None:
        self._searcher, self._designs, self._problem = searcher, tuple(designs), problem
        self._told: Sequence[Trial] = ()
        self._seen: set[str] = set()

    def tell(self, trials: Sequence[Trial]) -> None:
        """Replaces what is known."""
        new = added(self._told, trials)
        known = set[str]() if new is None else self._seen
        self._seen = known.union(trial.architecture.id for trial in (trials if new is None else new))
        self._told = tuple(trials)
        self._searcher.tell(trials)

    def ask(self, n: int, *, pending: Sequence[Architecture]) -> list[Proposal]:
        """Proposes up to ``n`` new architectures."""
        taken = self._seen | {architecture.id for architecture in pending}
        left = [design for design in self._designs if design.architecture.id not in taken]
        first: list[Proposal] = []
        for start in range(0, len(left), _AT_ONCE):
            some = left[start : start + _AT_ONCE]
            feasible = self._problem.feasible([design.architecture for design in some])
            first += [design for design, good in zip(some, feasible, strict=True) if good]
            if len(first) >= n:
                break
        first = first[:n]
        if len(first) == n:
            return first
        waiting = [*pending, *(design.architecture for design in first)]
        return [*first, *self._searcher.ask(n - len(first), pending=waiting)]
