"""Which nodes are split, and which splits are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Growth(Protocol):
    """The shape a partition grows into."""

    def may_split(self, samples: int, *, depth: int, nodes: int) -> bool:
        """Whether to try: the node's samples and depth (the root's is 0), and the nodes there are so far."""

    def keeps(self, smallest: int, *, accuracy: float) -> bool:
        """Whether a split is kept: samples on its smaller side, share of samples on the side of their label."""


@dataclass(frozen=True, kw_only=True)
class BySize:
    """Nodes with enough samples are split, as long as a boundary really separates them.

    Attributes:
        min_split: Smallest number of samples that is split at the root.
        deeper: By what that number is multiplied for each decision on the way to a node.
        min_leaf: A split that leaves fewer on a side is rejected.
        min_accuracy: A boundary that misplaces more of its own samples than this allows is rejected.
        max_depth: Longest path of decisions.
        max_nodes: Nodes in all, inner ones included.
    """

    min_split: int = 10
    deeper: float = 1.0
    min_leaf: int = 3
    min_accuracy: float = 0.6
    max_depth: int = 6
    max_nodes: int = 127

    def may_split(self, samples: int, *, depth: int, nodes: int) -> bool:
        """Whether to try."""
        least = self.min_split * self.deeper**depth
        return samples >= least and depth < self.max_depth and nodes + 2 <= self.max_nodes

    def keeps(self, smallest: int, *, accuracy: float) -> bool:
        """Whether a split is kept."""
        return smallest >= self.min_leaf and accuracy >= self.min_accuracy


@dataclass(frozen=True)
class FixedHeight:
    """A complete binary tree (LaNAS), as far as there are two samples to tell apart and a boundary does so.

    Attributes:
        levels: Nodes on a path from the root to a leaf.
    """

    levels: int = 5

    def may_split(self, samples: int, *, depth: int, nodes: int) -> bool:
        """Whether to try."""
        del nodes
        return samples >= 2 and depth + 1 < self.levels

    def keeps(self, smallest: int, *, accuracy: float) -> bool:
        """Whether a split is kept."""
        del accuracy
        return smallest >= 1
