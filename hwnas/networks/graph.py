"""Blocks to an ONNX graph without torch: what a space asks to be profiled.

The graph has the operators that ``torch.onnx`` writes for the same module with its batch normalisations folded, so
the runtime fuses both into the same kernels (a test holds the two together). Weights are random: no kernel's time
depends on their values; only denormals would, and these are avoided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hwnas.networks.layers import Block, Classifier, Conv, SqueezeExcite

OPSET = 18
IR_VERSION = 10  # what the oldest supported runtimes read


@dataclass
class _Writer:
    """Collects nodes and weights; every tensor's name begins with the part it belongs to."""

    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, *shape: int) -> str:
        return self.constant(name, (0.05 * self.rng.standard_normal(shape)).astype(np.float32))


def network_graph(blocks: Sequence[Block], *, in_channels: int, seed: int = 0) -> tuple[bytes, dict[str, str]]:
    """The ONNX model of a network with random weights.

    Args:
        blocks: The network.
        in_channels: Channels of the input image; the batch is 1.
        seed: Of the weights.

    Returns:
        The serialised model, and its parts: the prefix of every tensor name of a block, to the block's key.
    """
    writer = _Writer(np.random.default_rng(seed))
    tensor, parts = "image", {}
    for index, block in enumerate(blocks):
        prefix = f"p{index:02d}"
        parts[prefix] = block.key
        entry = tensor
        for position, layer in enumerate(block.layers):
            name = f"{prefix}/l{position}"
            if isinstance(layer, Conv):
                tensor = _conv(writer, name, tensor, layer)
            elif isinstance(layer, SqueezeExcite):
                tensor = _squeeze_excite(writer, name, tensor, layer)
            else:
                tensor = _classifier(writer, name, tensor, layer)
        if block.residual:
            tensor = writer.node("Add", [entry, tensor], f"{prefix}/sum")
    size, classes = blocks[0].size, _classes(blocks)
    graph = helper.make_graph(
        writer.nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, in_channels, size, size])],
        [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [1, classes])],
        writer.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return model.SerializeToString(), parts


def _classes(blocks: Sequence[Block]) -> int:
    last = blocks[-1].layers[-1]
    if not isinstance(last, Classifier):
        raise TypeError(f"expected a network that ends in a Classifier, received {type(last).__name__}")
    return last.classes


def _conv(writer: _Writer, name: str, tensor: str, layer: Conv) -> str:
    weight = writer.weight(
        f"{name}.weight", layer.out_channels, layer.in_channels // layer.groups, layer.kernel, layer.kernel
    )
    bias = writer.weight(f"{name}.bias", layer.out_channels)
    pad = layer.kernel // 2
    output = writer.node(
        "Conv",
        [tensor, weight, bias],
        f"{name}.conv",
        group=layer.groups,
        kernel_shape=[layer.kernel] * 2,
        strides=[layer.stride] * 2,
        pads=[pad] * 4,
        dilations=[1, 1],
    )
    kinds = {"relu": "Relu", "hswish": "HardSwish"}
    return writer.node(kinds[layer.activation], [output], f"{name}.act") if layer.activation != "none" else output


def _mean(writer: _Writer, name: str, tensor: str, *, keepdims: bool) -> str:
    axes = writer.constant(f"{name}.axes", np.array([2, 3], dtype=np.int64))
    return writer.node("ReduceMean", [tensor, axes], f"{name}.mean", keepdims=int(keepdims), noop_with_empty_axes=0)


def _squeeze_excite(writer: _Writer, name: str, tensor: str, layer: SqueezeExcite) -> str:
    mean = _mean(writer, name, tensor, keepdims=True)
    narrow = Conv(in_channels=layer.channels, out_channels=layer.squeezed, kernel=1, activation="relu")
    wide = Conv(in_channels=layer.squeezed, out_channels=layer.channels, kernel=1)
    gate = _conv(writer, f"{name}.wide", _conv(writer, f"{name}.narrow", mean, narrow), wide)
    gate = writer.node("HardSigmoid", [gate], f"{name}.gate", alpha=1 / 6, beta=0.5)
    return writer.node("Mul", [tensor, gate], f"{name}.gated")


def _classifier(writer: _Writer, name: str, tensor: str, layer: Classifier) -> str:
    mean = _mean(writer, name, tensor, keepdims=False)
    weight = writer.weight(f"{name}.weight", layer.classes, layer.in_features)
    bias = writer.weight(f"{name}.bias", layer.classes)
    return writer.node("Gemm", [mean, weight, bias], f"{name}.logits", alpha=1.0, beta=1.0, transB=1)
