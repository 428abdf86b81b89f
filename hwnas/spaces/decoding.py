"""The way back from a vector to an architecture, for searchers that move in the encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Value
from hwnas.spaces.encoding import Encoding
from hwnas.spaces.interval import STEPS, Interval
from hwnas.spaces.space import Choice, SearchSpace


def nearest(space: SearchSpace, points: NDArray[np.float64]) -> list[Architecture]:
    """The architecture nearest to each point of the encoding's space.

    Choices are read in the space's order, each from its own columns: the option whose code is nearest, and of a
    categorical choice the one with the largest indicator. Columns of choices that are inactive then are not looked at.

    Args:
        space: Of the architectures.
        points: Shape ``(n, width)`` of the space's ``Encoding``; anything beyond [0, 1] is nearest to an end.
    """
    places = Encoding(space).columns
    return [_nearest(space, places, point) for point in points]


def step(choice: Choice | Interval) -> float:
    """How far apart in the encoding two neighbouring options of an ordinal choice lie; a small step of an interval."""
    if isinstance(choice, Interval):
        return STEPS[1]
    return 1 / len(choice.options)


def _nearest(space: SearchSpace, places: Mapping[str, slice], point: NDArray[np.float64]) -> Architecture:
    values: dict[str, Value] = {}
    for choice in space.choices:
        if space.is_active(choice, values):
            values[choice.name] = _value(choice, point[places[choice.name]].tolist())
    return Architecture(values)


def _value(choice: Choice | Interval, code: Sequence[float]) -> Value:
    if isinstance(choice, Interval):
        return choice.at(min(max(code[0], 0.0), 1.0))
    if not choice.ordinal:
        return choice.options[max(range(len(code)), key=code.__getitem__)]
    count = len(choice.options)
    return choice.options[min(max(round(code[0] * count) - 1, 0), count - 1)]
