"""Regularised evolution (Real et al., Regularized evolution for image classifier architecture search, AAAI 2019)."""

from __future__ import annotations

from collections.abc import Iterator

from hwnas.core import Architecture
from hwnas.searchers.evolution.ranking import best_first
from hwnas.searchers.evolution.told import Told, told
from hwnas.searchers.inner import RandomInner, Request, take


class RegularizedEvolutionInner:
    """Mutants of tournament winners among the youngest: the oldest of the population dies, however good it is.

    With several objectives, the winner of a tournament has the lowest non-domination level in the population and, among
    equals, the largest hypervolume contribution to that level; with one, it has the lowest cost, as published.

    Args:
        population: The youngest trials, from which parents come.
        tournament: Of how many of them, drawn with replacement, the best becomes a parent.
        initial: Random architectures before the first mutant. Published is ``population``; children from fewer parents
            on suit the small budgets of architecture search.
    """

    name = "regularized-evolution"

    def __init__(self, *, population: int = 50, tournament: int = 10, initial: int = 10) -> None:
        self._population = population
        self._tournament = tournament
        self._initial = initial

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """Mutants of tournament winners."""
        known = told(request, initial=self._initial)
        if known is None:
            return RandomInner().propose(n, request)
        return take(n, self._mutants(known[-self._population :], request), request.accept, taken=request.taken)

    def _mutants(self, population: Told, request: Request) -> Iterator[Architecture]:
        problem, rng = request.history.problem, request.rng
        order = best_first(population.costs, problem.reference)
        while True:
            # positions from the best on: the smallest of those drawn wins the tournament
            winner = int(order[rng.integers(len(order), size=self._tournament).min()])
            yield problem.space.mutate(population.architectures[winner], rng)
