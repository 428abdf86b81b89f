"""TensorRT's Python interface from 8.5 to 11: all that differs between its versions, in one place.

Since 11 a network is always strongly typed: each tensor has the type that the model gives it. Before, that is a flag,
and in TensorRT 8 there is none: precisions are switched on for a whole engine, and which layers use them is the
builder's choice.

References:
    NVIDIA, TensorRT Python API of 8.5.3, 10.16 and 11.4, as the bindings themselves describe it
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import onnx
from onnx import TensorProto, numpy_helper

from profilers.errors import DeviceError, ModelError

_CURE = 'pip install "hwnas[tensorrt]"'
_OPSET_OF_8 = 17  # from 18 on, reductions take their axes as an input, which the parser of TensorRT 8 overlooks
_LIBRARIES = ("CUBLAS", "CUBLAS_LT", "CUDNN")  # convolution networks do without them, and so may the machine
_FLAGS: dict[int, str] = {
    TensorProto.FLOAT16: "FP16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.FLOAT8E4M3FN: "FP8",
    TensorProto.INT8: "INT8",
}
_QUANTISING = {"QuantizeLinear", "DequantizeLinear"}


def import_tensorrt() -> Any:
    """TensorRT's module.

    Raises:
        DeviceError: It is not installed, or does not import.
    """
    try:
        trt = import_module("tensorrt")
    except ModuleNotFoundError as error:
        raise DeviceError(f"TensorRT is not installed, so nothing can be measured on it: {error}. {_CURE}") from error
    except Exception as error:  # its loader raises whatever the first missing shared library raises
        raise DeviceError(f"TensorRT is installed and does not import: {error}. Cure: {_CURE} again") from error
    if not hasattr(getattr(trt, "IExecutionContext", None), "execute_async_v3"):
        version = getattr(trt, "__version__", "of unknown version")
        raise DeviceError(f"expected TensorRT 8.5 or newer, found {version}. Cure: {_CURE}")
    return trt


def major(trt: Any) -> int:
    """The first part of the version."""
    return int(str(trt.__version__).partition(".")[0])


def strongly_typed(trt: Any) -> bool:
    """Whether engines keep to the types of the model."""
    return major(trt) >= 11 or hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def network_flags(trt: Any) -> int:
    """Bits to create a network with."""
    known, version = trt.NetworkDefinitionCreationFlag, major(trt)
    # Both are ignored where they are no longer needed, and are on their way out there.
    wanted = [("EXPLICIT_BATCH", version < 10), ("STRONGLY_TYPED", version < 11)]
    return sum(1 << int(getattr(known, name)) for name, needed in wanted if needed and hasattr(known, name))


def configure(trt: Any, config: Any, model: onnx.ModelProto) -> None:
    """Sets how an engine is built.

    Args:
        trt: TensorRT's module.
        config: A new builder configuration.
        model: What is built; its types choose the precisions where the engine is not strongly typed.

    Raises:
        ModelError: It has a type that this version cannot compute in.
    """
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # else the inspector tells names alone
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means it
    sources = int(config.get_tactic_sources())
    for name in _LIBRARIES:
        if hasattr(trt.TacticSource, name):
            sources &= ~(1 << int(getattr(trt.TacticSource, name)))
    config.set_tactic_sources(sources)
    if strongly_typed(trt):
        return
    for name in precision_flags(model):
        if not hasattr(trt.BuilderFlag, name):
            raise ModelError(
                f"TensorRT {trt.__version__} does not compute in {name}: expected a model in fp32, fp16 or int8. "
                f"Choose another precision, or a newer TensorRT: {_CURE}"
            )
        config.set_flag(getattr(trt.BuilderFlag, name))


def precision_flags(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the builder flags for the types in a model; quantisation nodes without a zero point mean ``INT8``."""
    found = {_FLAGS[kind] for kind in _kinds(model) if kind in _FLAGS}
    quantised = any(node.op_type in _QUANTISING for node in model.graph.node)
    if quantised and "FP8" not in found:
        found.add("INT8")
    return tuple(sorted(found if quantised else found - {"INT8"}))


