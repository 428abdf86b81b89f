"""A partition of the search space, learned from evaluated architectures.

A node's samples are labelled, a boundary is learned between the labels, and both sides are split again: the tree that
LaNAS (Wang et al., TPAMI 2021), LA-MCTS (Wang et al., NeurIPS 2020) and LaMOO (Zhao et al., ICLR 2022) share. What they
differ in are the free choices of ``TreeSettings``.

Two steps: ``grow`` learns the boundaries, and a ``PartitionTree`` puts samples and pending architectures into the
leaves and bounds them. Thus a partition can be learned now and then, and be up to date all the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwnas.searchers.tree.boundaries import Boundary
from hwnas.searchers.tree.region import Decision, Region
from hwnas.searchers.tree.samples import Codes, Costs, Members, Samples
from hwnas.searchers.tree.settings import TreeSettings
from hwnas.searchers.tree.values import Valuation


@dataclass
class Branch:
    """A node of a partition as it was learned.

    Attributes:
        members: Indices of the samples it was learned from.
        depth: Decisions on the way from the root.
        boundary: Between its two sides; ``None`` for a leaf.
        children: Promising side first; empty for a leaf.
    """

    members: Members
    depth: int = 0
    boundary: Boundary | None = None
    children: tuple[Branch, ...] = ()


def grow(samples: Samples, settings: TreeSettings) -> Branch:
    """Learns a partition.

    Args:
        samples: What is known.
        settings: The free choices.
    """
    root = Branch(np.arange(len(samples)))
    waiting, nodes = deque([root]), 1
    while waiting:  # level by level, so that a limit on the nodes cuts the deepest ones
        branch = waiting.popleft()
        if settings.growth.may_split(len(branch.members), depth=branch.depth, nodes=nodes):
            _split(branch, samples, settings)
            nodes += len(branch.children)
            waiting.extend(branch.children)
    return root


def _split(branch: Branch, samples: Samples, settings: TreeSettings) -> None:
    """Gives a branch its two sides, if there is a boundary worth having."""
    own = samples.of(branch.members)
    by_label = settings.assignment == "label"
    learned = np.arange(len(own)) if by_label else _even(len(own), settings.largest)
    labels = settings.labeler(own.of(learned))
    if labels.min() == labels.max():
        return
    boundary = settings.boundary(own.of(learned), labels)
    predicted = boundary.sides(own.codes)
    sides = labels if by_label else predicted
    smallest = min(int((side == value).sum()) for side in (sides, predicted) for value in (0, 1))
    if settings.growth.keeps(smallest, accuracy=float((predicted[learned] == labels).mean())):
        branch.boundary = boundary
        branch.children = tuple(Branch(branch.members[sides == side], branch.depth + 1) for side in (0, 1))


def _even(n: int, largest: int) -> Members:
    """At most ``largest`` of ``n`` indices, evenly over their order."""
    return np.unique(np.linspace(0, n - 1, min(n, largest)).round().astype(np.intp))


@dataclass
class Node:
    """A region with the samples in it.

    Attributes:
        region: Where it is.
        members: Indices of its samples.
        waiting: Pending architectures in it.
        parent: ``None`` for the root.
        boundary: Between its two sides; ``None`` for a leaf.
        children: Promising side first; empty for a leaf.
    """

    region: Region
    members: Members
    waiting: int
    valuation: Valuation = field(repr=False)
    parent: Node | None = field(default=None, repr=False)
    boundary: Boundary | None = field(default=None, repr=False)
    children: list[Node] = field(default_factory=list, repr=False)

    @property
    def visits(self) -> int:
        """Number of samples, pending ones included."""
        return len(self.members) + self.waiting

    @cached_property
    def value(self) -> float:
        """What the node is worth by its samples; larger is better."""
        return self.valuation.of(self.members)


class PartitionTree:
    """A partition with samples in it; a pure function of them.

    Args:
        codes: Encoded architectures, shape ``(n, d)``.
        costs: Their costs, shape ``(n, m)``, minimised.
        reference: Bound of the hypervolume, shape ``(m,)``.
        merits: How good each is as one number, shape ``(n,)``; by default, the first cost with its sign turned.
        pending: Codes under evaluation, shape ``(p, d)``; they count as visits, so that parallel workers spread out.
        settings: The free choices.
        branch: A partition learned from the first of these samples; by default one is learned from all.
    """

    def __init__(
        self,
        codes: Codes,
        costs: Costs,
        reference: NDArray[np.float64],
        *,
        merits: NDArray[np.float64] | None = None,
        pending: Codes | None = None,
        settings: TreeSettings | None = None,
        branch: Branch | None = None,
    ) -> None:
        if merits is None:
            merits = -costs[:, 0] if costs.shape[1] else np.zeros(len(costs))
        samples = Samples(codes, costs, merits)
        self._settings = settings or TreeSettings()
        self._codes = codes
        self._valuation = self._settings.value(samples, reference)
        grown = branch or grow(samples, self._settings)
        newer = np.arange(len(grown.members), len(codes))
        waiting = pending if pending is not None else np.zeros((0, codes.shape[1]))
        self.constant = self._settings.exploration.constant(self._valuation.scale)
        self.root = self._fill(grown, None, region=Region(), newer=newer, waiting=waiting)

    def leaves(self) -> list[tuple[Node, float]]:
        """Every leaf with its upper confidence bound, promising sides first."""
        return [(node, self.bound(node)) for node in self.nodes() if not node.children]

    def nodes(self) -> Iterator[Node]:
        """Every node, a parent before its children, promising sides first."""
        stack = [self.root]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def bonus(self, node: Node) -> float:
        """What the node gains for few visits: ``2 Cp`` times the bonus of the settings."""
        parent = node.parent or node
        return 2 * self.constant * self._settings.bonus(parent.visits, node.visits)

    def bound(self, node: Node) -> float:
        """The upper confidence bound of a node: its value and its bonus."""
        return node.value + self.bonus(node)

    def best_leaf(self) -> tuple[Node, float]:
        """The leaf that is selected, with its upper confidence bound."""
        if self._settings.selection == "leaf":
            return max(self.leaves(), key=lambda entry: entry[1])
        node = self.root
        while node.children:
            node = max(node.children, key=self.bound)
        return node, self.bound(node)

    def visit(self, codes: Codes) -> None:
        """Counts further pending architectures as visits, shape ``(p, d)``."""
        self._visit(self.root, codes)

    def _visit(self, node: Node, codes: Codes) -> None:
        node.waiting += len(codes)
        if node.boundary is not None and len(codes):
            sides = node.boundary.sides(codes)
            for side, child in enumerate(node.children):
                self._visit(child, codes[sides == side])

    def _fill(self, branch: Branch, parent: Node | None, *, region: Region, newer: Members, waiting: Codes) -> Node:
        node = Node(region, np.concatenate([branch.members, newer]), len(waiting), self._valuation, parent)
        if branch.boundary is not None:
            node.boundary = branch.boundary
            later, soon = branch.boundary.sides(self._codes[newer]), branch.boundary.sides(waiting)
            node.children = [
                self._fill(
                    child,
                    node,
                    region=Region((*region.path, Decision(branch.boundary, side))),
                    newer=newer[later == side],
                    waiting=waiting[soon == side],
                )
                for side, child in enumerate(branch.children)
            ]
        return node
