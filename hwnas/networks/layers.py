"""A network as data: blocks made of layers, from which the torch module, the ONNX graph and the counts all follow.

One description for all three keeps them from drifting apart: what is trained is what is profiled is what is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Conv:
    """Convolution, batch normalisation and activation, padded so that stride 1 keeps the size.

    Attributes:
        in_channels: Channels read.
        out_channels: Channels written.
        kernel: Height and width of the filter.
        stride: Step in both directions.
        groups: Channel groups; ``in_channels`` for a depthwise convolution.
        activation: ``"relu"``, ``"hswish"`` or ``"none"``.
    """

    in_channels: int
    out_channels: int
    kernel: int
    stride: int = 1
    groups: int = 1
    activation: str = "none"

    def macs(self, size: int) -> int:
        """Multiply-accumulates at an input of ``size`` x ``size`` pixels."""
        positions = self.out_size(size) ** 2
        return positions * self.out_channels * (self.in_channels // self.groups) * self.kernel**2

    @property
    def params(self) -> int:
        """Weights of the convolution plus scale and shift of the normalisation."""
        return self.out_channels * (self.in_channels // self.groups) * self.kernel**2 + 2 * self.out_channels

    def out_size(self, size: int) -> int:
        """Pixels a side after this layer."""
        return (size - 1) // self.stride + 1


@dataclass(frozen=True, kw_only=True)
class SqueezeExcite:
    """Channel attention: mean over pixels, two 1x1 convolutions, a gate (Hu et al., 2018, arXiv:1709.01507).

    Attributes:
        channels: Channels gated.
        squeezed: Channels between the two convolutions.
    """

    channels: int
    squeezed: int

    def macs(self, size: int) -> int:
        """Multiply-accumulates: two 1x1 convolutions and the gating product."""
        return 2 * self.channels * self.squeezed + self.channels * size**2

    @property
    def params(self) -> int:
        """Weights and biases of both convolutions."""
        return 2 * self.channels * self.squeezed + self.channels + self.squeezed

    def out_size(self, size: int) -> int:
        """Pixels a side after this layer: unchanged."""
        return size


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Mean over pixels and a linear layer.

    Attributes:
        in_features: Channels read.
        classes: Logits written.
    """

    in_features: int
    classes: int

    def macs(self, size: int) -> int:
        """Multiply-accumulates of the linear layer."""
        return self.in_features * self.classes

    @property
    def params(self) -> int:
        """Weights and biases."""
        return self.in_features * self.classes + self.classes

    def out_size(self, size: int) -> int:
        """No pixels are left: one value a class."""
        return 1


Layer = Conv | SqueezeExcite | Classifier


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
    def macs(self) -> int:
        """Multiply-accumulates of one image. One MAC is two FLOPs."""
        size, total = self.size, 0
        for layer in self.layers:
            total += layer.macs(size)
            size = layer.out_size(size)
        return total

    @property
    def params(self) -> int:
        """Trainable parameters."""
        return sum(layer.params for layer in self.layers)


def macs_m(blocks: Sequence[Block]) -> float:
    """Multiply-accumulates of a network for one image, in millions."""
    return sum(block.macs for block in blocks) / 1e6


def flops_m(blocks: Sequence[Block]) -> float:
    """Floating-point operations of a network for one image, in millions: two for each multiply-accumulate."""
    return 2 * macs_m(blocks)


def params_m(blocks: Sequence[Block]) -> float:
    """Trainable parameters of a network, in millions."""
    return sum(block.params for block in blocks) / 1e6
