"""A network as data: blocks made of layers, from which the torch module, the ONNX graph and the counts all follow.

One description for all three keeps them from drifting apart: what is trained is what is profiled is what is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hwnas.networks.cells import Cell
from hwnas.networks.layers import PlainLayer, through
from hwnas.networks.sequences import FusedSteps, Project, Steps

Layer = PlainLayer | Cell | FusedSteps | Project | Steps


@dataclass(frozen=True, kw_only=True)
class Block:
    """A run of layers that the runtime compiles the same way wherever it stands.

    Attributes:
        key: Canonical name: equal keys mean equal layers at equal sizes.
        layers: In order of execution.
        size: Input pixels a side.
        residual: Whether the input is added to the output.
    """

    key: str
    layers: tuple[Layer, ...]
    size: int
    residual: bool = False

    @property
    def parts(self) -> Mapping[str, str]:
        """What a latency table knows of the block: endings of the names of its parts, to their keys.

        That is the block as a whole under an empty ending, or for a cell with keys of its own its live edges.
        """
        cells = (layer for layer in self.layers if isinstance(layer, Cell))
        edges = {f"e{i}": key for cell in cells for i in cell.live if (key := cell.edges[i].key) is not None}
        return {ending: key for ending, key in edges.items() if key} if edges else {"": self.key}

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one image. One MAC is two FLOPs."""
        return through(self.layers, self.size)[0]

    @cached_property
    def params(self) -> int:
        """Trainable parameters."""
        return sum(layer.params for layer in self.layers)


def network_parts(blocks: Sequence[Block]) -> dict[str, str]:
    """Parts of a network: what the names of a part's tensors begin with, up to a slash, to the key of the part."""
    return {f"p{i:02d}{end}": key for i, block in enumerate(blocks) for end, key in block.parts.items()}


def macs_m(blocks: Sequence[Block]) -> float:
    """Multiply-accumulates of a network for one image, in millions."""
    return sum(block.macs for block in blocks) / 1e6


def flops_m(blocks: Sequence[Block]) -> float:
    """Floating-point operations of a network for one image, in millions: two for each multiply-accumulate."""
    return 2 * macs_m(blocks)


def params_m(blocks: Sequence[Block]) -> float:
    """Trainable parameters of a network, in millions."""
    return sum(block.params for block in blocks) / 1e6
