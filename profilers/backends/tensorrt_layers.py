"""The layers of a TensorRT engine, under canonical keys.

The engine's inspector describes each layer; its profiler tells their times by name. A layer's key has what it computes
and the types, shapes and layouts it reads and writes, but not the tactic: engines of one model may differ in those from
one build to the next.

Layers belong to the part of the network whose nodes they were made from. One that was made from nodes of several parts,
as the compiler inside TensorRT makes them, is booked on the first of these alone, and counted: where there are many,
figures of parts say little, and blocks must be timed as models of their own.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from profilers.errors import ModelError
from profilers.kernels import KernelUse

PROVIDER = "TensorRT"

_BYTES_PER_MIB = 2**20
# In the order in which they are looked for: a name may contain another one.
_ELEMENTS = (
    (r"BF16|BFloat16", "bfloat16", 2.0),
    (r"FP16|Half|Float16", "float16", 2.0),
    (r"FP8|Float8", "float8e4m3fn", 1.0),
    (r"FP4|Float4", "float4e2m1", 0.5),
    (r"FP32|Float", "float", 4.0),
    (r"UInt8", "uint8", 1.0),
    (r"Int8", "int8", 1.0),
    (r"Int4", "int4", 0.5),
    (r"Int32", "int32", 4.0),
    (r"Int64", "int64", 8.0),
    (r"Bool", "bool", 1.0),
)
_WIDTHS = {"two": 2, "four": 4, "eight": 8, "sixteen": 16, "thirty-two": 32}
# What is told elsewhere in a key, and what the builder chose by the clock: the layer's type among it, which in TensorRT
# 8 names the runner (one convolution is a ``CaskConvolution`` or a ``FusedConvActConvolution``, from build to build).
_NO_PARAMETERS = {"Name", "LayerType", "ParameterType", "Inputs", "Outputs", "Metadata", "HasReLU", "StreamId"}
_CHOSEN = "Tactic"
_LONGEST = 40  # characters of a parameter's value; longer ones are hashed
_SEPARATORS = re.compile(r"[+,\s()\[\]{}\x1e\x1f]|\.\.\.")
_ONNX_LAYER = re.compile(r"\[ONNX Layer: ([^\]]+)\]")


@dataclass(frozen=True)
class _Tensor:
    name: str
    element: str
    shape: tuple[int, ...]
    layout: str
    size_bytes: float | None

    def __str__(self) -> str:
        text = f"{self.element}[{'x'.join(map(str, self.shape))}]"
        return f"{text}@{self.layout}" if self.layout else text


def read_layers(text: str) -> list[dict[str, Any]]:
    """The layers of an engine, from the inspector's JSON.

    Raises:
        ModelError: It is no such JSON, or tells names alone.
    """
    try:
        layers = list(json.loads(text, strict=False)["Layers"])  # separators stand in names as they are
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"expected the engine inspector's JSON, received what is none: {error}") from error
    if not all(isinstance(layer, dict) and "Name" in layer for layer in layers):
        raise ModelError("expected layers with details, received names alone: the engine was built without them")
    return layers


def layer_uses(
    layers: Sequence[Mapping[str, Any]], timed: Sequence[str], *, operators: Mapping[str, str], parts: Mapping[str, str]
) -> tuple[tuple[KernelUse, ...], int]:
    """The layers that were timed, in their order, and how many of them cover several parts.

    Args:
        layers: From ``read_layers``.
        timed: Names of the layers as the profiler reported them in one run.
        operators: Name of each node of the model, to its operator.
        parts: Prefixes of the parts; names of nodes and tensors begin with one of them and a slash.
    """
    described: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for layer in layers:
        described[str(layer["Name"])].append(layer)
    owner: dict[str, str] = {}  # tensor name -> part that made it
    seen: Counter[str] = Counter()
    uses, shared = [], 0
    for name in timed:
        known = described.get(name) or [{"Name": name, "LayerType": "Unknown"}]
        layer = known[min(seen[name], len(known) - 1)]
        seen[name] += 1
        covered = _covered(layer, parts)
        part = covered[0] if covered else _neighbour(layer, parts, owner)
        shared += len(covered) > 1 and not _moves(layer)
        owner |= dict.fromkeys((tensor.name for tensor in _tensors(layer, "Outputs")), part)
        unique = name if seen[name] == 1 else f"{name} #{seen[name]}"
        uses.append(_use(layer, unique, part, _operators(layer, operators)))
    return tuple(uses), shared


def _use(layer: Mapping[str, Any], name: str, part: str, operators: Sequence[str]) -> KernelUse:
    read, written = _tensors(layer, "Inputs"), _tensors(layer, "Outputs")
    parameters = list(_parameters(layer))
    if operators:
        parameters.append(f"ops={'+'.join(operators)}")
    sizes = [tensor.size_bytes for tensor in (*read, *written)]
    kind = str(layer.get("ParameterType") or layer.get("LayerType", "Unknown"))
    text = f"{','.join(map(str, read))})->{','.join(map(str, written))}"
    return KernelUse(
        node=name,
        key=f"{PROVIDER}.{kind}({text}" + (f"{{{','.join(parameters)}}}" if parameters else ""),
        part=part,
        op_type=kind,
        elements=tuple(tensor.element for tensor in read),
        provider=PROVIDER,
        memory_mib=_mib(sizes),
    )


def _mib(sizes: Sequence[float | None]) -> float | None:
    known = [size for size in sizes if size is not None]
    return float(f"{sum(known) / _BYTES_PER_MIB:.6g}") if known and len(known) == len(sizes) else None


def _tensors(layer: Mapping[str, Any], side: str) -> list[_Tensor]:
    return [_tensor(entry) for entry in layer.get(side, []) if isinstance(entry, Mapping)]


def _tensor(entry: Mapping[str, Any]) -> _Tensor:
    """One tensor; type and layout stand in one text, or in two since they were told apart."""
    told = str(entry.get("Format/Datatype", entry.get("Format", "")))
    kind = str(entry.get("Datatype", told))
    shape = tuple(int(size) for size in entry.get("Dimensions", []))
    found = next((one for one in _ELEMENTS if re.search(one[0], kind, re.IGNORECASE)), None)
    element, width = (found[1], found[2]) if found else ("unknown", None)
    size_bytes = None if width is None else math.prod(shape) * width
    return _Tensor(str(entry.get("Name", "")), element, shape, _layout(told), size_bytes)


def _layout(told: str) -> str:
    """A short name of a layout; none for the plain one and where it is not told."""
    text = told.lower()
    if found := re.search(r"([\w-]+) wide channel vectorized", text):
        return f"chw{_WIDTHS.get(found[1], found[1])}"
    if "channel major" in text:
        multiple = re.search(r"channel % (\d+)", text)
        return f"hwc{multiple[1]}" if multiple else "hwc"
    return ""


def _parameters(layer: Mapping[str, Any]) -> Iterator[str]:
    """What a layer computes, sorted; what is zero or empty says that it does not."""
    for name in sorted(set(layer) - _NO_PARAMETERS):
        text = "" if _CHOSEN in name else _value(layer[name])
        if text:
            short = text if len(text) <= _LONGEST else f"#{hashlib.sha256(text.encode()).hexdigest()[:8]}"
            yield f"{name}={short}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):  # {"Type": "Float", "Count": 864}
        return "x".join(str(one) for one in value.values())
    if isinstance(value, list):
        return "x".join(map(str, value)) if any(value) else ""
    return "" if value in {None, 0, -1, "", "NONE"} else str(value)


def _covered(layer: Mapping[str, Any], parts: Mapping[str, str]) -> list[str]:
    """The parts whose nodes a layer was made from, in order, each once."""
    prefixes = (word.partition("/")[0] for word in _words(layer))
    return list(dict.fromkeys(prefix for prefix in prefixes if prefix in parts))


def _neighbour(layer: Mapping[str, Any], parts: Mapping[str, str], owner: Mapping[str, str]) -> str:
    """The part of a layer that is named after no node: that of a tensor it writes or reads."""
    tensors = [*_tensors(layer, "Outputs"), *_tensors(layer, "Inputs")]
    for tensor in tensors:
        for word in _SEPARATORS.split(tensor.name):
            if word.partition("/")[0] in parts:
                return word.partition("/")[0]
    return next((owner[tensor.name] for tensor in tensors if tensor.name in owner), next(iter(parts), ""))


def _operators(layer: Mapping[str, Any], operators: Mapping[str, str]) -> list[str]:
    """Operators of the nodes that a layer was made from."""
    words = [] if _moves(layer) else dict.fromkeys(_words(layer))
    return [operators[word] for word in words if word in operators]


def _moves(layer: Mapping[str, Any]) -> bool:
    """Whether a layer only changes a layout: it is named after the layer it does that for."""
    return str(layer["Name"]).startswith("Reformatting CopyNode")


def _words(layer: Mapping[str, Any]) -> list[str]:
    """Names of nodes that a layer speaks of: its metadata lists them since 8.6, its name is made of them before."""
    listed = _ONNX_LAYER.findall(str(layer.get("Metadata", "")))
    return [*listed, *(word for word in _SEPARATORS.split(str(layer["Name"])) if word)]
