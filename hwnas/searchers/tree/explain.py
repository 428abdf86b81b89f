"""A partition in words and figures: what each boundary separates, and why a region was selected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwnas.searchers.tree.partition import Node, PartitionTree
from hwnas.searchers.tree.samples import Codes
from hwnas.searchers.tree.searcher import PartitionSearcher

_NAMED = 3  # columns told of each boundary
_SMALLEST = 0.02  # of a column's range: differences below tell nothing


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How the two sides of a boundary differ in one column.

    Attributes:
        column: A choice, or ``"choice = option"``.
        promising: Mean on the promising side, in [0, 1]: of the position among the options, or the share that has the
            option.
        other: Mean on the other side.
    """

    column: str
    promising: float
    other: float


@dataclass(frozen=True, kw_only=True)
class ExplainedNode:
    """A node of the partition.

    Attributes:
        name: The path of sides; empty for the root.
        parent: Name of its parent; ``None`` for the root.
        leaf: Whether it is not split.
        selected: Whether the next proposal comes from it or from a region inside it.
        value: What it is worth.
        bonus: What it gains for few visits; 0 for the root.
        visits: Trials in it.
        share: Its share of the space, estimated.
        separates: Where the sides of its boundary differ most, the largest difference first; empty for a leaf.
    """

    name: str
    parent: str | None
    leaf: bool
    selected: bool
    value: float
    bonus: float
    visits: int
    share: float
    separates: tuple[Difference, ...]

    @property
    def bound(self) -> float:
        """The upper confidence bound by which it is selected."""
        return self.value + self.bonus


def explain(searcher: PartitionSearcher) -> tuple[ExplainedNode, ...]:
    """Every node of the partition that the trials told make, a parent before its children, promising sides first."""
    tree = searcher.partition()
    leaf, _ = tree.best_leaf()
    way = leaf.region.path
    known = np.vstack([searcher.probes, searcher.codes])
    return tuple(
        ExplainedNode(
            name=_name(node),
            parent=None if node.parent is None else _name(node.parent),
            leaf=not node.children,
            selected=node.region.path == way[: len(node.region.path)],
            value=node.value,
            bonus=_bonus(tree, node),
            visits=node.visits,
            share=searcher.share(node.region),
            separates=_separates(node, known, searcher.view.columns),
        )
        for node in tree.nodes()
    )


def _name(node: Node) -> str:
    return node.region.sides if node.region.path else ""


def _bonus(tree: PartitionTree, node: Node) -> float:
    return tree.bonus(node) if node.parent is not None else 0.0


def _separates(node: Node, codes: Codes, columns: tuple[str, ...]) -> tuple[Difference, ...]:
    """The columns whose means differ most between the two sides, over the part of the space the node holds."""
    if node.boundary is None:
        return ()
    inside = codes[node.region.contains(codes)]
    sides = node.boundary.sides(inside)
    if not len(inside) or sides.min() == sides.max():
        return ()
    promising, other = (inside[sides == side].mean(axis=0) for side in (0, 1))
    order = np.argsort(-np.abs(promising - other), kind="stable")[:_NAMED]
    return tuple(
        Difference(column=columns[i], promising=float(promising[i]), other=float(other[i]))
        for i in order
        if abs(promising[i] - other[i]) >= _SMALLEST
    )
