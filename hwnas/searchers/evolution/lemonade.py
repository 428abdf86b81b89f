"""LEMONADE: evolution that looks for what is rare among the costs that are known, before anything is paid for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwnas.core import Architecture
from hwnas.pareto import non_dominated
from hwnas.searchers.evolution.density import Costs, Density
from hwnas.searchers.evolution.told import Told, told
from hwnas.searchers.inner import RandomInner, Request, take
from hwnas.searchers.problem import SearchProblem


class LemonadeInner:
    """Neighbours of the front, both parents and children drawn the likelier the rarer they are.

    LEMONADE (Elsken, Metzen and Hutter, 2019, https://arxiv.org/abs/1804.09081). Two stages: parents are drawn in
    inverse proportion to the density of the population in the objectives that cost nothing to know, and of their
    children, whose costs are known too, those are proposed that are drawn likewise; all others are never evaluated.
    Each child is one step away from a parent, so an evaluator that hands weights on finds one to inherit from.

    Departures: the inverse of the density is cut off at its quantile of 0.95, for at the ends of the front it knows no
    bounds; latencies come from a table, so they are among the costs that cost nothing. Where no cost is known, parents
    are drawn by all objectives, and children are taken as they come.

    Args:
        children: Drawn for each one that is proposed; with 1 there is no second stage. Published is 5.
        by_density: Whether parents are drawn by density; otherwise each is as likely.
        initial: Random architectures before the first children.
    """

    name = "lemonade"

    def __init__(self, *, children: int = 5, by_density: bool = True, initial: int = 10) -> None:
        self._children = children
        self._by_density = by_density
        self._initial = initial

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """Children of the front."""
        known = told(request, initial=self._initial, fewest=1)
        if known is None:
            return RandomInner().propose(n, request)
        population, problem = known[np.flatnonzero(non_dominated(known.costs))], request.history.problem
        density = Density.of(_told_costs(population, problem))
        several = 1 if problem.known is None else self._children
        candidates = self._candidates(population, density, request)
        drawn = take(several * n, candidates, request.accept, taken=set(request.taken))
        if problem.known is not None and len(drawn) > n:
            chances = density.chances(problem.known(drawn))
            chosen = request.rng.choice(len(drawn), size=n, replace=False, p=chances)
            drawn = [drawn[place] for place in sorted(chosen.tolist())]
        request.taken.update(one.id for one in drawn)
        return drawn

    def _candidates(self, population: Told, density: Density, request: Request) -> Iterator[Architecture]:
        problem, rng = request.history.problem, request.rng
        chances = density.chances(_told_costs(population, problem)) if self._by_density else None
        while True:
            parent = population.architectures[rng.choice(len(population), p=chances)]
            yield problem.space.mutate(parent, rng)


def _told_costs(population: Told, problem: SearchProblem) -> Costs:
    """The costs that densities go by: those that are known without an evaluation, else all."""
    return population.costs if problem.known is None else population.costs[:, list(problem.cheap)]
