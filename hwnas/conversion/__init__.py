"""From a torch module to ONNX in a precision, and what the result computes."""

from hwnas.conversion.differences import Difference, outputs_apart
from hwnas.conversion.onnx_model import EXPORTERS, opset_for, to_onnx, with_metadata
from hwnas.conversion.parity import PARITY_TOLERANCE, Parity, check_parity, verified_onnx
from hwnas.conversion.precisions import (
    CALIBRATION_IMAGES,
    PRECISIONS,
    accuracy_in,
    calibration_images,
    halves,
    model_in,
)
from hwnas.conversion.quantising import Quantised, quantised, rounded
from hwnas.conversion.runtime import onnx_accuracy, onnx_logits, onnxruntime

__all__ = [
    "CALIBRATION_IMAGES",
    "EXPORTERS",
    "PARITY_TOLERANCE",
    "PRECISIONS",
    "Difference",
    "Parity",
    "Quantised",
    "accuracy_in",
    "calibration_images",
    "check_parity",
    "halves",
    "model_in",
    "onnx_accuracy",
    "onnx_logits",
    "onnxruntime",
    "opset_for",
    "outputs_apart",
    "quantised",
    "rounded",
    "to_onnx",
    "verified_onnx",
    "with_metadata",
]
