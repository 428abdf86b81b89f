"""Loads a model, finds its precisions and prepares it for conversion."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, inliner, numpy_helper

from profilers.errors import ModelError
from profilers.precision.graphs import KINDS, graphs_of, opset_of, replace
from profilers.precision.readout import CONVERSIONS, INTEGER_NAME

_NAMES = {kind: name for name, kind in KINDS.items()} | {TensorProto.DOUBLE: "fp64"}

# The opset a lower model is raised to. 19: below it ONNX Runtime's CPU provider, which has hardly a float16 kernel,
# takes float16 activations apart into basic operators. 22: the first with bfloat16 convolutions. 13: the first with a
# scale for each channel.
_OPSETS = {"fp16": 19, "bf16": 22, "int8": 13}


def load(model: bytes) -> onnx.ModelProto:
    """A serialised model, checked.

    Raises:
        ModelError: onnx refuses it, or its weights are in another file.
    """
    try:
        onnx.checker.check_model(model)
        loaded: onnx.ModelProto = onnx.ModelProto.FromString(model)
    except Exception as error:  # protobuf's and onnx's errors share no base class that could be named
        raise ModelError(
            f"expected a serialised ONNX model, received {len(model)} bytes that onnx refuses: {_said(error)}. "
            "Export it again, with its weights inside the file."
        ) from error
    weights = (weight for graph in graphs_of(loaded.graph) for weight in graph.initializer)
    outside = next((weight.name for weight in weights if weight.data_location == TensorProto.EXTERNAL), None)
    if outside is not None:
        raise ModelError(
            f"expected a model with its weights inside, but {outside!r} is in another file. "
            "Save it with onnx.save(model, path, save_as_external_data=False)."
        )
    return loaded


def precisions_of(model: onnx.ModelProto) -> tuple[set[str], set[str]]:
    """The precisions of a model's inputs and outputs, and all that it holds."""
    graphs = list(graphs_of(model.graph))
    ends = {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    held = ends | {weight.data_type for graph in graphs for weight in graph.initializer}
    operators = {node.op_type for graph in graphs for node in graph.node}
    quantised = any(INTEGER_NAME.search(op) or op in CONVERSIONS - {"Cast", "CastLike"} for op in operators)
    return (
        {_NAMES[kind] for kind in ends if kind in _NAMES},
        {_NAMES[kind] for kind in held if kind in _NAMES} | ({"int8"} if quantised else set()),
    )


def precision_of(content: bytes) -> str:
    """The precision that a model is in: int8 where anything in it is quantised, else that of its weights and ends."""
    ends, held = precisions_of(onnx.load_from_string(content))
    found = next((name for name in ("int8", "bf16", "fp16", "fp32") if name in held), None)
    return found or next(iter(sorted(ends)), "fp32")


def prepared(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """The model with a high enough opset, its constants as weights, and the types of its tensors written down.

    Raises:
        ModelError: Its opset cannot be raised.
    """
    opset = _OPSETS[precision]
    try:
        if model.functions:
            model = inliner.inline_local_functions(model)
        if opset_of(model) < opset:
            model = onnx.version_converter.convert_version(model, opset)
        least = helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
        model.ir_version = max(model.ir_version, least)
        for graph in graphs_of(model.graph):
            _hoist(graph)
        typed: onnx.ModelProto = onnx.shape_inference.infer_shapes(model)
    except Exception as error:  # onnx raises classes of its own beside bare RuntimeErrors
        raise ModelError(
            f"cannot bring the model from opset {opset_of(model)} to {opset}, which {precision} needs: {_said(error)}. "
            f"Export it with opset {opset} or newer."
        ) from error
    return typed


def _said(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


def _hoist(graph: onnx.GraphProto) -> None:
    """Makes weights of constant nodes, and of weights that old models list as inputs, too."""
    constants = {}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name in {"value", "value_float", "value_floats"}:
            value = helper.get_attribute_value(node.attribute[0])
            array = numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.array(value, np.float32)
            constants[node.output[0]] = numpy_helper.from_array(array, node.output[0])
    if constants:
        graph.initializer.extend(constants.values())
        replace(graph.node, [node for node in graph.node if node.output[0] not in constants])
    weights = {weight.name for weight in graph.initializer}
    if any(value.name in weights for value in graph.input):
        replace(graph.input, [value for value in graph.input if value.name not in weights])
