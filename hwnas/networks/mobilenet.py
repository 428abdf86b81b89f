"""The networks of the ``mobilenet`` space."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hwnas.core import Architecture, Value
from hwnas.networks.family import ImageShape
from hwnas.networks.layers import Block, Classifier, Conv, Layer, SqueezeExcite
from hwnas.spaces import MobileNetDesign, SearchSpace


@dataclass(frozen=True)
class MobileNet:
    """Inverted residuals between a convolutional stem and a pooled classifier.

    Attributes:
        design: What is fixed.
        space: What may vary; made from the same design.
    """

    design: MobileNetDesign
    space: SearchSpace

    def blocks(self, architecture: Architecture, shape: ImageShape) -> tuple[Block, ...]:
        """The network of an architecture."""
        width, activation = float(architecture["width"]), str(architecture["activation"])
        size = int(architecture["resolution"])
        channels = self.design.channels(self.design.stem_width, width)
        blocks = [_stem(shape.channels, channels, size=size, activation=activation)]
        size = (size - 1) // 2 + 1
        stages = zip(self.design.stage_widths, self.design.stage_strides, strict=True)
        for stage, (base, first_stride) in enumerate(stages, start=1):
            out_channels = self.design.channels(base, width)
            for index in range(1, int(architecture[f"s{stage}.depth"]) + 1):
                stride = first_stride if index == 1 else 1
                part = InvertedResidual(
                    in_channels=channels,
                    out_channels=out_channels,
                    kernel=int(architecture[f"s{stage}.b{index}.kernel"]),
                    stride=stride,
                    expansion=int(architecture[f"s{stage}.b{index}.expansion"]),
                    squeeze=bool(architecture[f"s{stage}.se"]),
                    activation=activation,
                    size=size,
                )
                blocks.append(part.block())
                channels, size = out_channels, (size - 1) // stride + 1
        head = self.design.channels(self.design.head_width, width)
        blocks.append(_head(channels, head, classes=shape.classes, size=size, activation=activation))
        return tuple(blocks)

    def covering(self) -> list[Architecture]:
        """Architectures at full depth that contain every block: a Latin design over kernels and expansions.

        For each resolution, width and activation, network i gives the first block of every stage the i-th pair of
        kernel and expansion, and the blocks after it the following pairs, with and without squeeze-and-excitation.
        """
        design = self.design
        pairs = list(itertools.product(design.kernels, design.expansions))
        globals_ = itertools.product(design.resolutions, design.widths, design.activations)
        covering = []
        for (resolution, width, activation), squeeze in itertools.product(globals_, design.squeeze_excite):
            for offset in range(len(pairs)):
                values: dict[str, Value] = {"resolution": resolution, "width": width, "activation": activation}
                for stage in range(1, len(design.stage_widths) + 1):
                    values |= {f"s{stage}.depth": max(design.depths), f"s{stage}.se": squeeze}
                    for index in range(1, max(design.depths) + 1):
                        kernel, expansion = pairs[(offset + (index - 1) + stage) % len(pairs)]
                        values |= {f"s{stage}.b{index}.kernel": kernel, f"s{stage}.b{index}.expansion": expansion}
                covering.append(self.space.architecture(values))
        return covering


def _stem(in_channels: int, out_channels: int, *, size: int, activation: str) -> Block:
    layer = Conv(in_channels=in_channels, out_channels=out_channels, kernel=3, stride=2, activation=activation)
    return Block(
        key=f"stem(in={in_channels},out={out_channels},act={activation},px={size})", layers=(layer,), size=size
    )


@dataclass(frozen=True, kw_only=True)
class InvertedResidual:
    """Widen by 1x1, filter depthwise, gate, narrow by 1x1 (Sandler et al., 2018, https://arxiv.org/abs/1801.04381).

    Attributes:
        in_channels: Channels read.
        out_channels: Channels written.
        kernel: Size of the depthwise filter.
        stride: Step of the depthwise filter.
        expansion: Ratio of inner to input channels.
        squeeze: Whether inner channels are gated by squeeze-and-excitation.
        activation: ``"relu"`` or ``"hswish"``.
        size: Input pixels a side.
    """

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    expansion: int
    squeeze: bool
    activation: str
    size: int

    @property
    def key(self) -> str:
        """Canonical name."""
        return (
            f"mb(in={self.in_channels},out={self.out_channels},k={self.kernel},s={self.stride},e={self.expansion},"
            f"se={int(self.squeeze)},act={self.activation},px={self.size})"
        )

    def block(self) -> Block:
        """The layers, as a block."""
        inner, act = self.in_channels * self.expansion, self.activation
        layers: list[Layer] = [
            Conv(in_channels=self.in_channels, out_channels=inner, kernel=1, activation=act),
            Conv(
                in_channels=inner,
                out_channels=inner,
                kernel=self.kernel,
                stride=self.stride,
                groups=inner,
                activation=act,
            ),
        ]
        if self.squeeze:
            layers.append(SqueezeExcite(channels=inner, squeezed=max(8, inner // 32 * 8)))
        layers.append(Conv(in_channels=inner, out_channels=self.out_channels, kernel=1))
        residual = self.stride == 1 and self.in_channels == self.out_channels
        return Block(key=self.key, layers=tuple(layers), size=self.size, residual=residual)


def _head(in_channels: int, features: int, *, classes: int, size: int, activation: str) -> Block:
    layers = (
        Conv(in_channels=in_channels, out_channels=features, kernel=1, activation=activation),
        Classifier(in_features=features, classes=classes),
    )
    key = f"head(in={in_channels},features={features},classes={classes},act={activation},px={size})"
    return Block(key=key, layers=layers, size=size)
