"""From a torch module to a serialised ONNX model."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import nn

OPSET = 18
IR_VERSION = 10  # the newest that the oldest supported runtimes read
EXPORTERS = ("dynamo", "torchscript")  # in the order they are tried


def to_onnx(module: nn.Module, image: torch.Tensor, *, exporter: str) -> bytes:
    """Writes a module in evaluation mode as ONNX, batch normalisations folded, weights inside.

    Args:
        module: Maps ``(1, c, h, w)`` to logits ``(1, classes)``.
        image: An example input; its shape becomes the model's.
        exporter: ``"dynamo"`` (by tracing the module's graph) or ``"torchscript"`` (by running it).

    Raises:
        Exception: Whatever the exporter raises; neither names what it may be.
    """
    module.eval()
    with _quiet():
        if exporter == "dynamo":
            program = torch.onnx.export(
                module,
                (image,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["image"],
                output_names=["logits"],
                verbose=False,
            )
            if program is None:
                raise RuntimeError("the dynamo exporter returned nothing")
            model = program.model_proto
        else:
            with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
                file = Path(folder, "model.onnx")
                torch.onnx.export(
                    module,
                    (image,),
                    file,
                    dynamo=False,
                    opset_version=OPSET,
                    input_names=["image"],
                    output_names=["logits"],
                )
                model = onnx.load(file)
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


def with_metadata(model: bytes, metadata: Mapping[str, str]) -> bytes:
    """The model with ``metadata_props``, which every runtime can read back."""
    proto = onnx.load_model_from_string(model)
    onnx.helper.set_model_props(proto, dict(metadata))
    return bytes(proto.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporters' remarks on their own internals off the user's terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
