"""Ways to break a model on purpose, each in one known place.

They are what exporters, converters and people do: weights negated, swapped, rounded or lost, padding and activations
changed, a sum that reads the wrong tensor, shapes and types that do not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Damage = Callable[[onnx.ModelProto], str]  # changes the model; what the verification has to name


@dataclass(frozen=True)
class Kind:
    """One kind of damage.

    Attributes:
        name: In words.
        damage: Does it.
    """

    name: str
    damage: Damage


def nodes(model: onnx.ModelProto, op_type: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == op_type]


def middle(model: onnx.ModelProto, op_type: str) -> onnx.NodeProto:
    found = nodes(model, op_type)
    return found[len(found) // 2]


def spatial(model: onnx.ModelProto) -> onnx.NodeProto:
    """A convolution of more than one pixel that keeps the size."""
    for node in nodes(model, "Conv"):
        shape = weight_of(model, node.input[1]).dims
        if shape[2] > 1 and list(attribute(node, "strides").ints) == [1, 1]:
            return node
    raise LookupError("no such convolution")


def weight_of(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    found: onnx.TensorProto = next(weight for weight in model.graph.initializer if weight.name == name)
    return found


def attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    found: onnx.AttributeProto = next(one for one in node.attribute if one.name == name)
    return found


def rewritten(model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    weight = weight_of(model, name)
    weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(change(numpy_helper.to_array(weight).copy())), name))


def negated(model: onnx.ModelProto) -> str:
    node = middle(model, "Conv")
    rewritten(model, node.input[1], lambda w: -w)
    return node.name


def swapped_channels(model: onnx.ModelProto) -> str:
    node = middle(model, "Conv")
    rewritten(model, node.input[1], lambda w: np.roll(w, 1, axis=0))
    return node.name


def flipped_kernel(model: onnx.ModelProto) -> str:
    node = spatial(model)
    rewritten(model, node.input[1], lambda w: w[:, :, ::-1, ::-1])
    return node.name


def coarse_weights(model: onnx.ModelProto) -> str:
    node = middle(model, "Conv")
    rewritten(model, node.input[1], lambda w: (np.round(w / np.abs(w).max() * 7) / 7 * np.abs(w).max()).astype("f4"))
    return node.name


def lost_bias(model: onnx.ModelProto) -> str:
    node = nodes(model, "Conv")[0]
    rewritten(model, node.input[2], np.zeros_like)
    return node.name


def permuted_classes(model: onnx.ModelProto) -> str:
    node = nodes(model, "Gemm")[-1]
    rewritten(model, node.input[1], lambda w: np.roll(w, 1, axis=0))
    return node.name


def no_number(model: onnx.ModelProto) -> str:
    node = middle(model, "Conv")
    rewritten(model, node.input[1], lambda w: np.where(np.arange(w.size).reshape(w.shape) == 0, np.nan, w).astype("f4"))
    return node.name


def shifted_padding(model: onnx.ModelProto) -> str:
    node = spatial(model)
    pads = attribute(node, "pads").ints
    pads[:] = [0, 0, pads[0] + pads[2], pads[1] + pads[3]]
    return node.name


def other_activation(model: onnx.ModelProto) -> str:
    node = (nodes(model, "HardSwish") or nodes(model, "Relu"))[-1]
    node.op_type = "Relu" if node.op_type == "HardSwish" else "Abs"
    return node.name


def missing_activation(model: onnx.ModelProto) -> str:
    node = (nodes(model, "HardSwish") or nodes(model, "Relu"))[-1]
    kind = node.op_type
    for other in model.graph.node:
        other.input[:] = [node.input[0] if name == node.output[0] else name for name in other.input]
    model.graph.node.remove(node)
    return kind


def wrong_summand(model: onnx.ModelProto) -> str:
    node = nodes(model, "Add")[0]
    node.input[0] = node.input[1]
    return node.name


def other_mean(model: onnx.ModelProto) -> str:
    node = nodes(model, "ReduceMean")[-1]
    node.op_type = "ReduceMax"
    return node.name


def lost_weight(model: onnx.ModelProto) -> str:
    node = middle(model, "Conv")
    model.graph.initializer.remove(weight_of(model, node.input[1]))
    return str(node.input[1])


def narrow_weight(model: onnx.ModelProto) -> str:
    node = nodes(model, "Gemm")[-1]
    rewritten(model, node.input[1], lambda w: w[:, :-1])
    return node.name


def other_type(model: onnx.ModelProto) -> str:
    node = middle(model, "Conv")
    rewritten(model, node.input[1], lambda w: w.astype(np.float64))
    return node.name


def wrong_shape(model: onnx.ModelProto) -> str:
    output = model.graph.output[0]
    output.type.CopyFrom(helper.make_tensor_type_proto(TensorProto.FLOAT, [1, 999]))
    return str(output.name)


def fixed_inside(model: onnx.ModelProto) -> str:
    """Promises an open batch that a reshaping inside does not keep."""
    node = nodes(model, "Gemm")[-1]
    width = weight_of(model, node.input[1]).dims[1]
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, width], dtype=np.int64), "one"))
    reshape = helper.make_node("Reshape", [node.input[0], "one"], ["flat"], "flat")
    node.input[0] = "flat"
    model.graph.node.insert(len(model.graph.node) - 1, reshape)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.graph.value_info[:]
    return "flat"


KINDS = (
    Kind("weights negated", negated),
    Kind("output channels in another order", swapped_channels),
    Kind("kernel flipped", flipped_kernel),
    Kind("weights rounded to 4 bits", coarse_weights),
    Kind("bias lost", lost_bias),
    Kind("classes in another order", permuted_classes),
    Kind("a weight that is no number", no_number),
    Kind("padding on one side", shifted_padding),
    Kind("another activation", other_activation),
    Kind("activation missing", missing_activation),
    Kind("a sum of the wrong tensors", wrong_summand),
    Kind("largest value in place of the mean", other_mean),
    Kind("weight missing", lost_weight),
    Kind("weight of another shape", narrow_weight),
    Kind("weight of another type", other_type),
    Kind("output declared in another shape", wrong_shape),
    Kind("open batch that is fixed inside", fixed_inside),
)
