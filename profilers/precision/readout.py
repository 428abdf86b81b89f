"""What a runtime made of a model: which precision each kernel computed in, and which operator it lacks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

MOVING = frozenset(  # the range they read is the range they write
    {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Gather", "Expand", "Tile"}
    | {"MaxPool", "Resize"}
)
CLAMPING = frozenset({"Relu", "Clip"})  # need no integer kernel: rounding to the range of what they write clamps
INTEGER_NAME = re.compile(r"QLinear|QGemm|QAttention|QOrdered|Integer|DynamicQuantize(?!Linear)")
CONVERSIONS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "CastLike"})

_ELEMENTS = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "double": "fp64", "int8": "int8", "uint8": "int8"}
_UNROUNDED = (MOVING - {"Resize"}) | CLAMPING | {"ReorderInput", "ReorderOutput", "Identity", "Concat", "Pad"}
_LACKING = (
    re.compile(r"Could not find an implementation for (?:[\w.]+[.:])?(\w+)\("),
    re.compile(r"Type '[^']+' of input parameter \(.*?\) of operator \((?:[\w.]+[.:])?(\w+)\)"),
    re.compile(r"No Op registered for (\w+) with"),
    re.compile(r"Fatal error: [\w.]*:(\w+)\([-\d]+\) is not a registered"),
)


def arithmetic(op_type: str, inputs: Sequence[str]) -> str:
    """What a kernel computed in.

    Args:
        op_type: Its operator.
        inputs: Element types of its inputs, as the runtime names them: ``"float"``, ``"uint8"``, ...

    Returns:
        ``"fp32"``, ``"fp16"``, ``"bf16"``, ``"fp64"`` or ``"int8"`` by the first input that is data; ``"convert"`` for
        a change between them; ``"index"`` for shapes, indices and masks.
    """
    if op_type in CONVERSIONS:
        return "convert"
    if INTEGER_NAME.search(op_type):
        return "int8"
    if op_type in {"Shape", "Size"}:
        return "index"
    return next((_ELEMENTS[element] for element in inputs if element in _ELEMENTS), "index")


def fallbacks(nodes: Sequence[tuple[str, str]], precision: str) -> dict[str, int]:
    """What was computed in another precision than the one asked for.

    Not counted: conversions (ask ``arithmetic`` for them), and operators that only move or select values without
    rounding any, such as a transpose, a reordering or a ReLU.

    Args:
        nodes: Operator and ``arithmetic`` of each kernel that ran.
        precision: One of ``PRECISIONS``.

    Returns:
        Operators and how often each ran in another precision.
    """
    fine = {precision, "convert", "index"}
    return dict(Counter(op_type for op_type, done in nodes if done not in fine and op_type not in _UNROUNDED))


def unsupported_op(message: str) -> str | None:
    """The operator that an error of ONNX Runtime says it lacks, in the types of a model or at all.

    It is the first it came upon; where it takes an operator apart, it may be one of the pieces.

    Args:
        message: What the runtime said.

    Returns:
        The operator without its domain; ``None`` where the error is another.
    """
    found = (pattern.search(message) for pattern in _LACKING)
    return next((match[1] for match in found if match), None)
