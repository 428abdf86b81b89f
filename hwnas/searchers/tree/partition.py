"""A partition of the search space, learned from evaluated architectures.

The tree of LaMOO (Zhao et al., Multi-objective optimization by learning space partitions, ICLR 2022): a node's samples
are labelled by dominance rank, a support vector machine separates the better from the worse, and the two sides are
split again. Three departures: codes are one-hot where order means nothing, samples go to the side the machine predicts
for them instead of the side of their label (so that a leaf's figures describe its region), and the exploration constant
follows the hypervolume found so far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

from hwnas.pareto import dominance_counts, hypervolume

Codes = NDArray[np.float64]
Costs = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TreeSettings:
    """The free choices of the tree.

    Attributes:
        min_split: Smallest number of samples that is split.
        min_leaf: A split that leaves fewer on a side is rejected.
        min_accuracy: A boundary that misplaces more of its own samples than this allows is rejected.
        max_depth: Longest path of decisions.
        penalty: Of the support vector machine (``C``), with a radial kernel.
        exploration: ``Cp`` as a share of the hypervolume of all samples.
    """

    min_split: int = 10
    min_leaf: int = 3
    min_accuracy: float = 0.6
    max_depth: int = 6
    penalty: float = 10.0
    exploration: float = 0.1


@dataclass(frozen=True)
class Decision:
    """One side of one boundary.

    Attributes:
        boundary: Classifies codes; class 0 is the promising side.
        side: 0 for the promising side, 1 for the other.
    """

    boundary: SVC
    side: int

    def holds(self, codes: Codes) -> NDArray[np.bool_]:
        """Which codes lie on this side, shape ``(n,)``."""
        return np.asarray(self.boundary.predict(codes) == self.side)


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


@dataclass
class Node:
    """A region with the samples in it.

    Attributes:
        region: Where it is.
        members: Indices of its samples.
        value: Hypervolume of its samples.
        visits: Number of samples, pending ones included.
        children: Promising side first; empty for a leaf.
    """

    region: Region
    members: NDArray[np.intp]
    value: float
    visits: int
    children: list[Node] = field(default_factory=list)


class PartitionTree:
    """The partition made of some samples; a pure function of them.

    Args:
        codes: Encoded architectures, shape ``(n, d)``.
        costs: Their costs, shape ``(n, m)``, minimised.
        reference: Bound of the hypervolume, shape ``(m,)``.
        pending: Codes under evaluation, shape ``(p, d)``; they count as visits, so that parallel workers spread out.
        settings: The free choices.
    """

    def __init__(
        self,
        codes: Codes,
        costs: Costs,
        reference: NDArray[np.float64],
        *,
        pending: Codes | None = None,
        settings: TreeSettings | None = None,
    ) -> None:
        self._codes, self._costs, self._reference = codes, costs, reference
        self._pending = pending if pending is not None else np.zeros((0, codes.shape[1]))
        self._settings = settings or TreeSettings()
        self.root = self._grow(Region(), np.arange(len(codes)), self._pending)
        self.constant = self._settings.exploration * self.root.value

    def leaves(self) -> list[tuple[Node, float]]:
        """Every leaf with its upper confidence bound, promising sides first."""
        return list(self._scored(self.root, parent_visits=self.root.visits))

    def best_leaf(self) -> tuple[Node, float]:
        """The leaf with the largest upper confidence bound ``v + 2 Cp sqrt(2 ln N / n)`` (LaMOO, Algorithm 2)."""
        return max(self.leaves(), key=lambda entry: entry[1])

    def _scored(self, node: Node, *, parent_visits: int) -> Sequence[tuple[Node, float]]:
        if not node.children:
            bonus = math.sqrt(2 * math.log(max(parent_visits, 1)) / max(node.visits, 1))
            return [(node, node.value + 2 * self.constant * bonus)]
        return [entry for child in node.children for entry in self._scored(child, parent_visits=node.visits)]

    def _grow(self, region: Region, members: NDArray[np.intp], pending: Codes) -> Node:
        node = Node(
            region=region,
            members=members,
            value=hypervolume(self._costs[members], self._reference),
            visits=len(members) + len(pending),
        )
        boundary = self._boundary(members) if len(region.path) < self._settings.max_depth else None
        if boundary is not None:
            sides = boundary.predict(self._codes[members])
            waiting = boundary.predict(pending) if len(pending) else np.zeros(0, dtype=np.int64)
            node.children = [
                self._grow(
                    Region((*region.path, Decision(boundary, side))), members[sides == side], pending[waiting == side]
                )
                for side in (0, 1)
            ]
        return node

    def _boundary(self, members: NDArray[np.intp]) -> SVC | None:
        """The separation of the better half from the worse; ``None`` where there is none worth having."""
        settings = self._settings
        if len(members) < settings.min_split:
            return None
        labels = dominance_halves(self._costs[members])
        if labels.min() == labels.max():
            return None
        codes = self._codes[members]
        boundary = SVC(kernel="rbf", C=settings.penalty, gamma="scale").fit(codes, labels)
        sides = boundary.predict(codes)
        smallest = min(int((sides == 0).sum()), int((sides == 1).sum()))
        good = smallest >= settings.min_leaf and float((sides == labels).mean()) >= settings.min_accuracy
        return boundary if good else None


def dominance_halves(costs: Costs) -> NDArray[np.int64]:
    """Labels of a node's samples: 0 for the half dominated by fewer of the others, 1 for the rest.

    The cut is made between two different numbers of dominators, as near to the middle as there is one, so that equals
    are never torn apart.

    Args:
        costs: Shape ``(n, m)``, minimised.

    Returns:
        Shape ``(n,)``; all 0 when every sample is dominated by equally many.
    """
    counts = dominance_counts(costs)
    levels = np.unique(counts)
    if len(levels) == 1:
        return np.zeros(len(counts), dtype=np.int64)
    sizes = np.array([(counts <= level).sum() for level in levels[:-1]])
    cut = levels[int(np.argmin(np.abs(sizes - len(counts) / 2)))]
    return np.asarray(counts > cut, dtype=np.int64)
