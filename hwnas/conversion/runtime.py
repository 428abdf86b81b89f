"""Running exported models on this machine's CPU, to judge what they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hwnas.core import MachineError
from hwnas.training import ImageData, Split, prepared

CPU = "CPUExecutionProvider"
_NUMPY = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(double)": np.float64}
_BATCH = 64


def onnxruntime() -> Any:
    """The module of that name.

    Raises:
        MachineError: It is not installed.
    """
    try:
        import onnxruntime as found  # noqa: PLC0415  (an extra: only where a model is run)
    except ImportError as error:
        raise MachineError(
            'checking an export needs ONNX Runtime, which is not installed: pip install "hwnas[cpu]" (or "hwnas[gpu]")'
        ) from error
    return found


def session(model: bytes, *, provider: str = CPU, optimised: bool = True) -> Any:
    """A model ready to run on one thread.

    Args:
        model: Serialised ONNX model.
        provider: What is to run it.
        optimised: Whether the runtime may fuse and rewrite.

    Raises:
        MachineError: ONNX Runtime is not installed.
        Exception: Whatever the runtime raises about the model.
    """
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=[provider])


def logits_of(held: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a session gives for images: its first output.

    Args:
        held: A session of a model with one input.
        images: As the network reads them, shape ``(n, c, h, w)``.

    Returns:
        Shape ``(n, classes)``.
    """
    entry = held.get_inputs()[0]
    batch = entry.shape[0] if isinstance(entry.shape[0], int) else _BATCH
    given = images.astype(_NUMPY.get(entry.type, np.float32), copy=False)
    whole = len(images) - len(images) % batch
    parts: Sequence[slice] = [slice(i, i + batch) for i in range(0, whole, batch)]
    if whole < len(images) and not isinstance(entry.shape[0], int):
        parts = [*parts, slice(whole, len(images))]
    found = [held.run(None, {entry.name: given[part]})[0] for part in parts]
    return np.concatenate(found).astype(np.float32, copy=False)


def onnx_logits(model: bytes, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """What an ONNX model gives for images on the CPU, shape ``(n, classes)``."""
    return logits_of(session(model), images)


def onnx_accuracy(model: bytes, split: Split, data: ImageData, *, size: int) -> float:
    """Share of the images whose largest logit is at the right class, by ONNX Runtime on the CPU."""
    held, right = session(model), 0
    for i in range(0, len(split.images), _BATCH):
        images = prepared(split.images[i : i + _BATCH], data, size=size).numpy()
        right += int((logits_of(held, images).argmax(axis=1) == split.labels[i : i + _BATCH]).sum())
    return right / len(split.images)


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators."""
    return next((int(entry.version) for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 1)
