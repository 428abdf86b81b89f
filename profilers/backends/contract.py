"""What a backend is: the few things a campaign asks of whatever runs models.

A backend needs ``time`` and the attributes below, no more: with the method ``"blocks"`` a campaign cuts networks into
their blocks and times each as a model of its own. One that can say which kernels a model became offers more exact
methods, and takes one of the longer protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from latency_tables.schema import Json
from profilers.kernels import KernelUse
from profilers.statistics import Times

Method = Literal["in-place", "isolated", "blocks"]
METHODS: tuple[Method, ...] = ("in-place", "isolated", "blocks")


@dataclass(frozen=True, kw_only=True)
class BackendSettings:
    """What the user chose, the same record for every backend; each takes what concerns it.

    Attributes:
        device: ``"cpu"``, ``"gpu"``, or the name of a third party's device.
        threads: Threads of the runtime.
        affinity: Logical CPUs the process is pinned to; ``None`` leaves it where it is.
        cuda_graph: Whether runs on a GPU are captured as a CUDA graph and replayed.
        include_io: Whether copies between host and device are part of a run.
    """

    device: str = "cpu"
    threads: int = 1
    affinity: tuple[int, ...] | None = None
    cuda_graph: bool = False
    include_io: bool = False

    @classmethod
    def recorded(cls, fingerprint: Mapping[str, Json]) -> BackendSettings:
        """Those that a table was made with, from its fingerprint."""
        threads, affinity = fingerprint.get("threads"), fingerprint.get("affinity")
        return cls(
            device=str(fingerprint.get("device")),
            threads=threads if isinstance(threads, int) else 1,
            affinity=tuple(int(cpu) for cpu in affinity.split(",")) if isinstance(affinity, str) and affinity else None,
            cuda_graph=fingerprint.get("cuda_graph") is True,
            include_io=fingerprint.get("include_io") is True,
        )


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """A block of runs.

    Attributes:
        warmup_runs: Runs not counted, at the least; more are made until the times no longer fall.
        runs: Counted runs.
        least_runs: Counted runs after which the block may end early.
        budget_ms: Time after which a block ends early.
        seed: Decides where in memory inputs lie; another one each round. Whether two buffers fall on the same lines of
            a cache can change a kernel's time by a quarter, and stays as it is for as long as a session lives.
        began: Called when the first counted run is next, so that whoever watches the device meanwhile sees nothing of
            loading and warming up.
    """

    warmup_runs: int = 5
    runs: int = 60
    least_runs: int = 8
    budget_ms: float = 2000.0
    seed: int = 0
    began: Callable[[], None] | None = None


@dataclass(frozen=True, kw_only=True)
class TimedRuns:
    """Raw times of a block of runs.

    Attributes:
        run_ms: Time of each run, shape ``(r,)``: on the device where it tells, else the wall time.
        preempted: Whether the process was interrupted during each, shape ``(r,)``; all false where the operating system
            does not tell.
        provider: What ran it, as the runtime itself reports.
        load_ms: Time to load and optimise the model, in milliseconds; ``None`` for unknown.
        first_ms: Time of the very first run, in milliseconds; ``None`` for unknown.
        host_ms: Wall time of each run, shape ``(r,)``, where ``run_ms`` is the device's.
    """

    run_ms: Times
    preempted: NDArray[np.bool_]
    provider: str
    load_ms: float | None = None
    first_ms: float | None = None
    host_ms: Times | None = None


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a model became.

    Attributes:
        uses: The kernels of the runtime's graph, in order.
        memory_mib: Weights plus the largest sum of tensors alive at once, in MiB; ``None`` for unknown.
    """

    uses: tuple[KernelUse, ...]
    memory_mib: float | None = None


@dataclass(frozen=True, kw_only=True)
class ProfiledRuns(TimedRuns):
    """A block of runs with the kernels inside.

    Attributes:
        inspection: The kernels.
        kernel_ms: Duration of each of them in each run, shape ``(uses, r)``.
    """

    inspection: Inspection
    kernel_ms: NDArray[np.float64]

    @property
    def uses(self) -> tuple[KernelUse, ...]:
        """The kernels of the runtime's graph, in order."""
        return self.inspection.uses


