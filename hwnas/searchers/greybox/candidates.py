"""Where a surrogate looks: a whole small space, or what local search finds in a large one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.searchers.inner import Request, random_stream, take
from hwnas.spaces import SearchSpace
from hwnas.surrogates.description import described
from hwnas.surrogates.kernels import Matrix

MOST_LISTED = 50_000  # spaces up to this size are looked through whole
_RANDOM = 200  # random architectures among the starts of local search
_PARENTS = 12  # non-dominated architectures among them, at most
_BEAM = 6  # architectures whose neighbours are looked at in a step
_STEPS = 6

Score = Callable[[Sequence[Architecture]], NDArray[np.float64]]


@dataclass(frozen=True)
class Listing:
    """A whole space.

    Attributes:
        architectures: Each once.
        ids: Theirs.
        described: What surrogates see of them, but for their costs; shape ``(n, d - k)``.
    """

    architectures: tuple[Architecture, ...]
    ids: NDArray[np.str_]
    described: Matrix


@lru_cache(maxsize=2)
def listing(space: SearchSpace) -> Listing:
    """Lists a space, once for all who search it: that takes longer than what is done with the list."""
    ids = np.array([architecture.id for architecture in space.listed])
    return Listing(space.listed, ids, described(space, space.listed))


@dataclass(frozen=True)
class Pool:
    """Candidates, each once, none of them taken.

    Attributes:
        architectures: ``n`` of them.
        scores: Shape ``(n,)``.
    """

    architectures: list[Architecture]
    scores: NDArray[np.float64]


def local_search(request: Request, score: Score) -> Pool:
    """Climbs over neighbours from the front, mutants of it and random architectures, always where proposals may lie.

    In every step the neighbours of the best architectures not yet expanded are scored; it ends when a step finds
    nothing better than the best known, or after a few.

    Args:
        request: Where to look.
        score: Larger is better.
    """
    space = request.history.problem.space
    known: dict[str, Architecture] = {}
    scores: dict[str, float] = {}

    def add(found: Sequence[Architecture]) -> None:
        fresh = list({a.id: a for a in found if a.id not in request.taken and a.id not in known}.values())
        fresh = [a for a, good in zip(fresh, request.accept(fresh) if fresh else (), strict=True) if good]
        if fresh:
            known.update((a.id, a) for a in fresh)
            scores.update(zip((a.id for a in fresh), score(fresh).tolist(), strict=True))

    front = request.history.front()
    if len(front) > _PARENTS:
        front = [front[int(i)] for i in np.sort(request.rng.choice(len(front), _PARENTS, replace=False))]
    add([neighbor for parent in front for neighbor in space.neighbors(parent)])
    add(take(_RANDOM, random_stream(request.history.problem, request.rng), request.accept, taken=set(request.taken)))
    expanded: set[str] = set()
    for _ in range(_STEPS):
        ranked = sorted((name for name in known if name not in expanded), key=lambda name: (-scores[name], name))
        best = max(scores.values(), default=-np.inf)
        beam = ranked[:_BEAM]
        expanded.update(beam)
        add([neighbor for name in beam for neighbor in space.neighbors(known[name])])
        if not beam or max(scores.values()) <= best:
            break
    return Pool(list(known.values()), np.array([scores[name] for name in known]))
