"""A network in the precision that it is to be deployed in, and the accuracy that it has there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hwnas.conversion.onnx_model import EXPORTERS, OPSET, halved, opset_for, to_onnx
from hwnas.conversion.parity import verified_onnx
from hwnas.conversion.quantising import rounded
from hwnas.conversion.runtime import onnx_accuracy
from hwnas.core import VerificationError, unknown
from hwnas.training import ImageData, accuracy, prepared

PRECISIONS = ("fp32", "fp16", "int8")
CALIBRATION_IMAGES = 256  # that ranges are found with, at the most
_SEED = 0  # of these images: the same model twice gives the same file
_QUICKEST = EXPORTERS[::-1]  # running a module is ten times as fast as tracing it
_COMPARED = 16  # images by which what an exporter wrote is checked


def model_in(module: nn.Module, precision: str, images: NDArray[np.float32], *, symmetric: bool = False) -> bytes:
    """A network as the ONNX model that is deployed in a precision, nothing left in another one.

    Args:
        module: The network, in evaluation mode.
        precision: One of ``PRECISIONS``.
        images: For the ranges of ``int8``, as the network reads them: shape ``(n, c, h, w)``.
        symmetric: For ``int8``: signed activations around zero.

    Raises:
        UsageError: No such precision.
        VerificationError: No exporter can write the network, or none writes what it computes.
        MachineError: ONNX Runtime is not installed.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if precision == "fp16":
        _, channels, size, _ = images.shape
        return halves(module, channels=channels, size=size, opset=opset_for("fp16", None), exporters=_QUICKEST)
    shown = torch.from_numpy(images[:_COMPARED])
    model, parity, exporter = verified_onnx(module, shown, opset=OPSET, exporters=_QUICKEST)
    if not parity.passed:
        raise VerificationError(
            f"the ONNX model that the {exporter} exporter wrote differs from torch by up to {parity.max_abs:.3g}: its "
            f"accuracy in {precision} would be that of another network"
        )
    return rounded(model, images, symmetric=symmetric) if precision == "int8" else model


def accuracy_in(module: nn.Module, precision: str, data: ImageData, *, size: int, symmetric: bool = False) -> float:
    """Accuracy of a trained network on the validation images, computed in a precision.

    Of ``fp32`` that of the module itself; else that of its converted model, by ONNX Runtime on the CPU.

    Args:
        module: The trained network.
        precision: One of ``PRECISIONS``.
        data: Its training images give the ranges of ``int8``.
        size: Height and width of the images in pixels.
        symmetric: For ``int8``: signed activations around zero.

    Raises:
        UsageError: No such precision.
        VerificationError: As of ``model_in``.
        MachineError: ONNX Runtime is not installed.
    """
    if precision == "fp32":
        return accuracy(module, data.validation, data, size=size)
    images = calibration_images(data, size=size)
    return onnx_accuracy(model_in(module, precision, images, symmetric=symmetric), data.validation, data, size=size)


def halves(
    module: nn.Module,
    *,
    channels: int,
    size: int,
    opset: int,
    dynamic_batch: bool = False,
    exporters: Sequence[str] = EXPORTERS,
) -> bytes:
    """A network in half precision, by the first exporter that can write it.

    Args:
        module: The network.
        channels: Of its images.
        size: Height and width of the images in pixels.
        opset: Version of the standard operators.
        dynamic_batch: Leaves the number of images open.
        exporters: In the order they are tried.

    Raises:
        VerificationError: None can.
    """
    image = torch.zeros(1, channels, size, size, dtype=torch.float16)
    problems = []
    for exporter in exporters:
        try:
            return to_onnx(halved(module), image, exporter=exporter, opset=opset, dynamic_batch=dynamic_batch)
        except Exception as error:  # exporters raise anything; the other one may still do
            problems.append(f"{exporter}: {type(error).__name__}: {error}".splitlines()[0])
    raise VerificationError(f"no exporter could write the network in fp16 ({'; '.join(problems)})")


def calibration_images(data: ImageData, *, size: int, most: int = CALIBRATION_IMAGES) -> NDArray[np.float32]:
    """Some training images as a network reads them, shape ``(n, c, size, size)``; always the same ones.

    Args:
        data: The data.
        size: Height and width in pixels.
        most: How many, at the most.
    """
    count = len(data.train.images)
    chosen = np.sort(np.random.default_rng(_SEED).permutation(count)[:most])
    images: NDArray[np.float32] = prepared(data.train.images[chosen], data, size=size).numpy()
    return images
