"""The architecture with the smallest value of a cost that is known exactly, without looking at all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.spaces import SearchSpace

Cost = Callable[[Sequence[Architecture]], NDArray[np.float64]]
"""Vectorised: values of shape ``(n,)``, lower is better."""

_SAMPLES = 256
_STARTS = 32


def lowest(space: SearchSpace, cost: Cost, *, also: Sequence[Architecture] = ()) -> Architecture:
    """The architecture with the smallest value of a cost that is known exactly.

    Steepest descent over the neighbours of the best of a random sample, from many starts. Exact where every choice adds
    its own share to the cost; elsewhere the best of the ends found, which on realistic latency tables is the minimum.

    Args:
        space: Where to look.
        cost: Vectorised, lower is better.
        also: Further architectures to start from.
    """
    rng = np.random.default_rng(0)
    sample = [space.sample(rng) for _ in range(_SAMPLES)]
    order = np.argsort(cost(sample), kind="stable")
    ends = descents(space, cost, [*(sample[i] for i in order[:_STARTS]), *also])
    return ends[int(np.argmin(cost(ends)))]


def descents(space: SearchSpace, cost: Cost, starts: Sequence[Architecture]) -> list[Architecture]:
    """Where steepest descent over neighbours ends, from each start."""
    return [_descend(space, cost, start) for start in starts]


def _descend(space: SearchSpace, cost: Cost, start: Architecture) -> Architecture:
    here, value = start, float(cost([start])[0])
    while True:
        neighbors = space.neighbors(here)
        if not neighbors:
            return here
        costs = cost(neighbors)
        best = int(np.argmin(costs))
        if not costs[best] < value:
            return here
        here, value = neighbors[best], float(costs[best])
