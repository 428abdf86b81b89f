"""A network as one readable Python file that needs PyTorch and nothing else.

The file builds the module of ``hwnas.networks.module`` again, under the same names, so the weights beside it fit. It is
written from the same description as the module, the ONNX graph and the counts (a test holds it to the module).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hwnas.exports.plain_sequences import HELPERS, fused_call, project_call, steps_call
from hwnas.networks.blocks import Block, Layer
from hwnas.networks.cells import Cell
from hwnas.networks.layers import AveragePool, Classifier, Conv, GlobalMean, Normalise, Relu, SqueezeExcite, Zero
from hwnas.networks.sequences import FusedSteps, Project, Steps

_ACTIVATIONS: Mapping[str, str] = {"relu": "nn.ReLU", "hswish": "nn.Hardswish", "swish": "nn.SiLU"}
_LINE = 110  # characters of a line, before a call is broken into several

_HEAD = '''"""{title}

`network()` builds it untrained, `load("{weights}")` trained; `python {file} {weights}` tries it.
Images: shape {shape}, {reading}.
"""

import json
{math}import struct
import sys

import torch
from torch import nn
'''

_CONV = '''
def conv(read, written, kernel, stride=1, groups=1, act=None, normalised=True):
    """Convolution, batch normalisation and activation; stride 1 keeps the size."""
    parts = [nn.Conv2d(read, written, kernel, stride, kernel // 2, groups=groups, bias=False)]
    if normalised:
        parts.append(nn.BatchNorm2d(written))
    if act is not None:
        parts.append(act())
    return nn.Sequential(*parts)
'''

_GATE = '''
class SqueezeExcite(nn.Module):
    """Channel attention: a gate for each channel, from the means over pixels."""

    def __init__(self, channels, squeezed):
        super().__init__()
        self.narrow = nn.Conv2d(channels, squeezed, 1)
        self.wide = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        squeezed = nn.functional.relu(self.narrow(x.mean((2, 3), keepdim=True)))
        return x * nn.functional.hardsigmoid(self.wide(squeezed))
'''

_CLASSIFY = '''
class Classifier(nn.Module):
    """Mean over pixels, where there are any, and a linear layer."""

    def __init__(self, features, classes):
        super().__init__()
        self.linear = nn.Linear(features, classes)

    def forward(self, x):
        return self.linear(x.mean((2, 3)) if x.ndim == 4 else x)
'''

_MEAN = '''
class GlobalMean(nn.Module):
    """Mean over pixels, of which one is left."""

    def forward(self, x):
        return x.mean((2, 3), keepdim=True)
'''

_ZERO = '''
class Zero(nn.Module):
    """Nothing, in the shape of what is read."""

    def forward(self, x):
        return x * 0
'''

_CELL = '''
class Cell(nn.Module):
    """Nodes that sum what their edges bring: (source, target, is it used, layers); the last node is the output."""

    def __init__(self, nodes, edges):
        super().__init__()
        self.edges = nn.ModuleList(nn.Sequential(*layers) for _, _, _, layers in edges)
        self.ends = [(source, target, used) for source, target, used, _ in edges]
        self.last = nodes - 1

    def forward(self, x):
        nodes = {0: x}
        for edge, (source, target, used) in zip(self.edges, self.ends):
            if used:
                brought = edge(nodes[source])
                nodes[target] = nodes[target] + brought if target in nodes else brought
        return nodes[self.last]
'''

_BLOCK = '''
class Block(nn.Module):
    """Layers in a row, with the input added where the block is residual."""

    def __init__(self, *layers, residual=False):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.residual = residual

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.residual else y
'''

_TAIL = '''

def load(weights):
    """The network with the weights of a safetensors file, ready to be used."""
    with open(weights, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        content = file.read()
    kinds = {{"F32": torch.float32, "I64": torch.int64}}
    found = {{}}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            values = torch.frombuffer(bytearray(content[begin:end]), dtype=kinds[entry["dtype"]])
            found[name] = values.reshape(entry["shape"])
    module = network()
    module.load_state_dict(found)
    return module.eval()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with torch.no_grad():
        print(load(sys.argv[1])(torch.zeros({zeros})))
'''

_HELPERS: Mapping[type[Any], str] = {
    **HELPERS,
    Conv: _CONV,
    SqueezeExcite: _GATE,
    Classifier: _CLASSIFY,
    GlobalMean: _MEAN,
    Zero: _ZERO,
    Cell: _CELL,
}


def plain_module(
    blocks: Sequence[Block], *, name: str, title: str, in_channels: int, preprocessing: Mapping[str, Any]
) -> str:
    """The source of a file that builds a network and loads its weights, with PyTorch alone.

    Args:
        blocks: The network.
        name: Of the file and of the weights beside it, without their endings.
        title: What the network is, a sentence.
        in_channels: Channels of an image.
        preprocessing: As on the card: how images are to be read.
    """
    size = blocks[0].size
    used = _kinds(layer for block in blocks for layer in block.layers)
    reading = (
        f"resized to {size} x {size} ({preprocessing['interpolation']}),\n"
        f"divided by 255, less {preprocessing['mean']}, over {preprocessing['std']}"
    )
    helpers = [source for kind, source in _HELPERS.items() if kind in used]
    head = _HEAD.format(
        math="import math\n" if any("math." in source for source in helpers) else "",
        title=title,
        weights=f"{name}.safetensors",
        file=f"{name}.py",
        shape=f"(batch, {in_channels}, {size}, {size})",
        reading=reading,
    )
    tail = _TAIL.format(zeros=f"1, {in_channels}, {size}, {size}")
    body = "".join(f"        {_block(block)},\n" for block in blocks)
    network = f'\n\ndef network():\n    """The network, untrained."""\n    return nn.Sequential(\n{body}    )\n'
    return head + "".join(f"\n{source}" for source in [*helpers, _BLOCK]) + network + tail


def _kinds(layers: Any) -> set[type[Any]]:
    """Kinds of layers, those inside cells among them, and of the maps of frames."""
    found: set[type[Any]] = set()
    for layer in layers:
        found.add(type(layer))
        if isinstance(layer, Project):
            found.add(type(layer.mapped))
        if isinstance(layer, Cell):
            found |= _kinds(inner for edge in layer.edges for inner in edge.layers)
    return found


def _block(block: Block) -> str:
    parts = [_layer(layer) for layer in block.layers]
    if block.residual:
        parts.append("residual=True")
    line = f"Block({', '.join(parts)})"
    if len(line) <= _LINE - 8:
        return line
    inside = "".join(f"            {part},\n" for part in parts)
    return f"Block(\n{inside}        )"


def _layer(layer: Layer) -> str:
    return _WRITERS[type(layer)](layer)


def _conv(layer: Conv) -> str:
    words = [str(layer.in_channels), str(layer.out_channels), str(layer.kernel)]
    if layer.stride != 1:
        words.append(f"stride={layer.stride}")
    if layer.groups != 1:
        words.append(f"groups={layer.groups}")
    if layer.activation != "none":
        words.append(f"act={_ACTIVATIONS[layer.activation]}")
    if not layer.normalised:
        words.append("normalised=False")
    return f"conv({', '.join(words)})"


def _average_pool(layer: AveragePool) -> str:
    return f"nn.AvgPool2d({layer.kernel}, {layer.stride}, {layer.pad}, count_include_pad=False)"


def _cell(cell: Cell) -> str:
    edges = []
    for index, edge in enumerate(cell.edges):
        layers = ", ".join(_layer(layer) for layer in edge.layers)
        edges.append(f"({edge.source}, {edge.target}, {index in cell.live}, [{layers}])")
    inside = "".join(f"                    {edge},\n" for edge in edges)
    return f"Cell(\n                {cell.nodes},\n                [\n{inside}                ],\n            )"


_WRITERS: Mapping[type[Layer], Callable[[Any], str]] = {
    AveragePool: _average_pool,
    Cell: _cell,
    Classifier: lambda layer: f"Classifier({layer.in_features}, {layer.classes})",
    Conv: _conv,
    FusedSteps: fused_call,
    GlobalMean: lambda _: "GlobalMean()",
    Normalise: lambda layer: f"nn.BatchNorm2d({layer.channels})",
    Project: project_call,
    Relu: lambda _: "nn.ReLU()",
    SqueezeExcite: lambda layer: f"SqueezeExcite({layer.channels}, {layer.squeezed})",
    Steps: steps_call,
    Zero: lambda _: "Zero()",
}
