"""Blocks to a torch module."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from hwnas.networks.blocks import Block, Layer
from hwnas.networks.cells import Cell
from hwnas.networks.factorised_module import Drawn
from hwnas.networks.layers import AveragePool, Classifier, Conv, GlobalMean, Normalise, Relu, SqueezeExcite, Zero
from hwnas.networks.sequence_module import FusedRecurrence, Projection, Recurrence
from hwnas.networks.sequences import FusedSteps, Project, Steps


class _Gate(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, layer: SqueezeExcite) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(layer.channels, layer.squeezed, 1)
        self.wide = nn.Conv2d(layer.squeezed, layer.channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (b, c, h, w) -> (b, c, h, w)
        squeezed = nn.functional.relu(self.narrow(x.mean((2, 3), keepdim=True)))
        return x * nn.functional.hardsigmoid(self.wide(squeezed))


class _Classify(nn.Module):
    """Global mean, where there are pixels, and a linear layer."""

    def __init__(self, layer: Classifier) -> None:
        super().__init__()
        self.linear = nn.Linear(layer.in_features, layer.classes)
        self.pooled = layer.pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (b, c, h, w), or (b, c) if not pooled -> (b, classes)
        logits: torch.Tensor = self.linear(x.mean((2, 3)) if self.pooled else x)
        return logits


class _GlobalMean(nn.Module):
    """Mean over pixels, of which one is left."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (b, c, h, w) -> (b, c, 1, 1)
        return x.mean((2, 3), keepdim=True)


class _Zero(nn.Module):
    """Nothing, in the shape of what is read."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0


class _Cell(nn.Module):
    """Nodes that sum what their edges bring; dead edges hold parameters and do nothing."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.edges = nn.ModuleList(_chain(edge.layers) for edge in cell.edges)
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        nodes = {0: x}
        for index in self.cell.live:
            edge = self.cell.edges[index]
            brought = self.edges[index](nodes[edge.source])
            nodes[edge.target] = nodes[edge.target] + brought if edge.target in nodes else brought
        return nodes[self.cell.nodes - 1]


class _Block(nn.Module):
    """A run of layers, with the input added where the block is residual."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.layers = _chain(block.layers)
        self.residual = block.residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layers(x)
        return x + y if self.residual else y


def _conv(layer: Conv) -> nn.Module:
    parts: list[nn.Module] = [
        nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel,
            layer.stride,
            layer.kernel // 2,
            groups=layer.groups,
            bias=False,
        )
    ]
    if layer.normalised:
        parts.append(nn.BatchNorm2d(layer.out_channels))
    if layer.activation != "none":
        parts.append({"relu": nn.ReLU, "hswish": nn.Hardswish, "swish": nn.SiLU}[layer.activation](inplace=True))
    return nn.Sequential(*parts)


def _average_pool(layer: AveragePool) -> nn.Module:
    return nn.AvgPool2d(layer.kernel, layer.stride, layer.pad, count_include_pad=False)


_MODULES: Mapping[type[Layer], Callable[[Any], nn.Module]] = {
    AveragePool: _average_pool,
    Cell: _Cell,
    Classifier: _Classify,
    Conv: _conv,
    FusedSteps: FusedRecurrence,
    GlobalMean: lambda _: _GlobalMean(),
    Normalise: lambda layer: nn.BatchNorm2d(layer.channels),
    Project: Projection,
    Relu: lambda _: nn.ReLU(),
    SqueezeExcite: _Gate,
    Steps: Recurrence,
    Zero: lambda _: _Zero(),
}


def _chain(layers: Sequence[Layer]) -> nn.Sequential:
    return nn.Sequential(*(_MODULES[type(layer)](layer) for layer in layers))


def hollow_module(blocks: Sequence[Block]) -> nn.Sequential:
    """The torch module of a network without memory for its weights: what it is made of, and under which names."""
    with torch.device("meta"):  # builds without drawing from the process-wide generator
        return nn.Sequential(*(_Block(block) for block in blocks))


def network_module(blocks: Sequence[Block], *, seed: int) -> nn.Sequential:
    """The torch module of a network, freshly initialised.

    The module maps images ``(b, c, h, w)`` to logits ``(b, classes)``. Weights are He-normal by fan-out for
    convolutions and scaled normal for linear layers, drawn from a generator of their own, so that neither the
    process-wide random state nor the order of earlier work changes them.

    Args:
        blocks: The network.
        seed: Of the weights.
    """
    module = hollow_module(blocks)
    module.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            _initialise(part, generator)
    return module


def _initialise(part: nn.Module, generator: torch.Generator) -> None:
    if isinstance(part, nn.BatchNorm2d):
        part.reset_running_stats()
        nn.init.ones_(part.weight)
        nn.init.zeros_(part.bias)
    elif isinstance(part, nn.Conv2d):
        fan_out = part.kernel_size[0] * part.kernel_size[1] * part.out_channels // part.groups
        part.weight.normal_(0.0, math.sqrt(2.0 / fan_out), generator=generator)
        if part.bias is not None:
            nn.init.zeros_(part.bias)
    elif isinstance(part, nn.Linear):
        part.weight.normal_(0.0, math.sqrt(1.0 / part.in_features), generator=generator)
        nn.init.zeros_(part.bias)
    elif isinstance(part, Drawn):
        part.draw(generator)
