"""Network families: a search space together with the networks its architectures stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hwnas.core import Architecture, Value
from hwnas.networks.blocks import Block, macs_m, network_parts
from hwnas.networks.graph import network_graph
from hwnas.spaces import SearchSpace, Share
from latency_tables import Coordinates, keyed

if TYPE_CHECKING:
    from torch import nn


_TILT = 5.0  # weights of an ordinal choice's ends differ by exp(5): far enough to meet both ends of a space


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """What a network reads and writes.

    Attributes:
        channels: Image channels: 1 for grey, 3 for colour; of a clip its frames.
        classes: Number of classes, at least 2.
    """

    channels: int
    classes: int

    def __str__(self) -> str:
        return f"{self.channels} channel{'s' if self.channels > 1 else ''}, {self.classes} classes"


class Design(Protocol):
    """How architectures of a space become blocks."""

    def shares(self, shape: ImageShape) -> tuple[Share[tuple[Block, ...]], ...]:
        """The network in order, in shares that each depend on a few choices; for absent blocks a share is empty."""

    def covering(self) -> list[Architecture]:
        """Architectures that together contain every block the space can produce."""


@dataclass(frozen=True)
class Workload:
    """One network to be profiled.

    Attributes:
        name: The architecture's id, the shape of the data, and batch and precision where they are not 1 and ``"fp32"``;
            unique in a table.
        family: What the network is one of.
        architecture: Which one.
    """

    name: str
    family: NetworkFamily
    architecture: Architecture

    @property
    def model(self) -> bytes:
        """Serialised ONNX model with random weights in fp32.

        It is written anew each time, so that a list of large networks takes no memory.
        """
        family = self.family
        blocks = family.blocks(self.architecture)
        return network_graph(blocks, in_channels=family.shape.channels, batch=family.batch)[0]

    @property
    def parts(self) -> Mapping[str, str]:
        """Prefix of a part's tensor names, to its key in a latency table."""
        return self.family.parts(self.architecture)


@dataclass(frozen=True)
class NetworkFamily:
    """A space, the shape of the data, and everything that follows from an architecture.

    Attributes:
        space: The search space.
        shape: What the networks read and write.
        design: How architectures become blocks.
        batch: Images a run of the networks to be profiled.
        precision: What these are to be computed in. It is part of their names and of the keys of their blocks; the
            models themselves are written in fp32, and converted by whoever runs them.
    """

    space: SearchSpace
    shape: ImageShape
    design: Design
    batch: int = 1
    precision: str = "fp32"

    def __getstate__(self) -> dict[str, Any]:
        """For another process: what follows from the rest is worked out anew there."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def at(self, *, batch: int, precision: str) -> NetworkFamily:
        """The same family at another batch and precision."""
        return replace(self, batch=batch, precision=precision)

    @cached_property
    def members(self) -> Mapping[str, NetworkFamily]:
        """By precision, the families that make this one up; empty where all networks are computed alike."""
        return {}

    def of(self, architecture: Architecture) -> NetworkFamily:
        """The family at the precision of an architecture: this one, where all have the same."""
        return self

    @cached_property
    def shares(self) -> tuple[Share[tuple[Block, ...]], ...]:
        """The network in shares that each depend on a few choices."""
        return self.design.shares(self.shape)

    def blocks(self, architecture: Architecture) -> tuple[Block, ...]:
        """The network as blocks, the same at any batch and precision."""
        return tuple(block for share in self.shares for block in share.in_(architecture))

    def parts(self, architecture: Architecture) -> dict[str, str]:
        """Prefix of the tensor names of each part of the network, to its key at this batch and precision."""
        return {prefix: self._keyed(key) for prefix, key in network_parts(self.blocks(architecture)).items()}

    def block_keys(self, architecture: Architecture) -> tuple[str, ...]:
        """Keys of the network's parts at this batch and precision, what a latency table is asked for."""
        return tuple(self.parts(architecture).values())

    @cached_property
    def key_shares(self) -> tuple[Share[tuple[str, ...]], ...]:
        """Keys of the network's parts, in shares that each depend on a few choices."""

        def keys(share: Share[tuple[Block, ...]], values: Mapping[str, Value]) -> tuple[str, ...]:
            return tuple(self._keyed(key) for block in share.of(values) for key in block.parts.values())

        return tuple(Share(share.choices, partial(keys, share)) for share in self.shares)

    @property
    def coordinates(self) -> Coordinates:
        """Batch and precision."""
        return Coordinates(batch=self.batch, precision=self.precision)

    def resolution(self, architecture: Architecture) -> int:
        """Input height and width in pixels."""
        return self.blocks(architecture)[0].size

    def module(self, architecture: Architecture, *, seed: int) -> nn.Sequential:
        """A freshly initialised torch module; see ``network_module``."""
        from hwnas.networks.module import network_module  # noqa: PLC0415  (torch only where a module is wanted)

        return network_module(self.blocks(architecture), seed=seed)

    def workload(self, architecture: Architecture) -> Workload:
        """The network ready to be profiled."""
        name = self._keyed(f"{architecture.id}-{self.shape.channels}x{self.shape.classes}")
        return Workload(name, self, architecture)

    def workloads(self) -> Sequence[Workload]:
        """Networks that together contain every kernel the space can need."""
        return [self.workload(architecture) for architecture in self.covering()]

    def covering(self) -> list[Architecture]:
        """Architectures that together contain every block of the space."""
        return self.design.covering()

    def references(self, n: int = 20) -> list[Workload]:
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
        picked: set[int] = set()
        for nearest in np.searchsorted(sizes, np.linspace(sizes[0], sizes[-1], n)):
            distance = np.abs(np.arange(len(ordered)) - nearest)
            distance[list(picked)] = len(ordered)  # many may be of one size
            picked.add(int(distance.argmin()))
        return [self.workload(pool[ordered[i]]) for i in sorted(picked)]

    def _keyed(self, key: str) -> str:
        return keyed(key, batch=self.batch, precision=self.precision)
