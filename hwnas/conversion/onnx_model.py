"""From a torch module to a serialised ONNX model."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hwnas.core import UsageError, without_remarks

OPSET = 18
OPSETS = range(15, 23)  # of IR versions up to the one below
IR_VERSION = 10  # the newest that the oldest supported runtimes read
EXPORTERS = ("dynamo", "torchscript")  # in the order they are tried
BATCH = "batch"  # what an open batch axis is called
_OLDEST_OF_DYNAMO = 18  # it writes older ones by going back from this one, and fails at means
_HALVES_OPSET = 19  # below it ONNX Runtime's CPU provider takes half-precision activations apart


def opset_for(precision: str, wanted: int | None) -> int:
    """The operator set to export with.

    Args:
        precision: ``"fp32"``, ``"fp16"`` or ``"int8"``.
        wanted: What was asked for; ``None`` takes the usual one.

    Raises:
        UsageError: It is none that can be written and read.
    """
    if wanted is None:
        return _HALVES_OPSET if precision == "fp16" else OPSET
    if wanted not in OPSETS:
        raise UsageError(f"expected an opset from {OPSETS[0]} to {OPSETS[-1]}, received {wanted}")
    return wanted


def to_onnx(
    module: nn.Module, image: torch.Tensor, *, exporter: str, opset: int = OPSET, dynamic_batch: bool = False
) -> bytes:
    """Writes a module in evaluation mode as ONNX, batch normalisations folded, weights inside.

    Args:
        module: Maps ``(1, c, h, w)`` to logits ``(1, classes)``.
        image: An example input; its shape and type become the model's.
        exporter: ``"dynamo"`` (by tracing the module's graph) or ``"torchscript"`` (by running it).
        opset: Version of the standard operators.
        dynamic_batch: Leaves the number of images open.

    Raises:
        Exception: Whatever the exporter raises; neither names what it may be.
    """
    module.eval()
    if exporter == "dynamo" and opset < _OLDEST_OF_DYNAMO:
        raise RuntimeError(f"the dynamo exporter writes opset {_OLDEST_OF_DYNAMO} or newer")
    with without_remarks(logging.WARNING):
        export = _by_dynamo if exporter == "dynamo" else _by_torchscript
        model = export(module, image, opset, dynamic_batch)
    written = next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"})
    if written != opset:
        raise RuntimeError(f"the {exporter} exporter wrote opset {written} in place of {opset}")
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    # one that follows no convolution, as before the head of a cell-based network, has nothing to be folded into
    left = sum(
        node.op_type == "BatchNormalization" and made_by.get(node.input[0]) == "Conv" for node in model.graph.node
    )
    if left:
        raise RuntimeError(f"{left} batch normalisations were not folded by the {exporter} exporter")
    model.ir_version = min(model.ir_version, IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _by_dynamo(module: nn.Module, image: torch.Tensor, opset: int, dynamic_batch: bool) -> onnx.ModelProto:
    example = image[:1].expand(2, *image.shape[1:]) if dynamic_batch else image  # a single image would fix the batch
    program = torch.onnx.export(
        module,
        (example,),
        dynamo=True,
        opset_version=opset,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim(BATCH)},) if dynamic_batch else None,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("the dynamo exporter returned nothing")
    return program.model_proto


def _by_torchscript(module: nn.Module, image: torch.Tensor, opset: int, dynamic_batch: bool) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        file = Path(folder, "model.onnx")
        torch.onnx.export(
            module,
            (image,),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: BATCH}, "logits": {0: BATCH}} if dynamic_batch else None,
        )
        return onnx.load(file)


def halved(module: nn.Module) -> nn.Module:
    """A copy of a module in half precision, its batch normalisations folded before anything was rounded."""
    copy = deepcopy(module).eval()
    for part in list(copy.modules()):
        if isinstance(part, nn.Sequential):
            _fold(part)
    return copy.half()


def _fold(chain: nn.Sequential) -> None:
    for index in range(len(chain) - 1):
        conv, normal = chain[index], chain[index + 1]
        if isinstance(conv, nn.Conv2d) and isinstance(normal, nn.BatchNorm2d):
            chain[index] = fuse_conv_bn_eval(conv, normal)
            chain[index + 1] = nn.Identity()


def with_metadata(model: bytes, metadata: Mapping[str, str]) -> bytes:
    """The model with ``metadata_props``, which every runtime can read back."""
    proto = onnx.load_model_from_string(model)
    onnx.helper.set_model_props(proto, dict(metadata))
    return bytes(proto.SerializeToString())
