"""Where in the space to look for a candidate: everywhere in a small one, else by local search. No gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.searchers.inner import MutationInner, RandomInner, Request

Values = NDArray[np.float64]
Worth = Callable[[Sequence[Architecture]], Values]


@dataclass(frozen=True, kw_only=True)
class LookSettings:
    """How far to look.

    Attributes:
        enumerable: Spaces up to this size are looked at whole.
        raw: Candidates drawn in a larger space, half of them mutants of the front and half at random.
        climbers: From how many of the best of them local search starts.
        steps: Most steps of local search.
    """

    enumerable: int = 20_000
    raw: int = 512
    climbers: int = 10
    steps: int = 20


@dataclass
class Pool:
    """Candidates, each with what it is worth on its own.

    Attributes:
        architectures: New, and accepted by the request.
        worth: Shape ``(c,)``.
    """

    architectures: list[Architecture] = field(default_factory=list)
    worth: Values = field(default_factory=lambda: np.zeros(0))


def look(request: Request, worth: Worth, *, settings: LookSettings) -> Pool:
    """Candidates of a request, the good ones among them; none where the region has nothing new.

    In a space too large to look at whole, local search over the mutation graph climbs from the best of the candidates
    drawn: of each climber's neighbours the best is the next, as long as it is better.

    Args:
        request: Where to look; its ``taken`` is left as it is.
        worth: What each of some architectures is worth, shape ``(n,)``; asked once for each candidate, in their order.
        settings: How far.
    """
    space = request.history.problem.space
    if space.size <= settings.enumerable:
        # in random order, so that chance decides between candidates of equal worth
        everything = space.listed
        shuffled = [everything[i] for i in request.rng.permutation(len(everything))]
        fresh = _acceptable(shuffled, request, visited=set())
        return Pool(fresh, worth(fresh)) if fresh else Pool()
    drawn = _drawn(request, settings.raw)
    pool = Pool(drawn, worth(drawn)) if drawn else Pool()
    return _climbed(pool, request, worth, settings=settings) if drawn else pool


def _drawn(request: Request, n: int) -> list[Architecture]:
    """Mutants of the front and random architectures, marked in a set of their own."""
    asked = Request(history=request.history, accept=request.accept, taken=set(request.taken), rng=request.rng)
    mutants = MutationInner(random_share=0.0).propose(n // 2, asked)
    return mutants + RandomInner().propose(n - len(mutants), asked)


def _climbed(pool: Pool, request: Request, worth: Worth, *, settings: LookSettings) -> Pool:
    space = request.history.problem.space
    visited = {architecture.id for architecture in pool.architectures}
    best = np.argsort(-pool.worth, kind="stable")[: settings.climbers]
    climbers = [(pool.architectures[i], float(pool.worth[i])) for i in best]
    for _ in range(settings.steps):
        near = [_acceptable(space.neighbors(here), request, visited=visited) for here, _ in climbers]
        flat = [neighbor for neighbors in near for neighbor in neighbors]
        if not flat:
            break
        values = worth(flat)
        pool = Pool([*pool.architectures, *flat], np.append(pool.worth, values))
        going, start = [], 0
        for (_, height), neighbors in zip(climbers, near, strict=True):
            own = values[start : start + len(neighbors)]
            if len(own) and own.max() > height:
                going.append((neighbors[int(own.argmax())], float(own.max())))
            start += len(neighbors)
        climbers = going
    return pool


def _acceptable(candidates: Sequence[Architecture], request: Request, *, visited: set[str]) -> list[Architecture]:
    """Those that are new and accepted; every candidate is marked as visited."""
    fresh = [one for one in candidates if one.id not in request.taken and one.id not in visited]
    visited.update(one.id for one in fresh)
    return [one for one, good in zip(fresh, request.accept(fresh) if fresh else (), strict=True) if good]
