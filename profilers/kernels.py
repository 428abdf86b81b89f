"""The kernels a runtime really executes: nodes of its own optimised graph, under canonical keys.

ONNX Runtime saves the graph it executes, with fusions and layout, and its profiler tells the shapes that ran; the saved
graph lacks the shapes, the profile lacks the attributes, and only both together make a key.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper

KEY_VERSION = 3  # 2: nodes the runtime left without a name are kernels, too; 3: a summand overwritten is told

SUMMAND = 3  # the input that a convolution with a fused sum adds to
_SUMMING = {("com.microsoft.nchwc", "Conv"), ("com.microsoft", "FusedConv")}

Shape = tuple[int, ...]

_OPTIMISERS_WORD = re.compile(r"^(?:InsertedPrecisionFreeCast_|FusedBack_)+")

# Attributes that say nothing about the work: defaults written out by the optimiser.
_SILENT = {
    "auto_pad": "NOTSET",
    "channels_last": 0,
    "noop_with_empty_axes": 0,
    "allowzero": 0,
    "alpha": 1.0,
    "beta": 1.0,
}


@dataclass(frozen=True, kw_only=True)
class TensorType:
    """Element type and shape of a tensor, as the runtime reported it."""

    element: str
    shape: Shape

    def __str__(self) -> str:
        return f"{self.element}[{'x'.join(map(str, self.shape))}]"


@dataclass(frozen=True, kw_only=True)
class KernelUse:
    """One node of the optimised graph.

    Attributes:
        node: Its name, unique in the graph.
        key: Canonical key of the kernel it runs.
        part: Prefix of the part of the network it belongs to.
        op_type: Its operator.
        elements: Element types of its inputs, in order.
        provider: The execution provider it ran on, as the runtime reported it.
        memory_mib: Bytes it reads and writes, in MiB; ``None`` for unknown.
        overwrites: Input that it writes its output over; ``None`` where its output lies elsewhere.
    """

    node: str
    key: str
    part: str
    op_type: str = ""
    elements: tuple[str, ...] = ()
    provider: str = ""
    memory_mib: float | None = None
    overwrites: int | None = None


@dataclass(frozen=True, kw_only=True)
class NodeRun:
    """What the runtime reported of one node that ran.

    Attributes:
        outputs: Types of its outputs.
        elements: Element types of its inputs.
        provider: The execution provider it ran on.
        memory_mib: Bytes it reads and writes, in MiB; ``None`` for unknown.
    """

    outputs: tuple[TensorType, ...]
    elements: tuple[str, ...] = ()
    provider: str = ""
    memory_mib: float | None = None


def kernel_uses(
    model: onnx.ModelProto,
    ran: Mapping[str, NodeRun],
    parts: Mapping[str, str],
) -> tuple[KernelUse, ...]:
    """The kernels of an optimised graph, in its order.

    Args:
        model: The graph as the runtime saved it.
        ran: Node name to what the runtime reported of it; nodes that never ran are absent.
        parts: Prefixes of the parts; names of tensors begin with one of them and a slash.

    Returns:
        One use a node that ran.
    """
    types = node_types(model, ran)
    overwriting = _overwriting(model, types)
    owner: dict[str, str] = {}  # tensor name -> part that made it
    weights = {weight.name for weight in model.graph.initializer}
    uses = []
    for node in model.graph.node:
        part = _part(node, parts, owner, weights)
        owner |= dict.fromkeys(node.output, part)
        if node.name in ran:
            report = ran[node.name]
            overwrites = SUMMAND if node.output[0] in overwriting else None
            uses.append(
                KernelUse(
                    node=node.name,
                    key=_key(node, types, overwrites),
                    part=part,
                    op_type=node.op_type,
                    elements=report.elements,
                    provider=report.provider,
                    memory_mib=report.memory_mib,
                    overwrites=overwrites,
                )
            )
    return tuple(uses)


def node_types(model: onnx.ModelProto, ran: Mapping[str, NodeRun]) -> dict[str, TensorType]:
    """Types of the tensors of an optimised graph: the saved graph lacks those between nodes, the profile has them."""
    types = {value.name: _declared(value) for value in model.graph.input}
    types |= {
        weight.name: TensorType(element=_element(weight.data_type), shape=tuple(weight.dims))
        for weight in model.graph.initializer
    }
    for node in model.graph.node:
        if node.name in ran:
            written = [name for name in node.output if name]  # an output that is left out has no type either
            types |= dict(zip(written, ran[node.name].outputs, strict=False))
    return types


def block_kernels(uses: Sequence[KernelUse], parts: Mapping[str, str]) -> list[tuple[str, Counter[str]]]:
    """For every part of a network its block key and the kernels it became."""
    kernels: dict[str, Counter[str]] = {prefix: Counter() for prefix in parts}
    for use in uses:
        kernels[use.part][use.key] += 1
    return [(parts[prefix], count) for prefix, count in kernels.items()]


def _part(
    node: onnx.NodeProto, parts: Mapping[str, str], owner: Mapping[str, str], weights: Container[str] = frozenset()
) -> str:
    """The part a node belongs to.

    Fused and reordered nodes keep the name of a tensor of the original graph, either as their own name or as an output,
    behind a word of the optimiser's own; a layout change in front of a node is named after its input; failing all, a
    node belongs where its input was made. Equal weights of several parts are merged, so their names prove nothing.
    """
    read = [name for name in node.input if name not in weights]
    for name in (node.name, *node.output, *read):
        prefix = _OPTIMISERS_WORD.sub("", str(name)).partition("/")[0]
        if prefix in parts:
            return prefix
    return next((owner[name] for name in node.input if name in owner), next(iter(parts)))


def _overwriting(model: onnx.ModelProto, types: Mapping[str, TensorType]) -> frozenset[str]:
    """Convolutions with a fused sum that write it over the summand, by the names of their outputs.

    They may where whatever else reads the summand has to have run before; else the summand is copied first. (Something
    that merely happens to run before does not count: its order is the runtime's business.)
    """
    made = {name: node for node in model.graph.node for name in node.output}
    kept = {one.name for one in (*model.graph.input, *model.graph.output, *model.graph.initializer)}
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    found = set()
    for node in model.graph.node:
        if (node.domain, node.op_type) not in _SUMMING or len(node.input) <= SUMMAND:
            continue
        summand, written = node.input[SUMMAND], node.output[0]
        if summand in kept or summand not in types or types[summand] != types.get(written):
            continue
        others = {other.output[0] for other in readers[summand] if other is not node}
        if list(node.input).count(summand) == 1 and (not others or others <= _before(node, made)):
            found.add(written)
    return frozenset(found)


def _before(node: onnx.NodeProto, made: Mapping[str, onnx.NodeProto]) -> set[str]:
    """First outputs of all nodes whose results a node needs."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        for name in waiting.pop().input:
            if name in made and made[name].output[0] not in found:
                found.add(made[name].output[0])
                waiting.append(made[name])
    return found


def _declared(value: onnx.ValueInfoProto) -> TensorType:
    tensor = value.type.tensor_type
    return TensorType(element=_element(tensor.elem_type), shape=tuple(d.dim_value for d in tensor.shape.dim))


def _element(code: int) -> str:
    return str(onnx.TensorProto.DataType.Name(code)).lower()


def _key(node: onnx.NodeProto, types: Mapping[str, TensorType], overwrites: int | None) -> str:
    domain = "" if node.domain in {"", "ai.onnx"} else f"{node.domain}."
    told = [] if overwrites is None else [f"overwrites={overwrites}"]
    attributes = ",".join([*_attributes(node), *told])
    read = ",".join(str(types[name]) if name in types else "-" for name in node.input)
    written = ",".join(str(types[name]) for name in node.output if name in types)
    return f"{domain}{node.op_type}({read})->{written}" + (f"{{{attributes}}}" if attributes else "")


def _attributes(node: onnx.NodeProto) -> list[str]:
    found = []
    for attribute in sorted(node.attribute, key=lambda a: a.name):
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if attribute.name in _SILENT and value == _SILENT[attribute.name]:
            continue
        found.append(f"{attribute.name}={_shown(value)}")
    return found


def _shown(value: Any) -> str:
    """An attribute's value as far as it says something about the work: of tensors and graphs not what is in them."""
    if isinstance(value, onnx.TensorProto):
        return str(TensorType(element=_element(value.data_type), shape=tuple(value.dims)))
    if isinstance(value, onnx.GraphProto):
        held = sorted(_shown(weight) for weight in value.initializer)
        nodes = (f"{node.op_type}({','.join(_attributes(node))})" for node in value.node)
        return f"[{';'.join([*held, *nodes])}]"
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str | int):
        return str(value)
    return "x".join(_shown(item) for item in value) if hasattr(value, "__iter__") else type(value).__name__
