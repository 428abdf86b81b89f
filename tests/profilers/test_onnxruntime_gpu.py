"""ONNX Runtime on a GPU, against fakes of the runtime and of CUDA, and the binding of tensors against the real runtime.

The laws: a figure is the device's time between two events around a run; a run that is not wholly on the wanted provider
is no figure; a lost device is no fault of the model; and nothing stays on the device.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from profilers.backends.contract import BackendSettings, Isolating, RunPlan
from profilers.backends.onnxruntime_gpu import CudaBackend, TensorRtProviderBackend, library_version
from profilers.devices.cuda import CudaRuntime
from profilers.errors import DeviceError, ModelError
from profilers.registry import load_backend
from tests.profilers.fakes_cuda import FakeCuda
from tests.profilers.fakes_onnxruntime import CPU, CUDA, TENSORRT, FakeRuntime, fake_onnxruntime

PLAN = RunPlan(warmup_runs=1, runs=3)

Open = Callable[..., CudaBackend]


@pytest.fixture
def device() -> FakeCuda:
    return FakeCuda()


@pytest.fixture
def runtime(device: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    fake = FakeRuntime(cuda=device)
    monkeypatch.setitem(sys.modules, "onnxruntime", fake_onnxruntime(fake))
    return fake


@pytest.fixture
def opened(runtime: FakeRuntime, device: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a backend on the fakes as they are by then."""
    made: list[CudaBackend] = []

    def open_(kind: type[CudaBackend] = CudaBackend, **settings: Any) -> CudaBackend:
        monkeypatch.setitem(sys.modules, "onnxruntime", fake_onnxruntime(runtime))
        made.append(kind(BackendSettings(device="gpu", **settings), cuda=CudaRuntime(device)))
        return made[-1]

    yield open_
    for backend in made:
        backend.close()
    assert device.alive == {}


