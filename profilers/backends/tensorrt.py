"""TensorRT itself: whole models, and the layers inside their engines.

A model becomes an engine once; engines are kept by the hash of the model. Building is not deterministic: kernels are
chosen by timing them, so that a second engine of the same model may be some percent slower or faster. A cache of those
timings, kept for the life of the backend, makes layers of one shape get one kernel; there is one build for each model.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx

from latency_tables.schema import Json
from profilers.backends import tensorrt_api as api
from profilers.backends.blocks import BlockTimes, run_block
from profilers.backends.contract import BackendSettings, Engine, Inspection, Method, ProfiledRuns, RunPlan, TimedRuns
from profilers.backends.device_runs import Copy, DeviceRuns
from profilers.backends.tensorrt_layers import PROVIDER, layer_uses, read_layers
from profilers.devices.cuda import CudaRuntime, device_failure
from profilers.devices.fingerprint import device_name, fingerprint
from profilers.devices.nvml import describe_gpus, used_gpu
from profilers.errors import DeviceError, ModelError, ProfilerError
from profilers.models import parse_model, prepared, random_feeds, require_fixed

_BYTES_PER_MIB = 2**20
_MOST_KEPT = 2**30  # bytes of serialised engines on the host
_ELEMENTS = {  # TensorRT's names of element types, to ONNX's
    "FLOAT": "float",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
_OF_AN_ENGINE = ("gpu", "mig", "driver", "cuda", "cuda_driver", "tf32", "strongly_typed")  # of the fingerprint


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A built engine: serialised, how long that took, and the operators of the model by the names of their nodes."""

    content: bytes
    build_ms: float
    operators: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """An engine on the device with its tensors, ready to run."""

    engine: Any
    context: Any
    plan: _Plan
    load_ms: float
    run: Callable[[], float]


