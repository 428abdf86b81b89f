"""The architecture with the smallest value of a cost that is known exactly, without looking at all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.spaces import SearchSpace

Cost = Callable[[Sequence[Architecture]], NDArray[np.float64]]
"""Vectorised: values of shape ``(n,)``, lower is better."""

_SAMPLES = 256
_STARTS = 32


def lowest(
    space: SearchSpace, cost: Cost, *, also: Sequence[Architecture] = (), least: float = -math.inf
) -> Architecture:
    """The architecture with the smallest value of a cost that is known exactly.

    Steepest descent over the neighbours of the best of a random sample, from many starts. Exact where every choice adds
    its own share to the cost; elsewhere the best of the ends found, which on realistic latency tables is the minimum.

    Args:
        space: Where to look.
        cost: Vectorised, lower is better.
        also: Further architectures to start from.
        least: What no value is below: the first of the sample that has it will do.
    """
    rng = np.random.default_rng(0)
    sample = [space.sample(rng) for _ in range(_SAMPLES)]
    values = cost(sample)
    order = np.argsort(values, kind="stable")
    if values[order[0]] <= least:
        return sample[int(order[0])]
    ends = descents(space, cost, [*(sample[i] for i in order[:_STARTS]), *also])
    return ends[int(np.argmin(cost(ends)))]


def descents(space: SearchSpace, cost: Cost, starts: Sequence[Architecture]) -> list[Architecture]:
    """Where steepest descent over neighbours ends, from each start.

    All of them step at once, so that costs are asked for in few calls, and where two meet they go on as one.
    """
    values = dict(zip(starts, cost(starts).tolist(), strict=True))
    lower: dict[Architecture, Architecture] = {}  # the lowest around each, or itself where it is the lowest
    here = list(values)
    while here:
        around = [space.neighbors(one) for one in here]
        costs = cost([neighbor for some in around for neighbor in some])
        for one, neighbors, found in zip(here, around, _parts(costs, [len(some) for some in around]), strict=True):
            best = int(np.argmin(found)) if neighbors else None
            if best is None or not found[best] < values[one]:
                lower[one] = one
            else:
                lower[one], values[neighbors[best]] = neighbors[best], float(found[best])
        here = [one for one in dict.fromkeys(lower[one] for one in here) if one not in lower]
    return [_end(lower, start) for start in starts]


def _parts(values: NDArray[np.float64], sizes: Sequence[int]) -> list[NDArray[np.float64]]:
    return np.split(values, np.cumsum(sizes)[:-1])


def _end(lower: Mapping[Architecture, Architecture], start: Architecture) -> Architecture:
    while (there := lower[start]) != start:
        start = there
    return start
