"""The energy of one run of a network."""

from __future__ import annotations

from dataclasses import replace

from profilers.backends.contract import Backend, RunPlan
from profilers.devices.energy import EnergyMeter, EnergyReading, EnergyUnknown, measure_energy

_CHUNK_MS = 500.0  # runs between two looks at the meter: long beside loading the model


def network_energy(backend: Backend, model: bytes, meter: EnergyMeter) -> EnergyReading | EnergyUnknown:
    """Energy of a run above idling, from a window of seconds full of runs.

    Args:
        backend: What runs the model.
        model: Serialised ONNX model.
        meter: Of the backend's device.

    Raises:
        ModelError: The model cannot be loaded or run.
        DeviceError: The device was lost.
    """
    counts: list[int] = []
    plan = RunPlan(warmup_runs=0, runs=10**6, least_runs=1, budget_ms=_CHUNK_MS)

    def chunk() -> None:
        counts.append(1 + len(backend.time(model, plan).run_ms))  # the first run is not among those counted

    reading = measure_energy(chunk, meter)
    if isinstance(reading, EnergyUnknown):
        return reading
    runs = sum(counts)
    return replace(reading, energy_mj=reading.energy_mj * reading.runs / runs, runs=runs)
