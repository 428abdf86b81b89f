"""CMA-ES (Hansen and Ostermeier 2001, the ``cma`` library) in the space of the encoding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.pareto import levels, non_dominated
from hwnas.searchers.evolution.ranking import Costs, best_first
from hwnas.searchers.evolution.told import Told, told
from hwnas.searchers.inner import RandomInner, Request, take
from hwnas.spaces import Encoding, SearchSpace
from hwnas.spaces.decoding import nearest

_LEAST_STEP = 0.01  # of a strategy that begins with equals
_WIDENING = 1.1  # of the step size, after every block of candidates that were not enough


class CmaEsInner:
    """Samples of an evolution strategy, each decoded to the nearest architecture.

    The strategy is not kept but replayed from the trials: blocks of ``population`` of them, in the order of their
    numbers, are its generations. A generation is ranked by non-domination level (among itself and the front before it)
    and within a level by hypervolume contribution. The strategy is told the codes of the architectures, not the points
    that were rounded to them, and so learns from trials of any origin. Where samples fall on known architectures only,
    the step is widened until they do not.

    Args:
        population: Trials in a generation; the library's ``4 + 3 ln d`` by default.
        initial: Random architectures before the first sample; a whole generation at least.
        step: Initial step size, in units of the encoding.
        generations: How many of the last generations are replayed, so that long runs do not grow slow.
    """

    name = "cmaes"

    def __init__(
        self, *, population: int | None = None, initial: int = 10, step: float = 0.3, generations: int = 100
    ) -> None:
        self._population = population
        self._initial = initial
        self._step = step
        self._generations = generations

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """Samples of the strategy."""
        space = request.history.problem.space
        size = self._population or 4 + int(3 * math.log(Encoding(space).width + 1))
        known = told(request, initial=self._initial, fewest=size)
        if known is None or space.size == 1:
            return RandomInner().propose(n, request)
        samples = _samples(self._strategy(known, request, size=size), space)
        return take(n, samples, request.accept, taken=request.taken)

    def _strategy(self, known: Told, request: Request, *, size: int) -> Any:  # the library has no types
        problem = request.history.problem
        encoding = Encoding(problem.space)
        strategy = _fresh(_middle(problem.space), self._step, size=size, rng=request.rng)
        whole = len(known) // size
        front = known.costs[:0]
        for generation in range(max(whole - self._generations, 0), whole):
            rows = known[generation * size : (generation + 1) * size]
            strategy.ask()
            strategy.tell(list(encoding.encode(rows.architectures)), _ranks(rows.costs, front, problem.reference))
            front = np.vstack([front, rows.costs])
            front = front[non_dominated(front)]
        return strategy


class WarmCmaEsInner:
    """Samples of an evolution strategy that begins anew at the best trials of its region (PlaLaM).

    Its first mean is theirs, its first step their mean deviation, and they are told to it as its first generation. So
    it knows of no trial outside of the region, where there are two inside, and needs no region that can be checked: a
    region of outcomes says where to begin.

    Args:
        best: How many it begins with at the least; as many as are asked for, where that is more.
        initial: Random architectures before the first sample.
        step: Initial step size, in units of the mean deviation.
    """

    name = "warm-cmaes"

    def __init__(self, *, best: int = 20, initial: int = 10, step: float = 1.0) -> None:
        self._best = best
        self._initial = initial
        self._step = step

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """Samples of the strategy."""
        space = request.history.problem.space
        known = told(request, initial=self._initial)
        if known is None or space.size == 1:
            return RandomInner().propose(n, request)
        order = best_first(known.costs, request.history.problem.reference)
        codes = Encoding(space).encode(known[order[: max(n, self._best)]].architectures)
        step = max(self._step * float(codes.std(axis=0).mean()), _LEAST_STEP)
        strategy = _fresh(codes.mean(axis=0), step, size=len(codes), rng=request.rng)
        strategy.ask()
        strategy.tell(list(codes), list(range(len(codes))))
        return take(n, _samples(strategy, space), request.accept, taken=request.taken)


def _fresh(mean: NDArray[np.float64], step: float, *, size: int, rng: np.random.Generator) -> Any:
    """A strategy that knows nothing yet."""
    import cma  # noqa: PLC0415  (half a second)

    options = {"popsize": size, "seed": np.nan, "randn": _normal(rng), "verbose": -9}
    return cma.CMAEvolutionStrategy(mean, step, options)


def _samples(strategy: Any, space: SearchSpace) -> Iterator[Architecture]:
    widening = 1.0
    while True:
        points = strategy.ask(64, sigma_fac=widening)
        yield from nearest(space, np.array(points))
        widening *= _WIDENING


def _normal(rng: np.random.Generator) -> Any:
    """What the library draws from, in place of NumPy's process-wide state."""

    def draw(*shape: int) -> NDArray[np.float64]:
        return rng.standard_normal(shape)

    return draw


def _middle(space: SearchSpace) -> NDArray[np.float64]:
    """Codes from which every option is equally near."""
    encoding = Encoding(space)
    middle = np.zeros(encoding.width)
    for place in encoding.columns.values():
        width = place.stop - place.start
        middle[place] = 0.5 if width == 1 else 1 / width
    return middle


def _ranks(generation: Costs, front: Costs, reference: Costs) -> Sequence[float]:
    """Position of each member of a generation from the best (0) to the worst; ``front`` is the one before it."""
    level = levels(np.vstack([generation, front]))[: len(generation)]
    order = best_first(generation, reference, level=level)
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order))
    return [float(rank) for rank in ranks]
