"""The networks of the ``gpunet`` space.

A stage is its first layer, which may stride and depends on what the stage before it writes, and the layers after it,
which are all alike. Its inverted residuals are those of ``mobilenet``, or the same with one dense convolution in place
of the widening and the depthwise one. Gates are of a quarter of the inner channels, with a hard sigmoid.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from hwnas.core import Architecture, Value
from hwnas.networks.blocks import Block, Layer
from hwnas.networks.family import ImageShape
from hwnas.networks.layers import Conv, SqueezeExcite
from hwnas.networks.mobilenet import Head, InvertedResidual
from hwnas.spaces import GpuNetDesign, SearchSpace, Share, quarter


@dataclass(frozen=True)
class GpuNet:
    """Stages of convolutions, fused and depthwise inverted residuals, and a pooled classifier.

    Attributes:
        design: What is fixed.
        space: What may vary; made from the same design.
    """

    design: GpuNetDesign
    space: SearchSpace

    def shares(self, shape: ImageShape) -> tuple[Share[tuple[Block, ...]], ...]:
        """Of each stage the first layer and the others, and the head, each with the choices that decide it."""
        shares = []
        for stage in range(len(self.design.stages)):
            own = ("resolution", *self.design.choices_of(stage))
            first = (*self._before(stage), *own)
            shares.append(Share(first, partial(self._first, stage, shape.channels)))
            depth = f"s{stage}.depth"
            if depth in self.space.by_name:
                shares.append(Share((depth, *own), partial(self._others, stage)))
        ending = ("resolution", *self._before(len(self.design.stages)))
        return (*shares, Share(ending, partial(self._head, shape.classes)))

    def _before(self, stage: int) -> tuple[str, ...]:
        """The choices that decide how many channels a stage reads: back to the last stage that is always there."""
        names: list[str] = []
        for earlier in reversed(range(stage)):
            names.insert(0, f"s{earlier}.filters")
            if not self.design.stages[earlier].optional:
                break
        return tuple(names)

    def _read(self, stage: int, values: Mapping[str, Value], *, image: int = 0) -> int:
        """Channels that a stage reads, where the image has ``image``."""
        present = [int(values[name]) for name in self._before(stage) if name in values]
        return present[-1] if present else image

    def _size(self, stage: int, values: Mapping[str, Value]) -> int:
        """Pixels a side of what a stage reads; a stage that can be left out does not change them."""
        size = int(values["resolution"])
        for held in self.design.stages[:stage]:
            size = (size - 1) // held.stride + 1
        return size

    def _first(self, stage: int, image: int, values: Mapping[str, Value]) -> tuple[Block, ...]:
        if f"s{stage}.kernel" not in values:
            return ()
        read, size = self._read(stage, values, image=image), self._size(stage, values)
        return (self._layer(stage, values, in_channels=read, stride=self.design.stages[stage].stride, size=size),)

    def _others(self, stage: int, values: Mapping[str, Value]) -> tuple[Block, ...]:
        if f"s{stage}.kernel" not in values:
            return ()
        written, size = int(values[f"s{stage}.filters"]), self._size(stage + 1, values)
        block = self._layer(stage, values, in_channels=written, stride=1, size=size)
        return (block,) * (int(values[f"s{stage}.depth"]) - 1)

    def _layer(self, stage: int, values: Mapping[str, Value], *, in_channels: int, stride: int, size: int) -> Block:
        kind, name = self.design.stages[stage].kind, f"s{stage}"
        kernel, activation = int(values[f"{name}.kernel"]), str(values[f"{name}.activation"])
        written = int(values[f"{name}.filters"])
        if kind == "conv":
            conv = Conv(
                in_channels=in_channels, out_channels=written, kernel=kernel, stride=stride, activation=activation
            )
            return _convolution(conv, size=size)
        expansion, gated = int(values[f"{name}.expansion"]), bool(values[f"{name}.se"])
        part = (FusedResidual if kind == "fused" else InvertedResidual)(
            in_channels=in_channels,
            out_channels=written,
            kernel=kernel,
            stride=stride,
            expansion=expansion,
            squeezed=quarter(in_channels * expansion) if gated else 0,
            activation=activation,
            size=size,
        )
        return part.block()

    def _head(self, classes: int, values: Mapping[str, Value]) -> tuple[Block, ...]:
        last = len(self.design.stages)
        head = Head(
            in_channels=self._read(last, values),
            features=self.design.head_width,
            mixed=0,
            classes=classes,
            activation=self.design.head_activation,
            size=self._size(last, values),
        )
        return (head.block(),)

    def covering(self) -> list[Architecture]:
        """Architectures at full depth that together contain every block, none of them without a new one."""
        shares = self.shares(ImageShape(channels=1, classes=2))
        seen: set[tuple[int, str]] = set()
        found = []
        for architecture in self._candidates():
            keys = {(place, block.key) for place, share in enumerate(shares) for block in share.in_(architecture)}
            if not keys <= seen:
                seen |= keys
                found.append(architecture)
        return found

    def _candidates(self) -> Iterator[Architecture]:
        """Every operation of every stage, with all filters that the stages before and after it may have.

        Stages have the filters of position ``(first + stage * step) mod n``. For a prime ``n`` that is not 2, every two
        positions of a stage and of the one or two before it occur, each for one ``first`` and ``step``.
        """
        design = self.design
        stages = range(len(design.stages))
        n = _odd_prime(max(len(held.filters) for held in design.stages))
        operations = [_operations(design, stage) for stage in stages]
        for resolution, full in itertools.product(design.resolutions, (True, False)):
            for first, step, turn in itertools.product(range(n), range(n), range(max(map(len, operations)))):
                values: dict[str, Value] = {"resolution": resolution}
                for stage, held in enumerate(design.stages):
                    left_out = held.optional and not full
                    if len(held.depths) > 1:
                        values[f"s{stage}.depth"] = 0 if left_out else max(held.depths)
                    if not left_out:
                        values |= operations[stage][turn % len(operations[stage])]
                        values[f"s{stage}.filters"] = held.filters[(first + stage * step) % n % len(held.filters)]
                yield self.space.architecture(values)


@dataclass(frozen=True, kw_only=True)
class FusedResidual:
    """Widen and filter by one dense convolution, gate, narrow by 1x1 (Tan and Le, 2021, arXiv:2104.00298).

    Attributes:
        in_channels: Channels read.
        out_channels: Channels written.
        kernel: Size of the filter.
        stride: Step of the filter.
        expansion: Ratio of inner to input channels.
        squeezed: Channels between the convolutions of squeeze-and-excitation of the inner channels, a quarter of them
            (see ``quarter``); 0 for none of it.
        activation: ``"relu"``, ``"hswish"`` or ``"swish"``.
        size: Input pixels a side.
    """

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    expansion: int
    squeezed: int
    activation: str
    size: int

    def block(self) -> Block:
        """The layers, as a block."""
        inner, act = self.in_channels * self.expansion, self.activation
        layers: list[Layer] = [
            Conv(
                in_channels=self.in_channels,
                out_channels=inner,
                kernel=self.kernel,
                stride=self.stride,
                activation=act,
            )
        ]
        if self.squeezed:
            layers.append(SqueezeExcite(channels=inner, squeezed=self.squeezed))
        layers.append(Conv(in_channels=inner, out_channels=self.out_channels, kernel=1))
        key = (
            f"fmb(in={self.in_channels},out={self.out_channels},k={self.kernel},s={self.stride},e={self.expansion},"
            f"se={int(self.squeezed > 0)},act={act},px={self.size})"
        )
        residual = self.stride == 1 and self.in_channels == self.out_channels
        return Block(key=key, layers=tuple(layers), size=self.size, residual=residual)


def _convolution(layer: Conv, *, size: int) -> Block:
    """A convolution with normalisation and activation, and no way around it."""
    key = (
        f"conv(in={layer.in_channels},out={layer.out_channels},k={layer.kernel},s={layer.stride},"
        f"act={layer.activation},px={size})"
    )
    return Block(key=key, layers=(layer,), size=size)


def _operations(design: GpuNetDesign, stage: int) -> Sequence[Mapping[str, Value]]:
    """Everything that the layers of a stage may be, but for the channels they write."""
    named = {name: options for name, options in design.choices_of(stage).items() if not name.endswith(".filters")}
    return [dict(zip(named, values, strict=True)) for values in itertools.product(*named.values())]


def _odd_prime(least: int) -> int:
    """The smallest prime but 2 that is not below a number."""
    return next(n for n in itertools.count(max(3, least)) if all(n % k for k in range(2, n)))
