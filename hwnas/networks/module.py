"""Blocks to a torch module."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from hwnas.networks.layers import Block, Classifier, Layer, SqueezeExcite


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
    """Global mean and a linear layer."""

    def __init__(self, layer: Classifier) -> None:
        super().__init__()
        self.linear = nn.Linear(layer.in_features, layer.classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (b, c, h, w) -> (b, classes)
        logits: torch.Tensor = self.linear(x.mean((2, 3)))
        return logits


class _Block(nn.Module):
    """A run of layers, with the input added where the block is residual."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_layer(layer) for layer in block.layers))
        self.residual = block.residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layers(x)
        return x + y if self.residual else y


def _layer(layer: Layer) -> nn.Module:
    if isinstance(layer, SqueezeExcite):
        return _Gate(layer)
    if isinstance(layer, Classifier):
        return _Classify(layer)
    convolution = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel,
        layer.stride,
        layer.kernel // 2,
        groups=layer.groups,
        bias=False,
    )
    activations = {"relu": nn.ReLU, "hswish": nn.Hardswish}
    parts: list[nn.Module] = [convolution, nn.BatchNorm2d(layer.out_channels)]
    if layer.activation != "none":
        parts.append(activations[layer.activation](inplace=True))
    return nn.Sequential(*parts)


def network_module(blocks: Sequence[Block], *, seed: int) -> nn.Sequential:
    """The torch module of a network, freshly initialised.

    The module maps images ``(b, c, h, w)`` to logits ``(b, classes)``. Weights are He-normal by fan-out for
    convolutions and scaled normal for linear layers, drawn from a generator of their own, so that neither the
    process-wide random state nor the order of earlier work changes them.

    Args:
        blocks: The network.
        seed: Of the weights.
    """
    with torch.device("meta"):  # builds without drawing from the process-wide generator
        module = nn.Sequential(*(_Block(block) for block in blocks))
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
