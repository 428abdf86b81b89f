"""Architectures as rows of whole numbers, so that a whole space is computed with at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, UsageError, Value
from hwnas.spaces.space import Choice, SearchSpace

INACTIVE = -1
MOST_ENUMERATED = 20_000_000  # rows; more would not fit beside what is computed of them

Codes = NDArray[np.int8]


@dataclass(frozen=True)
class ArchitectureCodes:
    """A row for each architecture, a column for each choice: the position of its option, or -1 while it is inactive.

    Attributes:
        space: The search space; its choices are the columns.

    Raises:
        UsageError: A choice of the space is continuous.
    """

    space: SearchSpace

    def __post_init__(self) -> None:
        for choice in self.space.choices:
            choice.options  # noqa: B018  (a continuous choice says that it has none)

    def encode(self, architectures: Sequence[Architecture]) -> Codes:
        """Codes of architectures, shape ``(n, c)`` for ``c`` choices.

        Raises:
            UsageError: An architecture has a choice or an option that the space has not.
        """
        if self.space.is_listing(architectures):
            return self.enumerate()
        codes = np.full((len(architectures), len(self.space.choices)), INACTIVE, dtype=np.int8)
        columns, positions = self._columns, self._positions
        for row, architecture in zip(codes, architectures, strict=True):
            try:
                for name, value in architecture.items():
                    row[columns[name]] = positions[name][value]
            except KeyError:
                self.space.architecture(architecture)  # says what is wrong
                raise
        return codes

    def decode(self, codes: Codes) -> list[Architecture]:
        """The architectures of codes of shape ``(n, c)``; the inverse of ``encode``."""
        choices = self.space.choices
        return [
            Architecture(
                {
                    choice.name: choice.options[code]
                    for choice, code in zip(choices, row, strict=True)
                    if code != INACTIVE
                }
            )
            for row in codes.tolist()
        ]

    def sample(self, rng: np.random.Generator, n: int, *, evenly: bool = False) -> Codes:
        """Codes of ``n`` random architectures, shape ``(n, c)``.

        Args:
            rng: Randomness.
            n: How many.
            evenly: Whether every architecture is as likely; else every active choice is uniform over its options, so
                that an option counts as much whether many architectures have it or few.
        """
        codes = np.full((n, len(self.space.choices)), INACTIVE, dtype=np.int8)
        for column, choice in enumerate(self.space.choices):
            if evenly:
                ways = self.space.ways(choice)
                drawn = rng.choice(len(ways), size=n, p=[way / sum(ways) for way in ways]).astype(np.int8)
            else:
                drawn = rng.integers(len(choice.options), size=n, dtype=np.int8)
            codes[:, column] = np.where(self.active(codes, column), drawn, INACTIVE)
        return codes

    def enumerate(self) -> Codes:
        """Codes of every architecture, in the order of ``SearchSpace.enumerate``; shape ``(size, c)``.

        Raises:
            UsageError: The space is too large to be listed.
        """
        if self.space.size > MOST_ENUMERATED:
            raise UsageError(
                f"space {self.space.name} has {self.space.size:.3g} architectures, more than the {MOST_ENUMERATED:,} "
                "that can be listed: draw a sample instead"
            )
        codes = np.full((1, len(self.space.choices)), INACTIVE, dtype=np.int8)
        for column, choice in enumerate(self.space.choices):
            copies = np.where(self.active(codes, column), len(choice.options), 1)
            first = np.cumsum(copies) - copies
            rows = np.repeat(np.arange(len(codes)), copies)
            codes = codes[rows]
            option = np.arange(len(rows)) - first[rows]
            codes[:, column] = np.where(copies[rows] > 1, option, codes[:, column])
            if len(choice.options) == 1:
                codes[:, column] = np.where(self.active(codes, column), 0, INACTIVE)
        return codes

    def active(self, codes: Codes, column: int) -> NDArray[np.bool_]:
        """Whether a choice exists, given the columns before it; shape ``(n,)``."""
        choice = self.space.choices[column]
        if choice.parent is None:
            return np.ones(len(codes), dtype=np.bool_)
        parent = self._columns[choice.parent]
        options = self.space.choices[parent].options
        alive = np.array([option in choice.when for option in options] + [False])  # the last one for INACTIVE
        return np.asarray(alive[codes[:, parent]])

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {choice.name: column for column, choice in enumerate(self.space.choices)}

    @cached_property
    def _positions(self) -> dict[str, Mapping[Value, int]]:
        return {choice.name: choice.positions for choice in self.space.choices if isinstance(choice, Choice)}
