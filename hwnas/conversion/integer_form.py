"""The form of a model in which runtimes find an integer kernel for all that has one, once it is quantised.

- Means over all pixels are the pooling that they are. ONNX Runtime leaves a ReduceMean of 8-bit integers in floating
  point, between a conversion there and one back; the pooling is a kernel of integers, and the one that latency tables
  of ``int8`` hold.
- Every node has weights of its own. An exporter may write equal ones once, such as the zeros of biases that were never
  trained; a bias that several convolutions share gets one scale, where each of them needs its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import helper, numpy_helper

_PIXELS = ([2, 3], [-2, -1])


def integer_form(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model in that form; it computes the same, and nodes keep their names.

    Args:
        model: Loaded ONNX model; its tensors of four axes are images.
    """
    made = onnx.shape_inference.infer_shapes(model)
    values = [*made.graph.input, *made.graph.value_info, *made.graph.output]
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in values}
    constants = _constants(made.graph)
    nodes = []
    for node in made.graph.node:
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        if node.op_type == "ReduceMean" and ranks.get(node.input[0]) == 4 and _over_pixels(node, attributes, constants):
            nodes += _pooling(node, keeps=bool(attributes.get("keepdims", 1)))
        elif node.output[0] not in constants:
            nodes.append(node)
    del made.graph.node[:], made.graph.initializer[:]
    made.graph.node.extend(nodes)
    taken: set[str] = set()
    for node in nodes:
        for slot, name in enumerate(node.input):
            if name in constants:
                copy = onnx.TensorProto()
                copy.CopyFrom(constants[name])
                copy.name = node.input[slot] = name if name not in taken else f"{node.name}/{slot}/{name}"
                taken.add(copy.name)
                made.graph.initializer.append(copy)
    return made


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Every tensor that does not depend on the input, under each of its names."""
    found = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
        elif node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def _pooling(node: onnx.NodeProto, *, keeps: bool) -> list[onnx.NodeProto]:
    """The same as a mean, without axes of one pixel unless these are kept."""
    data, mean = node.input[0], node.output[0]
    if keeps:
        return [helper.make_node("GlobalAveragePool", [data], [mean], node.name)]
    between = f"{mean}/pooled"
    pool = helper.make_node("GlobalAveragePool", [data], [between], node.name)
    return [pool, helper.make_node("Flatten", [between], [mean], f"{node.name}/flatten")]


def _over_pixels(
    node: onnx.NodeProto, attributes: Mapping[str, object], constants: Mapping[str, onnx.TensorProto]
) -> bool:
    given = attributes.get("axes")
    if given is None and len(node.input) > 1 and node.input[1] in constants:
        given = numpy_helper.to_array(constants[node.input[1]]).tolist()
    return isinstance(given, list) and sorted(given) in _PIXELS
