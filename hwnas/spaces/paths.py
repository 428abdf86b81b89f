"""Cells as bags of paths, which isomorphic cells share.

The path encoding of architectures (White, Neiswanger and Savani, BANANAS, AAAI 2021), for cells with an operation on
every edge. Three departures: paths are counted instead of noted, because parallel branches add up; an operation that
passes its input on unchanged does not lengthen a path; and a few figures sum the paths up, from which a model learns
with the first evaluations what it would otherwise have to learn path by path.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Value

Figures = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PathFeatures:
    """How often each sequence of operations leads from the first node of a cell to its last, and figures of that.

    Calling it with architectures gives their features, shape ``(n, f)``. First come the counts, one for every sequence
    of operations that a path can have, the shorter sequences first. Then come figures over the paths of a cell: how
    many there are; of each operation how often it stands on them, and how often at most on one; how many operations
    with weights stand on a path at most and at least, the latter one more than there could be for a cell without
    paths.

    Attributes:
        edges: Name of the choice, source and target node of every edge; sources are smaller than targets.
        operations: All there are.
        broken: The operation that makes an edge vanish.
        identity: The one that passes its input on unchanged.
        weighted: Those that have weights.
    """

    edges: tuple[tuple[str, int, int], ...]
    operations: tuple[Value, ...]
    broken: Value
    identity: Value
    weighted: tuple[Value, ...]

    def __call__(self, architectures: Sequence[Architecture]) -> Figures:
        """Features of architectures, shape ``(n, f)``."""
        counts = np.zeros((len(architectures), len(self.names)))
        for row, architecture in zip(counts, architectures, strict=True):
            for path in self._paths:
                operations = [architecture[edge] for edge in path]
                if self.broken not in operations:
                    row[self._columns[tuple(op for op in operations if op != self.identity)]] += 1
        return np.column_stack([counts, self._summary(counts)])

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The counts together, each figure for itself."""
        counts = len(self.names)
        figures = 3 + 2 * len(self._kinds)
        return (tuple(range(counts)), *((column,) for column in range(counts, counts + figures)))

    @cached_property
    def names(self) -> tuple[tuple[Value, ...], ...]:
        """The sequence of operations that each count is of."""
        longest = range(self._longest + 1)
        return tuple(name for length in longest for name in itertools.product(self._kinds, repeat=length))

    def _summary(self, counts: Figures) -> Figures:
        there = counts > 0  # (n, names)
        standing = np.array([[name.count(kind) for kind in self._kinds] for name in self.names])  # (names, kinds)
        weights = np.array([sum(op in self.weighted for op in name) for name in self.names])
        most = [(there * standing[:, kind]).max(axis=1) for kind in range(len(self._kinds))]
        least = np.where(there, weights, self._longest + 1).min(axis=1)
        return np.column_stack([counts.sum(axis=1), counts @ standing, *most, (there * weights).max(axis=1), least])

    @property
    def _kinds(self) -> tuple[Value, ...]:
        """The operations that lengthen a path."""
        return tuple(op for op in self.operations if op not in (self.broken, self.identity))

    @property
    def _longest(self) -> int:
        return max((len(path) for path in self._paths), default=0)

    @cached_property
    def _columns(self) -> dict[tuple[Value, ...], int]:
        return {name: column for column, name in enumerate(self.names)}

    @cached_property
    def _paths(self) -> tuple[tuple[str, ...], ...]:
        """The edges of every path from node 0 to the last node."""
        last = max((target for _, _, target in self.edges), default=0)
        found: list[tuple[str, ...]] = []
        open_: list[tuple[int, tuple[str, ...]]] = [(0, ())]
        while open_:
            node, path = open_.pop()
            if node == last:
                found.append(path)
                continue
            open_ += [(target, (*path, name)) for name, source, target in self.edges if source == node]
        return tuple(found)