def relu_model(kind: str = "Relu") -> bytes:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("image", "p/out")]
    graph = helper.make_graph([helper.make_node(kind, ["image"], ["p/out"], "p/relu")], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


# --- what a figure is


def test_a_run_is_timed_by_the_device_and_the_wall_time_is_kept(opened: Open) -> None:
    found = opened().time(relu_model(), PLAN)
    assert found.run_ms == pytest.approx([0.25] * 3)
    assert found.first_ms == pytest.approx(0.25)
    assert found.provider == CUDA
    assert found.host_ms is not None
    assert found.host_ms.shape == (3,)
    assert (found.host_ms > 0).all()
    assert found.load_ms is not None


def test_events_stand_around_the_run_and_nothing_waits_in_between(
    opened: Open, device: FakeCuda, runtime: FakeRuntime
) -> None:
    opened().time(relu_model(), RunPlan(warmup_runs=0, runs=1))
    start = device.calls.index("cudaEventRecord")
    run = ["cudaEventRecord", "work", "cudaEventRecord", "cudaEventSynchronize", "cudaEventElapsedTime"]
    assert device.calls[start : start + 10] == run * 2
    assert all(entries == {"disable_synchronize_execution_providers": "1"} for entries in runtime.runs)


def test_the_input_is_on_the_device_before_the_first_run(opened: Open, device: FakeCuda) -> None:
    opened().time(relu_model(), PLAN)
    calls = device.calls
    assert calls.index("cudaMemcpyAsync") < calls.index("cudaDeviceSynchronize") < calls.index("cudaEventRecord")
    assert calls.count("cudaMemcpyAsync") == 1


def test_tensors_are_bound_once_at_addresses_of_the_device(opened: Open, runtime: FakeRuntime) -> None:
    opened().time(relu_model(), PLAN)
    (binding,) = runtime.bindings
    assert binding.inputs["image"][:4] == ("cuda", 0, TensorProto.FLOAT, [1, 3])
    assert binding.outputs["p/out"][:4] == ("cuda", 0, TensorProto.FLOAT, [1, 3])
    assert binding.inputs["image"][4] != binding.outputs["p/out"][4]


def test_copies_count_when_they_are_asked_for(opened: Open, device: FakeCuda) -> None:
    backend = opened(include_io=True)
    stream = int(backend._stream)
    found = backend.time(relu_model(), RunPlan(warmup_runs=0, runs=1))
    assert found.run_ms == pytest.approx([0.25 + 2 * 0.5])  # a copy takes half a millisecond on the fake device
    kinds = [kind for kind, _, _ in device.copied]
    assert kinds == [1, 1, 2, 1, 2]  # to the device before all runs; then to and from it in each of two
    assert {where for _, _, where in device.copied} == {stream}


def test_nothing_stays_on_the_device_after_a_run_that_fails(
    opened: Open, device: FakeCuda, runtime: FakeRuntime
) -> None:
    backend = opened()
    runtime.run_error = RuntimeError("Got invalid dimensions for input: image")
    with pytest.raises(ModelError, match=r"ONNX Runtime 1\.30\.0 cannot run the model: Got invalid dimensions"):
        backend.time(relu_model(), PLAN)
    assert set(device.alive.values()) == {"stream"}
    # what may still be running is waited for before its memory is freed
    assert device.calls.index("cudaStreamSynchronize") < device.calls.index("cudaFree")


def test_an_interrupt_frees_the_device_and_goes_through(opened: Open, device: FakeCuda, runtime: FakeRuntime) -> None:
    backend = opened()
    runtime.run_error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        backend.time(relu_model(), PLAN)
    assert set(device.alive.values()) == {"stream"}


def test_an_output_without_fixed_sizes_is_refused(opened: Open, runtime: FakeRuntime) -> None:
    runtime.outputs = ("batch", 3)
    with pytest.raises(ModelError, match="output 'p/out' has shape batchx3: expected fixed sizes"):
        opened().time(relu_model(), PLAN)


# --- what a session is asked for


def test_the_provider_gets_the_stream_and_exact_arithmetic(opened: Open, runtime: FakeRuntime) -> None:
    backend = opened()
    backend.time(relu_model(), PLAN)
    assert [name for name, _ in runtime.sessions[-1].providers] == [CUDA]
    assert runtime.options[CUDA] == {
        "user_compute_stream": str(backend._stream),
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "do_copy_in_default_stream": 1,
        "use_tf32": 0,
        "enable_cuda_graph": 0,
    }
    assert runtime.sessions[-1].fallback == 0
    assert runtime.sessions[-1].options.entries == {"session.record_ep_graph_assignment_info": "1"}


def test_a_graph_is_captured_after_plain_runs_and_the_device_is_held_for_its_replays(
    opened: Open, runtime: FakeRuntime, device: FakeCuda
) -> None:
    found = opened(cuda_graph=True).time(relu_model(), PLAN)
    assert found.run_ms == pytest.approx([0.25] * 3)
    assert found.first_ms == pytest.approx(0.25)
    assert len(runtime.runs) == 5  # four as they are, one captured
    assert device.count("cudaGraphLaunch") == len(device.held_us) > 3
    assert runtime.options[CUDA]["enable_cuda_graph"] == 0  # the provider's own replay waits inside of the call


@pytest.mark.parametrize(
    "told",
    [
        "CUDA failure 900: operation not permitted when stream is capturing ; GPU=0",
        "CUDA failure 901: operation failed due to a previous error during capture",
    ],
)
def test_a_model_that_the_runtime_cannot_run_under_a_capture_is_told_apart(
    told: str, opened: Open, runtime: FakeRuntime
) -> None:
    runtime.run_errors = {4: RuntimeError(told)}
    with pytest.raises(ModelError, match=r"cannot be captured as a CUDA graph: .*Measure it without --cuda-graph"):
        opened(cuda_graph=True).time(relu_model(), PLAN)


def test_what_preloading_prints_stays_off_the_users_terminal(opened: Open) -> None:
    with redirect_stdout(io.StringIO()) as printed:
        opened()
    assert printed.getvalue() == ""


def test_the_fingerprint_has_the_versions_and_no_address(opened: Open, device: FakeCuda) -> None:
    backend = opened()
    found = backend.fingerprint()
    versions = [found[name] for name in ("cuda", "cuda_driver", "cuda_built_for")]
    assert (versions, found["tf32"]) == (["13.0"] * 3, False)
    assert found["provider_options"] == (
        "cudnn_conv_algo_search=EXHAUSTIVE do_copy_in_default_stream=1 enable_cuda_graph=0 use_tf32=0"
    )
    assert str(backend._stream) not in str(found)
    assert opened().fingerprint() == found


# --- what is refused


def test_a_wheel_without_the_provider_is_refused_at_once(opened: Open, runtime: FakeRuntime, device: FakeCuda) -> None:
    runtime.available = (CPU,)
    with pytest.raises(DeviceError, match=f"was built without {CUDA}") as caught:
        opened()
    assert 'pip install "hwnas[gpu]"' in str(caught.value)
    assert "cudaStreamCreateWithFlags" not in device.calls


def test_a_session_that_landed_on_the_cpu_is_refused_before_it_runs(opened: Open, runtime: FakeRuntime) -> None:
    runtime.taken = (CPU,)
    with pytest.raises(DeviceError, match=f"expected every node on {CUDA}, but ONNX Runtime ran on {CPU}"):
        opened().time(relu_model(), PLAN)
    assert runtime.runs == []


def test_nodes_elsewhere_are_named_with_the_cure(opened: Open, runtime: FakeRuntime) -> None:
    runtime.astray = {CPU: [("Shape", "p/shape"), *[("Gather", f"p/gather{i}") for i in range(6)]]}
    with pytest.raises(DeviceError, match=r"puts Shape \(p/shape\), Gather \(p/gather0\)") as caught:
        opened().time(relu_model(), PLAN)
    message = str(caught.value)
    assert f"and 2 more on {CPU}" in message
    assert "Export the model without them" in message
    assert runtime.runs == []


def test_a_runtime_that_does_not_tell_refuses_such_nodes_itself(opened: Open, runtime: FakeRuntime) -> None:
    runtime.tells = False
    opened().time(relu_model(), PLAN)
    assert runtime.sessions[-1].options.entries == {"session.disable_cpu_ep_fallback": "1"}
    runtime.load_error = RuntimeError(
        "This session contains graph nodes that are assigned to the default CPU EP, but fallback to CPU EP has been "
        "explicitly disabled by the user."
    )
    with pytest.raises(DeviceError, match=f"puts some nodes on {CPU}: figures of that would be mislabelled"):
        opened().time(relu_model(), PLAN)


def test_copies_between_host_and_device_inside_a_model_are_refused(opened: Open, runtime: FakeRuntime) -> None:
    runtime.extra_nodes = ("MemcpyToHost",)
    with pytest.raises(DeviceError, match="copies to or from the host at MemcpyToHost_1"):
        opened().isolate(relu_model(), {"p": "block"})


def test_kernels_are_not_timed_in_place(opened: Open) -> None:
    backend = opened()
    with pytest.raises(DeviceError, match="Choose another --method"):
        backend.profile(relu_model(), {"p": "block"}, PLAN)
    assert (backend.method, isinstance(backend, Isolating)) == ("isolated", True)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc(&p, size)", "device out of memory"),
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", "the GPU was lost"),
        ("CUDA error cudaErrorDevicesUnavailable", "the GPU was lost"),
    ],
)
@pytest.mark.parametrize("verb", ["load", "run"])
def test_a_device_that_fails_is_no_fault_of_the_model(
    verb: str, message: str, expected: str, opened: Open, runtime: FakeRuntime, device: FakeCuda
) -> None:
    backend = opened()
    setattr(runtime, f"{verb}_error", RuntimeError(message))
    with pytest.raises(DeviceError, match=expected) as caught:
        backend.time(relu_model(), PLAN)
    assert caught.value.exit_code == 3
    assert set(device.alive.values()) == {"stream"}


