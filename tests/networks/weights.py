"""Runs a written graph, and moves its weights into the module of the same network, so that both can be compared."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnxruntime
import torch
from torch import nn

from hwnas.networks.blocks import Block
from hwnas.networks.cells import Cell
from hwnas.networks.layers import Classifier, Conv, Normalise, PlainLayer, SqueezeExcite


def runtime(model: bytes) -> onnxruntime.InferenceSession:
    """The model in ONNX Runtime, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def named_layers(module: nn.Sequential, blocks: tuple[Block, ...]) -> Iterator[tuple[str, PlainLayer, nn.Module]]:
    """Every layer that is computed: what its tensors are called, itself, and its part of the module."""
    for i, block in enumerate(blocks):
        for j, layer in enumerate(block.layers):
            part = module[i].layers[j]
            if not isinstance(layer, Cell):
                yield f"p{i:02d}/l{j}", layer, part
                continue
            for k in layer.live:
                edge = layer.edges[k]
                path = f"p{i:02d}/l{j}.e{k}." if edge.key is None else f"p{i:02d}e{k}/"
                yield from ((f"{path}l{m}", inner, part.edges[k][m]) for m, inner in enumerate(edge.layers))


def load(module: nn.Sequential, model: onnx.ModelProto, blocks: tuple[Block, ...]) -> None:
    """Gives a module the weights of a graph; its normalisations, made neutral, add the graph's biases."""
    weights = {w.name: torch.from_numpy(onnx.numpy_helper.to_array(w).copy()) for w in model.graph.initializer}
    with torch.no_grad():
        for name, layer, part in named_layers(module, blocks):
            if isinstance(layer, Conv):
                part[0].weight.copy_(weights[f"{name}.weight"])
                if layer.normalised:
                    part[1].weight.fill_((1 + part[1].eps) ** 0.5)
                    part[1].bias.copy_(weights[f"{name}.bias"])
            elif isinstance(layer, Normalise):
                part.weight.copy_(weights[f"{name}.scale"])
                part.bias.copy_(weights[f"{name}.shift"])
                part.running_mean.copy_(weights[f"{name}.mean"])
            elif isinstance(layer, SqueezeExcite | Classifier):
                inner = {"narrow": ".narrow", "wide": ".wide"} if isinstance(layer, SqueezeExcite) else {"linear": ""}
                for attribute, suffix in inner.items():
                    getattr(part, attribute).weight.copy_(weights[f"{name}{suffix}.weight"])
                    getattr(part, attribute).bias.copy_(weights[f"{name}{suffix}.bias"])
