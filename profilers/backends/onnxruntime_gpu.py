"""ONNX Runtime on NVIDIA GPUs: its CUDA provider, and its TensorRT provider.

Inputs and outputs lie on the device, bound once; a run is timed by events on the stream that the provider works on, so
that neither the interpreter nor the way back to it is part of a figure. What the host needs to launch a run is part of
it wherever the device has to wait for the host, as small networks make it; replayed from a CUDA graph, it is not.

The runtime's profiler tells launch times on these providers, not durations: kernels are measured alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from latency_tables.schema import Json
from profilers.backends.blocks import BlockTimes, run_block
from profilers.backends.contract import BackendSettings, Method, ProfiledRuns, RunPlan
from profilers.backends.device_runs import Copy, DeviceRuns
from profilers.backends.onnxruntime import OnnxRuntimeBackend, session_feeds
from profilers.devices.cuda import CudaRuntime, device_failure, uncapturable
from profilers.errors import DeviceError, ModelError, ProfilerError

_CUDA = "CUDAExecutionProvider"
_ASSIGNMENT = "session.record_ep_graph_assignment_info"  # since ONNX Runtime 1.24
_NO_CPU = "session.disable_cpu_ep_fallback"
_MOST_NAMED = 5  # operators in a message


class CudaBackend(OnnxRuntimeBackend):
    """Runs models on ONNX Runtime's CUDA provider and refuses to run any node elsewhere.

    ``fp32`` means it: TF32 is off. Convolution algorithms are searched exhaustively, so that the very first run of a
    model is slow and the others are what the library can do.

    Args:
        settings: ``cuda_graph`` and ``include_io``; with the latter the copies from and to ordinary, pageable host
            memory are part of a run.
        cuda: The CUDA runtime, instead of the one that is found.

    Raises:
        DeviceError: ONNX Runtime or the CUDA runtime is not installed, or the GPU is not usable.
    """

    provider: ClassVar[str] = _CUDA
    devices: ClassVar[tuple[str, ...]] = ("gpu",)
    method: Method = "isolated"
    memory: ClassVar[str] = "cuda"
    """Where inputs and outputs lie, as ONNX Runtime names it."""
    captures: ClassVar[bool] = True
    """Whether runs are captured here: the provider's own replay waits for its end inside of the call."""

    def __init__(self, settings: BackendSettings | None = None, *, cuda: CudaRuntime | None = None) -> None:
        super().__init__(settings)
        if self.provider not in self._ort.get_available_providers():
            raise DeviceError(
                f"this ONNX Runtime {self.version} was built without {self.provider}. "
                'Cure: pip uninstall onnxruntime, then pip install "hwnas[gpu]".'
            )
        self._preload()
        self._cuda = cuda or CudaRuntime.open()
        self._stream = self._cuda.create_stream()
        self._free_stream = weakref.finalize(self, self._cuda.destroy_stream, self._stream)
        self._free_stream.atexit = False  # by then the runtime may be gone, and with it the stream
        self._tells_assignment = hasattr(self._ort.InferenceSession, "get_provider_graph_assignment_info")

    def close(self) -> None:
        """Lets go of the stream; nothing can be measured any more. A second time does nothing."""
        self._free_stream()

    def fingerprint(self) -> dict[str, Json]:
        """Those of the base class, the versions of CUDA and cuDNN, and the provider's options."""
        options = self._options_of(self.provider)
        options.pop("user_compute_stream", None)  # an address, another one every time
        return super().fingerprint() | {
            "cuda": self._cuda.version,
            "cuda_driver": self._cuda.driver_version,
            "cuda_built_for": getattr(self._ort, "cuda_version", None) or None,
            "cudnn": library_version(("libcudnn.so.9", "libcudnn.so.8", "cudnn64_9.dll"), "cudnnGetVersion"),
            "tf32": self._tf32(),
            "provider_options": " ".join(f"{name}={value}" for name, value in sorted(options.items())),
        }

    def profile(self, model: bytes, parts: Mapping[str, str], plan: RunPlan) -> ProfiledRuns:
        """Refused: the profiler's durations on a GPU are the host's times to launch.

        Raises:
            DeviceError: Always.
        """
        raise DeviceError(
            f"kernels on {self.provider} are not timed in place: ONNX Runtime's profiler reports the host's time "
            "to launch them, not theirs to run. Choose another --method."
        )

    def _profiled(self, model: bytes, plan: RunPlan, *, by_output: bool = False) -> Any:
        seen = super()._profiled(model, plan, by_output=by_output)
        copies = [node.name for node in seen.graph.graph.node if node.op_type.startswith("Memcpy")]
        if copies:
            raise DeviceError(
                f"expected every tensor to stay on the device, but ONNX Runtime {self.version} copies to or from the "
                f"host at {_some(copies)}. Export the model with fixed shapes, or choose another --backend."
            )
        return seen

    def _preload(self) -> None:
        """Loads CUDA and cuDNN from their wheels, where the loader of the system would not look for them."""
        preload = getattr(self._ort, "preload_dlls", None)
        if preload is None:
            return
        # What is missing is printed, and told again by the session: see `hwnas doctor`.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(OSError, RuntimeError):
            preload()

    def _options_of(self, provider: str, *, model: bytes = b"", graph: bool = False) -> dict[str, Any]:
        """The options of a provider: those of the CUDA provider here.

        Args:
            provider: Its name.
            model: Serialised model, for options that depend on it.
            graph: Whether the provider itself is to replay runs from a CUDA graph.
        """
        return {
            "user_compute_stream": str(self._stream),
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            "do_copy_in_default_stream": 1,
            "use_tf32": 0,
            "enable_cuda_graph": 0,
        }

    def _tf32(self) -> bool:
        """Whether fp32 may be computed in TF32."""
        return False

    def _names(self) -> tuple[str, ...]:
        """The providers a session is asked for, the wanted one first."""
        return (self.provider,)

    def _session(self, model: bytes, options: Any) -> Any:
        # A node must run to be profiled, and in a replayed graph none does.
        graph = self.settings.cuda_graph and not options.enable_profiling
        options.add_session_config_entry(_ASSIGNMENT if self._tells_assignment else _NO_CPU, "1")
        providers = [(name, self._options_of(name, model=model, graph=graph)) for name in self._names()]
        try:
            # Without the fallback, else the runtime prints a banner and goes on elsewhere.
            session = self._ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
        except Exception as error:  # the runtime's exceptions share no base class that could be named
            raise self._refusal("load", error) from error
        self._require_provider(set(session.get_providers()[:1]))
        self._require_assignment(session)
        return session

    def _require_assignment(self, session: Any) -> None:
        """Every node of the model on the wanted provider; where the runtime does not tell, it refuses by itself."""
        if not self._tells_assignment:
            return
        astray: dict[str, list[str]] = {}
        for group in session.get_provider_graph_assignment_info():
            if group.ep_name != self.provider:
                nodes = [f"{node.op_type} ({node.name})" for node in group.get_nodes()]
                astray.setdefault(str(group.ep_name), []).extend(nodes)
        if astray:
            found = "; ".join(f"{_some(nodes)} on {name}" for name, nodes in astray.items())
            raise self._misplaced(found)

    def _misplaced(self, found: str) -> DeviceError:
        return DeviceError(
            f"expected every node on {self.provider}, but ONNX Runtime {self.version} puts {found}: figures of that "
            "would be mislabelled. Export the model without them (fixed shapes leave no shape arithmetic), or choose "
            "another --backend."
        )

    def _runs(self, session: Any, plan: RunPlan) -> BlockTimes:
        try:
            with self._bound(session, hold=plan.began is None) as run:
                return run_block(run, plan)
        except ProfilerError:
            raise
        except Exception as error:  # as above: no common base class
            raise self._refusal("run", error) from error

    @contextlib.contextmanager
    def _bound(self, session: Any, *, hold: bool = True) -> Iterator[Callable[[], float]]:
        """One run with its tensors on the device, ready to be called; gives the time on the device in milliseconds."""
        binding, options = session.io_binding(), self._run_options()
        with contextlib.ExitStack() as held:
            sources, results = self._bind(session, binding, held)
            runs = DeviceRuns(
                cuda=self._cuda,
                stream=self._stream,
                execute=lambda: session.run_with_iobinding(binding, options),
                sources=sources,
                results=results,
                include_io=self.settings.include_io,
                hold=hold,
            )
            yield runs.replayed(held) if self.settings.cuda_graph and self.captures else runs.launched(held)

    def _bind(self, session: Any, binding: Any, held: contextlib.ExitStack) -> tuple[list[Copy], list[Copy]]:
        """Gives each input and output its place on the device, at an address that stays."""
        feeds = session_feeds(session)
        sources, results = [], []
        for entry in session.get_inputs():
            values = feeds[entry.name]
            address = held.enter_context(self._cuda.buffer(values.nbytes))
            binding.bind_input(entry.name, self.memory, 0, _code(entry.type), list(values.shape), address)
            sources.append((address, values))
        for entry in session.get_outputs():
            values = self._result(entry)
            address = held.enter_context(self._cuda.buffer(values.nbytes))
            binding.bind_output(entry.name, self.memory, 0, _code(entry.type), list(values.shape), address)
            results.append((address, values))
        return sources, results

    def _result(self, entry: Any) -> NDArray[Any]:
        """Room on the host for an output."""
        if not all(isinstance(size, int) and size >= 0 for size in entry.shape):
            shown = "x".join(map(str, entry.shape))
            raise ModelError(
                f"output {entry.name!r} has shape {shown}: expected fixed sizes, which device memory can be reserved "
                "for. Export the model with fixed shapes."
            )
        return np.empty(entry.shape, dtype=onnx.helper.tensor_dtype_to_np_dtype(_code(entry.type)))

    def _run_options(self) -> Any:
        options = self._ort.RunOptions()
        options.log_severity_level = 4
        # Else the host waits inside the run, and the second event is enqueued after that.
        options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        return options

    def _refusal(self, verb: str, error: Exception) -> Exception:
        """What the runtime's own error means to the user: a lost GPU is no fault of the model."""
        text = " ".join(str(error).split())
        if self.settings.cuda_graph and "captur" in text.lower():
            return uncapturable(text)
        if "fallback to CPU EP has been explicitly disabled" in text:
            return self._misplaced("some nodes on CPUExecutionProvider")
        return device_failure(text) or super()._refusal(verb, error)


