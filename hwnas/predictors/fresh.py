"""Networks to judge a predictor by: some that nobody chose, and some that an optimiser chose by the prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, UsageError
from hwnas.pareto import non_dominated
from hwnas.spaces import SearchSpace

_TILT = 5.0  # far enough to meet both ends of a space; see SearchSpace.sample
_TRIES = 200  # draws for each network wanted before the space counts as used up
_START, _CHILDREN, _GENERATIONS = 256, 96, 40

BlockKeys = Callable[[Architecture], Iterable[str]]
Costs = Callable[[Sequence[Architecture]], NDArray[np.float64]]


def signature(keys: Iterable[str]) -> Hashable:
    """What a latency table can tell of a network: its blocks and how often each occurs, in no order."""
    return frozenset(Counter(keys).items())


def random_networks(
    space: SearchSpace, block_keys: BlockKeys, *, n: int, taken: Iterable[Hashable], rng: np.random.Generator
) -> list[Architecture]:
    """Different random networks: every other one uniform, those between tilted to the small or the large end.

    Uniform draws alone hardly ever come to the ends of a space, where a search goes.

    Args:
        space: Where to draw.
        block_keys: The blocks of an architecture. Networks of equal blocks count as one: to a table they are.
        n: How many.
        taken: Signatures of networks that will not do, for example those that the predictor was calibrated on.
        rng: Randomness.

    Raises:
        UsageError: The space has too few others.
    """
    seen, found = set(taken), list[Architecture]()
    for _ in range(_TRIES * n):
        if len(found) == n:
            break
        tilt = float(rng.uniform(-_TILT, _TILT)) if len(found) % 2 else 0.0
        drawn = space.sample(rng, tilt=tilt)
        mark = signature(block_keys(drawn))
        if mark not in seen:
            seen.add(mark)
            found.append(drawn)
    if len(found) < n:
        raise UsageError(
            f"expected {n} networks of space {space.name} that are new to the table, found {len(found)}: ask for "
            "no more than that with --networks, or evaluate on a larger space"
        )
    return found


def chosen_networks(
    space: SearchSpace,
    block_keys: BlockKeys,
    costs: Costs,
    *,
    n: int,
    taken: Iterable[Hashable],
    rng: np.random.Generator,
) -> list[Architecture]:
    """Networks that an optimiser chooses by predicted costs; errors in its favour are what it looks for.

    A small evolution: mutants of the non-dominated networks join them, what is dominated leaves.

    Args:
        space: Where to search.
        block_keys: The blocks of an architecture, as in ``random_networks``.
        costs: Costs of architectures, the first one the prediction, all minimised, shape ``(m, c)``.
        n: How many at the most; of more, those that lie evenly along the first cost.
        taken: Signatures of networks that will not do.
        rng: Randomness.

    Returns:
        From the lowest first cost to the highest.
    """
    seen: set[Hashable] = set(taken)
    front, known = _best([], np.zeros((0, 0)), list(_new(_first(space, rng), block_keys, seen)), costs)
    for _ in range(_GENERATIONS):
        if not front:
            break
        parents = [front[i] for i in rng.integers(len(front), size=_CHILDREN)]
        mutants = (space.mutate(parent, rng) for parent in parents)
        front, known = _best(front, known, list(_new(mutants, block_keys, seen)), costs)
    if not front:
        return []
    order = np.lexsort((known[:, 1], known[:, 0]))
    places = np.unique(np.linspace(0, len(front) - 1, min(n, len(front))).round().astype(int))
    return [front[order[place]] for place in places]


def _first(space: SearchSpace, rng: np.random.Generator) -> Iterator[Architecture]:
    for _ in range(_START):
        yield space.sample(rng, tilt=float(rng.uniform(-_TILT, _TILT)))


def _new(drawn: Iterable[Architecture], block_keys: BlockKeys, seen: set[Hashable]) -> Iterator[Architecture]:
    for architecture in drawn:
        mark = signature(block_keys(architecture))
        if mark not in seen:
            seen.add(mark)
            yield architecture


def _best(
    front: list[Architecture], known: NDArray[np.float64], children: list[Architecture], costs: Costs
) -> tuple[list[Architecture], NDArray[np.float64]]:
    """The non-dominated of a front and its children, with their costs of shape ``(m, c)``."""
    if not children:
        return front, known
    found = costs(children)
    joined = np.concatenate([known, found]) if front else found
    kept = non_dominated(joined)
    return [one for one, good in zip([*front, *children], kept, strict=True) if good], joined[kept]
