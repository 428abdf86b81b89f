"""8-bit integers: static Q/DQ quantisation with ranges from real images, sensitive nodes left in floating point.

The rounding of one node may cost more accuracy than that of all others. Where all of them together cost too much, the
effect of each alone is measured, and those with the largest stay as they are: as few as will do.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hwnas.conversion.integer_form import integer_form
from hwnas.conversion.runtime import onnx_logits, onnxruntime
from hwnas.core import without_remarks

_ROUNDED = frozenset(
    {"Conv", "Gemm", "MatMul", "Add", "Mul", "Sigmoid", "AveragePool", "GlobalAveragePool", "ReduceMean"}
)
_IN_FLOAT = ["Gemm"]  # whose results are: integer kernels write logits in float32, too
_RANKING_IMAGES = 32  # for the effect of a single node; the ranges that ship are found with all
_MOST_KEPT = 0.5  # of the nodes: with more in floating point it is no 8-bit model any more


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """A model in 8-bit integers.

    Attributes:
        model: Serialised ONNX model.
        kept: Nodes left in floating point, the most sensitive first, with their effect: the mean square of what their
            rounding alone changes in the logits, relative to that of the logits.
        nodes: How many nodes could have been rounded.
        accuracy: By the judge.
    """

    model: bytes
    kept: tuple[tuple[str, float], ...]
    nodes: int
    accuracy: float


def quantised(
    model: bytes,
    images: NDArray[np.float32],
    *,
    judge: Callable[[bytes], float],
    least: float,
    symmetric: bool = False,
) -> Quantised:
    """A float32 model in 8-bit integers, with as many nodes in floating point as it takes and no more.

    Args:
        model: Serialised ONNX model with one input.
        images: For the ranges, as the network reads them: shape ``(n, c, h, w)``.
        judge: Gives the accuracy of a model.
        least: What that should be at the least. Where half of the nodes in floating point do not bring it about, the
            best model found is returned all the same.
        symmetric: Whether activations are signed and lie around zero.

    Raises:
        MachineError: ONNX Runtime is not installed.
    """
    nodes = _names(model)
    every = rounded(model, images, symmetric=symmetric)
    best = Quantised(model=every, kept=(), nodes=len(nodes), accuracy=judge(every))
    if best.accuracy >= least:
        return best
    ranked = _effects(model, images[:_RANKING_IMAGES], nodes, symmetric=symmetric)

    def keeping(count: int) -> Quantised:
        left = rounded(model, images, without=[name for name, _ in ranked[:count]], symmetric=symmetric)
        return Quantised(model=left, kept=tuple(ranked[:count]), nodes=len(nodes), accuracy=judge(left))

    too_few, most, count = 0, int(len(nodes) * _MOST_KEPT), 1
    enough: Quantised | None = None
    while enough is None and too_few < most:  # 1, 2, 4, … until it is enough
        tried = keeping(min(count, most))
        if tried.accuracy >= least:
            enough = tried
        else:
            best = max(best, tried, key=lambda one: one.accuracy)
            too_few, count = len(tried.kept), 2 * count
    while enough is not None and len(enough.kept) - too_few > 1:  # and back to the fewest
        tried = keeping((len(enough.kept) + too_few) // 2)
        if tried.accuracy >= least:
            enough = tried
        else:
            too_few = len(tried.kept)
    return enough or best


def rounded(
    model: bytes,
    images: NDArray[np.float32],
    *,
    only: Sequence[str] | None = None,
    without: Sequence[str] = (),
    symmetric: bool = False,
) -> bytes:
    """The model with Q/DQ pairs: weights by channel, ranges of activations from images.

    It is brought into the form that has integer kernels first; see ``integer_form``. Beside unsigned activations,
    weights have seven bits: x86 CPUs without VNNI add products in pairs of 16 bits, and eight bits overflow there.

    Args:
        model: Serialised ONNX model with one input.
        images: Shape ``(n, c, h, w)``.
        only: Names of the nodes to round; all that can be when left out.
        without: Names of nodes to leave.
        symmetric: Whether activations are signed and lie around zero.
    """
    onnxruntime()
    from onnxruntime import quantization  # noqa: PLC0415  (an extra, and slow to import)

    proto = integer_form(onnx.load_model_from_string(model))  # a copy: the library changes what it is given
    kind = quantization.QuantType.QInt8 if symmetric else quantization.QuantType.QUInt8
    with without_remarks(logging.WARNING), tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        file = Path(folder, "int8.onnx")
        quantization.quantize_static(
            proto,
            file,
            _reader(quantization.CalibrationDataReader, proto.graph.input[0].name, images),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=kind,
            weight_type=quantization.QuantType.QInt8,
            reduce_range=not symmetric,
            nodes_to_quantize=None if only is None else list(only),
            nodes_to_exclude=list(without),
            extra_options={"ActivationSymmetric": symmetric, "OpTypesToExcludeOutputQuantization": _IN_FLOAT},
        )
        made = onnx.load(file)
    made.ir_version = proto.ir_version
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString())


def _names(model: bytes) -> list[str]:
    graph = onnx.load_model_from_string(model).graph
    return [node.name for node in graph.node if node.op_type in _ROUNDED]


def _effects(
    model: bytes, images: NDArray[np.float32], nodes: Sequence[str], *, symmetric: bool
) -> list[tuple[str, float]]:
    """What the rounding of each node alone changes, the largest first."""
    expected = onnx_logits(model, images)
    scale = float(np.square(expected).mean()) or 1.0
    found = []
    for name in nodes:
        changed = onnx_logits(rounded(model, images, only=[name], symmetric=symmetric), images)
        found.append((name, float(np.square(changed - expected).mean()) / scale))
    return sorted(found, key=lambda entry: -entry[1])


def _reader(base: type[Any], name: str, images: NDArray[np.float32]) -> Any:
    """Images for calibration one by one, as the library asks for them."""

    class Reader(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self.left, None)
            return None if image is None else {name: image[None]}

    return Reader()
