"""Grey-box expected hypervolume improvement as an inner searcher."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import LinAlgError

from hwnas.core import Architecture
from hwnas.searchers.greybox.candidates import MOST_LISTED, Pool, listing, local_search
from hwnas.searchers.greybox.model import Model, Modeller
from hwnas.searchers.inner import MutationInner, Request, random_stream, spread, take
from hwnas.searchers.problem import SearchProblem

_FEWEST = 3  # evaluations below which there is nothing to learn from
_CHOSEN_FROM = 40  # best candidates that a batch is chosen from, for each place in it
_MOST_PAIRS = 2e8  # candidates times boxes of the non-dominated region, beyond which no space is looked through whole
_BLOCK = 512  # candidates checked for acceptance at a time


class GreyBoxInner:
    """Expected hypervolume improvement with exact cheap costs and a Gaussian process for each expensive one.

    What is known before an evaluation is not modelled: its costs enter the improvement as they are, which then has a
    closed form. Spaces of up to 50,000 architectures are looked through whole; in larger ones, in those with continuous
    choices, and where many objectives cut the non-dominated region into very many boxes, local search climbs over
    neighbours from the front and from random architectures. Pending architectures, and those already in the batch, are
    believed to turn out as expected. Beyond 600 evaluations the surrogates learn from those nearest to the front and a
    spread of the rest.

    In a space that is looked through whole, one proposal in so many is exploratory: chosen as if the surrogate were
    half as sure as it is. (Local search in a large one finds no exact maximum to be misled by.) Mutants of the front
    stand in where no surrogate can be fitted, and where no improvement is expected; ``notes`` of the request then say
    so.

    Args:
        explore_every: One proposal in so many is exploratory; 0 for none.
    """

    name = "grey-ehvi"

    def __init__(self, *, explore_every: int = 5) -> None:
        self._explore_every = explore_every
        self._modeller: Modeller | None = None

    def propose(self, n: int, request: Request) -> list[Architecture]:
        """The batch with the largest expected improvement, its exploratory places among it."""
        if len(request.history.trials) < _FEWEST:
            request.notes["surrogate"] = "not fitted yet: too few evaluations"
            return self._first(n, request)
        found = self._by_model(n, request)
        return found + MutationInner(random_share=0.0).propose(n - len(found), request)

    def _explored(self, n: int, request: Request) -> int:
        """How many of the next ``n`` proposals are exploratory: every so many-th of all proposals ever made."""
        every, made = self._explore_every, len(request.taken)
        return (made + n) // every - made // every if every else 0

    def _first(self, n: int, request: Request) -> list[Architecture]:
        problem = request.history.problem
        design = spread(n, problem, seed=int(request.rng.integers(2**31)))
        found = take(n, design, request.accept, taken=request.taken)
        return found + take(n - len(found), random_stream(problem, request.rng), request.accept, taken=request.taken)

    def _by_model(self, n: int, request: Request) -> list[Architecture]:
        if n == 0:
            return []
        try:
            model = self._models(request.history.problem).model(request.history)
            model = model.believe(model.describe(request.pending))
            whole = self._looks_at_all(model, request)
            pool = self._everything(model, request) if whole else self._climbed(model, request)
        except (LinAlgError, FloatingPointError) as error:
            request.notes["surrogate"] = f"could not be fitted ({error}): mutants of the front instead"
            return []
        best = self._best(pool, _CHOSEN_FROM * n, request)
        if not best:
            request.notes["surrogate"] = "expects no improvement: mutants of the front instead"
            return []
        bold = self._explored(n, request) if whole else 0
        found = [best[i] for i in model.choose(n, model.describe(best), bold=bold)]
        request.taken.update(architecture.id for architecture in found)
        return found

    def _models(self, problem: SearchProblem) -> Modeller:
        if self._modeller is None or self._modeller.problem is not problem:
            self._modeller = Modeller(problem)
        return self._modeller

    @staticmethod
    def _looks_at_all(model: Model, request: Request) -> bool:
        size = request.history.problem.space.size
        return size <= MOST_LISTED and size * len(model.boxes.upper) <= _MOST_PAIRS

    @staticmethod
    def _climbed(model: Model, request: Request) -> Pool:
        return local_search(request, lambda found: model.score(model.describe(found)))

    @staticmethod
    def _everything(model: Model, request: Request) -> Pool:
        everything = listing(request.history.problem.space)
        free = np.flatnonzero(~np.isin(everything.ids, sorted(request.taken)))
        scores = model.score(model.describe_some(everything, free))
        return Pool([everything.architectures[int(i)] for i in free], scores)

    def _best(self, pool: Pool, most: int, request: Request) -> list[Architecture]:
        """The acceptable candidates with the largest scores above 0, which is all that is asked to be acceptable."""
        order = np.argsort(-pool.scores, kind="stable")
        order = order[pool.scores[order] > 0]
        best: list[Architecture] = []
        for start in range(0, len(order), _BLOCK):
            block: Sequence[Architecture] = [pool.architectures[int(i)] for i in order[start : start + _BLOCK]]
            best += [a for a, good in zip(block, request.accept(block), strict=True) if good]
            if len(best) >= most:
                break
        return best[:most]