def test_a_gpu_lost_between_two_runs_is_told_and_everything_is_let_go(opened: Open, device: FakeCuda) -> None:
    backend = opened()
    device.fail("cudaEventSynchronize", 700, after=2)
    with pytest.raises(
        DeviceError, match="the GPU was lost or is not available: cudaEventSynchronize returned cudaErrorIllegalAddress"
    ):
        backend.time(relu_model(), PLAN)
    assert set(device.alive.values()) == {"stream"}


def test_device_memory_that_is_not_there_is_told(opened: Open, device: FakeCuda) -> None:
    backend = opened()
    device.fail("cudaMalloc", 2, after=1)
    with pytest.raises(DeviceError, match="device out of memory"):
        backend.time(relu_model(), PLAN)
    assert set(device.alive.values()) == {"stream"}


# --- kernels alone


def test_kernels_are_found_and_timed_alone_as_they_are(opened: Open, runtime: FakeRuntime) -> None:
    backend = opened()
    inspection, alone = backend.isolate(relu_model(), {"p": "block"})
    assert [(use.op_type, use.part, use.provider) for use in inspection.uses] == [("Relu", "p", CUDA)]
    (kernel,) = alone.values()
    found = backend.time_kernel(kernel, PLAN)
    assert found.run_ms == pytest.approx([0.25] * 3)
    assert runtime.sessions[-1].options.graph_optimization_level == 0


