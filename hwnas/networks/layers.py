"""The layers that networks are made of, as data; blocks of them are in ``hwnas.networks.blocks``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Counted(Protocol):
    """What every layer knows of itself."""

    @property
    def params(self) -> int:
        """Trainable parameters."""

    def macs(self, size: int) -> int:
        """Multiply-accumulates of one image at an input of ``size`` x ``size`` pixels."""

    def out_size(self, size: int) -> int:
        """Pixels a side after this layer."""


def through(layers: Sequence[Counted], size: int) -> tuple[int, int]:
    """Multiply-accumulates of a run of layers on ``size`` x ``size`` pixels, and the pixels a side after it."""
    total = 0
    for layer in layers:
        total += layer.macs(size)
        size = layer.out_size(size)
    return total, size


@dataclass(frozen=True, kw_only=True)
class Conv:
    """Convolution, batch normalisation and activation, padded so that stride 1 keeps the size.

    Attributes:
        in_channels: Channels read.
        out_channels: Channels written.
        kernel: Height and width of the filter.
        stride: Step in both directions.
        groups: Channel groups; ``in_channels`` for a depthwise convolution.
        activation: ``"relu"``, ``"hswish"``, ``"swish"`` or ``"none"``.
        normalised: Whether there is a batch normalisation; without it there is no bias either.
    """

    in_channels: int
    out_channels: int
    kernel: int
    stride: int = 1
    groups: int = 1
    activation: str = "none"
    normalised: bool = True

    def macs(self, size: int) -> int:
        """Multiply-accumulates at an input of ``size`` x ``size`` pixels."""
        positions = self.out_size(size) ** 2
        return positions * self.out_channels * (self.in_channels // self.groups) * self.kernel**2

    @property
    def params(self) -> int:
        """Weights of the convolution plus scale and shift of the normalisation."""
        weights = self.out_channels * (self.in_channels // self.groups) * self.kernel**2
        return weights + 2 * self.out_channels * self.normalised

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
        pooled: Whether there are pixels; a recurrent layer leaves none.
    """

    in_features: int
    classes: int
    pooled: bool = True

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


@dataclass(frozen=True, kw_only=True)
class _Free:
    """No multiply-accumulates are counted and, unless said, no parameters and no change of size."""

    @property
    def params(self) -> int:
        """None."""
        return 0

    def macs(self, size: int) -> int:
        """None counted."""
        return 0

    def out_size(self, size: int) -> int:
        """Pixels a side after this layer: unchanged."""
        return size


@dataclass(frozen=True, kw_only=True)
class Relu(_Free):
    """Rectification where no convolution stands before it."""


@dataclass(frozen=True, kw_only=True)
class Zero(_Free):
    """Multiplication by zero: what is computed where nothing is, so that the network stays whole."""


@dataclass(frozen=True, kw_only=True)
class Normalise(_Free):
    """Batch normalisation where no convolution stands before it to be folded into.

    Attributes:
        channels: Channels scaled and shifted.
    """

    channels: int

    @property
    def params(self) -> int:
        """Scale and shift."""
        return 2 * self.channels


@dataclass(frozen=True, kw_only=True)
class AveragePool(_Free):
    """Mean over a window, as far as it lies inside the image; padded so that stride 1 keeps the size of odd windows.

    Attributes:
        kernel: Height and width of the window.
        stride: Step in both directions.
    """

    kernel: int
    stride: int = 1

    @property
    def pad(self) -> int:
        """Pixels added on each side, which the mean does not count."""
        return (self.kernel - 1) // 2

    def out_size(self, size: int) -> int:
        """Pixels a side after this layer."""
        return (size + 2 * self.pad - self.kernel) // self.stride + 1


@dataclass(frozen=True, kw_only=True)
class GlobalMean(_Free):
    """Mean over all pixels, of which one is left."""

    def out_size(self, size: int) -> int:
        """One pixel."""
        return 1


PlainLayer = Conv | SqueezeExcite | Classifier | Relu | Zero | Normalise | AveragePool | GlobalMean
