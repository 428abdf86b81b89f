"""Network morphisms: which layers of two networks of a family are the same, and whether the one can compute the other.

A step from a parent to a child is a step in the space; what becomes of the weights follows from the description of both
networks. Blocks belong together that come from the same share of the network, layers that are of one kind and stand in
the same order, edges of cells that have the same place. Nothing here needs weights, or torch.

After Elsken, Metzen and Hutter, 2019, https://arxiv.org/abs/1804.09081, and Chen, Goodfellow and Shlens, 2016,
https://arxiv.org/abs/1511.05641.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from itertools import pairwise, zip_longest
from typing import Any

from hwnas.core import Architecture
from hwnas.networks.blocks import Block, Layer
from hwnas.networks.cells import Cell, Edge
from hwnas.networks.family import NetworkFamily
from hwnas.networks.layers import Classifier, Conv, Normalise, SqueezeExcite

_MAY_GROW: Mapping[type[Layer], tuple[str, ...]] = {
    Classifier: ("in_features",),
    Conv: ("in_channels", "out_channels", "kernel", "groups"),
    Normalise: ("channels",),
    SqueezeExcite: ("channels", "squeezed"),
}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A block of the parent, and what it is in the child.

    Attributes:
        old: The parent's; ``None`` where the child's is new.
        new: The child's; ``None`` where the parent's is gone.
        old_place: Position of the parent's block in its network.
        new_place: Position of the child's in its own.
    """

    old: Block | None
    new: Block | None
    old_place: int
    new_place: int

    @property
    def exact(self) -> bool:
        """Whether the child's block can compute what the parent's does, or nothing where there was none."""
        if self.new is None:
            return False
        if self.old is None:
            return can_add_nothing(self.new)
        same_frame = (self.old.size, self.old.residual) == (self.new.size, self.new.residual)
        return same_frame and _grown(self.old.layers, self.new.layers)


def pairs(family: NetworkFamily, parent: Architecture, child: Architecture) -> Iterator[Pair]:
    """The blocks of two networks, in order, those together that come from the same share.

    Args:
        family: Of which both are.
        parent: Whose weights there are.
        child: Who is to have them.
    """
    old_place = new_place = 0
    for share in family.shares:
        for old, new in zip_longest(share.in_(parent), share.in_(child)):
            yield Pair(old=old, new=new, old_place=old_place, new_place=new_place)
            old_place += old is not None
            new_place += new is not None


def is_exact(family: NetworkFamily, parent: Architecture, child: Architecture) -> bool:
    """Whether a child can begin as the very function that its parent is, in evaluation and in training.

    It can where everything the parent has is there, as large or larger, and what is new can be made to add nothing:
    filters grow, channels are added, blocks with a way around them are inserted, gates that let half of everything
    through are put before convolutions that make up for it, edges of a cell join others. It cannot where something
    becomes smaller or is taken away, or images change their size or activations their kind. The verdict is a careful
    one: of cells that were simplified, ``False`` may be said of what could be kept.

    Args:
        family: Of which both are.
        parent: The one.
        child: The other.
    """
    return all(pair.exact for pair in pairs(family, parent, child))


def can_add_nothing(block: Block) -> bool:
    """Whether a block can be made to hand on what it reads: it has a way around what is computed."""
    return block.residual and ends_in_normalisation(block.layers)


def ends_in_normalisation(layers: Sequence[Layer]) -> bool:
    """Whether a normalisation comes last, whose scale can make everything before it count for nothing."""
    last = layers[-1] if layers else None
    return isinstance(last, Conv) and last.normalised and last.activation == "none"


def matched(old: Sequence[Layer], new: Sequence[Layer]) -> dict[int, int]:
    """Positions of the child's layers in a run, to the positions of those that they were in the parent's."""
    matcher = SequenceMatcher(None, [_kind(layer) for layer in old], [_kind(layer) for layer in new], autojunk=False)
    return {b + i: a + i for a, b, length in matcher.get_matching_blocks() for i in range(length)}


def edges_by_place(cell: Cell) -> dict[str, tuple[int, Edge]]:
    """Positions and edges of a cell by what stays the same from network to network."""
    return {edge.place or f"#{number}": (number, edge) for number, edge in enumerate(cell.edges)}


def may_join(edge: Edge, old: Cell) -> bool:
    """Whether an edge that a cell did not have can be made to add nothing: it ends where something else does too."""
    computed = {old.edges[number].target for number in old.live}
    return edge.target in computed and ends_in_normalisation(edge.layers)


def inserted_gates(old: Sequence[Layer], new: Sequence[Layer]) -> list[int]:
    """Positions in ``new`` of gates that ``old`` has not, each before a convolution that ``old`` has."""
    taken = matched(old, new)
    return [
        position
        for position, (layer, following) in enumerate(pairwise(new))
        if isinstance(layer, SqueezeExcite)
        and position not in taken
        and isinstance(following, Conv)
        and position + 1 in taken
    ]


def _grown(old: Sequence[Layer], new: Sequence[Layer]) -> bool:
    """Whether a run of layers has all of another, as large or larger, and nothing new but gates."""
    taken = matched(old, new)
    accounted = {*taken, *inserted_gates(old, new)}
    return (
        len(taken) == len(old) and len(accounted) == len(new) and all(_covers(new[n], old[o]) for n, o in taken.items())
    )


def _covers(new: Layer, old: Layer) -> bool:
    """Whether a layer is the other, or the other made larger."""
    if isinstance(new, Cell) and isinstance(old, Cell):
        return _cell_covers(new, old)
    if new == old or type(new) is not type(old):
        return new == old
    if isinstance(new, Conv) and isinstance(old, Conv) and not (_elastic(new) and _elastic(old)):
        return False
    before, after, growing = _sizes(old), _sizes(new), _MAY_GROW.get(type(old), ())
    return all(after[name] >= size if name in growing else after[name] == size for name, size in before.items())


def _elastic(layer: Conv) -> bool:
    """Whether the filters have a middle, and each output reads all inputs or one."""
    return layer.kernel % 2 == 1 and (layer.groups == 1 or layer.groups == layer.in_channels == layer.out_channels)


def _cell_covers(new: Cell, old: Cell) -> bool:
    before, after = edges_by_place(old), edges_by_place(new)
    if new.nodes != old.nodes or not before.keys() <= after.keys():
        return False
    for place, (_, edge) in after.items():
        if place not in before:
            if not may_join(edge, old):
                return False
            continue
        was = before[place][1]
        if (was.source, was.target) != (edge.source, edge.target) or not _grown(was.layers, edge.layers):
            return False
    return True


def _kind(layer: Layer) -> tuple[str, bool]:
    return type(layer).__name__, isinstance(layer, Conv) and layer.groups > 1


def _sizes(layer: Layer) -> Mapping[str, Any]:
    return {entry.name: getattr(layer, entry.name) for entry in fields(layer)}
