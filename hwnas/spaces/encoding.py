"""Architectures as vectors, for everything that learns from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Value
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
            rows, positions = self._options[choice.name]
            codes[:, place] = rows[[positions[values.get(choice.name)] for values in known]]
        return codes

    @cached_property
    def _options(self) -> Mapping[str, tuple[NDArray[np.float64], Mapping[Value | None, int]]]:
        """Codes of each choice's options and of its absence, and which of these rows is whose."""
        found: dict[str, tuple[NDArray[np.float64], Mapping[Value | None, int]]] = {}
        for choice in self.space.choices:
            if isinstance(choice, Choice):
                count = len(choice.options)
                rows = np.arange(1, count + 1)[:, None] / count if choice.ordinal else np.eye(count)
                absent: Mapping[Value | None, int] = {None: count}
                found[choice.name] = (
                    np.vstack([rows, np.zeros(rows.shape[1])]),
                    {**absent, **{option: i for i, option in enumerate(choice.options)}},
                )
        return found
