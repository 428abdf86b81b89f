"""Choices step by step: a column for each step of an ordered choice, that says whether it is taken."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwnas.spaces import Choice, Encoding, Interval, SearchSpace
from hwnas.surrogates.kernels import Columns, Matrix

_ROUNDING = 1e-9  # of codes
_STRETCH = 2.0  # of a continuous choice, so that its ends are about as far apart as those of three options


class Steps:
    """Codes of architectures, shape ``(n, c)``, as steps, shape ``(n, s)``.

    An ordered choice of k options has k - 1 steps, and one more where it may be absent: the first to its smallest
    option. A categorical choice stays an indicator for each option, a continuous one a number.

    Args:
        space: Of the architectures.

    Attributes:
        groups: Columns of each choice that has steps.
        kinds: The same choices by kind, those with the same options together; of each the column of every option to
            which a step leads.
    """

    def __init__(self, space: SearchSpace) -> None:
        places = Encoding(space).columns
        self._from: list[int] = []
        self._levels: list[float] = []  # NaN for a column that stays as it is
        self._scales: list[float] = []
        groups: list[Columns] = []
        kinds: dict[object, list[Mapping[int, int]]] = {}
        for choice in space.choices:
            place, start = places[choice.name], len(self._from)
            first = 0
            if isinstance(choice, Interval):
                self._add(place.start, np.nan, _STRETCH)
            elif choice.ordinal:
                count = len(choice.options)
                first = 0 if choice.parent else 1
                for option in range(first, count):
                    self._add(place.start, (option + 1) / count, 1.0)
            else:
                for column in range(place.start, place.stop):
                    self._add(column, np.nan, 1.0)
            if len(self._from) > start:
                groups.append(tuple(range(start, len(self._from))))
                kinds.setdefault(_kind(choice), []).append({first + i: column for i, column in enumerate(groups[-1])})
        self.groups = tuple(groups)
        self.kinds = tuple(tuple(choices) for choices in kinds.values())

    def __call__(self, codes: Matrix) -> Matrix:
        """Steps of architectures."""
        values, levels = codes[:, self._from], np.array(self._levels)
        taken = (values >= levels - _ROUNDING).astype(np.float64)
        return np.asarray(np.where(np.isnan(levels), values * np.array(self._scales), taken), np.float64)

    def _add(self, column: int, level: float, scale: float) -> None:
        self._from.append(column)
        self._levels.append(level)
        self._scales.append(scale)


def _kind(choice: Choice | Interval) -> object:
    """What choices that act alike have in common; a continuous choice is like no other."""
    return choice.name if isinstance(choice, Interval) else (choice.ordinal, tuple(map(repr, choice.options)))
