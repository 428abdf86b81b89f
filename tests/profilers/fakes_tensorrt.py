"""FAKE of TensorRT's Python module in three generations, 8.5, 10 and 11: what is absent in one is absent here.

Names are those of the bindings of 8.5.3, 10.16 and 11.4; what builders and engines do is made up, and the inspector's
text is written by hand after NVIDIA's documentation of it, not recorded.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import onnx

from tests.profilers.fakes_cuda import FakeCuda

_TYPES = {1: "FLOAT", 10: "HALF", 16: "BF16", 3: "INT8", 7: "INT64", 6: "INT32", 9: "BOOL"}


@dataclass
class FakeTensorRt:
    """How the fake behaves, and what was asked of it.

    Attributes:
        cuda: Where work is enqueued.
        version: ``"8.5.3.1"``, ``"10.16.1.11"`` or ``"11.4.0.106"``.
        layer_ms: Name and time of each layer of every engine.
        layers: The inspector's text; by default one made of the names.
        refused: Operator that the parser does not take.
        starts: Whether builders can be made.
        says: What the logger gets when something fails.
        fails: Which call fails: ``"build"``, ``"deserialise"``, ``"context"``, ``"run"`` or ``"report"``.
        kind: Element type of inputs and outputs, instead of that of the model.
        location: Where outputs lie.
        flags: Bits of the networks made.
        configs: Builder configurations made.
        caches: Timing caches handed in.
        contexts: Execution contexts made.
        parsed: Models parsed.
    """

    cuda: FakeCuda
    version: str = "10.16.1.11"
    layer_ms: tuple[tuple[str, float], ...] = (("p/relu", 0.25),)
    layers: str | None = None
    refused: str = ""
    starts: bool = True
    says: str = "[runner.cpp::execute::1] Error Code 1: Internal Error (made up)"
    fails: str = ""
    kind: str = ""
    location: str = "DEVICE"
    flags: list[int] = field(default_factory=list)
    configs: list[Any] = field(default_factory=list)
    caches: list[bytes] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)
    parsed: list[onnx.ModelProto] = field(default_factory=list)

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])


def fake_tensorrt(fake: FakeTensorRt) -> ModuleType:
    """FAKE module of one generation."""
    module: Any = ModuleType("tensorrt")
    module.__version__ = fake.version
    _add_enums(module, fake.major)
    module.ILogger, module.IProfiler = _base("ILogger"), _base("IProfiler")
    module.ILogger.Severity = enum.IntEnum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE", start=0)
    module.IExecutionContext = _context_class(module, fake)
    module.Builder, module.OnnxParser = _builder_class(module, fake), _parser_class(fake)
    module.Runtime = _runtime_class(module, fake)
    return module


def _base(name: str) -> type:
    """A class of the binding: it insists on having been initialised by name."""

    def initialise(self: Any) -> None:
        self.initialised = True

    return type(name, (), {"__init__": initialise})


def _add_enums(module: Any, major: int) -> None:
    flags = {8: "EXPLICIT_BATCH EXPLICIT_PRECISION", 10: "EXPLICIT_BATCH STRONGLY_TYPED", 11: "STRONGLY_TYPED"}
    precisions = {8: "FP16 INT8 TF32", 10: "FP16 BF16 INT8 FP8 TF32", 11: "TF32 REFIT"}
    sources = "EDGE_MASK_CONVOLUTIONS JIT_CONVOLUTIONS"
    made = {
        "NetworkDefinitionCreationFlag": flags[major],
        "BuilderFlag": precisions[major],
        "TacticSource": sources if major == 11 else f"CUBLAS CUBLAS_LT CUDNN {sources}",
        "ProfilingVerbosity": "LAYER_NAMES_ONLY DETAILED NONE",
        "LayerInformationFormat": "ONELINE JSON",
        "TensorIOMode": "NONE INPUT OUTPUT",
        "TensorLocation": "DEVICE HOST",
        "DataType": "FLOAT HALF INT8 INT32 BOOL UINT8" + ("" if major == 8 else " BF16 INT64 FP8"),
    }
    if major > 8:
        made["EngineStat"] = "TOTAL_WEIGHTS_SIZE STRIPPED_WEIGHTS_SIZE"
    for name, members in made.items():
        setattr(module, name, enum.IntEnum(name, members, start=0))


class Config:
    """FAKE builder configuration."""

    def __init__(self, module: Any, fake: FakeTensorRt) -> None:
        self.set, self.cleared, self.sources = set(), set(), (1 << len(module.TacticSource)) - 1
        self.profiling_verbosity, self._fake, self._cache = None, fake, None

    def set_flag(self, flag: enum.IntEnum) -> None:
        self.set.add(flag.name)

    def clear_flag(self, flag: enum.IntEnum) -> None:
        self.cleared.add(flag.name)

    def get_tactic_sources(self) -> int:
        return self.sources

    def set_tactic_sources(self, sources: int) -> bool:
        self.sources = sources
        return True

    def create_timing_cache(self, content: bytes) -> Any:
        self._fake.caches.append(content)
        return SimpleNamespace(serialize=lambda: content + b"t")

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self._cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self._cache


def _builder_class(module: Any, fake: FakeTensorRt) -> type:
    class Builder:
        def __init__(self, logger: Any) -> None:
            assert logger.initialised
            self.logger = logger
            if not fake.starts:
                logger.log(module.ILogger.Severity.INFO, "Init CUDA")
                logger.log(module.ILogger.Severity.WARNING, fake.says)  # as 8.5.3 does where there is no driver
                raise TypeError("pybind11::init(): factory function returned nullptr")

        def create_network(self, flags: int) -> Any:
            fake.flags.append(flags)
            return SimpleNamespace(model=None)

        def create_builder_config(self) -> Config:
            fake.configs.append(Config(module, fake))
            return fake.configs[-1]

        def build_serialized_network(self, network: Any, config: Config) -> bytes | None:
            assert config.profiling_verbosity == module.ProfilingVerbosity.DETAILED
            if fake.fails == "build":
                self.logger.log(module.ILogger.Severity.WARNING, "a tactic had too little memory: out of memory")
                self.logger.log(module.ILogger.Severity.ERROR, fake.says)
                return None
            return bytes(network.model.SerializeToString())

    return Builder


def _parser_class(fake: FakeTensorRt) -> type:
    class Parser:
        def __init__(self, network: Any, logger: Any) -> None:
            self.network, self.logger, self.errors = network, logger, []

        def parse(self, content: bytes) -> bool:
            self.network.model = onnx.ModelProto.FromString(content)
            fake.parsed.append(self.network.model)
            nodes = enumerate(self.network.model.graph.node)
            self.errors = [_parser_error(i, node, fake.major) for i, node in nodes if node.op_type == fake.refused]
            return not self.errors

        @property
        def num_errors(self) -> int:
            return len(self.errors)

        def get_error(self, index: int) -> Any:
            return self.errors[index]

    return Parser


def _parser_error(index: int, node: onnx.NodeProto, major: int) -> Any:
    text = 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
    error = SimpleNamespace(desc=lambda: text, node=lambda: index)
    if major > 8:
        error.node_name, error.node_operator = lambda: node.name, lambda: node.op_type
    return error


def _runtime_class(module: Any, fake: FakeTensorRt) -> type:
    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def deserialize_cuda_engine(self, content: bytes) -> Any:
            if fake.fails == "deserialise":
                self.logger.log(module.ILogger.Severity.ERROR, fake.says)
                return None
            model = onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(content))  # outputs may be open
            return _engine(module, fake, model, self.logger)

    return Runtime


def _engine(module: Any, fake: FakeTensorRt, model: onnx.ModelProto, logger: Any) -> Any:
    graph = model.graph
    values = {value.name: value.type.tensor_type for value in (*graph.input, *graph.output)}
    inputs = {value.name for value in graph.input}
    kinds = {name: fake.kind or _TYPES[value.elem_type] for name, value in values.items()}
    text = fake.layers or json.dumps({"Layers": [{"Name": name, "LayerType": "Made"} for name, _ in fake.layer_ms]})
    inspector = SimpleNamespace(get_engine_information=lambda form: text if form.name == "JSON" else "")
    engine = SimpleNamespace(
        num_io_tensors=len(values),
        get_tensor_name=lambda index: list(values)[index],
        get_tensor_mode=lambda name: module.TensorIOMode.INPUT if name in inputs else module.TensorIOMode.OUTPUT,
        get_tensor_shape=lambda name: tuple(size.dim_value for size in values[name].shape.dim),
        get_tensor_dtype=lambda name: SimpleNamespace(name=kinds[name]),
        get_tensor_location=lambda name: module.TensorLocation["DEVICE" if name in inputs else fake.location],
        create_engine_inspector=lambda: inspector,
        create_execution_context=lambda: None if fake.fails == "context" else module.IExecutionContext(values, logger),
    )
    if fake.major < 11:
        engine.device_memory_size = 2**20
    if fake.major > 8:
        engine.device_memory_size_v2 = 2**20
        engine.get_engine_stat = lambda stat: 3 * 2**20 if stat.name == "TOTAL_WEIGHTS_SIZE" else -1
    return engine


def _context_class(module: Any, fake: FakeTensorRt) -> type:
    class Context:
        def __init__(self, tensors: Any, logger: Any) -> None:
            self.addresses, self.tensors, self.logger = {}, tensors, logger
            self.profiler, self.enqueue_emits_profile, self.nvtx_verbosity = None, True, None
            fake.contexts.append(self)

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self.addresses[name] = memory
            return name in self.tensors and memory > 0

        def execute_async_v3(self, stream_handle: int) -> bool:
            assert set(self.addresses) == set(self.tensors)
            assert fake.cuda.alive[stream_handle] == "stream"
            if fake.fails == "run":
                self.logger.log(module.ILogger.Severity.ERROR, fake.says)
                return False
            fake.cuda.work(sum(ms for _, ms in fake.layer_ms))
            return True

        def report_to_profiler(self) -> bool:
            fake.cuda.calls.append("report")
            if fake.fails == "report" or self.enqueue_emits_profile:
                return False
            assert self.profiler.initialised
            for name, ms in fake.layer_ms:
                self.profiler.report_layer_time(name, ms)
            return True

    return Context
