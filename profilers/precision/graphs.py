"""The graphs of a model, and the base of what rewrites them.

New tensors and nodes are named after the tensor they belong to, a slash and what they are. Kernels are attributed to
parts of a network by what stands before the first slash, so they stay with the part they were made for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import onnx
from onnx import AttributeProto, TensorProto

KINDS = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators that a model is written in."""
    return next((int(entry.version) for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 1)


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all inside it: branches and loop bodies."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from graphs_of(attribute.g)
            for inner in attribute.graphs:
                yield from graphs_of(inner)


def values_of(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The tensors of a graph whose types are written down, weights aside."""
    return [*graph.input, *graph.output, *graph.value_info]


def replace(field: Any, items: Sequence[Any]) -> None:
    """Sets a repeated field, some of whose own items may be among the new ones."""
    del field[:]
    field.extend(items)


class Rewriter:
    """A model that is being rewritten: its graphs, weights, float32 tensors, and the names that are taken."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.graphs = list(graphs_of(model.graph))
        self.weights = {weight.name: weight for graph in self.graphs for weight in graph.initializer}
        kinds = {value.name: value.type.tensor_type.elem_type for graph in self.graphs for value in values_of(graph)}
        kinds |= {name: weight.data_type for name, weight in self.weights.items()}
        self.floats = {name for name, kind in kinds.items() if kind == TensorProto.FLOAT}
        self.taken = set(kinds) | {name for g in self.graphs for n in g.node for name in (n.name, *n.output)}

    def name(self, tensor: str, what: str) -> str:
        """A new name that begins with a tensor's."""
        name = f"{tensor}/{what}"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def read(self) -> Counter[str]:
        """How often each tensor is read, anywhere in the model."""
        return Counter(name for graph in self.graphs for node in graph.node for name in node.input)

    def finished(self) -> onnx.ModelProto:
        """The model without weights that nothing reads any more."""
        needed = {*self.read(), *(value.name for graph in self.graphs for value in graph.output)}
        for graph in self.graphs:
            if any(weight.name not in needed for weight in graph.initializer):
                replace(graph.initializer, [weight for weight in graph.initializer if weight.name in needed])
        return self.model
