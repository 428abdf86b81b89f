"""Quantities that are sums of shares, each of which depends on a few choices: whole spaces are added up at once.

A network's parts are such shares: what a block costs depends on its own kernel and expansion, and on what the whole
network has in common, and not on the other blocks. So a table with an entry for each combination of a share's choices,
a few thousand in all, holds the costs of 10^19 networks, and adding up is all there is to do for each of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Value
from hwnas.spaces.codes import INACTIVE, Codes
from hwnas.spaces.interval import Interval
from hwnas.spaces.space import Choice, SearchSpace

T = TypeVar("T")

_ROWS = 16_384  # handled at a time, so that what is computed of them stays in the caches


@dataclass(frozen=True)
class Share(Generic[T]):
    """What a few choices decide.

    Attributes:
        choices: Their names.
        of: Values of those of them that are active, to what they decide.
    """

    choices: tuple[str, ...]
    of: Callable[[Mapping[str, Value]], T]

    def in_(self, architecture: Architecture) -> T:
        """What they decide in an architecture."""
        return self.of({name: architecture[name] for name in self.choices if name in architecture})


class ShareTable(Generic[T]):
    """The price of every share, added up for any number of architectures at once.

    An entry is computed when it is first asked for, and kept.

    Args:
        space: The search space.
        shares: What an architecture is made of.
        price: A share's price, an array of shape ``(width,)``.
        width: Figures a price has.
    """

    def __init__(
        self,
        space: SearchSpace,
        shares: Sequence[Share[T]],
        *,
        price: Callable[[T], NDArray[np.float64]],
        width: int,
    ) -> None:
        self._space, self._shares, self._price, self._width = space, tuple(shares), price, width
        columns = {choice.name: column for column, choice in enumerate(space.choices)}
        self._members = [[space.choices[columns[name]] for name in share.choices] for share in self._shares]
        self._factors = np.zeros((len(space.choices), len(self._shares)))
        self._first = np.zeros(len(self._shares))  # the entry of codes that are all zero
        for number, members in enumerate(self._members):
            factor = 1
            for choice in members:
                self._factors[columns[choice.name], number] = factor
                self._first[number] += factor * _spare(choice)
                factor *= len(choice.options) + _spare(choice)
        sizes = [math.prod(len(c.options) + _spare(c) for c in members) for members in self._members]
        self._prices = [np.zeros((size, width)) for size in sizes]
        self._known = [np.zeros(size, dtype=np.bool_) for size in sizes]

    def sums(self, codes: Codes) -> NDArray[np.float64]:
        """Sums of the shares' prices.

        Args:
            codes: Of shape ``(n, c)``; see ``ArchitectureCodes``.

        Returns:
            Shape ``(n, width)``.
        """
        return self._reduced(codes, np.add)

    def maxima(self, codes: Codes) -> NDArray[np.float64]:
        """The largest of the shares' prices, figure by figure, shape ``(n, width)``."""
        return self._reduced(codes, np.maximum)

    def _reduced(self, codes: Codes, together: np.ufunc) -> NDArray[np.float64]:
        total = np.zeros((len(codes), self._width))
        for start in range(0, len(codes), _ROWS):
            rows = codes[start : start + _ROWS]
            entries = (rows.astype(np.float64) @ self._factors + self._first).astype(np.intp)  # exact: small integers
            for number, prices in enumerate(self._prices):
                column = entries[:, number]
                known = self._known[number]
                if not known.all() and not known[column].all():
                    self._learn(number, np.unique(column[~known[column]]))
                part = total[start : start + _ROWS]
                together(part, prices.take(column, axis=0), out=part)
        return total

    def _learn(self, number: int, entries: NDArray[np.intp]) -> None:
        for entry in entries.tolist():
            values, rest = {}, entry
            for choice in self._members[number]:
                rest, digit = divmod(rest, len(choice.options) + _spare(choice))
                code = digit - _spare(choice)
                if code != INACTIVE:
                    values[choice.name] = choice.options[code]
            self._prices[number][entry] = self._price(self._shares[number].of(values))
            self._known[number][entry] = True


def _spare(choice: Choice | Interval) -> int:
    """Entries for a choice that is not there."""
    return 0 if choice.parent is None else 1
