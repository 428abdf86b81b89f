"""A random walk inside a region: finds what uniform draws would need ages for."""

from __future__ import annotations

from hwnas.core import Architecture
from hwnas.searchers.inner import Request

_ROUNDS = 12
_BLOCK = 32  # steps a round
_ENDS = 200  # architectures of the region that steps begin from


def walk_in_region(n: int, request: Request) -> list[Architecture]:
    """Up to ``n`` new architectures of a region, reached from evaluated ones by mutations that never leave it.

    A step mutates one of the architectures reached so far, and is taken where the request accepts it, as in a
    Metropolis chain for the uniform distribution over the region. What is returned is drawn from all that was reached,
    not from its beginning, so that it does not stick to where the walk began. Uniform draws find a region whose share
    of the space is tiny only by luck; this needs one member, and that the region's parts hang together.

    Args:
        n: How many.
        request: The region, its history and the randomness; what is returned is added to ``taken``.
    """
    space, rng = request.history.problem.space, request.rng
    known = [trial.architecture for trial in request.history.trials]
    if request.inside is not None:
        known = [known[int(row)] for row in request.inside]
    if n < 1 or not known:
        return []
    chosen = [known[i] for i in rng.permutation(len(known))[:_ENDS]]
    ends = [start for start, inside in zip(chosen, request.accept(chosen), strict=True) if inside]
    fresh: dict[str, Architecture] = {}
    for _ in range(_ROUNDS if ends else 0):
        tried = [space.mutate(ends[rng.integers(len(ends))], rng) for _ in range(_BLOCK)]
        inside = [step for step, good in zip(tried, request.accept(tried), strict=True) if good]
        ends += inside
        fresh |= {step.id: step for step in inside if step.id not in request.taken}
    found = list(fresh.values())
    kept = [found[i] for i in rng.permutation(len(found))[:n]]
    request.taken.update(step.id for step in kept)
    return kept