@dataclass(frozen=True, kw_only=True)
class IsolatedKernel:
    """One kernel, to be run and nothing else.

    Attributes:
        model: Serialised model of the kernel alone; nothing in it is to be optimised any more.
        copies: How often the kernel is put side by side to be timed. Several drown the price of the call, and the
            nanoseconds that come and go with a session.
        overwrites: Input that the kernel writes its output over, as it may in its network; ``None`` for none.
    """

    model: bytes
    copies: int = 1
    overwrites: int | None = None


@runtime_checkable
class Backend(Protocol):
    """Runs models on one device and refuses to run them on any other.

    Attributes:
        name: The runtime, as it stands in manifests.
        version: Its version.
        device: ``"cpu"``, ``"gpu"`` or a name of your own.
        device_name: The model name the device gives itself.
        provider: What of the runtime does the work.
        threads: Threads it uses.
        method: How its kernels are measured: ``"in-place"`` needs ``InPlace``, ``"isolated"`` needs ``Isolating``,
            ``"blocks"`` nothing more.

    One more is optional, and not part of the protocol: ``symmetric_int8``, true where quantised activations must be
    signed and lie around zero, as TensorRT asks for.
    """

    @property
    def name(self) -> str:
        """The runtime, as it stands in manifests."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def device(self) -> str:
        """``"cpu"``, ``"gpu"`` or a name of your own."""

    @property
    def device_name(self) -> str:
        """The model name the device gives itself."""

    @property
    def provider(self) -> str:
        """What of the runtime does the work."""

    @property
    def threads(self) -> int:
        """Threads it uses."""

    @property
    def method(self) -> Method:
        """How its kernels are measured."""

    def fingerprint(self) -> dict[str, Json]:
        """Everything known to change a latency here, flat and JSON-serialisable; unknown values are ``None``."""

    def time(self, model: bytes, plan: RunPlan) -> TimedRuns:
        """Times whole runs of a model.

        Args:
            model: Serialised ONNX model with fixed shapes.
            plan: How many runs.

        Raises:
            ModelError: The model cannot be loaded or run.
            DeviceError: The runtime put it elsewhere, or the device was lost.
        """


@runtime_checkable
class InPlace(Backend, Protocol):
    """A backend whose runtime times each kernel where it runs."""

    def profile(self, model: bytes, parts: Mapping[str, str], plan: RunPlan) -> ProfiledRuns:
        """Times the kernels of a model where they run.

        Args:
            model: Serialised ONNX model with fixed shapes.
            parts: Prefix of the tensor names of each part of the network, to what the part is.
            plan: How many runs.

        Raises:
            ModelError: The model cannot be loaded or run.
            DeviceError: The runtime put it, or a node of it, elsewhere, or the device was lost.
        """


@runtime_checkable
class Isolating(Backend, Protocol):
    """A backend whose runtime tells its kernels and can run one of them alone."""

    def isolate(self, model: bytes, parts: Mapping[str, str]) -> tuple[Inspection, dict[str, IsolatedKernel]]:
        """The kernels of a model, and for each key a model of that kernel alone.

        Raises:
            ModelError: The model cannot be loaded or run.
            DeviceError: The runtime put it, or a node of it, elsewhere.
        """

    def time_kernel(self, kernel: IsolatedKernel, plan: RunPlan) -> TimedRuns:
        """Times all copies of a kernel together (``profilers.models.copied``), with nothing optimised any more.

        Raises:
            ModelError: It cannot be loaded or run alone.
            DeviceError: The runtime put it elsewhere, or the device was lost.
        """


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A model as TensorRT compiled it for one device.

    Attributes:
        content: The engine, serialised.
        timing_cache: The times of kernels that it was chosen by, serialised; empty for none.
        measured: Whether it was timed before it was asked for, and not built anew: another build may be some percent
            slower or faster.
        conditions: What it depends on, flat and JSON-serialisable: version of TensorRT, GPU, driver and so on; ``None``
            for unknown.
    """

    content: bytes
    timing_cache: bytes
    measured: bool
    conditions: Mapping[str, Json]


@runtime_checkable
class Compiling(Backend, Protocol):
    """A backend that compiles models into TensorRT engines and hands them over."""

    def engine(self, model: bytes) -> Engine:
        """The engine that ``time`` runs, built if it is not held any more.

        Args:
            model: Serialised ONNX model with fixed shapes.

        Raises:
            ModelError: The model cannot be compiled.
            DeviceError: The device was lost.
        """


def symmetric_int8(backend: Backend) -> bool:
    """Whether a backend asks for ``int8`` with signed activations around zero; see ``Backend``."""
    return bool(getattr(backend, "symmetric_int8", False))
