"""ONNX Runtime: times whole networks, and the kernels inside them where they run or alone.

The runtime's own profiler reports each node of the optimised graph in whole microseconds and adds a few to each, so its
durations are shares to compose with, not truths: a predictor calibrates them on networks timed without the profiler.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx

from latency_tables.schema import Json
from profilers.backends.blocks import BlockTimes, run_block
from profilers.backends.contract import (
    BackendSettings,
    Inspection,
    IsolatedKernel,
    Method,
    ProfiledRuns,
    RunPlan,
    TimedRuns,
)
from profilers.devices.fingerprint import device_name, fingerprint
from profilers.errors import DeviceError, ModelError
from profilers.kernels import NodeRun, TensorType, kernel_uses, node_types
from profilers.models import copied, copies_for, kernel_model, parse_model, prepared, random_feeds
from profilers.precision import unsupported_op

_EXTRA = {"cpu": 'pip install "hwnas[cpu]"', "gpu": 'pip uninstall onnxruntime; pip install "hwnas[gpu]"'}
_SUFFIX = "_kernel_time"
_BYTES_PER_MIB = 2**20
_CHAINED = 8  # copies of a kernel that overwrites an input at the least: the first cannot
# Where in whose source: numbers of statuses, paths, and signatures of functions in C++.
_WHERE = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : |\S*[/\\]\S+\.(?:cc|h|cpp):\d+ [^()]*\([^()]*\)(?: const)? "
)
_EXPORT_AGAIN = "Export it again, or choose another --backend; `onnx.checker.check_model` may tell more."
_CURES = (  # by what the runtime says in small letters, the first that fits
    ("opset import", _EXPORT_AGAIN),
    ("missing opset", _EXPORT_AGAIN),
    ("opset", "Export it for an opset that the runtime knows, or update the runtime."),
    ("ir version", "Save it in an IR version that the runtime knows, or update the runtime."),
    ("", _EXPORT_AGAIN),
)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """One profiled session."""

    graph: onnx.ModelProto
    ran: Mapping[str, NodeRun]
    events: Mapping[str, Sequence[Mapping[str, Any]]]
    times: BlockTimes
    load_ms: float

    @property
    def memory_mib(self) -> float | None:
        """Weights plus the largest filling of the arena, as the runtime counts it."""
        peaks = [event["args"].get("mem_in_use_peak") for found in self.events.values() for event in found]
        known = [int(peak) for peak in peaks if peak is not None]
        weights = sum(weight.ByteSize() for weight in self.graph.graph.initializer)
        return _mib(weights + max(known)) if known else None


class OnnxRuntimeBackend:
    """Runs models on ONNX Runtime's CPU provider and refuses to run them on any other.

    Args:
        settings: Threads and pinning.

    Raises:
        DeviceError: ONNX Runtime is not installed, or cannot run on that device.
    """

    name = "onnxruntime"
    provider: ClassVar[str] = "CPUExecutionProvider"
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    method: Method = "isolated"

    def __init__(self, settings: BackendSettings | None = None) -> None:
        self.settings = settings or BackendSettings(device=self.devices[0])
        self.device = self.settings.device
        self.threads = self.settings.threads
        self.device_name = device_name(self.device)
        self._ort = import_onnxruntime(self.device)
        self.version = str(self._ort.__version__)

    def fingerprint(self) -> dict[str, Json]:
        """The conditions that a figure of this backend depends on; see ``profilers.devices.fingerprint``."""
        runtime = f"{self.name} {self.version}"
        return fingerprint(self.settings, runtime=runtime, provider=self.provider)

    def time(self, model: bytes, plan: RunPlan) -> TimedRuns:
        """Times whole runs of a model on random input; see ``Backend.time``."""
        return self._time(model, plan, self._options())

    def time_kernel(self, kernel: IsolatedKernel, plan: RunPlan) -> TimedRuns:
        """Times the copies of one kernel as they are; see ``Isolating.time_kernel``."""
        options = self._options()
        options.graph_optimization_level = self._ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        model = copied(kernel.model, kernel.copies, overwrites=kernel.overwrites)
        return self._time(model, plan, options)

    def profile(self, model: bytes, parts: Mapping[str, str], plan: RunPlan) -> ProfiledRuns:
        """Times the kernels of a model where they run; see ``InPlace.profile``."""
        seen = self._profiled(model, plan, by_output=len(parts) > 1)
        inspection = Inspection(uses=kernel_uses(seen.graph, seen.ran, parts), memory_mib=seen.memory_mib)
        n = len(seen.times.run_ms)
        kernel_ms = np.array([[event["dur"] / 1e3 for event in seen.events[use.node][-n:]] for use in inspection.uses])
        return ProfiledRuns(
            run_ms=seen.times.run_ms,
            preempted=seen.times.preempted,
            provider=self.provider,
            load_ms=seen.load_ms,
            first_ms=seen.times.first_ms,
            inspection=inspection,
            kernel_ms=kernel_ms,  # (uses, r)
        )

    def isolate(self, model: bytes, parts: Mapping[str, str]) -> tuple[Inspection, dict[str, IsolatedKernel]]:
        """The kernels of a model, and each as a model of its own; see ``Isolating.isolate``."""
        seen = self._profiled(model, RunPlan(warmup_runs=0, runs=1), by_output=len(parts) > 1)
        uses = kernel_uses(seen.graph, seen.ran, parts)
        types, nodes = node_types(seen.graph, seen.ran), {node.name: node for node in seen.graph.graph.node}
        alone: dict[str, IsolatedKernel] = {}
        for use in uses:
            if use.key not in alone:
                single = kernel_model(nodes[use.node], seen.graph, types)
                if single is not None:
                    copies = copies_for(nodes[use.node], types, least=_CHAINED if use.overwrites is not None else 1)
                    alone[use.key] = IsolatedKernel(model=single, copies=copies, overwrites=use.overwrites)
        return Inspection(uses=uses, memory_mib=seen.memory_mib), alone

    def _time(self, model: bytes, plan: RunPlan, options: Any) -> TimedRuns:
        start = time.perf_counter()
        session = self._session(model, options)
        load_ms = (time.perf_counter() - start) * 1e3
        times = self._runs(session, plan)
        return TimedRuns(
            run_ms=times.run_ms,
            preempted=times.preempted,
            provider=self.provider,
            load_ms=load_ms,
            first_ms=times.first_ms,
            host_ms=times.host_ms,
        )

    def _profiled(self, model: bytes, plan: RunPlan, *, by_output: bool = False) -> _Seen:
        """Runs a model under the runtime's profiler."""
        named = prepared(parse_model(model), by_output=by_output)
        with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
            options = self._options()
            options.optimized_model_filepath = str(Path(folder, "optimised.onnx"))
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder, "profile"))
            start = time.perf_counter()
            session = self._session(named, options)
            load_ms = (time.perf_counter() - start) * 1e3
            times = self._runs(session, plan)
            raw = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
            graph = onnx.load(options.optimized_model_filepath)
        events = node_events(raw, graph)
        if not events:
            raise ModelError(
                f"ONNX Runtime {self.version} optimises the model away: nothing is left in it to be timed. "
                "Export it so that its outputs depend on its inputs."
            )
        self._require_provider({str(event["args"]["provider"]) for found in events.values() for event in found})
        ran = {name: node_run(found[0]) for name, found in events.items()}
        return _Seen(graph=graph, ran=ran, events=events, times=times, load_ms=load_ms)

    def _options(self) -> Any:
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = self._ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 4  # what goes wrong is raised; the rest is chatter on the user's terminal
        return options

    def _providers(self) -> list[Any]:
        """What a session is asked for: names, or names with options."""
        return [self.provider]

    def _session(self, model: bytes, options: Any) -> Any:
        try:
            session = self._ort.InferenceSession(model, options, providers=self._providers())
        except Exception as error:  # the runtime's exceptions share no base class that could be named
            raise self._refusal("load", error) from error
        self._require_provider(set(session.get_providers()[:1]))
        return session

    def _require_provider(self, found: set[str]) -> None:
        if found != {self.provider}:
            raise DeviceError(
                f"expected every node on {self.provider}, but ONNX Runtime ran on {', '.join(sorted(found))}: figures "
                f"of that would be mislabelled. `hwnas doctor` says why {self.provider} does not load here."
            )

    def _runs(self, session: Any, plan: RunPlan) -> BlockTimes:
        """Many runs of a loaded session."""
        run = self._runner(session, seed=plan.seed)
        try:
            return run_block(run, plan)
        except Exception as error:  # as above: no common base class
            raise self._refusal("run", error) from error

    def _runner(self, session: Any, *, seed: int) -> Callable[[], float | None]:
        """One run, ready to be called."""
        feeds = session_feeds(session, seed=seed)
        if any(value.dtype.name == "bfloat16" for value in feeds.values()):
            held = {name: as_ort_value(self._ort, value) for name, value in feeds.items()}
            outputs = [entry.name for entry in session.get_outputs()]
            return lambda: session.run_with_ort_values(outputs, held) and None
        return lambda: session.run(None, feeds) and None

    def _refusal(self, verb: str, error: Exception) -> Exception:
        """What the runtime's own error means to the user."""
        text = " ".join(str(error).split())
        lacking = unsupported_op(text)
        if lacking is not None:
            return ModelError(
                f"ONNX Runtime {self.version} has no kernel for {lacking} on {self.provider}, and nothing else is "
                "measured in its place. Export the model without it, or choose another precision or backend."
            )
        told = _WHERE.sub("", text).rstrip(". ")
        cure = next((cure for word, cure in _CURES if word in told.lower()), _CURES[-1][1])
        return ModelError(f"ONNX Runtime {self.version} cannot {verb} the model: {told}. {cure}")


