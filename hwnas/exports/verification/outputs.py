"""Whether the outputs of two models are as near to each other as their precision lets them be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import onnx
from onnx import TensorProto

from hwnas.conversion.differences import Arrays, outputs_apart

# Largest difference relative to the largest value of a sample, and share of samples in the same class, by precision:
# float32 sums in another order stay far below, halves have ten bits, and of 8-bit integers every tensor is rounded.
TOLERANCES: Mapping[str, tuple[float, float]] = {"fp32": (1e-3, 1.0), "fp16": (2e-2, 0.98), "int8": (0.35, 0.9)}


@dataclass(frozen=True, kw_only=True)
class OutputParity:
    """Two models on the same samples.

    Attributes:
        samples: How many.
        max_abs: Largest absolute difference of an output.
        max_rel: Largest difference relative to the largest value of its sample.
        top1_agreement: Share of samples of which the first output is largest at the same place; ``None`` where that is
            no vector for each sample.
        tolerance_rel: What ``max_rel`` may be at most.
        least_agreement: What ``top1_agreement`` has to be at the least.
        passed: Whether both are.
    """

    samples: int
    max_abs: float
    max_rel: float
    top1_agreement: float | None
    tolerance_rel: float
    least_agreement: float
    passed: bool

    def to_json(self) -> dict[str, Any]:
        """Field by field; what is infinite as text."""
        infinite = {name: str(value) for name, value in asdict(self).items() if value == float("inf")}
        return {**asdict(self), **infinite}

    def __str__(self) -> str:
        agreement = "" if self.top1_agreement is None else f", same class for {self.top1_agreement:.1%}"
        return (
            f"largest difference {self.max_abs:.3g}, relative {self.max_rel:.3g} (tolerance {self.tolerance_rel:g})"
            f"{agreement} of {self.samples} samples"
        )


def compare(found: Arrays, expected: Arrays, *, tolerance_rel: float, least_agreement: float) -> OutputParity:
    """Compares outputs.

    Args:
        found: Each output, shape ``(n, ...)``.
        expected: Likewise.
        tolerance_rel: Relative to the largest value of the sample.
        least_agreement: Share of samples.
    """
    apart = outputs_apart(found, expected)
    agreement = apart.top1_agreement
    return OutputParity(
        **asdict(apart),
        tolerance_rel=tolerance_rel,
        least_agreement=least_agreement,
        passed=apart.max_rel <= tolerance_rel and (agreement is None or agreement >= least_agreement),
    )


def precision_in(model: onnx.ModelProto) -> str:
    """``"int8"`` where anything is quantised, ``"fp16"`` where weights or inputs are halves, else ``"fp32"``."""
    if any(node.op_type in {"DequantizeLinear", "QLinearConv", "QLinearMatMul"} for node in model.graph.node):
        return "int8"
    halves = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
    kinds = {weight.data_type for weight in model.graph.initializer}
    kinds |= {value.type.tensor_type.elem_type for value in model.graph.input}
    kinds |= {one.t.data_type for node in model.graph.node if node.op_type == "Constant" for one in node.attribute}
    return "fp16" if kinds & halves else "fp32"
