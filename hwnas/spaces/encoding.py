"""Architectures as vectors, for everything that learns from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

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

    @cached_property
    def columns(self) -> Mapping[str, slice]:
        """Name of each choice to its columns."""
        found: dict[str, slice] = {}
        start = 0
        for choice in self.space.choices:
            width = 1 if choice.ordinal else len(choice.options)
            found[choice.name] = slice(start, start + width)
            start += width
        return found

    @property
    def width(self) -> int:
        """Number of columns."""
        return max((place.stop for place in self.columns.values()), default=0)

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Codes of architectures, shape ``(n, width)``."""
        codes = np.zeros((len(architectures), self.width))
        known = [dict(architecture.items()) for architecture in architectures]
        for choice in self.space.choices:
            place = self.columns[choice.name]
            if isinstance(choice, Interval):
                codes[:, place.start] = [choice.scaled(float(values[choice.name])) for values in known]
                continue
            name, positions = choice.name, choice.positions
            codes[:, place] = self._codes[name][[positions[one[name]] if name in one else -1 for one in known]]
        return codes

    @cached_property
    def _codes(self) -> Mapping[str, NDArray[np.float64]]:
        """A row for each option of a choice, and a last one for its absence."""
        found: dict[str, NDArray[np.float64]] = {}
        for choice in self.space.choices:
            if isinstance(choice, Choice):
                count = len(choice.options)
                rows = np.arange(1, count + 1)[:, None] / count if choice.ordinal else np.eye(count)
                found[choice.name] = np.vstack([rows, np.zeros(rows.shape[1])])
        return found
