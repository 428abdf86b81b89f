"""Architectures as the vectors a partition separates, and the names of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from hwnas.core import Architecture
from hwnas.searchers.tree.samples import Codes
from hwnas.spaces import Encoding, Interval, SearchSpace


class Features(Protocol):
    """A map from architectures to vectors."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What each column tells, for people."""

    def encode(self, architectures: Sequence[Architecture]) -> Codes:
        """Vectors of architectures, shape ``(n, d)``."""


@dataclass(frozen=True)
class OneHot:
    """An indicator for each option where order means nothing, one number where it does."""

    space: SearchSpace

    @property
    def columns(self) -> tuple[str, ...]:
        """``"depth"`` for an ordinal choice, ``"activation = relu"`` for an option of a categorical one."""
        names: list[str] = []
        for choice in self.space.choices:
            names += [choice.name] if choice.ordinal else [f"{choice.name} = {option}" for option in choice.options]
        return tuple(names)

    def encode(self, architectures: Sequence[Architecture]) -> Codes:
        """Vectors of architectures, shape ``(n, d)``."""
        return self._encoding.encode(architectures)

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.space)


@dataclass(frozen=True)
class Ordinal:
    """One number for every choice: the position of its option, as if their order always meant something.

    That is how the official code of LaMOO treats operations; it helps where the options happen to be sorted by cost.
    """

    space: SearchSpace

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the choices."""
        return tuple(choice.name for choice in self.space.choices)

    def encode(self, architectures: Sequence[Architecture]) -> Codes:
        """Vectors of architectures, shape ``(n, c)``, in [0, 1]; 0 for a choice that does not exist."""
        return self._encoding.encode(architectures)

    @cached_property
    def _encoding(self) -> Encoding:
        ordered = (
            choice if isinstance(choice, Interval) or choice.ordinal else replace(choice, ordinal=True)
            for choice in self.space.choices
        )
        return Encoding(SearchSpace(self.space.name, tuple(ordered)))
