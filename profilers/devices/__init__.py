"""What this machine is and does: its CPU, its GPUs, the runtimes that can use them, its clocks and its energy.

Contents:
    cpu: model, cores, SIMD flags, governor, clock and load of the CPU.
    nvml: NVIDIA GPUs, as NVML reports them.
    runtimes: onnxruntime with the providers that really load, and TensorRT.
    clocks: clocks, temperature and throttling, read between measurements.
    clock_lock: a GPU's clock locked while something runs, and given back.
    energy: energy of a run beyond idling, from NVML, RAPL or the power monitor of a Jetson.
    power_rails: the energy counters of a CPU and the power rails of a Jetson.
    power_sampler: energy from power where a device counts none.
    cuda: the CUDA runtime: streams, events, memory.
    fingerprint: everything known to change a latency.

Every value that the machine does not give is ``None``, never ``0`` or ``""``.
"""

from __future__ import annotations

from profilers.devices.clock_lock import ClockLock, locked_clocks
from profilers.devices.clocks import ClockReading, ClockWatch
from profilers.devices.cpu import CpuDescription, describe_cpu
from profilers.devices.energy import EnergyReading, EnergyUnknown, energy_meter, measure_energy
from profilers.devices.nvml import GpuDescription, GpuReport, describe_gpus
from profilers.devices.runtimes import (
    PROVIDERS_OF_INTEREST,
    ProviderDescription,
    RuntimeDescription,
    TensorRtDescription,
    describe_onnxruntime,
    describe_tensorrt,
)

__all__ = [
    "PROVIDERS_OF_INTEREST",
    "ClockLock",
    "ClockReading",
    "ClockWatch",
    "CpuDescription",
    "EnergyReading",
    "EnergyUnknown",
    "GpuDescription",
    "GpuReport",
    "ProviderDescription",
    "RuntimeDescription",
    "TensorRtDescription",
    "describe_cpu",
    "describe_gpus",
    "describe_onnxruntime",
    "describe_tensorrt",
    "energy_meter",
    "locked_clocks",
    "measure_energy",
]
