"""Probing the steps in which convolutions grow with their channels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from latency_tables import convolution
from profilers.precision import with_precision
from profilers.tasks import Task

WIDTHS = tuple(range(33, 97))  # two steps of 32, the longest there is known
_PRECISIONS = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "uint8": "int8"}
_DENSE = {"channels": 64, "pixels": 14}  # input of a dense convolution: small, so that probing is quick
_PIXELS = 28  # of a depthwise one, which has far less to do


def step_tasks(keys: Iterable[str], widths: Iterable[int] = WIDTHS, *, symmetric: bool = False) -> list[Task]:
    """One task for each kind of convolution among some kernels, and each width probed.

    Args:
        keys: Kernel keys; what is no convolution asks for nothing.
        widths: Output channels to probe.
        symmetric: Whether ``int8`` is signed and lies around zero; see ``profilers.precision.with_precision``.
    """
    kinds = {}
    for key in keys:
        found = convolution(key)
        if found is not None and found.element in _PRECISIONS and found.out_channels > 1:
            kinds[found.family] = found
    tasks = []
    for family, found in sorted(kinds.items()):
        window = int(found.window.partition("x")[0])
        if found.window != f"{window}x{window}" or window % 2 == 0:  # padding keeps the size of odd windows only
            continue
        for width in widths:
            probe = partial(_convolution, width, window, found.depthwise)
            model = partial(probe, precision=_PRECISIONS[found.element], symmetric=symmetric)
            tasks.append(Task("step", f"{family} {width}", model))
    return tasks


def _convolution(width: int, window: int, depthwise: bool, *, precision: str, symmetric: bool) -> bytes:
    """A convolution and its activation, ``width`` channels wide."""
    channels, pixels = (width, _PIXELS) if depthwise else (_DENSE["channels"], _DENSE["pixels"])
    shape = (width, 1 if depthwise else channels, window, window)
    weights = (0.05 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    nodes = [
        helper.make_node(
            "Conv",
            ["image", "p/weight"],
            ["p/conv"],
            "p/conv",
            group=width if depthwise else 1,
            kernel_shape=[window, window],
            pads=[window // 2] * 4,
        ),
        helper.make_node("Relu", ["p/conv"], ["p/out"], "p/relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, pixels, pixels])],
        [helper.make_tensor_value_info("p/out", TensorProto.FLOAT, [1, width, pixels, pixels])],
        [numpy_helper.from_array(weights, "p/weight")],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return with_precision(bytes(model.SerializeToString()), precision, symmetric=symmetric)
