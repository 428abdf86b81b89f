"""Everything known to change a latency, as a flat record that two machines can be compared by."""

from __future__ import annotations

from latency_tables.schema import Json
from profilers.devices.cpu import describe_cpu
from profilers.devices.nvml import describe_gpus


def device_name(device: str) -> str:
    """The model name the device gives itself; ``"unknown"`` where it gives none."""
    if device == "gpu":
        gpus = describe_gpus().gpus
        return (gpus[0].name if gpus else None) or "unknown"
    return describe_cpu().model or "unknown"


def fingerprint(device: str, *, runtime: str, provider: str, threads: int) -> dict[str, Json]:
    """The conditions a table is made under.

    Args:
        device: ``"cpu"`` or ``"gpu"``.
        runtime: Name and version of the runtime.
        provider: Its execution provider.
        threads: Intra-operator threads.

    Returns:
        Flat and JSON-serialisable. Values the machine does not tell are ``None``. What changes from minute to minute
        (load, current clock) is left out: it belongs to the conditions of a campaign.
    """
    cpu = describe_cpu()
    record: dict[str, Json] = {
        "device": device,
        "runtime": runtime,
        "provider": provider,
        "threads": threads,
        "cpu": cpu.model,
        "cpu_family": cpu.family,
        "cpu_model": cpu.model_number,
        "cpu_isa": " ".join(cpu.isa) if cpu.isa is not None else None,
        "cpu_cores": cpu.usable_cores,
        "cpu_quota": cpu.container_cpu_quota,
        "governor": cpu.governor,
    }
    if device == "gpu":
        gpus = describe_gpus().gpus
        gpu = gpus[0] if gpus else None
        record |= {
            "gpu": gpu.name if gpu else None,
            "driver": gpu.driver if gpu else None,
            "mig": gpu.mig if gpu else None,
            "max_clock_mhz": gpu.max_clock_mhz if gpu else None,
        }
    return record
