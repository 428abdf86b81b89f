"""Blocks to an ONNX graph without torch: what a space asks to be profiled.

The graph has the operators that ``torch.onnx`` writes for the same module with its batch normalisations folded, so
the runtime fuses both into the same kernels (a test holds the two together). Weights are random: no kernel's time
depends on their values; only denormals would, and these are avoided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from hwnas.networks.blocks import Block, Layer, network_parts
from hwnas.networks.cells import Cell
from hwnas.networks.graph_writer import GraphWriter
from hwnas.networks.layers import AveragePool, Classifier, Conv, GlobalMean, Normalise, Relu, SqueezeExcite, Zero
from hwnas.networks.sequence_graph import write_fused, write_project, write_steps
from hwnas.networks.sequences import FusedSteps, Project, Steps

OPSET = 18
IR_VERSION = 10  # what the oldest supported runtimes read


def network_graph(
    blocks: Sequence[Block], *, in_channels: int, batch: int = 1, seed: int = 0
) -> tuple[bytes, dict[str, str]]:
    """The ONNX model of a network with random weights.

    Args:
        blocks: The network.
        in_channels: Channels of the input image.
        batch: Images a run.
        seed: Of the weights.

    Returns:
        The serialised model, and its parts: what the names of a part's tensors begin with, up to a slash, to its key.
    """
    writer = GraphWriter(np.random.default_rng(seed), batch=batch)
    tensor = "image"
    for index, block in enumerate(blocks):
        entry, prefix = tensor, f"p{index:02d}"
        tensor = _chain(writer, f"{prefix}/", entry, block.layers)
        if block.residual:
            tensor = writer.node("Add", [entry, tensor], f"{prefix}/sum")
    size, classes = blocks[0].size, _classes(blocks)
    graph = helper.make_graph(
        writer.nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, in_channels, size, size])],
        [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [batch, classes])],
        writer.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return model.SerializeToString(), network_parts(blocks)


def _classes(blocks: Sequence[Block]) -> int:
    last = blocks[-1].layers[-1]
    if not isinstance(last, Classifier):
        raise TypeError(f"expected a network that ends in a Classifier, received {type(last).__name__}")
    return last.classes


def _chain(writer: GraphWriter, name: str, tensor: str, layers: Sequence[Layer]) -> str:
    for position, layer in enumerate(layers):
        tensor = _WRITERS[type(layer)](writer, f"{name}l{position}", tensor, layer)
    return tensor


def _cell(writer: GraphWriter, name: str, tensor: str, cell: Cell) -> str:
    nodes = {0: tensor}
    for index in cell.live:
        edge = cell.edges[index]
        path = f"{name}.e{index}." if edge.key is None else f"{name.partition('/')[0]}e{index}/"
        brought = _chain(writer, path, nodes[edge.source], edge.layers)
        if edge.target in nodes:
            brought = writer.node("Add", [nodes[edge.target], brought], f"{path}sum")
        nodes[edge.target] = brought
    return nodes[cell.nodes - 1]


def _conv(writer: GraphWriter, name: str, tensor: str, layer: Conv) -> str:
    weight = writer.weight(
        f"{name}.weight", layer.out_channels, layer.in_channels // layer.groups, layer.kernel, layer.kernel
    )
    bias = [writer.weight(f"{name}.bias", layer.out_channels)] if layer.normalised else []
    pad = layer.kernel // 2
    output = writer.node(
        "Conv",
        [tensor, weight, *bias],
        f"{name}.conv",
        group=layer.groups,
        kernel_shape=[layer.kernel] * 2,
        strides=[layer.stride] * 2,
        pads=[pad] * 4,
        dilations=[1, 1],
    )
    return _activated(writer, name, output, layer.activation)


def _activated(writer: GraphWriter, name: str, tensor: str, activation: str) -> str:
    if activation == "none":
        return tensor
    if activation == "swish":  # as the exporter writes it: the operator of its own is younger than the opset
        gate = writer.node("Sigmoid", [tensor], f"{name}.gate")
        return writer.node("Mul", [tensor, gate], f"{name}.act")
    return writer.node({"relu": "Relu", "hswish": "HardSwish"}[activation], [tensor], f"{name}.act")


def _mean(writer: GraphWriter, name: str, tensor: str, *, keepdims: bool) -> str:
    axes = writer.constant(f"{name}.axes", np.array([2, 3], dtype=np.int64))
    return writer.node("ReduceMean", [tensor, axes], f"{name}.mean", keepdims=int(keepdims), noop_with_empty_axes=0)


def _squeeze_excite(writer: GraphWriter, name: str, tensor: str, layer: SqueezeExcite) -> str:
    mean = _mean(writer, name, tensor, keepdims=True)
    narrow = Conv(in_channels=layer.channels, out_channels=layer.squeezed, kernel=1, activation="relu")
    wide = Conv(in_channels=layer.squeezed, out_channels=layer.channels, kernel=1)
    gate = _conv(writer, f"{name}.wide", _conv(writer, f"{name}.narrow", mean, narrow), wide)
    gate = writer.node("HardSigmoid", [gate], f"{name}.gate", alpha=1 / 6, beta=0.5)
    return writer.node("Mul", [tensor, gate], f"{name}.gated")


def _classifier(writer: GraphWriter, name: str, tensor: str, layer: Classifier) -> str:
    read = _mean(writer, name, tensor, keepdims=False) if layer.pooled else tensor
    weight = writer.weight(f"{name}.weight", layer.classes, layer.in_features)
    bias = writer.weight(f"{name}.bias", layer.classes)
    return writer.node("Gemm", [read, weight, bias], f"{name}.logits", alpha=1.0, beta=1.0, transA=0, transB=1)


def _normalise(writer: GraphWriter, name: str, tensor: str, layer: Normalise) -> str:
    scale, shift, mean = (writer.weight(f"{name}.{part}", layer.channels) for part in ("scale", "shift", "mean"))
    variance = writer.constant(f"{name}.variance", np.ones(layer.channels, dtype=np.float32))
    values = [tensor, scale, shift, mean, variance]
    return writer.node("BatchNormalization", values, f"{name}.normal", epsilon=1e-5, momentum=0.9)


def _relu(writer: GraphWriter, _: str, tensor: str, __: Relu) -> str:
    """Named after what it reads: a runtime makes it part of that kernel, whoever needs it."""
    return writer.node("Relu", [tensor], f"{tensor}.relu")


def _zero(writer: GraphWriter, name: str, tensor: str, _: Zero) -> str:
    zero = writer.constant(f"{name}.zero", np.array(0, dtype=np.float32))
    return writer.node("Mul", [tensor, zero], f"{name}.nothing")


def _average_pool(writer: GraphWriter, name: str, tensor: str, layer: AveragePool) -> str:
    window = {"kernel_shape": [layer.kernel] * 2, "strides": [layer.stride] * 2, "pads": [layer.pad] * 4}
    return writer.node("AveragePool", [tensor], f"{name}.pool", **window, ceil_mode=0, count_include_pad=0)


def _global_mean(writer: GraphWriter, name: str, tensor: str, _: GlobalMean) -> str:
    return _mean(writer, name, tensor, keepdims=True)


# kind of layer -> writer, name, tensor read and layer, to the tensor written
_WRITERS: Mapping[type[Layer], Callable[[GraphWriter, str, str, Any], str]] = {
    AveragePool: _average_pool,
    Cell: _cell,
    Classifier: _classifier,
    Conv: _conv,
    FusedSteps: write_fused,
    GlobalMean: _global_mean,
    Normalise: _normalise,
    Project: write_project,
    Relu: _relu,
    SqueezeExcite: _squeeze_excite,
    Steps: write_steps,
    Zero: _zero,
}
