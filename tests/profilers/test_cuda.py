"""The binding of the CUDA runtime, against a fake of its library: no test here needs, or uses, a GPU.

The laws: time is read only after the device has reached the second event; nothing stays allocated, however a body ends;
and every failure says what it means and what to do.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profilers.devices import cuda as cuda_module
from profilers.devices.cuda import CudaRuntime, _sleep_function, device_failure, library_candidates
from profilers.errors import DeviceError, ModelError
from tests.profilers.fakes_cuda import FakeCuda


@pytest.fixture
def fake() -> FakeCuda:
    return FakeCuda()


@pytest.fixture
def cuda(fake: FakeCuda) -> CudaRuntime:
    return CudaRuntime(fake)


# --- time


def test_time_is_that_between_two_events_and_is_read_after_the_second_was_reached(
    cuda: CudaRuntime, fake: FakeCuda
) -> None:
    stream = cuda.create_stream()
    fake.calls.clear()
    with cuda.timer(stream) as elapsed_ms:
        assert elapsed_ms(lambda: fake.work(0.25)) == pytest.approx(0.25)
    assert fake.calls == [
        *["cudaEventCreate"] * 2,
        *["cudaEventRecord", "work", "cudaEventRecord", "cudaEventSynchronize", "cudaEventElapsedTime"],
        *["cudaEventDestroy"] * 2,
    ]


def test_what_fails_between_the_events_leaves_none_behind(cuda: CudaRuntime, fake: FakeCuda) -> None:
    def broken() -> None:
        raise KeyboardInterrupt

    stream = cuda.create_stream()
    with pytest.raises(KeyboardInterrupt), cuda.timer(stream) as elapsed_ms:
        elapsed_ms(broken)
    assert set(fake.alive.values()) == {"stream"}


def test_an_event_that_cannot_be_made_leaves_the_first_one_behind_no_more(cuda: CudaRuntime, fake: FakeCuda) -> None:
    stream = cuda.create_stream()
    fake.fail("cudaEventCreate", 719, after=1)
    with pytest.raises(DeviceError, match="the GPU was lost"), cuda.timer(stream):
        pytest.fail("a timer without its second event")
    assert set(fake.alive.values()) == {"stream"}


# --- memory


def test_values_come_back_from_the_device_as_they_went(cuda: CudaRuntime, fake: FakeCuda) -> None:
    stream, values = cuda.create_stream(), np.arange(12, dtype=np.float32).reshape(3, 4)
    back = np.zeros_like(values)
    with cuda.buffer(values.nbytes) as address:
        cuda.upload(address, values, stream)
        cuda.download(address, back, stream)
        cuda.synchronize(stream)
    assert np.array_equal(back, values)
    assert fake.copied == [(1, 48, stream), (2, 48, stream)]
    assert set(fake.alive.values()) == {"stream"}


def test_an_empty_tensor_has_an_address(cuda: CudaRuntime) -> None:
    with cuda.buffer(0) as address:
        assert address > 0


def test_memory_is_freed_however_the_body_ends(cuda: CudaRuntime, fake: FakeCuda) -> None:
    with pytest.raises(ZeroDivisionError), cuda.buffer(8):
        1 / 0  # noqa: B018
    assert fake.alive == {}


def test_out_of_memory_says_how_much_there_is(cuda: CudaRuntime, fake: FakeCuda) -> None:
    fake.free, fake.total = 3 * 2**20, 8 * 2**20
    with pytest.raises(DeviceError, match="device out of memory") as caught, cuda.buffer(4 * 2**20):
        pytest.fail("memory that there is not")
    message = str(caught.value)
    assert "cudaMalloc returned cudaErrorMemoryAllocation (2): out of memory; 3 of 8 MiB are free" in message
    assert "nvidia-smi" in message
    assert "What was measured so far stays" in message
    assert caught.value.exit_code == 3
    assert cuda.memory_bytes() == (3 * 2**20, 8 * 2**20)
    assert "cudaGetLastError" in fake.calls  # the next one to ask is not told of it again


# --- graphs


def test_a_captured_graph_runs_when_it_is_launched_and_not_before(cuda: CudaRuntime, fake: FakeCuda) -> None:
    stream = cuda.create_stream()
    with cuda.captured(lambda: fake.work(2.0), stream) as launch, cuda.timer(stream) as elapsed_ms:
        assert fake.device_ms == 0
        assert elapsed_ms(launch) == pytest.approx(2.0)
        assert elapsed_ms(launch) == pytest.approx(2.0)
    assert set(fake.alive.values()) == {"stream"}


@pytest.mark.parametrize("function", ["cudaStreamBeginCapture", "cudaGraphInstantiateWithFlags"])
def test_a_graph_that_cannot_be_made_leaves_nothing_behind(function: str, cuda: CudaRuntime, fake: FakeCuda) -> None:
    stream = cuda.create_stream()
    fake.fail(function, 400)
    with (
        pytest.raises(DeviceError, match=f"the GPU cannot be used: {function} returned"),
        cuda.captured(lambda: fake.work(1.0), stream),
    ):
        pytest.fail("a graph that was not made")
    assert set(fake.alive.values()) == {"stream"}


def test_work_that_fails_under_capture_ends_the_capture(cuda: CudaRuntime, fake: FakeCuda) -> None:
    def broken() -> None:
        raise KeyboardInterrupt

    stream = cuda.create_stream()
    with pytest.raises(KeyboardInterrupt), cuda.captured(broken, stream):
        pytest.fail("a graph of what failed")
    assert fake.calls[-2:] == ["cudaStreamEndCapture", "cudaGraphDestroy"]
    cuda.synchronize(stream)
    assert set(fake.alive.values()) == {"stream"}


@pytest.mark.parametrize("status", [900, 901, 907])
def test_work_that_cannot_be_captured_is_the_models_fault(status: int, cuda: CudaRuntime, fake: FakeCuda) -> None:
    stream = cuda.create_stream()
    fake.fail("cudaStreamEndCapture", status)
    with (
        pytest.raises(ModelError, match="cannot be captured as a CUDA graph: cudaStreamEndCapture returned"),
        cuda.captured(lambda: fake.work(1.0), stream),
    ):
        pytest.fail("a graph of what cannot be captured")


def test_a_graph_that_calls_the_host_is_refused_before_it_is_replayed(cuda: CudaRuntime, fake: FakeCuda) -> None:
    stream = cuda.create_stream()
    fake.node_kinds = [0, 3, 0]
    with (
        pytest.raises(ModelError, match="calls the host"),
        cuda.captured(lambda: fake.work(1.0), stream),
    ):
        pytest.fail("a graph with a call of the host")
    assert fake.count("cudaGraphLaunch") == 0
    assert set(fake.alive.values()) == {"stream"}


# --- a device that is held


def test_a_held_device_waits_until_all_is_enqueued(cuda: CudaRuntime, fake: FakeCuda) -> None:
    stream = cuda.create_stream()
    with cuda.held_timer(stream) as elapsed_ms:
        fake.calls.clear()
        assert elapsed_ms(lambda: fake.work(0.25)) == pytest.approx(0.25)
    assert fake.calls[:5] == ["cudaLaunchHostFunc", "cudaEventRecord", "work", "cudaEventRecord", "cudaEventQuery"]
    assert len(fake.held_us) == 1


def test_a_host_that_the_device_overtakes_gets_a_longer_hold_and_the_time_is_taken_again(
    cuda: CudaRuntime, fake: FakeCuda
) -> None:
    stream = cuda.create_stream()
    fake.host_us = 500
    with cuda.held_timer(stream) as elapsed_ms:
        elapsed_ms(lambda: fake.work(0.25))
        elapsed_ms(lambda: fake.work(0.25))
    assert fake.held_us == [200, 400, 800, 800]  # what was learned stays
    assert fake.count("work") == 4


def test_a_host_that_always_waits_for_the_device_is_timed_all_the_same(cuda: CudaRuntime, fake: FakeCuda) -> None:
    stream = cuda.create_stream()
    fake.host_us = 10**9
    with cuda.held_timer(stream) as elapsed_ms:
        assert elapsed_ms(lambda: fake.work(0.25)) == pytest.approx(0.25)
    assert len(fake.held_us) == 4


def test_a_device_lost_while_it_is_held_is_told(cuda: CudaRuntime, fake: FakeCuda) -> None:
    stream = cuda.create_stream()
    fake.fail("cudaEventQuery", 719)
    with pytest.raises(DeviceError, match="the GPU was lost"), cuda.held_timer(stream) as elapsed_ms:
        elapsed_ms(lambda: fake.work(0.25))


def test_the_sleep_of_the_c_library_is_called_by_address() -> None:
    """As the driver calls it: one pointer-sized argument, and no interpreter."""
    function = _sleep_function()
    assert function is not None
    begin = time.perf_counter()
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function.value)(2000)
    assert time.perf_counter() - begin >= 0.002


# --- what failures mean


@pytest.mark.parametrize("status", [46, 700, 719, 999])
def test_a_lost_gpu_is_told_and_what_was_measured_stays(status: int, cuda: CudaRuntime, fake: FakeCuda) -> None:
    fake.fail("cudaDeviceSynchronize", status)
    with pytest.raises(
        DeviceError, match="the GPU was lost or is not available: cudaDeviceSynchronize returned cudaError"
    ) as caught:
        cuda.synchronize()
    assert f"({status})" in str(caught.value)
    assert "what was measured so far stays" in str(caught.value)
    assert "nvidia-smi" in str(caught.value)


def test_letting_go_of_something_on_a_lost_gpu_does_not_hide_why_it_was_lost(cuda: CudaRuntime, fake: FakeCuda) -> None:
    stream = cuda.create_stream()
    fake.fail("cudaStreamSynchronize", 700)
    with pytest.raises(DeviceError, match="illegal memory access"), cuda.buffer(8):
        cuda.synchronize(stream)
    cuda.settle(stream)
    cuda.destroy_stream(stream)
    assert fake.alive == {}


def test_another_failure_names_the_function_and_where_to_look(cuda: CudaRuntime, fake: FakeCuda) -> None:
    fake.fail("cudaStreamCreateWithFlags", 400)
    with pytest.raises(DeviceError, match="cudaErrorInvalidResourceHandle") as caught:
        cuda.create_stream()
    assert "`hwnas doctor`" in str(caught.value)


def test_a_function_that_the_library_lacks_is_named(fake: FakeCuda) -> None:
    class Old:
        cudaSetDevice = staticmethod(fake.cudaSetDevice)  # noqa: N815

    with pytest.raises(DeviceError, match=r"this CUDA runtime has no cudaDeviceSynchronize: expected CUDA 11\.4"):
        CudaRuntime(Old()).synchronize()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            "CUDA failure 2: out of memory ; GPU=0 ; hostname=x ; file=/o/cuda_call.cc ; expr=cudaMalloc(",
            "out of memory",
        ),
        ("[E] Error Code 1: Cuda Runtime (out of memory)", "out of memory"),
        ("[defaultAllocator.cpp] Error Code 2: OutOfMemory (Requested size was 99 bytes.)", "out of memory"),
        ("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 99", "out of memory"),
        ("Available memory of 9 is smaller than requested bytes of 99", "out of memory"),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", "out of memory"),
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", "lost"),
        ("Error Code 1: Cuda Runtime (an illegal memory access was encountered)", "lost"),
        ("CUDA error: device-side assert triggered", "lost"),
        ("cudaErrorDevicesUnavailable: something", "lost"),
        ("CUDA failure 46: all CUDA-capable devices are busy or unavailable", "lost"),
        ("CUDA failure 100: no CUDA-capable device is detected ; GPU=-1", "lost"),
        ("CUDA failure 999: unknown error", "lost"),
        ("CUDA initialization failure with error: 35. Please check your CUDA installation", "do not fit together"),
        ("CUDA failure 209: no kernel image is available for execution on the device", "do not fit together"),
        ("CUDA failure 200: device kernel image is invalid", "do not fit together"),
    ],
)
def test_what_a_runtime_says_of_the_device_is_understood(message: str, kind: str) -> None:
    found = device_failure(message)
    assert found is not None
    assert kind in str(found)
    assert message.partition(" ; ")[0] in str(found)
    assert "hostname" not in str(found)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Could not find an implementation for Foo(1) node with name 'x'",
        "CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED ; GPU=0",
        "CUDA failure 1: invalid argument",
        "Got invalid dimensions for input: image",
    ],
)
def test_a_fault_of_the_model_is_not_blamed_on_the_device(message: str) -> None:
    assert device_failure(message) is None


# --- finding it


def opener(libraries: dict[str, Any]) -> Callable[[str], Any]:
    """FAKE of the loader: some libraries are there, the others are not."""

    def load(name: str) -> Any:
        if name not in libraries:
            raise OSError(name)
        return libraries[name]

    return load


def test_the_first_runtime_that_finds_the_gpu_is_taken() -> None:
    too_new, fitting = FakeCuda(version=13000), FakeCuda(version=12090, driver=12090)
    too_new.fail("cudaSetDevice", 35)
    load = opener({"libcudart.so.13": too_new, "libcudart.so.12": fitting})
    cuda = CudaRuntime.open(["missing.so", "libcudart.so.13", "libcudart.so.12"], load=load)
    assert (cuda.version, cuda.driver_version) == ("12.9", "12.9")


def test_where_no_runtime_finds_a_gpu_the_first_ones_reason_is_told() -> None:
    old, none = FakeCuda(), FakeCuda()
    old.fail("cudaSetDevice", 35)
    none.fail("cudaSetDevice", 100)
    with pytest.raises(DeviceError, match="do not fit together: cudaSetDevice returned cudaErrorInsufficientDriver"):
        CudaRuntime.open(["a", "b"], load=opener({"a": old, "b": none}))


def test_without_a_runtime_the_names_and_the_cure_are_told() -> None:
    with pytest.raises(DeviceError, match="the CUDA runtime was not found") as caught:
        CudaRuntime.open(["a"], load=opener({}))
    assert 'pip install "hwnas[gpu]"' in str(caught.value)
    assert caught.value.exit_code == 3


def test_wheels_and_the_system_are_searched_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(cuda_module, "_loaded", lambda: ["/loaded/libcudart.so.12"])
    for folder, name in (("cu13/lib", "libcudart.so.13"), ("cuda_runtime/lib", "libcudart.so.11.0")):
        (tmp_path / "nvidia" / folder).mkdir(parents=True)
        (tmp_path / "nvidia" / folder / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    ours = ("/loaded/", str(tmp_path), "libcudart")  # this machine may have wheels of its own
    assert [name for name in library_candidates() if name.startswith(ours)] == [
        "/loaded/libcudart.so.12",
        str(tmp_path / "nvidia/cu13/lib/libcudart.so.13"),
        str(tmp_path / "nvidia/cuda_runtime/lib/libcudart.so.11.0"),
        *["libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0"],
    ]


def test_windows_names_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert {"cudart64_13.dll", "cudart64_12.dll", "cudart64_110.dll"} <= set(library_candidates())
