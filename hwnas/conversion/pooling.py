"""Means over all pixels as the pooling that they are, for which runtimes have integer kernels.

ONNX Runtime leaves a ReduceMean of 8-bit integers in floating point, between a conversion there and one back; the
pooling is a kernel of integers, and the one that latency tables of ``int8`` hold.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import helper, numpy_helper

_PIXELS = ([2, 3], [-2, -1])


def with_pooling(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model in which means over both axes of the pixels are poolings of the same name.

    Args:
        model: Loaded ONNX model; its tensors of four axes are images.
    """
    made = onnx.shape_inference.infer_shapes(model)
    values = [*made.graph.input, *made.graph.value_info, *made.graph.output]
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in values}
    constants = {weight.name: weight for weight in made.graph.initializer}
    constants |= {
        node.output[0]: entry.t for node in made.graph.node if node.op_type == "Constant" for entry in node.attribute
    }
    nodes = []
    for node in made.graph.node:
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        if node.op_type != "ReduceMean" or ranks.get(node.input[0]) != 4 or _axes(node, attributes, constants) is None:
            nodes.append(node)
            continue
        (mean,) = node.output
        if attributes.get("keepdims", 1):
            nodes.append(helper.make_node("GlobalAveragePool", [node.input[0]], [mean], node.name))
            continue
        between = f"{mean}/pooled"
        nodes.append(helper.make_node("GlobalAveragePool", [node.input[0]], [between], node.name))
        nodes.append(helper.make_node("Flatten", [between], [mean], f"{node.name}/flatten"))
    read = {name for node in nodes for name in node.input} | {value.name for value in made.graph.output}
    del made.graph.node[:]
    made.graph.node.extend(node for node in nodes if node.op_type != "Constant" or node.output[0] in read)
    for weight in [one for one in made.graph.initializer if one.name not in read]:
        made.graph.initializer.remove(weight)
    return made


def _axes(
    node: onnx.NodeProto, attributes: Mapping[str, object], constants: Mapping[str, onnx.TensorProto]
) -> list[int] | None:
    """The axes of a mean where they are those of the pixels."""
    given = attributes.get("axes")
    if given is None and len(node.input) > 1 and node.input[1] in constants:
        given = numpy_helper.to_array(constants[node.input[1]]).tolist()
    axes = sorted(given) if isinstance(given, list) else []
    return axes if axes in _PIXELS else None
