"""LaMOO: search in the most promising region of a learned partition (Zhao et al., ICLR 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Proposal, Trial
from hwnas.searchers.history import History
from hwnas.searchers.inner import InnerSearcher, Request, leftovers, spread
from hwnas.searchers.problem import SearchProblem
from hwnas.searchers.tree.partition import PartitionTree, Region, TreeSettings
from hwnas.spaces import Encoding


class LaMOO:
    """Rebuilds the partition before every proposal, picks the leaf with the largest bound, and draws inside it.

    The partition is a pure function of the trials, so nothing but the trials has to be kept. When a region gives
    nothing new, its last decision is dropped, up to the whole space.

    Args:
        problem: What to solve.
        inner: Draws candidates; those outside the region are passed over.
        seed: Of the randomness.
        initial: Architectures before the first partition, spread over the known cost.
        settings: The free choices of the tree.
    """

    def __init__(
        self,
        problem: SearchProblem,
        inner: InnerSearcher,
        *,
        seed: int,
        initial: int = 10,
        settings: TreeSettings | None = None,
    ) -> None:
        self._problem = problem
        self._inner = inner
        self._seed = seed
        self._initial = initial
        self._settings = settings or TreeSettings()
        self._history = History(problem)
        self._encoding = Encoding(problem.space)

    @cached_property
    def _designs(self) -> list[Architecture]:
        return spread(self._initial, self._problem, seed=self._seed)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Replaces what is known."""
        self._history.replace(trials)

    def ask(self, n: int, *, pending: Sequence[Architecture]) -> list[Proposal]:
        """Proposes up to ``n`` new architectures."""
        rng = self._history.rng(self._seed, pending)
        taken = self._history.seen | {architecture.id for architecture in pending}
        if len(taken) < self._initial:
            left = [design for design in self._designs if design.id not in taken]
            feasible = self._problem.feasible(left)  # anew: a measurement may have told otherwise since
            start = [design for design, good in zip(left, feasible, strict=True) if good]
            start = start[: min(n, self._initial - len(taken))]
            if start:
                return [Proposal(architecture=architecture, why={"inner": "initial"}) for architecture in start]
        return self._from_partition(n, pending, rng, taken)

    def partition(self, pending: Sequence[Architecture] = ()) -> PartitionTree:
        """The partition that the trials told make."""
        codes = self._encoding.encode([trial.architecture for trial in self._history.trials])
        return PartitionTree(
            codes,
            self._history.costs,
            self._problem.reference,
            pending=self._encoding.encode(pending),
            settings=self._settings,
        )

    def _from_partition(
        self, n: int, pending: Sequence[Architecture], rng: np.random.Generator, taken: set[str]
    ) -> list[Proposal]:
        leaf, bound = self.partition(pending).best_leaf()
        region, relaxed, found, notes = leaf.region, 0, list[Architecture](), dict[str, object]()
        while len(found) < n:
            accept = self._acceptable(region)
            request = Request(
                history=self._history, accept=accept, taken=taken, pending=tuple(pending), rng=rng, notes=notes
            )
            found += self._inner.propose(n - len(found), request)
            if not region.path:
                break
            if len(found) < n:
                region, relaxed = region.relax(), relaxed + 1
        if len(found) < n:
            found += leftovers(n - len(found), self._history, rng, taken=taken)
        why = {
            "inner": self._inner.name,
            "region": leaf.region.sides,
            "relaxed": relaxed,
            "value": round(leaf.value, 6),
            "bound": round(bound, 6),
            "visits": leaf.visits,
            **notes,
        }
        return [Proposal(architecture=architecture, why=why) for architecture in found]

    def _acceptable(self, region: Region) -> _InRegion:
        return _InRegion(region, self._problem, self._encoding)


class _InRegion:
    """Feasible, and in the region."""

    def __init__(self, region: Region, problem: SearchProblem, encoding: Encoding) -> None:
        self._region, self._problem, self._encoding = region, problem, encoding

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
        inside = self._region.contains(self._encoding.encode(architectures))
        kept = np.flatnonzero(inside)
        if len(kept):
            inside[kept] = self._problem.feasible([architectures[int(i)] for i in kept])
        return inside
