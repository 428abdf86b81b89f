"""Small passes over ONNX graphs: each rewrites the first place where it applies and says whether there was one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Pass = Callable[[onnx.GraphProto], bool]
Weights = NDArray[np.float32]


def _value(graph: onnx.GraphProto, name: str) -> Weights | None:
    """A constant of the graph; ``None`` for what is computed."""
    return next((numpy_helper.to_array(one) for one in graph.initializer if one.name == name), None)


def _weights(graph: onnx.GraphProto, name: str) -> Weights:
    """A constant that has to be one: the weights of an exported layer are."""
    found = _value(graph, name)
    if found is None:
        raise ValueError(f"expected constant weights, {name!r} is computed")
    return found


def _constant(graph: onnx.GraphProto, value: Weights) -> str:
    """Adds a constant; returns its name."""
    name = f"folded_{len(graph.initializer)}"
    graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype=np.float32), name))
    return name


def _pairs(graph: onnx.GraphProto, first: str, *second: str) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto]]:
    """Nodes of one kind with the only node that reads what they give, where that is of another kind."""
    ends = {one.name for one in graph.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in graph.node:
        if node.op_type == first and node.output[0] not in ends:
            found = readers.get(node.output[0], [])
            if len(found) == 1 and found[0].op_type in second:
                yield node, found[0]


def _joined(graph: onnx.GraphProto, first: onnx.NodeProto, second: onnx.NodeProto) -> bool:
    """The first node gives what the second gave, which is gone."""
    first.output[0] = second.output[0]
    graph.node.remove(second)
    return True


def _replaced(graph: onnx.GraphProto, node: onnx.NodeProto, *others: onnx.NodeProto) -> bool:
    """Others stand in the place of a node."""
    place = list(graph.node).index(node)
    graph.node.remove(node)
    for shift, other in enumerate(others):
        graph.node.insert(place + shift, other)
    return True


def _scaled(graph: onnx.GraphProto, conv: onnx.NodeProto, scale: Weights, shift: Weights) -> None:
    """A convolution whose channels are multiplied and added to."""
    weight = _weights(graph, conv.input[1])
    bias = _weights(graph, conv.input[2]) if len(conv.input) > 2 else np.zeros(len(weight), dtype=np.float32)
    names = [_constant(graph, weight * scale.reshape(-1, 1, 1, 1)), _constant(graph, bias * scale + shift)]
    kept = conv.input[0]
    del conv.input[:]
    conv.input.extend([kept, *names])


def _statistics(graph: onnx.GraphProto, norm: onnx.NodeProto) -> tuple[Weights, Weights] | None:
    """What a batch normalisation multiplies by and adds, shape ``(c,)`` each; ``None`` where it is no constant."""
    found = [one for one in (_value(graph, name) for name in norm.input[1:5]) if one is not None]
    if len(found) < 4:
        return None
    gamma, beta, mean, variance = found
    epsilon = next((one.f for one in norm.attribute if one.name == "epsilon"), 1e-5)
    scale = np.asarray(gamma / np.sqrt(variance + epsilon), np.float32)
    return scale, np.asarray(beta - mean * scale, np.float32)


def fold_norm(graph: onnx.GraphProto) -> bool:
    for conv, norm in _pairs(graph, "Conv", "BatchNormalization"):
        statistics = _statistics(graph, norm)
        if statistics is not None:
            _scaled(graph, conv, *statistics)
            return _joined(graph, conv, norm)
    return False


def split_norm(graph: onnx.GraphProto) -> bool:
    for norm in graph.node:
        statistics = _statistics(graph, norm) if norm.op_type == "BatchNormalization" else None
        if statistics is not None:
            scale, shift = (_constant(graph, one.reshape(1, -1, 1, 1)) for one in statistics)
            between = f"{norm.output[0]}_scaled"
            mul = helper.make_node("Mul", [norm.input[0], scale], [between])
            return _replaced(graph, norm, mul, helper.make_node("Add", [between, shift], [norm.output[0]]))
    return False


def _fold(graph: onnx.GraphProto, kind: str) -> bool:
    for conv, node in _pairs(graph, "Conv", kind):
        value = _value(graph, node.input[1])
        if value is not None:
            one, none = np.ones(value.size, dtype=np.float32), np.zeros(value.size, dtype=np.float32)
            _scaled(graph, conv, *((value.ravel(), none) if kind == "Mul" else (one, value.ravel())))
            return _joined(graph, conv, node)
    return False


def fold_mul(graph: onnx.GraphProto) -> bool:
    return _fold(graph, "Mul")


def fold_add(graph: onnx.GraphProto) -> bool:
    return _fold(graph, "Add")


def fuse_activation(graph: onnx.GraphProto) -> bool:
    for conv, node in _pairs(graph, "Conv", "Relu"):
        conv.op_type, conv.domain = "FusedConv", "com.microsoft"
        conv.attribute.append(helper.make_attribute("activation", node.op_type))
        return _joined(graph, conv, node)
    return False


def pass_identity(graph: onnx.GraphProto) -> bool:
    for node in graph.node:
        if node.op_type in {"Identity", "Dropout"} and node.output[0] not in {one.name for one in graph.output}:
            for reader in graph.node:
                for i, name in enumerate(reader.input):
                    if name == node.output[0]:
                        reader.input[i] = node.input[0]
            graph.node.remove(node)
            return True
    return False


def share(graph: onnx.GraphProto) -> bool:
    """Of two nodes that compute the same, one is left."""
    seen: dict[bytes, onnx.NodeProto] = {}
    for node in graph.node:
        key = onnx.NodeProto()
        key.CopyFrom(node)
        key.ClearField("name")
        key.ClearField("output")
        twin = seen.setdefault(key.SerializeToString(deterministic=True), node)
        if twin is not node and len(node.output) == 1:
            return _replaced(graph, node, helper.make_node("Identity", [twin.output[0]], [node.output[0]]))
    return False


def drop_unread(graph: onnx.GraphProto) -> bool:
    read = {name for node in graph.node for name in node.input} | {one.name for one in graph.output}
    for node in graph.node:
        if not read & set(node.output):
            graph.node.remove(node)
            return True
    return False


def split_gemm(graph: onnx.GraphProto) -> bool:
    for node in graph.node:
        if node.op_type == "Gemm":
            turned = any(one.name == "transB" and one.i for one in node.attribute)
            weight = _weights(graph, node.input[1])
            name = _constant(graph, weight.T if turned else weight)
            between = f"{node.output[0]}_product"
            product = helper.make_node("MatMul", [node.input[0], name], [between])
            return _replaced(graph, node, product, helper.make_node("Add", [between, node.input[2]], [node.output[0]]))
    return False


def join_gemm(graph: onnx.GraphProto) -> bool:
    for product, add in _pairs(graph, "MatMul", "Add"):
        gemm = helper.make_node("Gemm", [*product.input, add.input[1]], [add.output[0]])
        graph.node.remove(product)
        return _replaced(graph, add, gemm)
    return False


PASSES: Mapping[str, Pass] = {
    "nothing": lambda _: False,
    "fold-norm": fold_norm,
    "split-norm": split_norm,
    "fold-mul": fold_mul,
    "fold-add": fold_add,
    "fuse-activation": fuse_activation,
    "pass-identity": pass_identity,
    "share": share,
    "drop-unread": drop_unread,
    "split-gemm": split_gemm,
    "join-gemm": join_gemm,
}


def passed(model: onnx.ModelProto, names: Sequence[str]) -> tuple[onnx.ModelProto, NDArray[np.float64]]:
    """A model after passes, and the way there.

    Args:
        model: As exported; it stays as it is.
        names: Of passes, in their order.

    Returns:
        The model; and after every pass the nodes there are, the batch normalisations and the fused convolutions among
        them, shape ``(n, 3)``.
    """
    after = onnx.ModelProto()
    after.CopyFrom(model)
    way = []
    for name in names:
        PASSES[name](after.graph)
        kinds = [node.op_type for node in after.graph.node]
        way.append([len(kinds), kinds.count("BatchNormalization"), kinds.count("FusedConv")])
    if not any(one.domain == "com.microsoft" for one in after.opset_import):
        after.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    used = {name for node in after.graph.node for name in node.input}
    for one in [one for one in after.graph.initializer if one.name not in used]:
        after.graph.initializer.remove(one)
    return after, np.array(way, dtype=np.float64)
