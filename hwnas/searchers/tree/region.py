"""Regions: the part of the space at the end of a path of decisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.searchers.problem import SearchProblem
from hwnas.searchers.tree.boundaries import Boundary
from hwnas.searchers.tree.samples import Codes


@dataclass(frozen=True)
class Decision:
    """One side of one boundary.

    Attributes:
        boundary: Tells the sides apart.
        side: 0 for the promising side, 1 for the other.
    """

    boundary: Boundary
    side: int

    def holds(self, codes: Codes) -> NDArray[np.bool_]:
        """Which codes lie on this side, shape ``(n,)``."""
        return np.asarray(self.boundary.sides(codes) == self.side)


@dataclass(frozen=True)
class Region:
    """A part of the space: all decisions on the way from the root hold. Without decisions, the whole space."""

    path: tuple[Decision, ...] = ()

    def contains(self, codes: Codes) -> NDArray[np.bool_]:
        """Which codes lie in the region, shape ``(n,)``."""
        inside = np.ones(len(codes), dtype=np.bool_)
        for decision in self.path:
            if inside.any():
                inside[inside] = decision.holds(codes[inside])
        return inside

    def relax(self) -> Region:
        """The larger region without the last decision."""
        return Region(self.path[:-1])

    @property
    def sides(self) -> str:
        """The path for people: ``+`` for the promising side of a boundary, ``-`` for the other."""
        return "".join("-" if decision.side else "+" for decision in self.path) or "all"


class InRegion:
    """Which architectures are feasible and in a region.

    Args:
        region: Where.
        problem: For its limits.
        encode: Architectures to the codes the region is made of.
    """

    def __init__(
        self, region: Region, problem: SearchProblem, encode: Callable[[Sequence[Architecture]], Codes]
    ) -> None:
        self._region, self._problem, self._encode = region, problem, encode

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
        """The mask, shape ``(n,)``."""
        if not self._region.path:
            return self._problem.feasible(architectures)
        inside = self._region.contains(self._encode(architectures))
        kept = np.flatnonzero(inside)
        if len(kept):
            inside[kept] = self._problem.feasible([architectures[int(i)] for i in kept])
        return inside