def readable(trt: Any, model: onnx.ModelProto) -> onnx.ModelProto:
    """The model as the parser of this version reads it; the very same one since TensorRT 10."""
    if major(trt) >= 10:
        return model
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    _name_windows(lowered.graph)
    opset = next((entry for entry in lowered.opset_import if entry.domain in {"", "ai.onnx"}), None)
    if opset is not None and opset.version > _OPSET_OF_8:
        _reduce_by_attribute(lowered.graph)
        opset.version = _OPSET_OF_8
    return lowered


def _name_windows(graph: onnx.GraphProto) -> None:
    """Writes the window of a convolution out where its weights are computed: the parser does not look at them."""
    shapes = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in shapes:
            shapes[node.output[0]] = shapes[node.input[0]]
        named = any(entry.name == "kernel_shape" for entry in node.attribute)
        if node.op_type == "Conv" and not named and node.input[1] in shapes:
            node.attribute.append(onnx.helper.make_attribute("kernel_shape", shapes[node.input[1]][2:]))


def _reduce_by_attribute(graph: onnx.GraphProto) -> None:
    """Writes the axes of reductions as they were written before opset 18."""
    held = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:
        if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum" and len(node.input) > 1:
            axes = held.get(node.input[1])
            if axes is not None:
                del node.input[1:]
                values = numpy_helper.to_array(axes).ravel().tolist()
                node.attribute.append(onnx.helper.make_attribute("axes", values))
            kept = [one for one in node.attribute if one.name != "noop_with_empty_axes"]
            del node.attribute[:]
            node.attribute.extend(kept)


def parser_errors(parser: Any, model: onnx.ModelProto) -> list[str]:
    """What the parser could not read, each with the operator and the name of its node."""
    found = []
    for index in range(int(parser.num_errors)):
        error = parser.get_error(index)
        number = int(error.node())
        name = operator = ""
        if hasattr(error, "node_name"):  # since TensorRT 10
            name, operator = str(error.node_name()), str(error.node_operator())
        elif 0 <= number < len(model.graph.node):
            name, operator = model.graph.node[number].name, model.graph.node[number].op_type
        where = f"{operator or 'a node'} ({name or f'number {number}'})"
        found.append(f"{where}: {' '.join(str(error.desc()).split())}")
    return found


def engine_bytes(trt: Any, engine: Any, content: bytes) -> int:
    """Memory an engine needs on the device: weights, and what a run needs beyond them, inputs and outputs apart.

    Args:
        trt: TensorRT's module.
        engine: Deserialised.
        content: The same engine, serialised: its size stands for that of the weights where no version tells them.
            Kernels are in there, too.
    """
    scratch = engine.device_memory_size_v2 if hasattr(engine, "device_memory_size_v2") else engine.device_memory_size
    if hasattr(engine, "get_engine_stat"):
        return int(scratch) + int(engine.get_engine_stat(trt.EngineStat.TOTAL_WEIGHTS_SIZE))
    return int(scratch) + len(content)


def collecting_logger(trt: Any) -> Any:
    """A logger whose ``drain`` gives the errors since the last time, and ``warning`` the last warning.

    The rest is chatter on the user's terminal.
    """

    class Collecting(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # the binding asks for it by name
            self.warning = ""
            self._errors: list[str] = []
            self._lock = threading.Lock()  # builders log from threads of their own

        def log(self, severity: Any, msg: str) -> None:
            text = " ".join(str(msg).split())
            with self._lock:
                if severity in {trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR}:
                    self._errors.append(text)
                elif severity == trt.ILogger.Severity.WARNING:
                    self.warning = text

        def drain(self) -> list[str]:
            with self._lock:
                found, self._errors = self._errors, []
            return found

    return Collecting()


def layer_profiler(trt: Any) -> Any:
    """A profiler whose ``runs`` has a list for each ``begin``: names of layers and their times in milliseconds."""

    class Recording(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.runs: list[list[tuple[str, float]]] = []

        def begin(self) -> None:
            self.runs.append([])

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.runs[-1].append((str(layer_name), float(ms)))

    return Recording()


def _kinds(model: onnx.ModelProto) -> Iterator[int]:
    """Element types of a model's tensors, as far as it says them."""
    yield from (weight.data_type for weight in model.graph.initializer)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        yield value.type.tensor_type.elem_type
    for node in model.graph.node:
        yield from (one.i for one in node.attribute if node.op_type == "Cast" and one.name == "to")
