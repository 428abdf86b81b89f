"""Whether a model is a model: the checker, shape inference, and what the runtime says on loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from hwnas.conversion.runtime import session
from hwnas.core import UsageError
from hwnas.exports.verification.samples import model_inputs

_POINTER = b"version https://git-lfs"


def read_model(path: str | Path) -> onnx.ModelProto:
    """An ONNX file, weights beside it included.

    Raises:
        UsageError: There is none, or it is no ONNX model.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"there is no file {file}: expected an .onnx file")
    with file.open("rb") as opened:
        head = opened.read(len(_POINTER))
    if not head:
        raise UsageError(f"{file} is empty: expected an ONNX model. Export it again.")
    if head == _POINTER:
        raise UsageError(f"{file} is a pointer to a file that Git LFS keeps: fetch that with `git lfs pull`")
    try:
        model = onnx.load(str(file), load_external_data=False)
    except Exception as error:  # protobuf's errors and onnx's share no base class
        raise UsageError(
            f"{file} is no ONNX model, or only a part of one: {said(error)}. Export it again, or name the .onnx file."
        ) from error
    try:
        onnx.external_data_helper.load_external_data_for_model(model, str(file.resolve().parent))
    except Exception as error:  # as above
        raise UsageError(
            f"{file} keeps its weights in a file beside it, which cannot be read: {said(error)}. Put that file there."
        ) from error
    if not model.graph.node:
        raise UsageError(f"{file} is no readable ONNX model: it has no nodes. Export it again.")
    return model


def require_tensors(model: onnx.ModelProto, *, file: str) -> None:
    """Checks that a model reads and gives what can be fed and compared.

    Raises:
        UsageError: It reads nothing, or an input or output is no tensor.
    """
    if not model_inputs(model):
        raise UsageError(f"{file} reads nothing: only models with inputs can be verified")
    for value in (*model_inputs(model), *model.graph.output):
        if not value.type.HasField("tensor_type"):
            kind = value.type.WhichOneof("value") or "something untyped"
            raise UsageError(
                f"{value.name} of {file} is {kind}: only models that read and give tensors can be verified"
            )


def unsound(model: onnx.ModelProto) -> str | None:
    """What is wrong with a model before it is run, naming the node or tensor; ``None`` for a sound one."""
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # as above
        return f"the checker refuses it: {said(error)}"
    wrong = _misdeclared(model)
    if wrong is not None:
        return wrong
    try:
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:
        return f"its shapes do not fit together: {said(error)}"
    try:
        session(model.SerializeToString())
    except Exception as error:
        return f"ONNX Runtime cannot load it: {said(error)}"
    return None


def shapes_of(values: Any) -> dict[str, list[int | str]]:
    """Sizes by name, open ones by what they are called."""
    return {
        value.name: [size.dim_param or size.dim_value or "?" for size in value.type.tensor_type.shape.dim]
        for value in values
    }


def _misdeclared(model: onnx.ModelProto) -> str | None:
    """The first tensor, weights before the nodes that read them, that is not declared as what it is."""
    declared = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for value in bare.graph.output:
        value.ClearField("type")
    computed = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    found = {value.name: value for value in (*computed.value_info, *computed.output)}
    found |= {
        weight.name: onnx.helper.make_tensor_value_info(weight.name, weight.data_type, list(weight.dims))
        for weight in model.graph.initializer
    }
    for node in model.graph.node:
        for name in (*node.input, *node.output):
            if name in declared and name in found and _apart(declared[name], found[name]):
                what = "output" if name in node.output else "input"
                about = f"{node.op_type} node {node.name or name!r}"
                return f"{what} {name} of {about} is declared as {_told(declared[name])} and is {_told(found[name])}"
    return None


def _apart(declared: onnx.ValueInfoProto, found: onnx.ValueInfoProto) -> bool:
    a, b = declared.type.tensor_type, found.type.tensor_type
    if a.elem_type and b.elem_type and a.elem_type != b.elem_type:
        return True
    if not (a.HasField("shape") and b.HasField("shape")):
        return False
    sizes = zip(a.shape.dim, b.shape.dim, strict=False)
    return len(a.shape.dim) != len(b.shape.dim) or any(
        x.dim_value and y.dim_value and x.dim_value != y.dim_value for x, y in sizes
    )


def _told(value: onnx.ValueInfoProto) -> str:
    kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    return f"{kind}{shapes_of([value])[value.name]}"


def said(error: Exception) -> str:
    """An error of protobuf, ONNX or a runtime in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])[:400].rstrip(".") or type(error).__name__
