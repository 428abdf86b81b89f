"""How far the outputs of two models are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

Arrays = Sequence[NDArray[Any]]

# Largest difference relative to the largest value of a sample, and share of samples in the same class, by precision:
# float32 sums in another order stay far below, halves have ten bits, and of 8-bit integers every tensor is rounded.
TOLERANCES: Mapping[str, tuple[float, float]] = {"fp32": (1e-3, 1.0), "fp16": (2e-2, 0.98), "int8": (0.35, 0.9)}
_TIE = 1e-5  # classes this close, relative to the largest value, are one class


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
    pairs = list(zip(found, expected, strict=True))
    max_abs = max(float(np.max(_apart(a, b)[0], initial=0.0)) for a, b in pairs)
    max_rel = max(difference(a, b) for a, b in pairs)
    agreement = _agreement(*pairs[0])
    return OutputParity(
        samples=len(expected[0]),
        max_abs=max_abs,
        max_rel=max_rel,
        top1_agreement=agreement,
        tolerance_rel=tolerance_rel,
        least_agreement=least_agreement,
        passed=max_rel <= tolerance_rel and (agreement is None or agreement >= least_agreement),
    )


def difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Largest difference relative to the largest value of its sample; infinite for another shape or no numbers."""
    apart, scale = _apart(found, expected)
    return float(np.max(apart / scale, initial=0.0))


def precision_in(model: onnx.ModelProto) -> str:
    """``"int8"`` where anything is quantised, ``"fp16"`` where weights are halves, else ``"fp32"``."""
    if any(node.op_type in {"DequantizeLinear", "QLinearConv", "QLinearMatMul"} for node in model.graph.node):
        return "int8"
    halves = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
    return "fp16" if any(weight.data_type in halves for weight in model.graph.initializer) else "fp32"


def _apart(found: NDArray[Any], expected: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Differences ``(n, k)`` and scale ``(n, 1)`` of each sample."""
    if found.size != expected.size or len(found) != len(expected):  # (n, c, 1, 1) is (n, c)
        return np.full((1, 1), np.inf), np.ones((1, 1))
    a, b = (values.reshape(len(values), -1).astype(np.float64) for values in (found, expected))
    apart = np.where(np.isfinite(a) & np.isfinite(b), np.abs(a - np.where(np.isfinite(b), b, 0)), np.inf)
    apart = np.where(a == b, 0.0, apart)  # two infinities of one sign
    largest = np.abs(np.where(np.isfinite(b), b, 0)).max(axis=1, keepdims=True, initial=0.0)
    return apart, np.maximum(largest, 1e-6)


def _agreement(found: NDArray[Any], expected: NDArray[Any]) -> float | None:
    if expected.ndim != 2 or found.shape != expected.shape or expected.shape[1] < 2:
        return None
    chosen = expected[np.arange(len(expected)), np.nan_to_num(found).argmax(axis=1)]
    largest = expected.max(axis=1)
    same = (largest - chosen) <= _TIE * np.maximum(np.abs(expected).max(axis=1), 1e-6)
    return float((same & np.isfinite(found).all(axis=1)).mean())
