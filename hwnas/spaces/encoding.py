"""Architectures as vectors, for everything that learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.spaces.interval import Interval
from hwnas.spaces.space import Choice, SearchSpace


@dataclass(frozen=True)
class Encoding:
    """One number for an ordinal choice, one indicator an option for a categorical one; inactive choices are zeros.

    The ordinal code of option i of k is ``(i + 1) / k``, so that "inactive" lies one step below the smallest option.
    A continuous choice is its place between the bounds, 0 to 1.
    """

    space: SearchSpace

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum(_width(choice) for choice in self.space.choices)

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Codes of architectures, shape ``(n, width)``."""
        codes = np.zeros((len(architectures), self.width))
        for row, architecture in zip(codes, architectures, strict=True):
            column = 0
            for choice in self.space.choices:
                width = _width(choice)
                if choice.name in architecture:
                    row[column : column + width] = _code(choice, architecture)
                column += width
        return codes


def _width(choice: Choice | Interval) -> int:
    return 1 if choice.ordinal else len(choice.options)


def _code(choice: Choice | Interval, architecture: Architecture) -> NDArray[np.float64]:
    if isinstance(choice, Interval):
        return np.array([choice.scaled(float(architecture[choice.name]))])
    index = choice.options.index(architecture[choice.name])
    if choice.ordinal:
        return np.array([(index + 1) / len(choice.options)])
    indicators = np.zeros(len(choice.options))
    indicators[index] = 1.0
    return indicators