# --- the TensorRT provider


def trt(opened: Open, **settings: Any) -> TensorRtProviderBackend:
    backend = opened(TensorRtProviderBackend, **settings)
    assert isinstance(backend, TensorRtProviderBackend)
    return backend


def test_tensorrt_gets_the_precision_of_the_model_and_cuda_what_it_refuses(opened: Open, runtime: FakeRuntime) -> None:
    backend = trt(opened)
    found = backend.time(relu_model(), PLAN)
    assert (found.provider, backend.method) == (TENSORRT, "blocks")
    assert [name for name, _ in runtime.sessions[-1].providers] == [TENSORRT, CUDA]
    options = runtime.options[TENSORRT]
    assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == (False, False)
    assert options["user_compute_stream"] == runtime.options[CUDA]["user_compute_stream"] == str(backend._stream)
    backend.time(relu_model("QuantizeLinear"), PLAN)
    assert runtime.options[TENSORRT]["trt_int8_enable"] is True


def test_engines_of_different_models_never_meet_and_go_with_the_backend(opened: Open, runtime: FakeRuntime) -> None:
    backend = trt(opened)
    folders = []
    for kind in ("Relu", "Sigmoid", "Relu"):
        backend.time(relu_model(kind), PLAN)
        folders.append(Path(runtime.options[TENSORRT]["trt_engine_cache_path"]))
    assert folders[0] == folders[2] != folders[1]
    assert all(folder.is_dir() for folder in folders)
    assert runtime.options[TENSORRT]["trt_timing_cache_path"] == str(folders[0].parent)
    backend.close()
    assert not folders[0].parent.exists()


def test_the_tensorrt_provider_captures_its_graph_itself_and_not_under_the_profiler(
    opened: Open, runtime: FakeRuntime, device: FakeCuda
) -> None:
    backend = trt(opened, cuda_graph=True)
    backend.time(relu_model(), PLAN)
    assert runtime.options[TENSORRT]["trt_cuda_graph_enable"] is True
    assert runtime.options[CUDA]["enable_cuda_graph"] == 0
    assert device.count("cudaStreamBeginCapture") == 0
    assert backend._options_of(TENSORRT)["trt_cuda_graph_enable"] is False


def test_nodes_that_tensorrt_refuses_are_named(opened: Open, runtime: FakeRuntime) -> None:
    runtime.astray = {CUDA: [("NonZero", "p/nonzero")]}
    with pytest.raises(DeviceError, match=rf"expected every node on {TENSORRT}.*NonZero \(p/nonzero\) on {CUDA}"):
        trt(opened).time(relu_model(), PLAN)
    assert runtime.runs == []


def test_where_nothing_tells_the_nodes_tensorrt_stands_alone(opened: Open, runtime: FakeRuntime) -> None:
    runtime.tells = False
    trt(opened).time(relu_model(), PLAN)
    assert [name for name, _ in runtime.sessions[-1].providers] == [TENSORRT]


