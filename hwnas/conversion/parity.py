"""A torch module as an ONNX model that computes the same, which is checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from hwnas.conversion.differences import outputs_apart
from hwnas.conversion.onnx_model import EXPORTERS, OPSET, to_onnx
from hwnas.conversion.runtime import onnx_logits
from hwnas.core import VerificationError
from hwnas.training import logits

PARITY_TOLERANCE = 1e-3  # absolute, on logits; fp32 sums in another order stay far below


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far ONNX Runtime and torch are apart on real images.

    Attributes:
        samples: Images compared.
        max_abs: Largest absolute difference of a logit.
        max_rel: Largest difference relative to the largest logit of its image.
        top1_agreement: Share of the images that both put into the same class; 0 where the outputs have other shapes.
        tolerance_abs: What ``max_abs`` may be at most.
        passed: Whether it is, and every class agrees.
    """

    samples: int
    max_abs: float
    max_rel: float
    top1_agreement: float
    tolerance_abs: float
    passed: bool

    def to_json(self) -> dict[str, Any]:
        """Field by field."""
        return asdict(self)


def check_parity(module: nn.Module, model: bytes, images: torch.Tensor) -> Parity:
    """Compares an ONNX model with the module it was made from.

    Args:
        module: The torch module.
        model: Serialised ONNX model.
        images: Real images as the network reads them, shape ``(n, c, h, w)``.

    Raises:
        MachineError: ONNX Runtime is not installed.
    """
    expected = logits(module, images).numpy()
    found = onnx_logits(model, images.numpy())
    apart = outputs_apart([found], [expected])
    return Parity(
        samples=apart.samples,
        max_abs=apart.max_abs,
        max_rel=apart.max_rel,
        top1_agreement=apart.top1_agreement or 0.0,
        tolerance_abs=PARITY_TOLERANCE,
        passed=apart.max_abs <= PARITY_TOLERANCE and apart.top1_agreement == 1.0,
    )


def verified_onnx(
    module: nn.Module,
    images: torch.Tensor,
    *,
    opset: int = OPSET,
    dynamic_batch: bool = False,
    exporters: Sequence[str] = EXPORTERS,
) -> tuple[bytes, Parity, str]:
    """The model of the first exporter that computes what torch does; else the last one's, with its failed parity.

    Args:
        module: Maps ``(n, c, h, w)`` to logits ``(n, classes)``.
        images: Real images as the network reads them, shape ``(n, c, h, w)``.
        opset: Version of the standard operators.
        dynamic_batch: Leaves the number of images open.
        exporters: In the order they are tried.

    Returns:
        The serialised model, how far it is from torch, and what wrote it.

    Raises:
        VerificationError: No exporter can write the module.
        MachineError: ONNX Runtime is not installed.
    """
    result: tuple[bytes, Parity, str] | None = None
    problems = []
    for exporter in exporters:
        try:
            model = to_onnx(module, images[:1], exporter=exporter, opset=opset, dynamic_batch=dynamic_batch)
        except Exception as error:  # exporters raise anything; the other one may still do
            problems.append(f"{exporter}: {type(error).__name__}: {error}".splitlines()[0])
            continue
        result = (model, check_parity(module, model, images), exporter)
        if result[1].passed:
            break
    if result is None:
        raise VerificationError(f"no exporter could write the network as ONNX ({'; '.join(problems)})")
    return result
