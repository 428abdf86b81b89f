"""FAKE of the CUDA runtime's library: a device with a clock that stands still until work is enqueued.

Its memory is the host's, so that a real runtime can work in it. Written after NVIDIA's documentation, not recorded.
"""

from __future__ import annotations

import ctypes
from typing import Any

NAMES = {
    2: ("cudaErrorMemoryAllocation", "out of memory"),
    35: ("cudaErrorInsufficientDriver", "CUDA driver version is insufficient for CUDA runtime version"),
    46: ("cudaErrorDevicesUnavailable", "CUDA-capable device(s) is/are busy or unavailable"),
    100: ("cudaErrorNoDevice", "no CUDA-capable device is detected"),
    400: ("cudaErrorInvalidResourceHandle", "invalid resource handle"),
    600: ("cudaErrorNotReady", "device not ready"),
    700: ("cudaErrorIllegalAddress", "an illegal memory access was encountered"),
    719: ("cudaErrorLaunchFailure", "unspecified launch failure"),
    900: ("cudaErrorStreamCaptureUnsupported", "operation not permitted when stream is capturing"),
    999: ("cudaErrorUnknown", "unknown error"),
}
_NOT_READY, _CAPTURING = 600, 900


class FakeCuda:
    """FAKE library, functions as ``ctypes`` offers them.

    Attributes:
        calls: Names of the functions called, and what others add.
        alive: Streams, events, buffers and graphs that nobody has let go of.
        device_ms: The clock of the device.
        copied: Kind, bytes and stream of each copy.
        node_kinds: Of the nodes in every graph: 0 a kernel, 3 a call of the host.
        host_us: Time that the host needs to enqueue what is timed.
        held_us: How long the device was told to wait, each time.
    """

    def __init__(self, *, version: int = 13000, driver: int = 13000, free: int = 2**30, total: int = 2**31) -> None:
        self.version, self.driver, self.free, self.total = version, driver, free, total
        self.calls: list[str] = []
        self.alive: dict[int, str] = {}
        self.device_ms = 0.0
        self.copied: list[tuple[int, int, int]] = []
        self.lost = 0
        self.node_kinds: list[int] = [0]
        self.host_us = 0
        self.held_us: list[int] = []
        self.overtaken = False
        self._failures: dict[str, list[int]] = {}
        self._buffers: dict[int, Any] = {}
        self._events: dict[int, float] = {}
        self._settled: set[int] = set()
        self._capturing: list[float] | None = None
        self._graphs: dict[int, float] = {}
        self._next = 0x1000_0000_0000  # above 32 bits: a pointer passed as an int would be cut

    # --- for tests

    def fail(self, function: str, status: int, *, after: int = 0) -> None:
        """Lets a function fail once, after some calls that succeed."""
        self._failures[function] = [0] * after + [status]

    def work(self, run_ms: float) -> None:
        """What something enqueues."""
        self.calls.append("work")
        if self._capturing is not None:
            self._capturing.append(run_ms)
        else:
            self.device_ms += run_ms

    def count(self, function: str) -> int:
        return self.calls.count(function)

    def _status(self, function: str) -> int:
        self.calls.append(function)
        planned = self._failures.get(function)
        status = planned.pop(0) if planned else 0
        if 700 <= status < 900 or status == 999:
            self.lost = status  # a broken context stays broken
        return self.lost or status

    def _new(self, reference: Any, kind: str) -> int:
        self._next += 16
        self.alive[self._next] = kind
        reference._obj.value = self._next
        return self._next

    def _drop(self, function: str, handle: ctypes.c_void_p, kind: str) -> int:
        status = self._status(function)
        assert self.alive.pop(int(handle.value or 0), None) == kind, f"{function} of what is no {kind}"
        return status

    # --- the device

    def cudaGetErrorName(self, status: ctypes.c_int) -> bytes:  # noqa: N802
        return NAMES.get(status.value, ("cudaErrorMadeUp", ""))[0].encode()

    def cudaGetErrorString(self, status: ctypes.c_int) -> bytes:  # noqa: N802
        return NAMES.get(status.value, ("", "made up"))[1].encode()

    def cudaGetLastError(self) -> int:  # noqa: N802
        self.calls.append("cudaGetLastError")
        return 0

    def cudaSetDevice(self, device: ctypes.c_int) -> int:  # noqa: N802
        assert device.value == 0
        return self._status("cudaSetDevice")

    def cudaDeviceSynchronize(self) -> int:  # noqa: N802
        return self._status("cudaDeviceSynchronize")

    def cudaRuntimeGetVersion(self, reference: Any) -> int:  # noqa: N802
        reference._obj.value = self.version
        return self._status("cudaRuntimeGetVersion")

    def cudaDriverGetVersion(self, reference: Any) -> int:  # noqa: N802
        reference._obj.value = self.driver
        return self._status("cudaDriverGetVersion")

    def cudaMemGetInfo(self, free: Any, total: Any) -> int:  # noqa: N802
        free._obj.value, total._obj.value = self.free, self.total
        return self._status("cudaMemGetInfo")

    # --- streams and events

    def cudaStreamCreateWithFlags(self, reference: Any, flags: ctypes.c_uint) -> int:  # noqa: N802
        assert flags.value == 1
        status = self._status("cudaStreamCreateWithFlags")
        if not status:
            self._new(reference, "stream")
        return status

    def cudaStreamDestroy(self, stream: ctypes.c_void_p) -> int:  # noqa: N802
        return self._drop("cudaStreamDestroy", stream, "stream")

    def cudaStreamSynchronize(self, stream: ctypes.c_void_p) -> int:  # noqa: N802
        assert self.alive[int(stream.value or 0)] == "stream"
        return self._status("cudaStreamSynchronize") or (_CAPTURING if self._capturing is not None else 0)

    def cudaEventCreate(self, reference: Any) -> int:  # noqa: N802
        status = self._status("cudaEventCreate")
        if not status:
            self._new(reference, "event")
        return status

    def cudaEventDestroy(self, event: ctypes.c_void_p) -> int:  # noqa: N802
        return self._drop("cudaEventDestroy", event, "event")

    def cudaEventRecord(self, event: ctypes.c_void_p, stream: ctypes.c_void_p) -> int:  # noqa: N802
        assert self.alive[int(stream.value or 0)] == "stream"
        self._events[int(event.value or 0)] = self.device_ms
        self._settled.discard(int(event.value or 0))
        return self._status("cudaEventRecord")

    def cudaEventSynchronize(self, event: ctypes.c_void_p) -> int:  # noqa: N802
        self._settled.add(int(event.value or 0))
        return self._status("cudaEventSynchronize")

    def cudaEventElapsedTime(self, reference: Any, start: ctypes.c_void_p, stop: ctypes.c_void_p) -> int:  # noqa: N802
        first, last = int(start.value or 0), int(stop.value or 0)
        reference._obj.value = self._events[last] - self._events[first]
        return self._status("cudaEventElapsedTime") or (0 if last in self._settled else _NOT_READY)

    def cudaEventQuery(self, event: ctypes.c_void_p) -> int:  # noqa: N802
        status = self._status("cudaEventQuery")
        return status or (0 if self.overtaken else _NOT_READY)

    def cudaLaunchHostFunc(self, stream: ctypes.c_void_p, function: Any, argument: ctypes.c_void_p) -> int:  # noqa: N802
        assert self.alive[int(stream.value or 0)] == "stream"
        assert function.value, "a call of nothing"
        self.held_us.append(int(argument.value or 0))
        self.overtaken = self.held_us[-1] < self.host_us
        return self._status("cudaLaunchHostFunc")

    # --- memory

    def cudaMalloc(self, reference: Any, size: ctypes.c_size_t) -> int:  # noqa: N802
        status = self._status("cudaMalloc")
        if status or size.value > self.free:
            return status or 2
        held = ctypes.create_string_buffer(size.value)
        address = ctypes.addressof(held)
        self._buffers[address], self.alive[address] = held, "buffer"
        reference._obj.value = address
        return 0

    def cudaFree(self, address: ctypes.c_void_p) -> int:  # noqa: N802
        status = self._drop("cudaFree", address, "buffer")
        del self._buffers[int(address.value or 0)]
        return status

    def cudaMemcpyAsync(  # noqa: N802
        self,
        to: ctypes.c_void_p,
        source: ctypes.c_void_p,
        size: ctypes.c_size_t,
        kind: ctypes.c_int,
        stream: ctypes.c_void_p,
    ) -> int:
        device = to if kind.value == 1 else source
        assert len(self._buffers[int(device.value or 0)]) >= size.value
        self.copied.append((kind.value, size.value, int(stream.value or 0)))
        ctypes.memmove(to.value, source.value, size.value)
        self.device_ms += 0.5
        return self._status("cudaMemcpyAsync")

    # --- graphs

    def cudaGraphGetNodes(self, graph: ctypes.c_void_p, nodes: Any, count: Any) -> int:  # noqa: N802
        assert self.alive[int(graph.value or 0)] == "graph"
        if nodes is None:
            count._obj.value = len(self.node_kinds)
        else:
            for place in range(len(self.node_kinds)):
                nodes[place] = 16 * (place + 1)
        return self._status("cudaGraphGetNodes")

    def cudaGraphNodeGetType(self, node: ctypes.c_void_p, kind: Any) -> int:  # noqa: N802
        kind._obj.value = self.node_kinds[int(node.value or 0) // 16 - 1]
        return self._status("cudaGraphNodeGetType")

    def cudaStreamBeginCapture(self, stream: ctypes.c_void_p, mode: ctypes.c_int) -> int:  # noqa: N802
        assert (self.alive[int(stream.value or 0)], mode.value) == ("stream", 1)
        self._capturing = []
        return self._status("cudaStreamBeginCapture")

    def cudaStreamEndCapture(self, stream: ctypes.c_void_p, reference: Any) -> int:  # noqa: N802
        assert self._capturing is not None
        captured, self._capturing = sum(self._capturing), None
        status = self._status("cudaStreamEndCapture")
        if not status:
            self._graphs[self._new(reference, "graph")] = captured
        return status

    def cudaGraphInstantiateWithFlags(self, reference: Any, graph: ctypes.c_void_p, flags: Any) -> int:  # noqa: N802
        assert flags.value == 0
        status = self._status("cudaGraphInstantiateWithFlags")
        if not status:
            self._graphs[self._new(reference, "runnable graph")] = self._graphs[int(graph.value or 0)]
        return status

    def cudaGraphLaunch(self, runnable: ctypes.c_void_p, stream: ctypes.c_void_p) -> int:  # noqa: N802
        assert self.alive[int(stream.value or 0)] == "stream"
        self.device_ms += self._graphs[int(runnable.value or 0)]
        return self._status("cudaGraphLaunch")

    def cudaGraphDestroy(self, graph: ctypes.c_void_p) -> int:  # noqa: N802
        return self._drop("cudaGraphDestroy", graph, "graph")

    def cudaGraphExecDestroy(self, runnable: ctypes.c_void_p) -> int:  # noqa: N802
        return self._drop("cudaGraphExecDestroy", runnable, "runnable graph")
