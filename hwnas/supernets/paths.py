"""Which networks of a supernet learn together in one step."""

from __future__ import annotations

import numpy as np

from hwnas.core import Architecture, Value
from hwnas.spaces import SearchSpace


def has_order(space: SearchSpace) -> bool:
    """Whether some networks are larger than others by the order of their choices."""
    return any(choice.ordinal and len(choice.options) > 1 for choice in space.choices)


def networks_of_a_step(space: SearchSpace, rng: np.random.Generator, *, random_paths: int) -> list[Architecture]:
    """The networks whose gradients make one step.

    In a space with order, the sandwich rule (Yu et al., 2020, arXiv:2003.11142): the largest, the smallest and some
    random ones, the largest first. Without, as many as a choice has options, so that each option of each choice is in
    one of them (strict fairness; Chu et al., 2021, arXiv:1907.01845).

    Args:
        space: Where from.
        rng: Randomness.
        random_paths: Random networks of the sandwich.
    """
    if not has_order(space):
        return _fair(space, rng)
    ends = [_end(space, rng, option=option) for option in (-1, 0)]
    return [*ends, *(space.sample(rng) for _ in range(random_paths))]


def _end(space: SearchSpace, rng: np.random.Generator, *, option: int) -> Architecture:
    """The largest (-1) or smallest (0) network; choices without order are drawn."""
    values = {c.name: c.options[option] if c.ordinal else c.drawn(rng) for c in space.choices}
    return space.architecture(values)


def _fair(space: SearchSpace, rng: np.random.Generator) -> list[Architecture]:
    count = max((len(choice.options) for choice in space.choices), default=1)
    columns: dict[str, list[Value]] = {}
    for choice in space.choices:
        options = choice.options
        rounds = -(-count // len(options))
        order = np.concatenate([rng.permutation(len(options)) for _ in range(rounds)])[:count]
        columns[choice.name] = [options[position] for position in order]
    return [space.architecture({name: column[i] for name, column in columns.items()}) for i in range(count)]
