"""The networks of the ``nasbench201`` space: three stages of equal cells, with residual blocks between them.

After NAS-Bench-201 (Dong and Yang, 2020, https://arxiv.org/abs/2001.00326): five cells a stage, 16, 32 and 64 channels
at 32, 16 and 8 pixels. Two things differ from the benchmark, and neither changes what is counted. What the image does
not reach is left out, and with it the constants that normalisations make of nothing. Sums take the simplest terms
first, so that cells that differ only in the numbering of their nodes run alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

from hwnas.core import Architecture, Value
from hwnas.networks.blocks import Block
from hwnas.networks.cells import Cell, Edge
from hwnas.networks.family import ImageShape
from hwnas.networks.fusion import Kinds, entering, label, with_keys
from hwnas.networks.layers import AveragePool, Classifier, Conv, Normalise, PlainLayer, Relu, Zero
from hwnas.spaces import SearchSpace, Share
from hwnas.spaces.nasbench201 import EDGES, NODES

SIZE = 32  # pixels a side of the images
WIDTHS = (16, 32, 64)  # channels of the stages
CELLS = 5  # a stage

# Found greedily: each is the network with the most keys that no earlier one has, and when there were no more, with the
# most keys that few have. A letter an edge.
_LETTERS = {"-": "none", "s": "skip_connect", "p": "avg_pool_3x3", "1": "nor_conv_1x1", "3": "nor_conv_3x3"}
_COVERING = """
    11p-11 p33111 pss-33 11p1p3 311ppp 1-3333 33ppp3 ------ psps33 11s11p ps3s1p sssppp
    1pppps 1ssss1 3psps3 31s33p 1ssssp 3pspsp 111--3 333--1 ps11-3 p3s-11 31p--p ---s--
    pp1p13 13p3p3 13s11p psp-33 3ss111 13333s
"""


@dataclass(frozen=True)
class NasBench201:
    """Stages of equal cells between a convolutional stem and a pooled classifier.

    Attributes:
        space: What may vary.
    """

    space: SearchSpace

    def shares(self, shape: ImageShape) -> tuple[Share[tuple[Block, ...]], ...]:
        """One share: what an edge costs depends on all others, for they decide what is dead and what is fused."""
        return (Share(tuple(choice.name for choice in self.space.choices), partial(self._network, shape)),)

    def _network(self, shape: ImageShape, values: Mapping[str, Value]) -> tuple[Block, ...]:
        operations = tuple(str(values[choice.name]) for choice in self.space.choices)
        blocks: list[Block] = []
        size, channels = SIZE, WIDTHS[0]
        for width in WIDTHS:
            cell = _cell(operations, width)
            leaving = Kinds({"norm"} if width == WIDTHS[-1] else {"relu", "other"})
            arriving = entering(cell, leaving)
            if blocks:
                blocks.append(_reduction(channels, width, size=size, to=arriving))
                channels, size = width, size // 2
            else:
                blocks.append(_stem(shape.channels, width, size=size, to=arriving))
            blocks += [_cell_block(cell, operations, width, size=size, to=arriving)] * (CELLS - 1)
            blocks.append(_cell_block(cell, operations, width, size=size, to=leaving))
        blocks.append(_head(cell, channels, classes=shape.classes, size=size))
        return tuple(blocks)

    def covering(self) -> list[Architecture]:
        """30 architectures whose networks have every key of the space, three quarters of the keys at least twice."""
        names = [choice.name for choice in self.space.choices]
        return [
            self.space.architecture({name: _LETTERS[letter] for name, letter in zip(names, code, strict=True)})
            for code in _COVERING.split()
        ]


@cache
def _operations(channels: int) -> Mapping[str, tuple[PlainLayer, ...]]:
    """Layers of each operation, in the order in which sums take them."""
    return {
        "none": (Zero(),),
        "skip_connect": (),
        "avg_pool_3x3": (AveragePool(kernel=3),),
        "nor_conv_1x1": _convolution(channels, channels, kernel=1),
        "nor_conv_3x3": _convolution(channels, channels, kernel=3),
    }


def _convolution(in_channels: int, out_channels: int, *, kernel: int, stride: int = 1) -> tuple[PlainLayer, ...]:
    """Rectification, convolution and normalisation, in this order."""
    return Relu(), Conv(in_channels=in_channels, out_channels=out_channels, kernel=kernel, stride=stride)


def _cell(operations: tuple[str, ...], channels: int) -> Cell:
    """The cell; where nothing comes from its input to its output, zeros do."""
    layers = _operations(channels)
    wired = zip(EDGES, operations, strict=True)
    edges = tuple(
        Edge(source=i, target=j, layers=layers[name], place=f"{i}_{j}") for (i, j), name in wired if name != "none"
    )
    if not Cell(nodes=NODES, edges=edges).live:
        edges = (*edges, Edge(source=0, target=NODES - 1, layers=layers["none"]))
    cell = Cell(nodes=NODES, edges=edges).simplified
    order = list(layers.values())
    return replace(cell, edges=tuple(sorted(cell.edges, key=lambda edge: (edge.target, order.index(edge.layers)))))


def _cell_block(cell: Cell, operations: tuple[str, ...], channels: int, *, size: int, to: Kinds) -> Block:
    names = {layers: name for name, layers in _operations(channels).items()}
    at = f"c={channels},px={size}"
    keyed = with_keys(cell, to, names=names, at=at)
    return Block(key=f"cell(ops={'/'.join(operations)},{at},to={label(to)})", layers=(keyed,), size=size)


def _stem(in_channels: int, out_channels: int, *, size: int, to: Kinds) -> Block:
    layer = Conv(in_channels=in_channels, out_channels=out_channels, kernel=3)
    key = f"stem(in={in_channels},out={out_channels},px={size},to={label(to)})"
    return Block(key=key, layers=(layer,), size=size)


def _reduction(in_channels: int, out_channels: int, *, size: int, to: Kinds) -> Block:
    """A residual block (He et al., 2016, https://arxiv.org/abs/1603.05027) that halves the image."""
    narrow = Conv(in_channels=in_channels, out_channels=out_channels, kernel=1, normalised=False)
    main = (
        *_convolution(in_channels, out_channels, kernel=3, stride=2),
        *_convolution(out_channels, out_channels, kernel=3),
    )
    edges = (
        Edge(source=0, target=1, layers=(AveragePool(kernel=2, stride=2), narrow)),
        Edge(source=0, target=1, layers=main),
    )
    key = f"reduction(in={in_channels},out={out_channels},px={size},to={label(to)})"
    return Block(key=key, layers=(Cell(nodes=2, edges=edges),), size=size)


def _head(cell: Cell, in_channels: int, *, classes: int, size: int) -> Block:
    """Normalisation, rectification and classifier; a lone convolution before it takes the first two."""
    names = {layers: name for name, layers in _operations(in_channels).items()}
    terms = [names[cell.edges[i].layers] for i in cell.live if cell.edges[i].target == NODES - 1]
    after = terms[0] if len(terms) == 1 and terms[0] not in {"skip_connect", "avg_pool_3x3"} else "other"
    key = f"head(in={in_channels},classes={classes},px={size},after={after})"
    layers = Normalise(channels=in_channels), Relu(), Classifier(in_features=in_channels, classes=classes)
    return Block(key=key, layers=layers, size=size)