def import_onnxruntime(device: str) -> Any:
    """The runtime's module.

    Args:
        device: ``"cpu"`` or ``"gpu"``: decides which of the two wheels the cure names.

    Raises:
        DeviceError: It is not installed, or damaged.
    """
    extra = _EXTRA.get(device, _EXTRA["gpu"])
    try:
        import onnxruntime  # noqa: PLC0415  (an extra: only where something is measured)
    except ImportError as error:
        raise DeviceError(f"ONNX Runtime is not installed, so nothing can be measured: {extra}") from error
    if not hasattr(onnxruntime, "InferenceSession"):
        raise DeviceError(
            "the package onnxruntime is damaged, as happens when onnxruntime and onnxruntime-gpu overwrite each other: "
            f"pip uninstall onnxruntime onnxruntime-gpu, then {_EXTRA['cpu']} or {_EXTRA['gpu'].rpartition('; ')[2]}"
        )
    return onnxruntime


def session_feeds(session: Any, *, seed: int = 0) -> dict[str, Any]:
    """Made-up values for the inputs of a session; see ``random_feeds``."""
    entries = session.get_inputs()
    described = ((entry.name, entry.type.removeprefix("tensor(").rstrip(")"), entry.shape) for entry in entries)
    return random_feeds(described, seed=seed)


