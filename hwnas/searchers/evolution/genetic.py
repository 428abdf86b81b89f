"""NSGA-II (Deb et al., A fast and elitist multiobjective genetic algorithm, IEEE TEVC 2002)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.pareto import levels
from hwnas.searchers.evolution.ranking import crowding
from hwnas.searchers.evolution.told import Told, told
from hwnas.searchers.inner import RandomInner, Request, take


class Nsga2Inner:
    """Children of the survivors: binary tournaments, uniform crossover, one mutation on average.

    The population is not kept but found again from the trials: blocks of ``population`` trials, in the order of their
    numbers, are the generations, and after each of them the best ``population`` of parents and children survive, by
    non-domination level and then by crowding distance. The block under way counts as well, so that what is already
    known of it is not waited for.

    Args:
        population: How many survive, and how many make a generation.
        initial: Random architectures before the first children.
        crossover: Chance of a child to have two parents; otherwise it is a mutant of one.
    """

    name = "nsga2"

    def __init__(self, *, population: int = 20, initial: int = 10, crossover: float = 0.9) -> None:
        self._population = population
        self._initial = initial
        self._crossover = crossover

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """Children of the survivors."""
        known = told(request, initial=self._initial)
        if known is None:
            return RandomInner().propose(n, request)
        return take(n, self._children(self.survivors(known), request), request.accept, taken=request.taken)

    def survivors(self, known: Told) -> Told:
        """The population after some evaluations, the best first."""
        population = known[:0]
        for start in range(0, len(known), self._population):
            pool = _joined(population, known[start : start + self._population])
            population = pool[_order(pool.costs)[: self._population]]
        return population

    def _children(self, parents: Told, request: Request) -> Iterator[Architecture]:
        space, rng = request.history.problem.space, request.rng
        while True:
            # survivors stand in order, so the smaller of two positions wins the tournament
            first, second = (int(rng.integers(len(parents), size=2).min()) for _ in range(2))
            child = parents.architectures[first]
            mutations = 1
            if rng.random() < self._crossover:
                child = space.crossover(child, parents.architectures[second], rng)
                mutations = int(rng.binomial(len(child), 1.0 / max(len(child), 1)))
            for _ in range(mutations):
                child = space.mutate(child, rng)
            yield child


def _joined(first: Told, second: Told) -> Told:
    return Told([*first.architectures, *second.architectures], np.vstack([first.costs, second.costs]))


def _order(costs: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices from the best to the worst: by level, then the less crowded first."""
    level = levels(costs)
    space = np.zeros(len(costs))
    for one in np.unique(level):
        space[level == one] = crowding(costs[level == one])
    return np.lexsort((-space, level))
