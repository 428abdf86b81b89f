"""The CUDA runtime, as far as timing needs it: a stream, events, device memory, copies and graphs.

Bound by ``ctypes``, so that timing on a GPU asks for no package beyond what the measured runtime brings along. Streams
and addresses are plain integers, as ONNX Runtime and TensorRT take them.

References:
    NVIDIA, CUDA Runtime API: https://docs.nvidia.com/cuda/cuda-runtime-api
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from profilers.errors import DeviceError, DeviceMemoryError, ModelError

if TYPE_CHECKING:
    from typing_extensions import Self

_HOST_TO_DEVICE, _DEVICE_TO_HOST = 1, 2
_NON_BLOCKING = 1  # a stream that the default stream neither waits for nor stops
_THREAD_LOCAL = 1  # a capture that leaves the CUDA calls of other threads alone
_BYTES_PER_MIB = 2**20

_OUT_OF_MEMORY = 2
# Nothing runs any more after these, in this process at least: no device, a broken context, a fault of the hardware.
_LOST = {3, 4, 46, 100, 101, 201, 214, 220, 304, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 802, 999}
_UNCAPTURABLE = set(range(900, 910))
_NOT_READY = 600
_HOST_NODE = 3  # a node of a graph that calls a function of the host
_FIRST_HOLD_US, _MOST_HOLD_US, _HOLDS = 200, 20_000, 4
_UNSUITED = {34, 35, 98, 200, 209, 222, 803, 804}  # driver, GPU and runtime do not fit together

_NAMED = re.compile(r"\bCU\w+ failure \d+: [^;]+")  # the rest says on which host, and where in whose source
_NUMBERED = re.compile(r"\b(?:CUDA failure|failure with error:?|CUDA error:?)\s*(\d+)\b", re.IGNORECASE)
_OUT_OF_MEMORY_TEXT = re.compile(
    r"out of memory|out_?of_?memory|cudaErrorMemoryAllocation|_ALLOC_FAILED"
    r"|failed to allocate memory for requested buffer|smaller than requested bytes"
    r"|GPU memory.*could not be allocated",
    re.IGNORECASE,
)
_LOST_TEXT = re.compile(
    r"illegal memory access|device-side assert|misaligned address|illegal instruction|unspecified launch failure"
    r"|launch timed out|busy or unavailable|context is destroyed|uncorrectable (?:ECC|NVLink)|hardware stack error"
    r"|invalid program counter|no CUDA-capable device|fallen off the bus|GPU is lost|driver shutting down"
    r"|cudaError(?:DevicesUnavailable|NoDevice|IllegalAddress|Assert|LaunchFailure|LaunchTimeout|ContextIsDestroyed"
    r"|ECCUncorrectable|Unknown)\b",
    re.IGNORECASE,
)
_UNSUITED_TEXT = re.compile(
    r"driver version is insufficient|no kernel image is available|unsupported toolchain"
    r"|cudaError(?:InsufficientDriver|NoKernelImageForDevice|SystemDriverMismatch)\b",
    re.IGNORECASE,
)
_CURE_MEMORY = "end other work on the GPU (nvidia-smi lists it), or measure smaller models or batches"
_CURE_LOST = "what was measured so far stays; once nvidia-smi shows the GPU again, the same command goes on from there"
_CURE_UNSUITED = "update the NVIDIA driver, or install the runtime for the CUDA version that nvidia-smi shows"
_CURE_MISSING = 'pip install "hwnas[gpu]", or the CUDA toolkit'


class CudaRuntime:
    """The runtime's library, with the first visible GPU made current.

    Args:
        library: The loaded library: functions of the CUDA runtime as attributes, as ``ctypes`` gives them.

    Raises:
        DeviceError: The GPU is not usable.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        for function in ("cudaGetErrorName", "cudaGetErrorString"):
            with contextlib.suppress(AttributeError):  # a fake's methods take no attributes
                getattr(library, function).restype = ctypes.c_char_p
        self._call("cudaSetDevice", ctypes.c_int(0))

    @classmethod
    def open(cls, candidates: Iterable[str] | None = None, *, load: Callable[[str], Any] = ctypes.CDLL) -> Self:
        """The first runtime that is found and finds the GPU.

        Args:
            candidates: Names or paths of libraries, instead of those of this process and this machine.
            load: Loads one of them; raises ``OSError`` where there is none.

        Raises:
            DeviceError: There is no runtime, or none that finds a GPU.
        """
        refusal: DeviceError | None = None
        for candidate in library_candidates() if candidates is None else candidates:
            try:
                return cls(load(candidate))
            except OSError:
                continue
            except DeviceError as error:
                # A toolkit too new for the driver must not hide an older one that works: what was found first tells.
                refusal = refusal or error
        if refusal is not None:
            raise refusal
        names = ", ".join(_library_names())
        raise DeviceError(
            f"the CUDA runtime was not found: expected one of {names} in this process, in the nvidia wheels or on this "
            f"system. Cure: {_CURE_MISSING}."
        )

    @property
    def version(self) -> str:
        """Version of the runtime, such as ``"13.0"``."""
        return self._version("cudaRuntimeGetVersion")

    @property
    def driver_version(self) -> str:
        """Newest version of CUDA that the driver supports, such as ``"13.0"``."""
        return self._version("cudaDriverGetVersion")

    def memory_bytes(self) -> tuple[int, int]:
        """Free and total memory of the device, in bytes.

        Raises:
            DeviceError: The GPU was lost.
        """
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value

    def create_stream(self) -> int:
        """A new stream, as a number.

        Raises:
            DeviceError: The GPU was lost, or has no memory left.
        """
        stream = ctypes.c_void_p()
        self._call("cudaStreamCreateWithFlags", ctypes.byref(stream), ctypes.c_uint(_NON_BLOCKING))
        return int(stream.value or 0)

    def destroy_stream(self, stream: int) -> None:
        """Lets go of a stream; never raises."""
        self._release("cudaStreamDestroy", ctypes.c_void_p(stream))

    def synchronize(self, stream: int | None = None) -> None:
        """Waits for everything on a stream, or on the whole device.

        Raises:
            DeviceError: Something that was enqueued failed.
        """
        if stream is None:
            self._call("cudaDeviceSynchronize")
        else:
            self._call("cudaStreamSynchronize", ctypes.c_void_p(stream))

    def settle(self, stream: int) -> None:
        """Waits as ``synchronize`` does, and never raises: what is about to be freed must not be in use any more."""
        self._release("cudaStreamSynchronize", ctypes.c_void_p(stream))

    @contextlib.contextmanager
    def buffer(self, size_bytes: int) -> Iterator[int]:
        """Device memory for the body; yields its address.

        Args:
            size_bytes: Its size; an empty tensor has an address, too.

        Raises:
            DeviceError: The device is out of memory, or was lost.
        """
        address = ctypes.c_void_p()
        self._call("cudaMalloc", ctypes.byref(address), ctypes.c_size_t(max(1, size_bytes)))
        try:
            yield int(address.value or 0)
        finally:
            self._release("cudaFree", address)

    def upload(self, address: int, values: NDArray[Any], stream: int) -> None:
        """Enqueues a copy to the device.

        Args:
            address: Where to.
            values: Contiguous; must stay as they are until the stream is synchronised.
            stream: Where it is enqueued.

        Raises:
            DeviceError: The GPU was lost.
        """
        self._copy(address, values.ctypes.data, values.nbytes, _HOST_TO_DEVICE, stream)

    def download(self, address: int, values: NDArray[Any], stream: int) -> None:
        """Enqueues a copy from the device; the arguments are those of ``upload``.

        Raises:
            DeviceError: The GPU was lost.
        """
        self._copy(values.ctypes.data, address, values.nbytes, _DEVICE_TO_HOST, stream)

    @contextlib.contextmanager
    def timer(self, stream: int) -> Iterator[Callable[[Callable[[], None]], float]]:
        """Yields what times enqueued work: from an event before it to one after it, in milliseconds.

        It waits for the second event, and only for that, before it reads the time. Events tick in half microseconds.

        Args:
            stream: Where the work is enqueued.

        Raises:
            DeviceError: The GPU was lost, here or in the work.
        """
        with self._event() as start, self._event() as stop:

            def elapsed_ms(work: Callable[[], None]) -> float:
                self._call("cudaEventRecord", start, ctypes.c_void_p(stream))
                work()
                self._call("cudaEventRecord", stop, ctypes.c_void_p(stream))
                self._call("cudaEventSynchronize", stop)
                found = ctypes.c_float()
                self._call("cudaEventElapsedTime", ctypes.byref(found), start, stop)
                return float(found.value)

            yield elapsed_ms

    @contextlib.contextmanager
    def held_timer(self, stream: int) -> Iterator[Callable[[Callable[[], None]], float]]:
        """Yields what times enqueued work as ``timer`` does, with the host out of the way.

        The device is held by a sleep enqueued before the first event, until all of the work and the second event are
        enqueued as well. Work whose first event was passed before that is timed again behind a longer sleep; work that
        takes the host longer than ``_MOST_HOLD_US``, or waits for the device, is timed as ``timer`` would.

        Args:
            stream: Where the work is enqueued.

        Raises:
            DeviceError: The GPU was lost, here or in the work.
        """
        hold_us = _FIRST_HOLD_US
        with self._event() as start, self._event() as stop:

            def elapsed_ms(work: Callable[[], None]) -> float:
                nonlocal hold_us
                for _ in range(_HOLDS):
                    self._hold(stream, hold_us)
                    begin = time.perf_counter()
                    self._call("cudaEventRecord", start, ctypes.c_void_p(stream))
                    work()
                    self._call("cudaEventRecord", stop, ctypes.c_void_p(stream))
                    took_us = 1e6 * (time.perf_counter() - begin)
                    ahead = not self._reached(start)
                    self._call("cudaEventSynchronize", stop)
                    if ahead or took_us > _MOST_HOLD_US:
                        break
                    hold_us = min(_MOST_HOLD_US, max(2 * hold_us, int(3 * took_us)))
                found = ctypes.c_float()
                self._call("cudaEventElapsedTime", ctypes.byref(found), start, stop)
                return float(found.value)

            yield elapsed_ms

    def _hold(self, stream: int, hold_us: int) -> None:
        """Lets the stream wait: a thread of the driver's calls the C library's sleep, and no interpreter is asked."""
        sleep = _sleep_function()
        if sleep is not None:
            self._call("cudaLaunchHostFunc", ctypes.c_void_p(stream), sleep, ctypes.c_void_p(hold_us))

    def _reached(self, event: ctypes.c_void_p) -> bool:
        try:
            status = int(self._library.cudaEventQuery(event))
        except AttributeError as error:
            raise _too_old("cudaEventQuery") from error
        if status not in {0, _NOT_READY}:
            raise self._failure("cudaEventQuery", status)
        return status == 0

    @contextlib.contextmanager
    def captured(self, work: Callable[[], None], stream: int) -> Iterator[Callable[[], None]]:
        """Captures work as a CUDA graph; yields what launches it.

        Args:
            work: Enqueues on the stream and does nothing else that CUDA sees.
            stream: Captured, and later launched on.

        Raises:
            ModelError: The work cannot be captured: it allocates memory, waits for the device, or calls the host.
            DeviceError: The GPU was lost.
        """
        graph, runnable = self._capture(work, stream), ctypes.c_void_p()
        try:
            self._require_no_host_calls(graph)
            self._call("cudaGraphInstantiateWithFlags", ctypes.byref(runnable), graph, ctypes.c_ulonglong(0))
        finally:
            self._release("cudaGraphDestroy", graph)
        try:
            yield lambda: self._call("cudaGraphLaunch", runnable, ctypes.c_void_p(stream))
        finally:
            self._release("cudaGraphExecDestroy", runnable)

    def _capture(self, work: Callable[[], None], stream: int) -> ctypes.c_void_p:
        graph = ctypes.c_void_p()
        self._call("cudaStreamBeginCapture", ctypes.c_void_p(stream), ctypes.c_int(_THREAD_LOCAL))
        try:
            work()
        except BaseException:
            # A stream left capturing refuses everything else.
            self._release("cudaStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
            if graph:
                self._release("cudaGraphDestroy", graph)
            raise
        self._call("cudaStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
        return graph

    def _require_no_host_calls(self, graph: ctypes.c_void_p) -> None:
        """A call of the host in a graph would be made in every replay, with what the first one has freed."""
        count = ctypes.c_size_t()
        self._call("cudaGraphGetNodes", graph, None, ctypes.byref(count))
        nodes = (ctypes.c_void_p * max(1, count.value))()
        self._call("cudaGraphGetNodes", graph, nodes, ctypes.byref(count))
        kind = ctypes.c_int()
        for node in nodes[: count.value]:
            self._call("cudaGraphNodeGetType", ctypes.c_void_p(node), ctypes.byref(kind))
            if kind.value == _HOST_NODE:
                raise uncapturable("the runtime calls the host in every run of it")

    @contextlib.contextmanager
    def _event(self) -> Iterator[ctypes.c_void_p]:
        event = ctypes.c_void_p()
        self._call("cudaEventCreate", ctypes.byref(event))
        try:
            yield event
        finally:
            self._release("cudaEventDestroy", event)

    def _copy(self, to: int, source: int, size_bytes: int, kind: int, stream: int) -> None:
        pointers = ctypes.c_void_p(to), ctypes.c_void_p(source)
        self._call(
            "cudaMemcpyAsync", *pointers, ctypes.c_size_t(size_bytes), ctypes.c_int(kind), ctypes.c_void_p(stream)
        )

    def _version(self, function: str) -> str:
        number = ctypes.c_int()
        self._call(function, ctypes.byref(number))
        return f"{number.value // 1000}.{number.value % 1000 // 10}"

    def _call(self, function: str, *arguments: object) -> None:
        try:
            status = int(getattr(self._library, function)(*arguments))
        except AttributeError as error:
            raise _too_old(function) from error
        if status:
            raise self._failure(function, status)

    def _release(self, function: str, *arguments: object) -> None:
        """Calls something whose failure changes nothing any more: on a lost device everything fails."""
        with contextlib.suppress(AttributeError):
            getattr(self._library, function)(*arguments)

    def _failure(self, function: str, status: int) -> DeviceError | ModelError:
        self._release("cudaGetLastError")  # else the next one to ask would be told of it again
        name, text = (self._text(told, status) for told in ("cudaGetErrorName", "cudaGetErrorString"))
        told = f"{function} returned {name} ({status}): {text}"
        if status in _UNCAPTURABLE:
            return uncapturable(told)
        if status == _OUT_OF_MEMORY:
            return _out_of_memory(f"{told}; {self._free()}")
        if status in _UNSUITED:
            return _unsuited(told)
        if status in _LOST:
            return _lost(told)
        return DeviceError(f"the GPU cannot be used: {told}. `hwnas doctor` says what works on this machine.")

    def _text(self, function: str, status: int) -> str:
        try:
            told = getattr(self._library, function)(ctypes.c_int(status))
        except AttributeError:
            told = None
        return told.decode(errors="replace") if isinstance(told, bytes) else "unknown error"

    def _free(self) -> str:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._release("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return f"{free.value // _BYTES_PER_MIB} of {total.value // _BYTES_PER_MIB} MiB are free"


def uncapturable(told: str) -> ModelError:
    """A model that cannot be replayed from a CUDA graph.

    Args:
        told: Why not.
    """
    return ModelError(f"the model cannot be captured as a CUDA graph: {told}. Measure it without --cuda-graph.")


def device_failure(message: str) -> DeviceError | None:
    """What a runtime's error message tells of the device; ``None`` where the device is not at fault.

    Args:
        message: As ONNX Runtime or TensorRT raised or logged it.
    """
    text = " ".join(message.split())
    told = named[0].strip() if (named := _NAMED.search(text)) else text
    number = int(found[1]) if (found := _NUMBERED.search(told)) else None
    if number == _OUT_OF_MEMORY or _OUT_OF_MEMORY_TEXT.search(told):
        return _out_of_memory(told)
    if number in _UNSUITED or _UNSUITED_TEXT.search(told):
        return _unsuited(told)
    if number in _LOST or _LOST_TEXT.search(told):
        return _lost(told)
    return None


def library_candidates() -> Iterator[str]:
    """Names and paths of the runtime's library: what this process has loaded, the nvidia wheels, the system."""
    yield from _loaded()
    names = _library_names()
    for folder in _wheel_folders():
        yield from (str(folder / name) for name in names if (folder / name).is_file())
    yield from names
    for name in names:  # toolkits that the loader's configuration does not name
        yield from sorted(map(str, Path("/usr/local").glob(f"cuda*/lib64/{name}")), reverse=True)


def _library_names() -> tuple[str, ...]:
    if sys.platform == "win32":
        return ("cudart64_13.dll", "cudart64_12.dll", "cudart64_110.dll")
    return ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")


@lru_cache(maxsize=1)
def _sleep_function() -> ctypes.c_void_p | None:
    """The C library's sleep for microseconds, to be called by address; ``None`` where there is none."""
    try:
        return ctypes.cast(ctypes.CDLL(None).usleep, ctypes.c_void_p)
    except (AttributeError, OSError, TypeError):  # Windows: devices are not held there
        return None


def _too_old(function: str) -> DeviceError:
    return DeviceError(f"this CUDA runtime has no {function}: expected CUDA 11.4 or newer")


def _loaded() -> list[str]:
    """Paths of the libraries that the measured runtime has loaded; where they are not told, their names find them."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    paths = (line.partition("/")[2] for line in lines if "/libcudart" in line)
    return list(dict.fromkeys(f"/{path}" for path in paths if path and not path.endswith("(deleted)")))


def _wheel_folders() -> list[Path]:
    """Where the wheels of NVIDIA put it: one folder for all since CUDA 13, one for each library before."""
    found = find_spec("nvidia")
    roots = [Path(root) for root in (found.submodule_search_locations or [])] if found else []
    inside = ("cu13/lib", "cu13/bin/x86_64", "cuda_runtime/lib", "cuda_runtime/bin")
    return [root / folder for root in roots for folder in inside]


def _out_of_memory(told: str) -> DeviceError:
    return DeviceMemoryError(f"device out of memory: {told}. Cure: {_CURE_MEMORY}. What was measured so far stays.")


def _lost(told: str) -> DeviceError:
    return DeviceError(f"the GPU was lost or is not available: {told}. Cure: {_CURE_LOST}.")


def _unsuited(told: str) -> DeviceError:
    return DeviceError(f"the GPU, its driver and the runtime do not fit together: {told}. Cure: {_CURE_UNSUITED}.")
