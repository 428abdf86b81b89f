"""ONNX Runtime: times whole networks, and the kernels inside them where they run.

The runtime's own profiler reports each node of the optimised graph in whole microseconds and adds a few to each, so its
durations are shares to compose with, not truths: a predictor calibrates them on networks timed without the profiler.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from latency_tables.schema import Json
from profilers.devices.fingerprint import fingerprint
from profilers.errors import DeviceError, ModelError
from profilers.kernels import KernelUse, TensorType, kernel_uses
from profilers.statistics import Times

PROVIDERS = {"cpu": "CPUExecutionProvider", "gpu": "CUDAExecutionProvider"}
_EXTRA = {"cpu": 'pip install "hwnas[cpu]"', "gpu": 'pip uninstall onnxruntime; pip install "hwnas[gpu]"'}
_SUFFIX = "_kernel_time"


@dataclass(frozen=True, kw_only=True)
class TimedRuns:
    """Raw times of a block of runs.

    Attributes:
        run_ms: Wall time of each run, shape ``(r,)``.
        preempted: Whether the process was interrupted during each, shape ``(r,)``; all false where the operating system
            does not tell.
    """

    run_ms: Times
    preempted: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class ProfiledRuns(TimedRuns):
    """A block of runs with the kernels inside.

    Attributes:
        uses: The kernels of the graph.
        kernel_ms: Duration of each of them in each run, shape ``(uses, r)``.
        provider: The execution provider of every one of them.
    """

    uses: tuple[KernelUse, ...]
    kernel_ms: NDArray[np.float64]
    provider: str


class OnnxRuntimeBackend:
    """Runs models on one execution provider and refuses to run them on any other.

    Args:
        device: ``"cpu"`` or ``"gpu"`` (CUDA).
        threads: Intra-operator threads.

    Raises:
        DeviceError: ONNX Runtime is not installed, or cannot run on that device.
    """

    name = "onnxruntime"

    def __init__(self, device: str, *, threads: int = 1) -> None:
        self.device = device
        self.provider = PROVIDERS[device]
        self.threads = threads
        self._ort = _import_onnxruntime(device)
        self.version = str(self._ort.__version__)

    def fingerprint(self) -> dict[str, Json]:
        """The conditions that a figure of this backend depends on; see ``profilers.devices.fingerprint``."""
        runtime = f"{self.name} {self.version}"
        return fingerprint(self.device, runtime=runtime, provider=self.provider, threads=self.threads)

    def time(self, model: bytes, *, warmup: int, runs: int) -> TimedRuns:
        """Times whole runs of a model on random input.

        Args:
            model: Serialised ONNX model with fixed shapes.
            warmup: Runs before the counted ones.
            runs: Counted runs.

        Raises:
            ModelError: The model cannot be loaded or run.
            DeviceError: The runtime put it on another provider.
        """
        session = self._session(model, self._options())
        return self._block(session, warmup=warmup, runs=runs)

    def profile(self, model: bytes, parts: Mapping[str, str], *, warmup: int, runs: int) -> ProfiledRuns:
        """Times the kernels of a model where they run.

        Args:
            model: Serialised ONNX model with fixed shapes.
            parts: Prefix of the tensor names of each part of the network, to what the part is.
            warmup: Runs before the counted ones.
            runs: Counted runs.

        Raises:
            ModelError: The model cannot be loaded or run.
            DeviceError: The runtime put it, or a node of it, on another provider.
        """
        with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
            options = self._options()
            options.optimized_model_filepath = str(Path(folder, "optimised.onnx"))
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder, "profile"))
            session = self._session(model, options)
            timed = self._block(session, warmup=warmup, runs=runs)
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
            optimised = onnx.load(options.optimized_model_filepath)
        nodes = _node_events(events)
        uses = kernel_uses(optimised, {name: _outputs(found[0]) for name, found in nodes.items()}, parts)
        self._require_provider({str(event["args"]["provider"]) for found in nodes.values() for event in found})
        kernel_ms = np.array([[event["dur"] / 1e3 for event in nodes[use.node][warmup:]] for use in uses])  # (uses, r)
        return ProfiledRuns(
            run_ms=timed.run_ms, preempted=timed.preempted, uses=uses, kernel_ms=kernel_ms, provider=self.provider
        )

    def _options(self) -> Any:
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = self._ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 4  # what goes wrong is raised; the rest is chatter on the user's terminal
        return options

    def _session(self, model: bytes, options: Any) -> Any:
        try:
            session = self._ort.InferenceSession(model, options, providers=[self.provider])
        except Exception as error:  # the runtime's exceptions share no base class that could be named
            raise ModelError(f"ONNX Runtime {self.version} cannot load the model: {error}") from error
        self._require_provider(set(session.get_providers()[:1]))
        return session

    def _require_provider(self, found: set[str]) -> None:
        if found != {self.provider}:
            raise DeviceError(
                f"expected every node on {self.provider}, but ONNX Runtime ran on {', '.join(sorted(found))}: figures "
                f"of that would be mislabelled. `hwnas doctor` says why {self.provider} does not load here."
            )

    def _block(self, session: Any, *, warmup: int, runs: int) -> TimedRuns:
        feeds = _random_feeds(session)
        run_ms, preempted = np.zeros(runs), np.zeros(runs, dtype=np.bool_)
        try:
            for _ in range(warmup):
                session.run(None, feeds)
            for i in range(runs):
                before = _preemptions()
                start = time.perf_counter_ns()
                session.run(None, feeds)
                run_ms[i] = (time.perf_counter_ns() - start) / 1e6
                preempted[i] = _preemptions() != before
        except Exception as error:  # as above: no common base class
            raise ModelError(f"ONNX Runtime {self.version} cannot run the model: {error}") from error
        return TimedRuns(run_ms=run_ms, preempted=preempted)


def _import_onnxruntime(device: str) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415  (an extra: only where something is measured)
    except ImportError as error:
        raise DeviceError(f"ONNX Runtime is not installed, so nothing can be measured: {_EXTRA[device]}") from error
    if not hasattr(onnxruntime, "InferenceSession"):
        raise DeviceError(
            "the package onnxruntime is damaged, as happens when onnxruntime and onnxruntime-gpu overwrite each other: "
            f"pip uninstall onnxruntime onnxruntime-gpu, then {_EXTRA['cpu']} or {_EXTRA['gpu'].rpartition('; ')[2]}"
        )
    return onnxruntime


def _random_feeds(session: Any) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    feeds = {}
    for entry in session.get_inputs():
        if entry.type != "tensor(float)" or not all(isinstance(size, int) for size in entry.shape):
            raise ModelError(
                f"input {entry.name!r} is {entry.type} {entry.shape}: expected tensor(float) with fixed sizes. "
                "Export the model with a static batch of 1."
            )
        feeds[entry.name] = rng.standard_normal(entry.shape).astype(np.float32)
    return feeds


def _node_events(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    nodes: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            nodes.setdefault(event["name"].removesuffix(_SUFFIX), []).append(event)
    return nodes


def _outputs(event: dict[str, Any]) -> list[TensorType]:
    return [
        TensorType(element=element, shape=tuple(shape))
        for output in event["args"]["output_type_shape"]
        for element, shape in output.items()
    ]


def _preemptions() -> int:
    """Involuntary context switches of this process so far; 0 where the operating system does not count them."""
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
