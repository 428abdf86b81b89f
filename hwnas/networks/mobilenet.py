"""The networks of the ``mobilenet`` space."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from hwnas.core import Architecture, Value
from hwnas.networks.blocks import Block, Layer
from hwnas.networks.family import ImageShape
from hwnas.networks.layers import Classifier, Conv, GlobalMean, SqueezeExcite
from hwnas.spaces import MobileNetDesign, SearchSpace, Share, quarter


@dataclass(frozen=True)
class MobileNet:
    """Inverted residuals between a convolutional stem and a pooled classifier.

    Attributes:
        design: What is fixed.
        space: What may vary; made from the same design.
    """

    design: MobileNetDesign
    space: SearchSpace

    def shares(self, shape: ImageShape) -> tuple[Share[tuple[Block, ...]], ...]:
        """The stem, every block that may be there, and the head, each with the choices that decide it."""
        design, free = self.design, self.design.fixed is None
        common = ("resolution", "width", *(("activation",) if free else ()))
        shares = [Share(common, partial(self._entry, shape.channels))]
        for stage in range(1, len(design.stage_widths) + 1):
            gate = (f"s{stage}.se",) if free else ()
            for index in range(1, max(design.depths) + 1):
                own = (f"s{stage}.b{index}.kernel", f"s{stage}.b{index}.expansion")
                shares.append(Share((*common, *gate, *own), partial(self._residual, stage, index)))
        return (*shares, Share(common, partial(self._head, shape.classes)))

    def _activation(self, values: Mapping[str, Value], fixed: str | None) -> str:
        return str(values["activation"]) if fixed is None else fixed

    def _entering(self, values: Mapping[str, Value], stage: int) -> tuple[int, int]:
        """Channels and pixels a side of what a stage reads; stage 1 reads the stem, one after the last the head."""
        design, width = self.design, float(values["width"])
        size = (int(values["resolution"]) - 1) // 2 + 1
        for stride in design.stage_strides[: stage - 1]:
            size = (size - 1) // stride + 1
        base = design.stem_width if stage == 1 else design.stage_widths[stage - 2]
        return design.channels(base, width), size

    def _entry(self, in_channels: int, values: Mapping[str, Value]) -> tuple[Block, ...]:
        """The stem, and the unexpanded block after it where the design has one."""
        fixed = self.design.fixed
        channels, size = self._entering(values, 1)
        activation = self._activation(values, fixed.ends if fixed else None)
        stem = _stem(in_channels, channels, size=int(values["resolution"]), activation=activation)
        if fixed is None:
            return (stem,)
        first = InvertedResidual(in_channels=channels, out_channels=channels, activation=fixed.first, size=size)
        return stem, first.block()

    def _residual(self, stage: int, index: int, values: Mapping[str, Value]) -> tuple[Block, ...]:
        """One inverted residual; nothing where the stage is not that deep."""
        if f"s{stage}.b{index}.kernel" not in values:
            return ()
        design, fixed = self.design, self.design.fixed
        before, after = self._entering(values, stage), self._entering(values, stage + 1)
        channels, size = before if index == 1 else after
        expansion = int(values[f"s{stage}.b{index}.expansion"])
        gated = fixed.squeeze_excite[stage - 1] if fixed else bool(values[f"s{stage}.se"])
        part = InvertedResidual(
            in_channels=channels,
            out_channels=after[0],
            kernel=int(values[f"s{stage}.b{index}.kernel"]),
            stride=design.stage_strides[stage - 1] if index == 1 else 1,
            expansion=expansion,
            squeezed=design.squeezed(channels * expansion) if gated else 0,
            activation=self._activation(values, fixed.activations[stage - 1] if fixed else None),
            size=size,
        )
        return (part.block(),)

    def _head(self, classes: int, values: Mapping[str, Value]) -> tuple[Block, ...]:
        design, fixed, width = self.design, self.design.fixed, float(values["width"])
        channels, size = self._entering(values, len(design.stage_widths) + 1)
        head = Head(
            in_channels=channels,
            features=design.channels(design.head_width, width),
            mixed=design.channels(fixed.mixed_width, width) if fixed else 0,
            classes=classes,
            activation=self._activation(values, fixed.ends if fixed else None),
            size=size,
        )
        return (head.block(),)

    def covering(self) -> list[Architecture]:
        """Architectures at full depth that contain every block: a Latin design over kernels and expansions.

        For each resolution and width, and where these are free for each activation and with and without
        squeeze-and-excitation, network i gives the first block of every stage the i-th pair of kernel and expansion,
        and the blocks after it the following pairs.
        """
        design = self.design
        options: dict[str, tuple[Value, ...]] = {"resolution": design.resolutions, "width": design.widths}
        if not design.fixed:
            options |= {"activation": design.activations, "se": design.squeeze_excite}
        offsets = range(len(design.kernels) * len(design.expansions))
        return [
            self._latin(dict(zip(options, values, strict=True)), offset)
            for values in itertools.product(*options.values())
            for offset in offsets
        ]

    def _latin(self, given: Mapping[str, Value], offset: int) -> Architecture:
        design = self.design
        pairs = list(itertools.product(design.kernels, design.expansions))
        values = {name: value for name, value in given.items() if name != "se"}
        for stage in range(1, len(design.stage_widths) + 1):
            values[f"s{stage}.depth"] = max(design.depths)
            if "se" in given:
                values[f"s{stage}.se"] = given["se"]
            for index in range(1, max(design.depths) + 1):
                kernel, expansion = pairs[(offset + (index - 1) + stage) % len(pairs)]
                values |= {f"s{stage}.b{index}.kernel": kernel, f"s{stage}.b{index}.expansion": expansion}
        return self.space.architecture(values)


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
        expansion: Ratio of inner to input channels; 1 leaves the first convolution out.
        squeezed: Channels between the convolutions of squeeze-and-excitation of the inner channels; 0 for none of it.
        activation: ``"relu"``, ``"hswish"`` or ``"swish"``.
        size: Input pixels a side.
    """

    in_channels: int
    out_channels: int
    kernel: int = 3
    stride: int = 1
    expansion: int = 1
    squeezed: int = 0
    activation: str
    size: int

    @property
    def inner(self) -> int:
        """Channels filtered."""
        return self.in_channels * self.expansion

    @property
    def out_size(self) -> int:
        """Pixels a side after the block."""
        return (self.size - 1) // self.stride + 1

    @property
    def key(self) -> str:
        """Canonical name; ``se=1`` stands for ``quarter`` of the inner channels."""
        se = int(self.squeezed > 0) if self.squeezed in {0, quarter(self.inner)} else self.squeezed
        return (
            f"mb(in={self.in_channels},out={self.out_channels},k={self.kernel},s={self.stride},e={self.expansion},"
            f"se={se},act={self.activation},px={self.size})"
        )

    def block(self) -> Block:
        """The layers, as a block."""
        inner, act = self.inner, self.activation
        layers: list[Layer] = []
        if self.expansion > 1:
            layers.append(Conv(in_channels=self.in_channels, out_channels=inner, kernel=1, activation=act))
        depthwise = Conv(
            in_channels=inner, out_channels=inner, kernel=self.kernel, stride=self.stride, groups=inner, activation=act
        )
        layers.append(depthwise)
        if self.squeezed:
            layers.append(SqueezeExcite(channels=inner, squeezed=self.squeezed))
        layers.append(Conv(in_channels=inner, out_channels=self.out_channels, kernel=1))
        residual = self.stride == 1 and self.in_channels == self.out_channels
        return Block(key=self.key, layers=tuple(layers), size=self.size, residual=residual)


