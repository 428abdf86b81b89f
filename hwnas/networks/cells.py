"""Cells: small networks with branches, as data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from hwnas.networks.layers import PlainLayer, through


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A run of layers between two nodes of a cell.

    Attributes:
        source: Node that is read.
        target: Node it adds to, a later one.
        layers: In order of execution; without any, the edge copies what it reads.
        key: Canonical name of these layers and of their sum with the edges before, if a runtime compiles them the same
            way wherever it stands; ``None`` if the edge belongs to its block as a whole, empty if it comes to nothing.
        place: Which edge of the space it is, whatever simplification makes of its ends; ``None`` where no choice made
            it. Weights are shared by it; it says nothing of what is computed.
    """

    source: int
    target: int
    layers: tuple[PlainLayer, ...] = ()
    key: str | None = None
    place: str | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A small network with branches: node 0 is the input, every other node sums what its edges bring.

    Edges that nothing reaches, or from which nothing reaches the last node, are dead. They have parameters and are
    counted, as in the NAS benchmarks, but nothing is computed along them.

    Attributes:
        nodes: Number of nodes; the last one is the output, and some edge must lead to it from the input.
        edges: Sorted by target, and then in the order of summation.
    """

    nodes: int
    edges: tuple[Edge, ...]

    @cached_property
    def live(self) -> tuple[int, ...]:
        """Positions of the edges that are not dead."""
        fed, needed = {0}, {self.nodes - 1}
        for edge in self.edges:
            if edge.source in fed:
                fed.add(edge.target)
        for edge in reversed(self.edges):
            if edge.target in needed:
                needed.add(edge.source)
        return tuple(i for i, edge in enumerate(self.edges) if edge.source in fed and edge.target in needed)

    @cached_property
    def simplified(self) -> Cell:
        """A cell that computes the same with fewer sums.

        A node that is a copy of another is read as that other. A node that is only copied into a sum is no node any
        more: its terms are terms of that sum. Dead edges stay as they are.
        """
        edges = [self.edges[i] for i in self.live]
        for node in range(1, self.nodes - 1):
            terms = [edge for edge in edges if edge.target == node]
            if len(terms) == 1 and not terms[0].layers:
                left = [edge for edge in edges if edge.target != node]
                edges = [replace(e, source=terms[0].source) if e.source == node else e for e in left]
        for node in range(1, self.nodes - 1):
            readers = [edge for edge in edges if edge.source == node]
            if len(readers) == 1 and not readers[0].layers:
                left = [edge for edge in edges if edge.source != node]
                edges = [replace(e, target=readers[0].target) if e.target == node else e for e in left]
        dead = [edge for i, edge in enumerate(self.edges) if i not in self.live]
        return replace(self, edges=tuple(sorted(edges + dead, key=lambda edge: edge.target)))

    @property
    def params(self) -> int:
        """Trainable parameters, those of dead edges among them."""
        return sum(layer.params for edge in self.edges for layer in edge.layers)

    def macs(self, size: int) -> int:
        """Multiply-accumulates at an input of ``size`` x ``size`` pixels, those of dead edges among them."""
        sizes = self._sizes(size)
        return sum(through(edge.layers, sizes[edge.source])[0] for edge in self.edges)

    def out_size(self, size: int) -> int:
        """Pixels a side of the last node."""
        return self._sizes(size)[self.nodes - 1]

    def _sizes(self, size: int) -> list[int]:
        """Pixels a side of each node; nodes without edges are as large as the input."""
        sizes = [size] * self.nodes
        for edge in self.edges:
            sizes[edge.target] = through(edge.layers, sizes[edge.source])[1]
        return sizes