def as_ort_value(ort: Any, value: Any) -> Any:
    """A value in the runtime's own memory; numpy has no ``bfloat16``, whose bits go in as whole numbers."""
    if value.dtype.name == "bfloat16":
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(value.view(np.uint16), onnx.TensorProto.BFLOAT16)
    return ort.OrtValue.ortvalue_from_numpy(value)


def node_events(events: list[dict[str, Any]], graph: onnx.ModelProto) -> dict[str, list[dict[str, Any]]]:
    """The profile's events by the name of their node in the saved graph.

    A node that an optimiser made without a name goes by operator and number in the profile; it is named here, in the
    saved graph, by matching such nodes and such events of one operator in order.
    """
    nodes: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            nodes.setdefault(event["name"].removesuffix(_SUFFIX), []).append(event)
    unmatched = sorted(
        set(nodes) - {node.name for node in graph.graph.node},
        key=lambda name: int(nodes[name][0]["args"]["node_index"]),
    )
    for node in graph.graph.node:
        if not node.name:
            same = [name for name in unmatched if nodes[name][0]["args"]["op_name"] == node.op_type]
            if same:
                node.name = same[0]
                unmatched.remove(same[0])
    return nodes


def node_run(event: Mapping[str, Any]) -> NodeRun:
    """What an event says of its node."""
    told = event["args"]
    sizes = [told.get(name) for name in ("activation_size", "parameter_size", "output_size")]
    return NodeRun(
        outputs=tuple(_types(told["output_type_shape"])),
        elements=tuple(found.element for found in _types(told["input_type_shape"])),
        provider=str(told["provider"]),
        memory_mib=None if None in sizes else _mib(sum(int(str(size)) for size in sizes)),
    )


def _types(told: Sequence[Mapping[str, Sequence[int]]]) -> list[TensorType]:
    return [TensorType(element=element, shape=tuple(shape)) for one in told for element, shape in one.items()]


def _mib(size_bytes: int) -> float:
    return float(f"{size_bytes / _BYTES_PER_MIB:.6g}")