class TensorRtProviderBackend(CudaBackend):
    """Runs models on ONNX Runtime's TensorRT provider and refuses those that TensorRT does not take whole.

    Precision is that of the model: no precision is switched on, but for quantisation nodes. Engines are kept for the
    life of the backend, each model's in a folder of its own: the provider tells cached engines apart by the names of
    nodes, which networks of one space share.

    Args:
        settings: As for ``CudaBackend``.
        cuda: As for ``CudaBackend``.

    Raises:
        DeviceError: ONNX Runtime or the CUDA runtime is not installed, or the GPU is not usable.
    """

    provider: ClassVar[str] = "TensorrtExecutionProvider"
    captures: ClassVar[bool] = False
    method: Method = "blocks"
    symmetric_int8: ClassVar[bool] = True
    # What the published wheels are linked against.
    libraries: ClassVar[tuple[str, ...]] = ("libnvinfer.so.10", "nvinfer_10.dll")

    def __init__(self, settings: BackendSettings | None = None, *, cuda: CudaRuntime | None = None) -> None:
        super().__init__(settings, cuda=cuda)
        self._folder = Path(tempfile.mkdtemp(prefix="hwnas-tensorrt-"))
        self._drop_engines = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def close(self) -> None:
        """Lets go of the stream and the engines; a second time does nothing."""
        super().close()
        self._drop_engines()

    def fingerprint(self) -> dict[str, Json]:
        """Those of ``CudaBackend``, and the version of TensorRT."""
        return super().fingerprint() | {"tensorrt": library_version(self.libraries, "getInferLibVersion")}

    def _preload(self) -> None:
        super()._preload()
        # The wheel's libraries are found once it has loaded them; those of another version do no harm.
        with contextlib.suppress(ImportError, OSError):
            import_module("tensorrt_libs")

    def _options_of(self, provider: str, *, model: bytes = b"", graph: bool = False) -> dict[str, Any]:
        if provider != self.provider:
            return super()._options_of(provider, model=model)
        options = {
            "user_compute_stream": str(self._stream),
            "trt_fp16_enable": False,
            "trt_int8_enable": b"uantizeLinear" in model,  # operators' names stand in the bytes as they are
            "trt_engine_cache_enable": True,
            "trt_timing_cache_enable": True,
            "trt_cuda_graph_enable": graph,
        }
        if not model:  # for the fingerprint: the folders are other ones every time
            return options
        engines = self._folder / hashlib.sha256(model).hexdigest()[:16]
        engines.mkdir(exist_ok=True)
        return options | {"trt_engine_cache_path": str(engines), "trt_timing_cache_path": str(self._folder)}

    def _tf32(self) -> bool:
        return os.environ.get("NVIDIA_TF32_OVERRIDE") != "0"  # the provider has no option for it

    def _names(self) -> tuple[str, ...]:
        # CUDA is asked for only where the runtime then tells which nodes it got; else such a node finds nothing.
        return (self.provider, _CUDA) if self._tells_assignment else (self.provider,)

    def _require_provider(self, found: set[str]) -> None:
        if found != {self.provider}:
            raise self._missing(f"it took {', '.join(sorted(found)) or 'none'}")

    def _refusal(self, verb: str, error: Exception) -> Exception:
        text = " ".join(str(error).split())
        if "install TensorRT libraries" in text:
            return self._missing("a session asks for its libraries")
        return super()._refusal(verb, error)

    def _missing(self, told: str) -> DeviceError:
        name = self.libraries[1] if sys.platform == "win32" else self.libraries[0]
        try:
            ctypes.CDLL(name)
            lacking = f"{name} loads, so another library that it needs is missing"
        except OSError as error:
            lacking = f"{name} is missing ({error})"
        return DeviceError(
            f"ONNX Runtime {self.version} cannot run on {self.provider}: {lacking}; {told}. "
            'Cure: pip install "tensorrt>=10,<11" for the CUDA version of onnxruntime-gpu, or --backend tensorrt.'
        )


def library_version(names: tuple[str, ...], function: str) -> str | None:
    """The version that a library of NVIDIA's tells, such as ``"9.10.2"``; ``None`` where it is not to be had.

    Args:
        names: Of the library, the first that loads counts.
        function: Takes nothing and returns the version as one number.
    """
    for name in names:
        try:
            number = int(getattr(ctypes.CDLL(name), function)())
        except (OSError, AttributeError):
            continue
        # Two digits for the minor version since cuDNN 9 and TensorRT 10, one before.
        major, rest = divmod(number, 10_000 if number >= 90_000 else 1_000)
        return f"{major}.{rest // 100}.{rest % 100}"
    return None


def _code(kind: str) -> int:
    """The number of an element type, from ONNX Runtime's name of a tensor type: ``"tensor(float)"``."""
    name = kind.removeprefix("tensor(").rstrip(")").upper()
    return int(onnx.TensorProto.DataType.Value(name))


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
