"""Choices step by step: a column for each step of an ordered choice, that says whether it is taken."""

from __future__ import annotations

import numpy as np

from hwnas.spaces import Encoding, Interval, SearchSpace
from hwnas.surrogates.kernels import Columns, Matrix

_ROUNDING = 1e-9  # of codes
_STRETCH = 2.0  # of a continuous choice, so that its ends are about as far apart as those of three options


class Steps:
    """Codes of architectures, shape ``(n, c)``, as steps, shape ``(n, s)``.

    An ordered choice of k options has k - 1 steps, and one more where it may be absent: the first to its smallest
    option. A categorical choice stays an indicator for each option, a continuous one a number.

    Args:
        space: Of the architectures.
    """

    def __init__(self, space: SearchSpace) -> None:
        places = Encoding(space).columns
        self._from: list[int] = []
        self._levels: list[float] = []  # NaN for a column that stays as it is
        self._scales: list[float] = []
        groups: list[Columns] = []
        for choice in space.choices:
            place, start = places[choice.name], len(self._from)
            if isinstance(choice, Interval):
                self._add(place.start, np.nan, _STRETCH)
            elif choice.ordinal:
                count = len(choice.options)
                for option in range(0 if choice.parent else 1, count):
                    self._add(place.start, (option + 1) / count, 1.0)
            else:
                for column in range(place.start, place.stop):
                    self._add(column, np.nan, 1.0)
            if len(self._from) > start:
                groups.append(tuple(range(start, len(self._from))))
        self.groups = tuple(groups)

    def __call__(self, codes: Matrix) -> Matrix:
        """Steps of architectures."""
        values, levels = codes[:, self._from], np.array(self._levels)
        taken = (values >= levels - _ROUNDING).astype(np.float64)
        return np.asarray(np.where(np.isnan(levels), values * np.array(self._scales), taken), np.float64)

    def _add(self, column: int, level: float, scale: float) -> None:
        self._from.append(column)
        self._levels.append(level)
        self._scales.append(scale)
