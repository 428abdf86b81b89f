"""The first tensor in which two models differ, by bisection over the graph.

Whether any of the first so many tensors differs can only change from no to yes as there are more of them. So halves of
what is left are looked at, all tensors of a half in one run, until one tensor is left: everything before it agrees, and
it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hwnas.conversion.differences import relative_difference
from hwnas.conversion.runtime import CPU, session
from hwnas.exports.verification.samples import Samples

_BY_NAME = 0.5  # share of tensors found under the same name, from which on names are believed
_ROUNDING = frozenset({"QuantizeLinear", "DequantizeLinear", "Cast", "Identity"})  # these change no meaning

Run = Callable[[Samples, Sequence[str]], list[NDArray[Any]]]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A tensor of a model and the one it should equal.

    Attributes:
        tensor: In the model.
        expected: In the reference.
        read: In the model what others read of it: where it is rounded, what that leaves, an activation included.
    """

    tensor: str
    expected: str
    read: str = ""


def running(model: onnx.ModelProto, *, provider: str = CPU, optimised: bool = False) -> Run:
    """What gives tensors of a model, whatever it usually puts out: each of shape ``(n, ...)``.

    Args:
        model: The model.
        provider: What runs it.
        optimised: Whether the runtime may fuse what is not asked for.
    """

    def run(samples: Samples, tensors: Sequence[str]) -> list[NDArray[Any]]:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        there = {value.name for value in copy.graph.output}
        copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in there)
        held = session(copy.SerializeToString(), provider=provider, optimised=optimised)
        return fed(held, samples, tensors)

    return run


def fed(held: Any, samples: Samples, tensors: Sequence[str], *, batch: int | None = None) -> list[NDArray[Any]]:
    """Tensors of a session for samples, so many at a time: what the model fixes, else one.

    Args:
        held: The session.
        samples: What it is fed with.
        tensors: Names of outputs.
        batch: Samples a run; ``None`` takes the fixed number of the first input, or 1.
    """
    entries = held.get_inputs()
    counting = next((entry.shape[0] for entry in entries if entry.shape), 1)
    fixed = counting if isinstance(counting, int) else 1
    step = batch or fixed
    count = max(len(samples) - len(samples) % step, step)
    kinds = {entry.name: _KINDS.get(entry.type) for entry in entries}
    scalars = {entry.name for entry in entries if entry.shape == []}
    found = []
    for i in range(0, count, step):
        given = {name: values[i : i + step] for name, values in samples.inputs.items()}
        given |= {name: given[name][0] for name in scalars & set(given)}
        given = {
            name: np.asarray(values).astype(kinds[name] or values.dtype, copy=False) for name, values in given.items()
        }
        found.append([_counted(value, step) for value in held.run(list(tensors), given)])
    return [np.concatenate(values) for values in zip(*found, strict=True)]


_KINDS = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(double)": np.float64}


def _counted(value: NDArray[Any], step: int) -> NDArray[Any]:
    """A tensor whose first axis counts samples; one that has no such axis counts as one for each."""
    if value.ndim and len(value) == step:
        return value
    return np.repeat(value[None], step, axis=0)


def matched(model: onnx.ModelProto, reference: onnx.ModelProto) -> list[Pair]:
    """Tensors that should be equal, in the order in which the model computes them; its outputs are among them.

    By name where most are called alike, as after a conversion; else by the sequence of operators.

    Args:
        model: The model.
        reference: What it is compared with.
    """
    outputs = {
        found.name: Pair(tensor=found.name, expected=expected.name)
        for found, expected in zip(model.graph.output, reference.graph.output, strict=False)
    }
    held, known = _tensors(model), _tensors(reference)
    by_name = set(known)
    same = [name for name in held if name in by_name]
    if len(same) >= _BY_NAME * min(len(held), len(known)):
        pairs = {name: Pair(tensor=name, expected=name) for name in same}
    else:
        names, expected = list(held), list(known)
        blocks = SequenceMatcher(
            None, [held[n] for n in names], [known[n] for n in expected], autojunk=False
        ).get_matching_blocks()
        pairs = {
            names[block.a + i]: Pair(tensor=names[block.a + i], expected=expected[block.b + i])
            for block in blocks
            for i in range(block.size)
        }
    pairs |= outputs
    order, read = [name for node in model.graph.node for name in node.output], _rounded(model)
    return [replace(pairs[name], read=read.get(name, name)) for name in order if name in pairs]


def _rounded(model: onnx.ModelProto) -> dict[str, str]:
    """Tensors that nothing but a rounding reads, to what that leaves."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = {}
    for name, reading in readers.items():
        if [node.op_type for node in reading] == ["QuantizeLinear"] and name == reading[0].input[0]:
            after = readers.get(reading[0].output[0], [])
            if after and all(node.op_type == "DequantizeLinear" for node in after):
                found[name] = after[0].output[0]
    return found


def _tensors(model: onnx.ModelProto) -> dict[str, str]:
    """Tensors that are computed and mean something, to their operator."""
    return {node.output[0]: node.op_type for node in model.graph.node if node.output and node.op_type not in _ROUNDING}


def first_bad(count: int, is_bad: Callable[[int, int], bool]) -> int | None:
    """Bisects for the first bad one of some things.

    Args:
        count: How many.
        is_bad: Whether any from the first number, and before the second, is.

    Returns:
        Its number; ``None`` where none is.
    """
    low, high = 0, count
    if not count or not is_bad(low, high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_bad(low, middle) else (middle, high)
    return low


def first_difference(
    pairs: Sequence[Pair], run: Run, expected: Run, samples: Samples, *, tolerance_rel: float
) -> tuple[int, float] | None:
    """The first pair that is further apart than allowed: its number and how far; ``None`` where none is."""

    def apart(pair_range: Sequence[Pair]) -> list[float]:
        found = run(samples, [pair.read or pair.tensor for pair in pair_range])
        wanted = expected(samples, [pair.expected for pair in pair_range])
        return [relative_difference(a, b) for a, b in zip(found, wanted, strict=True)]

    number = first_bad(len(pairs), lambda low, high: max(apart(pairs[low:high])) > tolerance_rel)
    return None if number is None else (number, apart(pairs[number : number + 1])[0])


def first_infinite(model: onnx.ModelProto, samples: Samples) -> str | None:
    """The first tensor with values that are no numbers."""
    run = running(model)
    names = list(_tensors(model))

    def is_bad(low: int, high: int) -> bool:
        found = run(samples, names[low:high])
        return any(not np.isfinite(value).all() for value in found if value.dtype.kind == "f")

    number = first_bad(len(names), is_bad)
    return None if number is None else names[number]