@dataclass(frozen=True, kw_only=True)
class Head:
    """A 1x1 convolution, the mean over pixels, perhaps a second 1x1 convolution, and a linear layer.

    Attributes:
        in_channels: Channels read.
        features: Channels of the first convolution.
        mixed: Channels of the second, which has neither normalisation nor bias; 0 for none.
        classes: Logits written.
        activation: ``"relu"`` or ``"hswish"``.
        size: Input pixels a side.
    """

    in_channels: int
    features: int
    mixed: int
    classes: int
    activation: str
    size: int

    def block(self) -> Block:
        """The layers, as a block."""
        act = self.activation
        layers: list[Layer] = [Conv(in_channels=self.in_channels, out_channels=self.features, kernel=1, activation=act)]
        if self.mixed:
            mix = Conv(in_channels=self.features, out_channels=self.mixed, kernel=1, activation=act, normalised=False)
            layers += [GlobalMean(), mix]
        layers.append(Classifier(in_features=self.mixed or self.features, classes=self.classes))
        mixed = f",mixed={self.mixed}" if self.mixed else ""
        key = (
            f"head(in={self.in_channels},features={self.features}{mixed},classes={self.classes},act={act},"
            f"px={self.size})"
        )
        return Block(key=key, layers=tuple(layers), size=self.size)
