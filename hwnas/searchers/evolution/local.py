"""Local search: what lies next to the front and was not tried yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hwnas.core import Architecture
from hwnas.pareto import non_dominated
from hwnas.searchers.evolution.told import told
from hwnas.searchers.inner import RandomInner, Request, take
from hwnas.spaces import SearchSpace


class LocalSearchInner:
    """Neighbours of the non-dominated architectures, of each in turn and in random order.

    With one objective this is the local search of White et al. (Exploring the loss landscape in neural architecture
    search, UAI 2021), with several the Pareto local search of Paquete et al. (2004). Where every neighbour was tried,
    the front is a local optimum, and random architectures are proposed until a better one is among them.

    Args:
        initial: Random architectures before the first neighbours.
    """

    name = "local-search"

    def __init__(self, *, initial: int = 10) -> None:
        self._initial = initial

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """Neighbours of the front."""
        known = told(request, initial=self._initial, fewest=1)
        found: list[Architecture] = []
        if known is not None:
            space, rng = request.history.problem.space, request.rng
            front = [known.architectures[i] for i in np.flatnonzero(non_dominated(known.costs)).tolist()]
            found = take(n, _in_turn(front, space, rng), request.accept, taken=request.taken, tries=0)
        if len(found) < n:
            found += RandomInner().propose(n - len(found), request)
        return found


def _in_turn(front: Sequence[Architecture], space: SearchSpace, rng: np.random.Generator) -> Iterator[Architecture]:
    """One neighbour of each architecture after another, until there are none left."""
    waiting = [_shuffled(front[i], space, rng) for i in rng.permutation(len(front))]
    while waiting:
        going = []
        for neighbors in waiting:
            following = next(neighbors, None)
            if following is not None:
                going.append(neighbors)
                yield following
        waiting = going


def _shuffled(architecture: Architecture, space: SearchSpace, rng: np.random.Generator) -> Iterator[Architecture]:
    neighbors = space.neighbors(architecture)
    for i in rng.permutation(len(neighbors)):
        yield neighbors[i]
