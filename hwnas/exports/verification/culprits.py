"""Why a tensor is another than that of the reference, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from hwnas.conversion.differences import relative_difference
from hwnas.exports.verification.localising import Pair

_CLAMPING = frozenset({"Relu", "Clip"})
_CLOSE = 1e-5  # weights that differ by less, relative to the largest, are the same


@dataclass(frozen=True, kw_only=True)
class Culprit:
    """The first tensor that is not what it should be.

    Attributes:
        tensor: Its name in the model.
        node: The node that computes it.
        op_type: What that does.
        expected: Its name in the reference; empty without one.
        max_rel: How far it is off, relative to its largest value.
        after: Number of tensors before it that agree.
        reasons: What about its computation differs; empty where nothing does, so that the runtime is to blame.
    """

    tensor: str
    node: str
    op_type: str
    expected: str
    max_rel: float
    after: int
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Field by field; what is infinite as text."""
        return {**asdict(self), "max_rel": str(self.max_rel) if np.isinf(self.max_rel) else self.max_rel}

    def __str__(self) -> str:
        why = f": {'; '.join(self.reasons)}" if self.reasons else ""
        return (
            f"the first tensor that differs is {self.tensor} of {self.op_type} node {self.node!r}, by "
            f"{self.max_rel:.3g} of its largest value, after {self.after} that agree{why}"
        )


def culprit(
    model: onnx.ModelProto, reference: onnx.ModelProto | None, pairs: Sequence[Pair], number: int, max_rel: float
) -> Culprit:
    """What is known of the first tensor that differs.

    Args:
        model: The model.
        reference: What it is compared with; ``None`` where it is the same model, run otherwise.
        pairs: Tensors that should be equal, in order.
        number: Of the first pair that differs.
        max_rel: How far it is off.
    """
    pair = pairs[number]
    node = _makers(model)[pair.tensor]
    reasons: list[str] = []
    if reference is not None:
        same = {one.tensor: one.expected for one in pairs[:number]}
        held = _behind(model, pair.tensor, set(same))
        known = _behind(reference, pair.expected, set(same.values()))
        rounded = {one.output[0] for one in model.graph.node if one.op_type == "DequantizeLinear"}
        reasons = _reasons(held, known, _constants(model), _constants(reference), same, rounded)
    return Culprit(
        tensor=pair.tensor,
        node=node.name or pair.tensor,
        op_type=node.op_type,
        expected=pair.expected if reference is not None else "",
        max_rel=max_rel,
        after=number,
        reasons=tuple(reasons),
    )


def _makers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {name: node for node in model.graph.node for name in node.output}


def _constants(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Weights by name, those in constant nodes and quantised ones among them."""
    found = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        if node.op_type == "DequantizeLinear" and node.input[0] in found and node.input[1] in found:
            found[node.output[0]] = _dequantised(node, found)
    return found


def _dequantised(node: onnx.NodeProto, held: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    values, scale = held[node.input[0]].astype(np.float32), held[node.input[1]]
    zero = held[node.input[2]] if len(node.input) > 2 and node.input[2] in held else np.zeros_like(scale)
    axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
    if scale.ndim:
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return np.asarray((values - zero.astype(np.float32)) * scale)


def _behind(model: onnx.ModelProto, tensor: str, agreed: set[str]) -> list[onnx.NodeProto]:
    """Nodes that compute a tensor from those that agree, in the order of the graph."""
    makers, constants = _makers(model), _constants(model)
    wanted, found = [tensor], set[str]()
    while wanted:
        name = wanted.pop()
        if name in found or name not in makers or name in constants or (name in agreed and name != tensor):
            continue
        found.add(name)
        wanted += makers[name].input
    return [
        node
        for node in model.graph.node
        if found.intersection(node.output) and node.op_type not in {"QuantizeLinear", "DequantizeLinear", "Cast"}
    ]


def _reasons(
    held: Sequence[onnx.NodeProto],
    known: Sequence[onnx.NodeProto],
    weights: Mapping[str, NDArray[Any]],
    expected: Mapping[str, NDArray[Any]],
    same: Mapping[str, str],
    rounded: set[str],
) -> list[str]:
    kinds, wanted = [node.op_type for node in held], [node.op_type for node in known]
    if kinds == [kind for kind in wanted if kind not in _CLAMPING] and any(
        name in rounded for node in held for name in node.input
    ):
        known = [node for node in known if node.op_type not in _CLAMPING]  # rounding to a range clamps, too
    elif kinds != wanted:
        return [f"it computes {', '.join(kinds) or 'nothing'}, where the reference computes {', '.join(wanted)}"]
    found = []
    for node, other in zip(held, known, strict=True):
        about = f"{node.op_type} {node.name or node.output[0]!r}"
        mine, theirs = _attributes(node), _attributes(other)
        for name in sorted(mine.keys() | theirs.keys()):
            if mine.get(name) != theirs.get(name) and not _usual(mine, theirs, name):
                found.append(f"{about} has {name} {mine.get(name)!r}, the reference {theirs.get(name)!r}")
        found += _of_inputs(about, node, other, weights, expected, same)
    return found


def _of_inputs(
    about: str,
    node: onnx.NodeProto,
    other: onnx.NodeProto,
    weights: Mapping[str, NDArray[Any]],
    expected: Mapping[str, NDArray[Any]],
    same: Mapping[str, str],
) -> list[str]:
    if len(node.input) != len(other.input):
        return [f"{about} reads {len(node.input)} tensors, the reference {len(other.input)}"]
    found = []
    for name, theirs in zip(node.input, other.input, strict=True):
        if name in weights and theirs in expected:
            a, b = weights[name], expected[theirs]
            if a.shape != b.shape:
                found.append(f"{about} has the weight {name} of shape {a.shape}, the reference {b.shape}")
            elif a.size and (apart := relative_difference(a.reshape(1, -1), b.reshape(1, -1))) > _CLOSE:
                found.append(f"{about} has another weight {name}, by {apart:.3g} of its largest value")
        elif name in same and same[name] != theirs:
            found.append(f"{about} reads {name}, the reference {theirs}")
    return found


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes by name, but for graphs and tensors."""
    found = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    return {name: value for name, value in found.items() if not isinstance(value, (onnx.TensorProto, onnx.GraphProto))}


def _usual(mine: Mapping[str, Any], theirs: Mapping[str, Any], name: str) -> bool:
    """Whether an attribute stands in one node alone, with what it means when it is left out."""
    if name in mine and name in theirs:
        return False
    value = mine.get(name, theirs.get(name))
    left_out = (0, 1, 0.0, 1.0, b"NOTSET")
    return name == "kernel_shape" or value in left_out or (isinstance(value, list) and set(value) <= {0, 1})
