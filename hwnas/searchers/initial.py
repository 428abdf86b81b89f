"""The first architectures of a search, before there is anything to learn from."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from hwnas.core import Architecture, Proposal
from hwnas.searchers.inner import spread
from hwnas.searchers.problem import SearchProblem

DEFAULT_INITIAL = 10


class InitialDesign:
    """Feasible architectures spread over the first known cost; the same for the same seed.

    Args:
        problem: What to solve.
        size: How many; no more than this many trials are proposed from here.
        seed: Of the randomness.
    """

    def __init__(self, problem: SearchProblem, *, size: int, seed: int) -> None:
        self._problem, self._size, self._seed = problem, size, seed

    @cached_property
    def _designs(self) -> list[Architecture]:
        return spread(self._size, self._problem, seed=self._seed)

    def propose(self, n: int, taken: Collection[str]) -> list[Proposal]:
        """Up to ``n`` of them, none whose id is in ``taken``; nothing once ``taken`` is as large as the design."""
        if len(taken) >= self._size:
            return []
        left = [design for design in self._designs if design.id not in taken]
        feasible = self._problem.feasible(left)  # anew: a measurement may have told otherwise since
        start = [design for design, good in zip(left, feasible, strict=True) if good]
        start = start[: min(n, self._size - len(taken))]
        return [Proposal(architecture=architecture, why={"inner": "initial"}) for architecture in start]
