"""Inputs whose values cannot be made up: they decide how much is computed, like the k of a TopK or a Tile's repeats.

Whole numbers are made up as zero, the one index that every table has, and a Tile that repeats nothing or a Loop of no
rounds is no work; any other number would be as arbitrary. They are given by whoever profiles the model, or by nobody.

References:
    ONNX operators: https://onnx.ai/onnx/operators
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from profilers.batches import is_open, model_inputs
from profilers.errors import CampaignError, ModelError

# Operator to the inputs that say how much it computes or writes, and those that must not be zero.
_SLOTS: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "DFT": (1,),
    "Div": (1,),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "Loop": (0, 1),
    "MaxUnpool": (2,),
    "Mod": (1,),
    "NonMaxSuppression": (2,),
    "NonZero": (0,),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "SplitToSequence": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unique": (0,),
    "Upsample": (1,),
}
# Operators through which such a number reaches another one, and the inputs it passes by.
_CARRYING: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Add", "Div", "Mod", "Mul", "Sub"), (0, 1)),
    **dict.fromkeys(("Cast", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze"), (0,)),
    **dict.fromkeys(("Concat", "Max", "Min"), tuple(range(64))),
}
_OF_RANDOM = {
    "Div",
    "Mod",
    "NonZero",
    "Unique",
}  # random numbers with a fraction are work enough for these, zeros are not
_BY_VALUES = {"Compress", "NonMaxSuppression", "NonZero", "Unique"}

FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
"""Element types of numbers with a fraction, as ONNX numbers them."""

WHOLE = {TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32}
WHOLE |= {TensorProto.UINT32, TensorProto.INT64, TensorProto.UINT64, TensorProto.BOOL}
"""Element types of whole numbers and truth values."""


def deciding(node: onnx.NodeProto) -> tuple[str, ...]:
    """Tensors that a node reads whose values cannot be made up."""
    return _read(node, _SLOTS.get(node.op_type, ()))


def is_enough(node: onnx.NodeProto, code: int) -> bool:
    """Whether made-up values are work for a node like any other, by ONNX's number of their element type."""
    return node.op_type in _OF_RANDOM and code in FLOATS


def deciding_inputs(model: onnx.ModelProto) -> dict[str, str]:
    """Inputs of a model whose values cannot be made up, to the operator that asks for them.

    Args:
        model: Any, branches and loops included.
    """
    codes = {value.name: value.type.tensor_type.elem_type for value in model_inputs(model.graph)}
    codes = {name: code for name, code in codes.items() if code in FLOATS | WHOLE}
    origin = {name: {name} for name in codes}
    found: dict[str, str] = {}
    for node in _nodes(model.graph):
        for tensor in deciding(node):
            for name in origin.get(tensor, ()):
                if not is_enough(node, codes[name]):
                    found.setdefault(name, node.op_type)
        carried = {name for one in _read(node, _CARRYING.get(node.op_type, ())) for name in origin.get(one, ())}
        if carried:
            origin |= dict.fromkeys(node.output, carried)
    return found


def with_values(model: onnx.ModelProto, values: Mapping[str, Sequence[float]]) -> onnx.ModelProto:
    """A model in which inputs whose values cannot be made up are constants.

    Args:
        model: Not changed.
        values: By name of the input: one number for each element, or one for all of them.

    Raises:
        CampaignError: No such input, its values can be made up, or these do not fit it.
        ModelError: The value of an input cannot be made up, and none was given.
    """
    wanted = deciding_inputs(model)
    for name in sorted(set(values) - set(wanted)):
        offered = ", ".join(sorted(wanted)) or "none of this model's"
        raise CampaignError(f"a value is given for {name!r}, but the inputs whose values count are: {offered}")
    lacking = [name for name in wanted if name not in values]
    if lacking:
        asked = " and ".join(f"input {name!r} ({wanted[name]} asks for its value)" for name in lacking)
        options = " ".join(f"--value {name}=10" for name in lacking)
        raise ModelError(
            f"expected the value of {asked}, which cannot be made up. Give it with `{options}`, one number for all "
            "elements or several with commas."
        )
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in [value for value in copy.graph.input if value.name in values]:
        copy.graph.initializer.append(_constant(value, values[value.name]))
        if copy.ir_version >= 4:  # before that, constants are listed among the inputs, too
            copy.graph.input.remove(value)
    return copy


def value_notes(model: onnx.ModelProto, values: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """What the figures of a model hold for, where they depend on values.

    Args:
        model: As it was exported.
        values: Those that were given.
    """
    inputs = {value.name for value in model_inputs(model.graph)}
    nodes = list(_nodes(model.graph))
    kinds = sorted({node.op_type for node in nodes if node.op_type in _BY_VALUES})
    chosen = sorted({node.input[0] for node in nodes if node.op_type == "If"} & inputs)
    notes = [f"{name} is {','.join(map(str, numbers))}" for name, numbers in values.items()]
    if kinds:
        notes.append(f"how much is computed depends on values ({', '.join(kinds)}): these are for random ones")
    if chosen:
        notes.append(f"which branch is taken depends on {', '.join(chosen)}: this is for false")
    return tuple(notes)


def _constant(value: onnx.ValueInfoProto, numbers: Sequence[float]) -> TensorProto:
    tensor = value.type.tensor_type
    sizes = [None if is_open(size) else size.dim_value for size in tensor.shape.dim]
    if len(sizes) == 1 and sizes[0] is None:
        sizes = [len(numbers)]
    shape = [1 if size is None else size for size in sizes]
    count, given = math.prod(shape), ",".join(map(str, numbers))
    if len(numbers) not in {1, count}:
        raise CampaignError(
            f"expected {'1 value' if count == 1 else f'1 or {count} values'} for input {value.name!r} of shape "
            f"{'x'.join(map(str, shape)) or '()'}, "
            f"received {len(numbers)}: {given}"
        )
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    if tensor.elem_type in WHOLE and not all(_fits(number, kind) for number in numbers):
        raise CampaignError(
            f"input {value.name!r} holds {kind.name}, which {given} is not: give whole numbers it holds"
        )
    all_of = list(numbers) if len(numbers) == count else list(numbers) * count
    return numpy_helper.from_array(np.array(all_of).astype(kind).reshape(shape), value.name)


def _fits(number: float, kind: np.dtype[Any]) -> bool:
    if kind == np.bool_:
        return number in {0, 1}
    return isinstance(number, int) and np.iinfo(kind).min <= number <= np.iinfo(kind).max


def _read(node: onnx.NodeProto, slots: Sequence[int]) -> tuple[str, ...]:
    if node.domain not in {"", "ai.onnx"}:
        return ()
    return tuple(node.input[slot] for slot in slots if slot < len(node.input) and node.input[slot])


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes of a graph and of the branches and loops in it, which read tensors from outside."""
    for node in graph.node:
        for attribute in node.attribute:
            for branch in (attribute.g, *attribute.graphs):
                yield from _nodes(branch)
        yield node