@pytest.mark.parametrize("how", ["silently", "loudly"])
def test_without_its_libraries_what_is_missing_is_named(how: str, opened: Open, runtime: FakeRuntime) -> None:
    runtime.taken = (CUDA, CPU)
    if how == "loudly":
        runtime.load_error = RuntimeError("Please install TensorRT libraries as mentioned in the GPU requirements page")
    backend = trt(opened)
    backend.libraries = ("libnvinfer-of-no-machine.so", "libnvinfer-of-no-machine.so")
    with pytest.raises(DeviceError, match=r"libnvinfer-of-no-machine\.so is missing") as caught:
        backend.time(relu_model(), PLAN)
    assert "tensorrt>=10,<11" in str(caught.value)
    assert "--backend tensorrt" in str(caught.value)


def test_the_registry_finds_both() -> None:
    assert load_backend("onnxruntime-cuda") is CudaBackend
    assert load_backend("onnxruntime-tensorrt") is TensorRtProviderBackend


# --- versions of libraries


@pytest.mark.parametrize(
    ("number", "expected"), [(91002, "9.10.2"), (8907, "8.9.7"), (101303, "10.13.3"), (8503, "8.5.3")]
)
def test_a_librarys_number_is_read_as_its_version(number: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        @staticmethod
        def version() -> int:
            return number

    monkeypatch.setattr("ctypes.CDLL", lambda _: Library)
    assert library_version(("lib.so",), "version") == expected


def test_a_library_that_is_not_there_has_no_version() -> None:
    assert library_version(("lib-of-no-machine.so",), "version") is None


# --- the real runtime's binding, on the host


class HostBackend(CudaBackend):
    """The real ONNX Runtime on the CPU, with the host's memory for the device's: FAKE is the clock alone."""

    provider: ClassVar[str] = CPU
    memory: ClassVar[str] = "cpu"

    def _options_of(self, provider: str, *, model: bytes = b"", graph: bool = False) -> dict[str, Any]:
        return {}


def conv_model(kind: int = TensorProto.FLOAT) -> bytes:
    types = helper.tensor_dtype_to_np_dtype(kind)
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.standard_normal((4, 3, 3, 3)).astype(types), "p/w")
    nodes = [
        helper.make_node("Conv", ["image", "p/w"], ["p/c"], "p/conv", pads=[1] * 4),
        helper.make_node("Relu", ["p/c"], ["p/out"], "p/relu"),
    ]
    ends = [("image", [1, 3, 8, 8]), ("p/out", [1, 4, 8, 8])]
    values = [helper.make_tensor_value_info(name, kind, shape) for name, shape in ends]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weight])
    opsets = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


class WatchedRuntime(CudaRuntime):
    """Keeps what was copied, in order."""

    def __init__(self, library: Any) -> None:
        super().__init__(library)
        self.seen: list[Any] = []

    def upload(self, address: int, values: Any, stream: int) -> None:
        super().upload(address, values, stream)
        self.seen.append(values)

    def download(self, address: int, values: Any, stream: int) -> None:
        super().download(address, values, stream)
        self.seen.append(values)


def test_the_real_runtime_reads_and_writes_what_was_bound(device: FakeCuda) -> None:
    cuda = WatchedRuntime(device)
    backend = HostBackend(BackendSettings(device="gpu", include_io=True), cuda=cuda)
    found = backend.time(conv_model(), RunPlan(warmup_runs=0, runs=1))
    image, result = cuda.seen[0], cuda.seen[-1]
    session = backend._ort.InferenceSession(conv_model(), providers=[CPU])
    assert np.allclose(result, session.run(None, {"image": image})[0], atol=1e-5)
    assert found.provider == CPU
    backend.close()
    assert device.alive == {}


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_the_real_runtime_tells_its_kernels_and_runs_each_alone(kind: int, device: FakeCuda) -> None:
    backend = HostBackend(BackendSettings(device="gpu"), cuda=CudaRuntime(device))
    inspection, alone = backend.isolate(conv_model(kind), {"p": "block"})
    assert {use.part for use in inspection.uses} == {"p"}
    assert any("Conv" in use.op_type for use in inspection.uses)
    for kernel in alone.values():
        assert backend.time_kernel(kernel, PLAN).run_ms.shape == (3,)
    backend.close()
    assert device.alive == {}
