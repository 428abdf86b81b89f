"""What this machine is: its CPU, its GPUs and the runtimes that can use them.

Contents:
    cpu: model, cores, SIMD flags, governor, clock and load of the CPU.
    nvml: NVIDIA GPUs, as NVML reports them.
    runtimes: onnxruntime with the providers that really load, and TensorRT.

Every value that the machine does not give is ``None``, never ``0`` or ``""``.
"""

from __future__ import annotations

from profilers.devices.cpu import CpuDescription, describe_cpu
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
    "CpuDescription",
    "GpuDescription",
    "GpuReport",
    "ProviderDescription",
    "RuntimeDescription",
    "TensorRtDescription",
    "describe_cpu",
    "describe_gpus",
    "describe_onnxruntime",
    "describe_tensorrt",
]
