"""float16 and bfloat16: every float32 tensor gets another floating type."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from profilers.precision.graphs import KINDS, Rewriter, opset_of, replace, values_of

_LARGEST = {"fp16": 65504.0, "bf16": 3.3895313892515355e38}

_Slots = tuple[bool, ...]


class Narrower(Rewriter):
    """Gives every float32 tensor another floating type."""

    def __init__(self, model: onnx.ModelProto, precision: str) -> None:
        super().__init__(model)
        self.precision = precision
        self.kind = KINDS[precision]
        self.opset = opset_of(model)

    def run(self) -> onnx.ModelProto:
        """The model with the other type."""
        for graph in self.graphs:
            for node in graph.node:
                self._attributes(node)
        kept = [self._spare(graph) for graph in self.graphs]  # copies of weights, while these are still float32
        for graph, spared in zip(self.graphs, kept, strict=True):
            for weight in graph.initializer:
                self._tensor(weight)
            graph.initializer.extend(spared)
            for value in values_of(graph):
                self._type(value.type)
        return self.finished()

    def _tensor(self, tensor: onnx.TensorProto) -> None:
        if tensor.data_type == TensorProto.FLOAT:
            values, largest = numpy_helper.to_array(tensor), _LARGEST[self.precision]
            held = np.where(np.isinf(values), values, np.clip(values, -largest, largest))  # masks of -3e38 stay finite
            dtype = helper.tensor_dtype_to_np_dtype(self.kind)
            tensor.CopyFrom(numpy_helper.from_array(held.astype(dtype), tensor.name))

    def _type(self, kind: onnx.TypeProto) -> None:
        for holder in ("sequence_type", "optional_type"):
            if kind.HasField(holder):
                self._type(getattr(kind, holder).elem_type)
        if kind.tensor_type.elem_type == TensorProto.FLOAT:
            kind.tensor_type.elem_type = self.kind

    def _attributes(self, node: onnx.NodeProto) -> None:
        """Constants inside a node, and the type it is told to write."""
        if node.op_type == "ConstantOfShape" and not node.attribute:  # zeros, of float32 if nothing is said
            node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(np.zeros(1, np.float32))))
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                self._tensor(attribute.t)
            if attribute.name in {"to", "dtype", "output_datatype"} and attribute.i == TensorProto.FLOAT:
                attribute.i = self.kind

    def _spare(self, graph: onnx.GraphProto) -> list[onnx.TensorProto]:
        """Leaves float32 to what takes nothing else; returns the weights that are needed as they are."""
        wide: dict[str, str] = {}  # tensor to its float32 copy
        kept, nodes = [], []
        for node in graph.node:
            reads, writes = _float_only(node.domain, node.op_type, self.opset, self.precision)
            for slot in self._refused(node.input, reads):
                tensor = node.input[slot]
                if tensor not in wide:
                    wide[tensor] = self.name(tensor, "float")
                    if tensor in self.weights:
                        kept.append(TensorProto.FromString(self.weights[tensor].SerializeToString()))
                        kept[-1].name = wide[tensor]
                    else:
                        nodes.append(_cast(tensor, wide[tensor], TensorProto.FLOAT))
                node.input[slot] = wide[tensor]
            nodes.append(node)
            for slot in self._refused(node.output, writes):
                tensor = node.output[slot]
                wide[tensor] = node.output[slot] = self.name(tensor, "float")
                nodes.append(_cast(wide[tensor], tensor, self.kind))
        if len(nodes) > len(graph.node):
            replace(graph.node, nodes)
        return kept

    def _refused(self, names: Sequence[str], slots: _Slots) -> list[int]:
        """Those of a node's inputs or outputs that have to stay float32; the last slot may stand for many."""
        return [i for i, name in enumerate(names) if slots and slots[min(i, len(slots) - 1)] and name in self.floats]


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], f"{max(source, target, key=len)}.cast", to=kind)


@cache
def _float_only(domain: str, op_type: str, opset: int, precision: str) -> tuple[_Slots, _Slots]:
    """Which inputs and outputs of an operator may be float32 but not the other type; nothing for foreign operators."""
    if domain not in {"", "ai.onnx"} or not onnx.defs.has(op_type, opset, ""):
        return (), ()
    schema = onnx.defs.get_schema(op_type, opset, "")
    wanted = {"fp16": "tensor(float16)", "bf16": "tensor(bfloat16)"}[precision]
    reads, writes = (
        tuple("tensor(float)" in slot.types and wanted not in slot.types for slot in slots)
        for slots in (schema.inputs, schema.outputs)
    )
    return reads, writes
