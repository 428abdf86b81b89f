"""Everything known to change a latency, as a flat record that two machines can be compared by."""

from __future__ import annotations

from typing import Protocol

from latency_tables.schema import Json
from profilers.devices.cpu import describe_cpu
from profilers.devices.nvml import describe_gpus, used_gpu


class Settings(Protocol):
    """What of a backend's settings belongs to a fingerprint."""

    @property
    def device(self) -> str:
        """``"cpu"``, ``"gpu"`` or a third party's."""

    @property
    def threads(self) -> int:
        """Threads of the runtime."""

    @property
    def affinity(self) -> tuple[int, ...] | None:
        """Logical CPUs the process is pinned to."""

    @property
    def cuda_graph(self) -> bool:
        """Whether runs are replayed from a CUDA graph."""

    @property
    def include_io(self) -> bool:
        """Whether copies to and from the device count."""


def device_name(device: str) -> str:
    """The model name the device gives itself; ``"unknown"`` where it gives none."""
    if device == "gpu":
        gpu = used_gpu(describe_gpus().gpus)
        return (gpu.name if gpu else None) or "unknown"
    return describe_cpu().model or "unknown"


def fingerprint(settings: Settings, *, runtime: str, provider: str) -> dict[str, Json]:
    """The conditions a table is made under.

    Args:
        settings: Device, threads, pinning and what else the user chose.
        runtime: Name and version of the runtime.
        provider: Its execution provider.

    Returns:
        Flat and JSON-serialisable. Values the machine does not tell are ``None``. What changes from minute to minute
        (load, current clock) is left out: it belongs to the conditions of a campaign.
    """
    device, affinity = settings.device, settings.affinity
    cpu = describe_cpu()
    record: dict[str, Json] = {
        "device": device,
        "runtime": runtime,
        "provider": provider,
        "threads": settings.threads,
        "affinity": None if affinity is None else ",".join(map(str, affinity)),
        "cpu": cpu.model,
        "cpu_family": cpu.family,
        "cpu_model": cpu.model_number,
        "cpu_isa": " ".join(cpu.isa) if cpu.isa is not None else None,
        "cpu_cores": cpu.usable_cores,
        "cpu_quota": cpu.container_cpu_quota,
        "governor": cpu.governor,
    }
    if device == "gpu":
        gpu = used_gpu(describe_gpus().gpus)
        record |= {
            "gpu": gpu.name if gpu else None,
            "driver": gpu.driver if gpu else None,
            "mig": gpu.mig if gpu else None,
            "max_clock_mhz": gpu.max_clock_mhz if gpu else None,
            "cuda_graph": settings.cuda_graph,
            "include_io": settings.include_io,
        }
    return record
