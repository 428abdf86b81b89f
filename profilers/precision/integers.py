"""8-bit integers: Q/DQ with made-up ranges around what has integer kernels.

Only latency is asked of such a model: no data is run to find its ranges, so what it puts out means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from profilers.precision.graphs import Rewriter, replace, values_of
from profilers.precision.readout import CLAMPING, MOVING

# What ONNX Runtime's CPU provider has integer kernels for (1.32), beside what moves values. The rest, HardSigmoid and
# HardSwish among it, stays float32 between a DequantizeLinear and a QuantizeLinear.
_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})
_ELEMENTWISE = frozenset(
    {"Add", "Mul", "Concat", "Sigmoid", "Softmax", "LeakyRelu", "AveragePool", "GlobalAveragePool"}
)
_WEIGHTS = 63  # seven bits: of x86 CPUs without VNNI, sums of two products of eight overflow 16 bits
_POSITIVE = CLAMPING | {"Sigmoid", "HardSigmoid", "Softmax"}  # of a Clip, what all of the usual ones leave


class Quantiser(Rewriter):
    """Puts Q/DQ around what has integer kernels; graphs inside nodes stay as they are.

    Ranges are made up: all activations lie in [-1, 1], or in [0, 1] where they cannot be negative, which makes a ReLU
    part of the rounding after it.
    """

    def __init__(self, model: onnx.ModelProto, *, symmetric: bool) -> None:
        super().__init__(model)
        self.symmetric = symmetric
        self.rank = {value.name: len(value.type.tensor_type.shape.dim) for value in values_of(model.graph)}
        self.integer: set[str] = set()  # what integer kernels write
        self.positive: set[str] = set()
        self.rounded: set[str] = set()  # what is quantised
        self.held: dict[tuple[str, int], tuple[str, NDArray[np.float32]]] = {}  # weight and axis to its copy and scale
        self.nodes: list[onnx.NodeProto] = []
        self.made: list[onnx.TensorProto] = []

    def run(self) -> onnx.ModelProto:
        """The model with Q/DQ."""
        graph = self.model.graph
        inputs = {value.name for value in graph.input}
        nodes = [new for node in graph.node for new in self._pooled(node)]
        for node in nodes:
            self._judge(node)
        self._mark(nodes)
        copies: dict[str, str] = {}  # of the model's inputs
        for node in nodes:
            for slot, tensor in enumerate(node.input):
                if tensor in self.rounded and tensor in inputs:
                    copies[tensor] = node.input[slot] = copies.get(tensor) or self._entered(tensor, node)
            self._rewrite(node)
        replace(graph.node, self.nodes)
        graph.initializer.extend(self.made)
        return self.finished()

    def _entered(self, tensor: str, node: onnx.NodeProto) -> str:
        """Quantises an input of the model, named after the first node to read it: the work belongs to its part."""
        owner = f"{node.output[0]}/{tensor}"
        copy = self.name(owner, "dequantized")
        self._round(owner, tensor, copy)
        return copy

    def _pooled(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The node; for a mean over all pixels the pooling that is the same."""
        if node.op_type != "ReduceMean" or not self._over_pixels(node):
            return [node]
        data, mean = node.input[0], node.output[0]
        if _attribute(node, "keepdims", 1):
            return [helper.make_node("GlobalAveragePool", [data], [mean], node.name)]
        pooled = self.name(mean, "pooled")
        self.floats.add(pooled)
        pool = helper.make_node("GlobalAveragePool", [data], [pooled], node.name)
        return [pool, helper.make_node("Flatten", [pooled], [mean], self.name(mean, "flatten"))]

    def _over_pixels(self, node: onnx.NodeProto) -> bool:
        rank = self.rank.get(node.input[0], 0)
        axes = _attribute(node, "axes", None)
        if len(node.input) > 1 and node.input[1] in self.weights:
            axes = numpy_helper.to_array(self.weights[node.input[1]]).tolist()
        return rank > 2 and axes is not None and sorted(axis % rank for axis in axes) == list(range(2, rank))

    def _judge(self, node: onnx.NodeProto) -> None:
        """Notes whether a node gets an integer kernel, and whether what it writes can be negative."""
        data = node.input[0] if node.input else ""
        if node.domain not in {"", "ai.onnx"} or not {data, node.output[0]} <= self.floats:
            return
        if node.op_type in MOVING | CLAMPING:
            suits = data in self.integer
        elif node.op_type in _WEIGHTED:
            suits = self._weighs(node)
        else:
            suits = node.op_type in _ELEMENTWISE and self.floats.issuperset(node.input)
        if suits:
            self.integer |= self.floats & {*node.output}
        moved = node.op_type in MOVING and data in self.positive
        if moved or node.op_type in _POSITIVE:
            self.positive |= {*node.output}

    def _weighs(self, node: onnx.NodeProto) -> bool:
        """Whether a convolution or product has the form that integer kernels know."""
        if node.op_type == "MatMul" and node.input[1] not in self.weights:
            return node.input[1] in self.floats
        weight = self.weights.get(node.input[1])
        if weight is None or (node.op_type in {"Gemm", "MatMul"} and len(weight.dims) != 2):
            return False
        if node.op_type == "Gemm":
            plain = {"transA": 0, "alpha": 1.0, "beta": 1.0}
            if any(_attribute(node, name, usual) != usual for name, usual in plain.items()):
                return False
        bias = node.input[2] if len(node.input) > 2 else ""
        return not bias or (bias in self.weights and np.prod(self.weights[bias].dims) == weight.dims[_axis(node)])

    def _mark(self, nodes: Sequence[onnx.NodeProto]) -> None:
        """Finds the tensors to be rounded: what integer kernels read and write."""
        ends, read = {value.name for value in self.model.graph.output}, self.read()
        for node in nodes:
            if node.output[0] in self.integer:
                every = node.op_type in _ELEMENTWISE or node.op_type == "MatMul"
                self.rounded |= self.floats & {*(node.input if every else node.input[:1]), *node.output}
        for node in nodes:
            data, output = node.input[0] if node.input else "", node.output[0]
            inside = node.op_type in CLAMPING and output in self.integer and read[data] == 1 and data not in ends
            if inside:  # between a kernel and the activation that is part of it
                self.rounded.discard(data)
            if output in ends and node.op_type in {"Gemm", "MatMul"} and not read[output]:  # these can write float32
                self.rounded.discard(output)
        self.rounded -= set(self.weights)

    def _rewrite(self, node: onnx.NodeProto) -> None:
        if node.output[0] in self.integer and node.op_type in _WEIGHTED:
            self._weigh(node)
        elif node.output[0] in self.integer and node.op_type in _ELEMENTWISE:
            for slot, tensor in enumerate(node.input):
                if tensor in self.weights:
                    node.input[slot] = self._operand(tensor)
        self.nodes.append(node)
        for slot, tensor in enumerate(node.output):
            if tensor in self.rounded:
                node.output[slot] = self.name(tensor, "float")
                self._round(tensor, node.output[slot], tensor)

    def _weigh(self, node: onnx.NodeProto) -> None:
        """Quantises the weights of a node, and its bias in the product of both scales."""
        weight, axis = node.input[1], _axis(node)
        if weight not in self.weights:  # a product of two activations
            return
        if (weight, axis) not in self.held:
            values = numpy_helper.to_array(self.weights[weight])
            others = tuple(i for i in range(values.ndim) if i != axis)
            scale = _scale(np.abs(values).max(axis=others), most=_WEIGHTS)  # (channels,)
            held = np.rint(values / np.expand_dims(scale, others)).astype(np.int8)
            self.held[weight, axis] = self._dequantised(weight, held, scale, axis=axis), scale
        node.input[1], scale = self.held[weight, axis]
        if len(node.input) > 2 and node.input[2] and not self.symmetric:
            scale = scale * self._range(node.input[0])[0]
            steps = numpy_helper.to_array(self.weights[node.input[2]]).ravel() / scale.astype(np.float64)
            limit = np.iinfo(np.int32).max
            held = np.rint(np.clip(steps, -limit, limit)).astype(np.int32)
            node.input[2] = self._dequantised(node.input[2], held, scale, axis=0)

    def _operand(self, tensor: str) -> str:
        """Quantises a constant that meets activations, in their type."""
        values = numpy_helper.to_array(self.weights[tensor])
        scale = _scale(np.abs(values).max(initial=0), most=127)
        zero = np.int8(0) if self.symmetric else np.uint8(128)
        held = (np.rint(values / scale) + float(zero)).astype(zero.dtype)
        return self._dequantised(tensor, held, scale, zero=int(zero))

    def _dequantised(
        self, tensor: str, held: NDArray[Any], scale: NDArray[np.float32], *, zero: int = 0, axis: int = 0
    ) -> str:
        """Stores a constant as integers; returns the tensor that is the float32 of them."""
        zeros = np.full(scale.shape, zero, held.dtype)
        stored = [self._stored(tensor, "int", held), *self._parameters(tensor, scale, zeros)]
        output = self.name(tensor, "dequantized")
        name = self.name(tensor, "dequantize")
        self.nodes.append(helper.make_node("DequantizeLinear", stored, [output], name, axis=axis))
        return output

    def _round(self, tensor: str, source: str, target: str) -> None:
        """Puts a Q/DQ pair between a tensor as it was made and as it is read."""
        parameters = self._parameters(tensor, *self._range(tensor))
        held = self.name(tensor, "int")
        self.nodes += [
            helper.make_node("QuantizeLinear", [source, *parameters], [held], self.name(tensor, "quantize")),
            helper.make_node("DequantizeLinear", [held, *parameters], [target], self.name(tensor, "dequantize")),
        ]

    def _range(self, tensor: str) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """The made-up scale and zero point of an activation."""
        zero = np.int8(0) if self.symmetric else np.uint8(0 if tensor in self.positive else 128)
        step = 1 / 255 if tensor in self.positive and not self.symmetric else 1 / 128
        return np.array(step, np.float32), np.array(zero)

    def _parameters(self, tensor: str, scale: NDArray[np.float32], zero: NDArray[Any]) -> list[str]:
        return [self._stored(tensor, "scale", scale), self._stored(tensor, "zero_point", zero)]

    def _stored(self, tensor: str, what: str, values: NDArray[Any]) -> str:
        name = self.name(tensor, what)
        self.made.append(numpy_helper.from_array(values, name))
        return name


def _scale(peak: NDArray[np.float32], *, most: int) -> NDArray[np.float32]:
    """The step between integers for values up to a peak; not so small that an int32 bias could not reach 16."""
    return np.maximum(peak / most, 1e-6).astype(np.float32)


def _axis(node: onnx.NodeProto) -> int:
    """The output channels' axis of a node's weights."""
    return 1 if node.op_type == "MatMul" or (node.op_type == "Gemm" and not _attribute(node, "transB", 0)) else 0


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(found) for found in node.attribute if found.name == name), default)
