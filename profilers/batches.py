"""Which axis of a model's inputs is the batch: ONNX does not say, so only what gives it away is believed.

An axis is the batch where an operator defines it (a recurrent one reads its input sequence first, unless its ``layout``
says otherwise), where it is open and called so, or where it is an open first one that is not called after a sequence.
Where no axis is open, it is the size that all inputs and outputs of more than one axis begin with, if they are such as
sequences are not: all of two axes, or one of at least four, as images are. A fixed size before two others is that of a
batch or of a sequence, and only whoever exported the model knows.
"""

from __future__ import annotations

import re

import onnx

_RECURRENT = {"RNN", "GRU", "LSTM"}
_STATES = (0, 5, 6)  # a recurrent operator's inputs with a batch: the sequence, and its initial states
_SEQUENCE = re.compile(r"seq|time|len|token|step|frame|word", re.IGNORECASE)


def is_open(size: onnx.TensorShapeProto.Dimension) -> bool:
    """Whether a size is left to the user; some exporters write that as -1."""
    return not size.HasField("dim_value") or size.dim_value < 0


def model_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """What a model is fed: its inputs without the weights that older exporters list among them."""
    weights = {weight.name for weight in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def batch_axis(value: onnx.ValueInfoProto, graph: onnx.GraphProto) -> int | None:
    """The axis of an input that is known to be the batch; ``None`` where nothing tells.

    Args:
        value: The input, its sizes not fixed yet.
        graph: The model's.
    """
    sizes = value.type.tensor_type.shape.dim
    defined = _defined(value.name, graph)
    if defined is not None:
        return defined if defined < len(sizes) else None
    called = (axis for axis, size in enumerate(sizes) if is_open(size) and "batch" in size.dim_param.lower())
    named = next(called, None)
    if named is not None:
        return named
    return 0 if sizes and is_open(sizes[0]) and not _SEQUENCE.search(sizes[0].dim_param) else None


def batch_of(model: onnx.ModelProto, ready: onnx.ModelProto, *, told: int | None = None) -> int | None:
    """Images a run; ``None`` where the model does not tell.

    Args:
        model: As it was exported.
        ready: The same with fixed shapes.
        told: What the user says it is: believed where the model does not contradict.
    """
    fixed = {value.name: _sizes(value) for value in ready.graph.input}
    inputs = model_inputs(model.graph)
    axes = {value.name: batch_axis(value, model.graph) for value in inputs}
    known = [fixed[name][axis] for name, axis in axes.items() if axis is not None]
    if known:
        return known[0] if len(set(known)) == 1 else None
    tensors = [_sizes(value) for value in (*inputs, *model.graph.output)]
    tensors = [sizes for sizes in tensors if len(sizes) > 1 and sizes[0] > 0]
    if not inputs or len({sizes[0] for sizes in tensors}) != 1:
        return None
    first = tensors[0][0]
    plain = all(len(sizes) == 2 for sizes in tensors) or any(len(sizes) > 3 for sizes in tensors)
    return first if plain or told == first else None


def _defined(name: str, graph: onnx.GraphProto) -> int | None:
    """The axis that a recurrent operator takes the batch from, where it reads an input as it is."""
    for node in graph.node:
        if node.op_type in _RECURRENT and name in {node.input[i] for i in _STATES if i < len(node.input)}:
            return 0 if any(one.name == "layout" and one.i == 1 for one in node.attribute) else 1
    return None


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    return [size.dim_value for size in value.type.tensor_type.shape.dim]