class TensorRtBackend:
    """Builds engines from models and runs them, from TensorRT 8.5 to 11.

    ``fp32`` means it: TF32 is off. In TensorRT 8, which has no strong typing, the builder may compute a layer of a
    ``fp16`` or ``int8`` model in a wider type.

    Attributes:
        builds: Engines built so far.
        shared_layers: Of the network profiled last, layers that cover several of its parts and are booked on the first.

    Args:
        settings: ``cuda_graph`` and ``include_io``; with the latter the copies from and to ordinary, pageable host
            memory are part of a run.
        cuda: The CUDA runtime, instead of the one that is found.

    Raises:
        DeviceError: TensorRT or the CUDA runtime is not installed, or the GPU is not usable.
    """

    name = "tensorrt"
    provider = PROVIDER
    devices: ClassVar[tuple[str, ...]] = ("gpu",)
    method: Method = "blocks"
    symmetric_int8: ClassVar[bool] = True

    def __init__(self, settings: BackendSettings | None = None, *, cuda: CudaRuntime | None = None) -> None:
        self.settings = settings or BackendSettings(device="gpu")
        self.device, self.threads = self.settings.device, self.settings.threads
        self.device_name = device_name(self.device)
        self._trt = api.import_tensorrt()
        self.version = str(self._trt.__version__)
        self.builds = self.shared_layers = 0
        self._cuda = cuda or CudaRuntime.open()
        self._stream = self._cuda.create_stream()
        self._free_stream = weakref.finalize(self, self._cuda.destroy_stream, self._stream)
        self._free_stream.atexit = False  # by then the runtime may be gone, and with it the stream
        self._plans: OrderedDict[str, _Plan] = OrderedDict()
        self._timings = b""  # of tactics, as TensorRT serialises them
        self._logger = api.collecting_logger(self._trt)
        self._builder = self._made("Builder")
        self._runtime = self._made("Runtime")

    def close(self) -> None:
        """Lets go of the engines and the stream; nothing can be measured any more. A second time does nothing."""
        self._plans.clear()
        self._free_stream()

    def fingerprint(self) -> dict[str, Json]:
        """The conditions that a figure of this backend depends on; see ``profilers.devices.fingerprint``."""
        runtime = f"{self.name} {self.version}"
        return fingerprint(self.settings, runtime=runtime, provider=self.provider) | {
            "cuda": self._cuda.version,
            "cuda_driver": self._cuda.driver_version,
            "tf32": False,
            "strongly_typed": api.strongly_typed(self._trt),
            "builds_per_model": 1,
        }

    def time(self, model: bytes, plan: RunPlan) -> TimedRuns:
        """Times whole runs of a model on random input; see ``Backend.time``."""
        with self._loaded(model, graph=self.settings.cuda_graph, hold=plan.began is None) as loaded:
            times = self._runs(loaded.run, plan)
        return TimedRuns(
            run_ms=times.run_ms,
            preempted=times.preempted,
            provider=self.provider,
            load_ms=loaded.load_ms,
            first_ms=times.first_ms,
            host_ms=times.host_ms,
        )

    def profile(self, model: bytes, parts: Mapping[str, str], plan: RunPlan) -> ProfiledRuns:
        """Times the layers of a model's engine where they run; see ``InPlace.profile``.

        What lies between layers is in none of them: their sum is below the whole. ``shared_layers`` tells how many
        layers could not be given to one part alone.
        """
        with self._loaded(model, graph=False) as loaded:
            layers = self._layers(loaded.engine)
            times, rows = self._profiled(loaded, plan)
            memory = api.engine_bytes(self._trt, loaded.engine, loaded.plan.content)
        timed = [name for name, _ in rows[0]]
        uses, self.shared_layers = layer_uses(layers, timed, operators=loaded.plan.operators, parts=parts)
        return ProfiledRuns(
            run_ms=times.run_ms,
            preempted=times.preempted,
            provider=self.provider,
            load_ms=loaded.load_ms,
            first_ms=times.first_ms,
            host_ms=times.host_ms,
            inspection=Inspection(uses=uses, memory_mib=float(f"{memory / _BYTES_PER_MIB:.6g}")),
            kernel_ms=np.array([[ms for _, ms in row] for row in rows]).T,  # (uses, r)
        )

    def engine(self, model: bytes) -> Engine:
        """The engine of a model, with the timings of all engines so far; see ``Compiling.engine``."""
        built = self.builds
        with self._telling("build an engine for"):
            plan = self._plan(model)
        gpu, known = used_gpu(describe_gpus().gpus), self.fingerprint()
        return Engine(
            content=plan.content,
            timing_cache=self._timings,
            measured=self.builds == built,
            conditions={
                "tensorrt": self.version,
                "platform": f"{platform.system()} {platform.machine()}",
                "compute_capability": gpu.compute_capability if gpu else None,
                **{name: known[name] for name in _OF_AN_ENGINE},
            },
        )

    def _profiled(self, loaded: _Loaded, plan: RunPlan) -> tuple[BlockTimes, list[list[tuple[str, float]]]]:
        """Runs with the profiler on; names and times of the layers in each counted run."""
        profiler = api.layer_profiler(self._trt)
        loaded.context.profiler = profiler
        loaded.context.enqueue_emits_profile = False  # else the call waits for its layers, before the second event

        def run() -> float:
            elapsed_ms = loaded.run()
            profiler.begin()
            self._require(loaded.context.report_to_profiler(), "profile")
            return elapsed_ms

        times = self._runs(run, plan)
        rows = profiler.runs[-len(times.run_ms) :]
        names = [[name for name, _ in row] for row in rows]
        if not names or not names[0] or any(row != names[0] for row in names):
            raise ModelError(
                f"expected TensorRT {self.version} to report the same layers in every run, received "
                f"{sorted({len(row) for row in names})} of them. Time the model as a whole."
            )
        return times, rows

    def _layers(self, engine: Any) -> list[dict[str, Any]]:
        inspector = engine.create_engine_inspector()
        return read_layers(str(inspector.get_engine_information(self._trt.LayerInformationFormat.JSON)))

    def _runs(self, run: Callable[[], float], plan: RunPlan) -> BlockTimes:
        with self._telling("run"):
            return run_block(run, plan)

    @contextlib.contextmanager
    def _telling(self, verb: str) -> Iterator[None]:
        """What the binding raises in the body, in words: it has no base class that could be named."""
        try:
            yield
        except ProfilerError:
            raise
        except Exception as error:
            raise self._refusal(verb, str(error)) from error

    @contextlib.contextmanager
    def _loaded(self, model: bytes, *, graph: bool, hold: bool = True) -> Iterator[_Loaded]:
        """An engine on the device for the body, with all that belongs to it."""
        with contextlib.ExitStack() as held:
            with self._telling("load"):
                loaded = self._load(model, held, graph=graph, hold=hold)
            yield loaded

    def _load(self, model: bytes, held: contextlib.ExitStack, *, graph: bool, hold: bool) -> _Loaded:
        plan = self._plan(model)
        start = time.perf_counter()
        engine = self._require(self._runtime.deserialize_cuda_engine(plan.content), "load")
        context = self._require(engine.create_execution_context(), "load")
        # Ranges for a profiler of NVIDIA's, which the detailed description of layers brings along, take time.
        context.nvtx_verbosity = self._trt.ProfilingVerbosity.LAYER_NAMES_ONLY
        load_ms = plan.build_ms + (time.perf_counter() - start) * 1e3
        sources, results = self._bind(engine, context, held)
        runs = DeviceRuns(
            cuda=self._cuda,
            stream=self._stream,
            execute=lambda: self._require(context.execute_async_v3(self._stream), "run"),
            sources=sources,
            results=results,
            include_io=self.settings.include_io,
            hold=hold,
        )
        run = runs.replayed(held) if graph else runs.launched(held)
        return _Loaded(engine=engine, context=context, plan=plan, load_ms=load_ms, run=run)

    def _bind(self, engine: Any, context: Any, held: contextlib.ExitStack) -> tuple[list[Copy], list[Copy]]:
        """Gives each input and output its place on the device, at an address that stays."""
        entries = [self._entry(engine, str(engine.get_tensor_name(i))) for i in range(int(engine.num_io_tensors))]
        is_input = {name: engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT for name, _, _ in entries}
        feeds = random_feeds(entry for entry in entries if is_input[entry[0]])
        sources: list[Copy] = []
        results: list[Copy] = []
        for name, element, shape in entries:
            values = feeds[name] if is_input[name] else np.empty(shape, dtype=_numpy_type(element))
            address = held.enter_context(self._cuda.buffer(values.nbytes))
            self._require(context.set_tensor_address(name, address), "load")
            (sources if is_input[name] else results).append((address, values))
        return sources, results

    def _entry(self, engine: Any, name: str) -> tuple[str, str, tuple[int, ...]]:
        """Name, element type and shape of an input or output."""
        kind = str(engine.get_tensor_dtype(name).name)
        shape = tuple(int(size) for size in engine.get_tensor_shape(name))
        on_device = engine.get_tensor_location(name) == self._trt.TensorLocation.DEVICE
        if kind not in _ELEMENTS or min(shape, default=1) < 1 or not on_device:
            shown = f"{kind}[{'x'.join(map(str, shape))}]" + ("" if on_device else " on the host")
            raise ModelError(
                f"tensor {name!r} is {shown}: expected numbers with fixed sizes on the device. "
                f"Give open sizes with `--shape {name}=1x3x224x224`."
            )
        return name, _ELEMENTS[kind], shape

    def _plan(self, model: bytes) -> _Plan:
        """The engine of a model, built if there is none yet."""
        key = hashlib.sha256(model).hexdigest()
        if key not in self._plans:
            self._plans[key] = self._build(model)
            while len(self._plans) > 1 and sum(len(plan.content) for plan in self._plans.values()) > _MOST_KEPT:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return self._plans[key]

    def _build(self, model: bytes) -> _Plan:
        trt, given = self._trt, parse_model(model)
        require_fixed(given)  # `prepared` would take an open batch for one image
        named = parse_model(prepared(given))
        readable = api.readable(trt, named)
        self._logger.drain()
        start = time.perf_counter()
        network = self._require(self._builder.create_network(api.network_flags(trt)), "build an engine for")
        parser = trt.OnnxParser(network, self._logger)
        if not parser.parse(bytes(readable.SerializeToString())):
            raise self._unreadable(api.parser_errors(parser, readable))
        config = self._builder.create_builder_config()
        api.configure(trt, config, readable)
        config.set_timing_cache(config.create_timing_cache(self._timings), False)
        content = self._require(self._builder.build_serialized_network(network, config), "build an engine for")
        timings = config.get_timing_cache()
        self._timings = bytes(timings.serialize()) if timings is not None else b""
        self.builds += 1
        return _Plan(
            content=bytes(content),
            build_ms=(time.perf_counter() - start) * 1e3,
            operators={node.name: node.op_type for node in named.graph.node},
        )

    def _made(self, kind: str) -> Any:
        """TensorRT's builder or runtime; where there is no device the binding raises a ``TypeError``."""
        try:
            return getattr(self._trt, kind)(self._logger)
        except (TypeError, RuntimeError) as error:
            told = "; ".join(self._logger.drain()) or self._logger.warning or str(error)
            raise device_failure(told) or DeviceError(
                f"TensorRT {self.version} does not start here: {told}. `hwnas doctor` says what works on this machine."
            ) from error

    def _require(self, found: Any, verb: str) -> Any:
        """What TensorRT gave; it gives ``None`` or ``False`` and writes why into its log."""
        if found is None or found is False:
            raise self._refusal(verb, "")
        return found

    def _refusal(self, verb: str, told: str) -> Exception:
        text = "; ".join(filter(None, [told, *self._logger.drain()])) or "it does not say why"
        return device_failure(text) or ModelError(f"TensorRT {self.version} cannot {verb} the model: {text}")

    def _unreadable(self, errors: list[str]) -> Exception:
        text = "; ".join(errors) or "; ".join(self._logger.drain()) or "it does not say why"
        return ModelError(
            f"TensorRT {self.version} does not take the model: {text}. "
            "Export the model without that operator, or choose another precision or backend."
        )


def _numpy_type(element: str) -> np.dtype[Any]:
    return onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.DataType.Value(element.upper()))
