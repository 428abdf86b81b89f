"""Network families: a search space together with the networks its architectures stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hwnas.core import Architecture
from hwnas.networks.graph import network_graph
from hwnas.networks.layers import Block, macs_m
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from torch import nn


_TILT = 5.0  # weights of an ordinal choice's ends differ by exp(5): far enough to meet both ends of a space


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """What a network reads and writes.

    Attributes:
        channels: Image channels: 1 for grey, 3 for colour.
        classes: Number of classes, at least 2.
    """

    channels: int
    classes: int

    def __str__(self) -> str:
        return f"{self.channels} channel{'s' if self.channels > 1 else ''}, {self.classes} classes"


class Design(Protocol):
    """How architectures of a space become blocks."""

    def blocks(self, architecture: Architecture, shape: ImageShape) -> tuple[Block, ...]:
        """The network of an architecture."""

    def covering(self) -> list[Architecture]:
        """Architectures that together contain every block the space can produce."""


@dataclass(frozen=True)
class Workload:
    """One network to be profiled.

    Attributes:
        name: The architecture's id and the shape of the data, unique in a table.
        model: Serialised ONNX model.
        parts: Prefix of a part's tensor names, to the key of the block it is.
    """

    name: str
    model: bytes
    parts: Mapping[str, str]


@dataclass(frozen=True)
class NetworkFamily:
    """A space, the shape of the data, and everything that follows from an architecture.

    Attributes:
        space: The search space.
        shape: What the networks read and write.
        design: How architectures become blocks.
    """

    space: SearchSpace
    shape: ImageShape
    design: Design

    def blocks(self, architecture: Architecture) -> tuple[Block, ...]:
        """The network as blocks."""
        return self.design.blocks(architecture, self.shape)

    def block_keys(self, architecture: Architecture) -> tuple[str, ...]:
        """Keys of the network's blocks, what a latency table is asked for."""
        return tuple(block.key for block in self.blocks(architecture))

    def resolution(self, architecture: Architecture) -> int:
        """Input height and width in pixels."""
        return self.blocks(architecture)[0].size

    def module(self, architecture: Architecture, *, seed: int) -> nn.Sequential:
        """A freshly initialised torch module; see ``network_module``."""
        from hwnas.networks.module import network_module  # noqa: PLC0415  (torch only where a module is wanted)

        return network_module(self.blocks(architecture), seed=seed)

    def workload(self, architecture: Architecture) -> Workload:
        """The network as an ONNX model with random weights, ready to be profiled."""
        model, parts = network_graph(self.blocks(architecture), in_channels=self.shape.channels)
        return Workload(f"{architecture.id}-{self.shape.channels}x{self.shape.classes}", model, parts)

    def workloads(self) -> Sequence[Workload]:
        """Networks that together contain every kernel the space can need."""
        return [self.workload(architecture) for architecture in self.design.covering()]

    def references(self, n: int = 32) -> list[Workload]:
        """Networks to time as a whole: the same ones every time, from the smallest to the largest of the space.

        They are spread evenly over the logarithm of the multiply-accumulates. A search goes to the ends of the space,
        so a predictor has to be calibrated there too, not only in the middle where uniform draws fall.
        """
        rng = np.random.default_rng(0)
        drawn = (self.space.sample(rng, tilt=rng.uniform(-_TILT, _TILT)) for _ in range(40 * n))
        pool = {architecture.id: architecture for architecture in drawn}
        size = {name: np.log(macs_m(self.blocks(architecture))) for name, architecture in pool.items()}
        ordered = sorted(pool, key=lambda name: (size[name], name))
        sizes = np.array([size[name] for name in ordered])
        picked = np.unique(np.searchsorted(sizes, np.linspace(sizes[0], sizes[-1], n)))
        return [self.workload(pool[ordered[int(i)]]) for i in picked]
