"""From the name of a device to what runs on it."""

from __future__ import annotations

from collections.abc import Callable

from profilers.backends import OnnxRuntimeBackend
from profilers.backends.onnxruntime import PROVIDERS
from profilers.devices import GpuReport, RuntimeDescription, describe_gpus, describe_onnxruntime
from profilers.errors import CampaignError, DeviceError

DEVICES = ("auto", *PROVIDERS)


def open_device(
    name: str = "auto",
    *,
    threads: int = 1,
    gpus: Callable[[], GpuReport] = describe_gpus,
    runtime: Callable[[], RuntimeDescription] = describe_onnxruntime,
) -> OnnxRuntimeBackend:
    """The backend of a device.

    Args:
        name: ``"cpu"``, ``"gpu"``, or ``"auto"``: the GPU where one is usable, else the CPU.
        threads: Intra-operator threads.
        gpus: Probe for GPUs.
        runtime: Probe for the runtime.

    Raises:
        CampaignError: No such device.
        DeviceError: The device is not usable; the message names what is missing and the cure.
    """
    if name not in DEVICES:
        raise CampaignError(f"unknown device {name!r}: expected one of {', '.join(DEVICES)}")
    if name == "cpu":
        return OnnxRuntimeBackend("cpu", threads=threads)
    obstacle = _gpu_obstacle(gpus(), runtime())
    if obstacle is None:
        return OnnxRuntimeBackend("gpu", threads=threads)
    if name == "gpu":
        raise DeviceError(f"no usable GPU: {obstacle}. Nothing was measured; `--device cpu` measures the CPU instead.")
    return OnnxRuntimeBackend("cpu", threads=threads)


def _gpu_obstacle(report: GpuReport, runtime: RuntimeDescription) -> str | None:
    """What keeps the GPU from being used, with the cure; ``None`` when nothing does."""
    if not report.gpus:
        cure = report.cure or 'an NVIDIA GPU with its driver, and pip install "hwnas[gpu]"'
        return f"{report.reason or 'NVML reports none'}. Cure: {cure}"
    if runtime.version is None:
        return f"{runtime.reason or 'ONNX Runtime is missing'}. Cure: {runtime.cure}"
    provider = next((p for p in runtime.providers if p.name == PROVIDERS["gpu"]), None)
    if provider is None or not provider.listed:
        return (
            f"ONNX Runtime {runtime.version} has no CUDA provider. "
            'Cure: pip uninstall onnxruntime, then pip install "hwnas[gpu]"'
        )
    if provider.loads:
        return None
    return f'{provider.name} does not load: {provider.reason}. Cure: what it names, or pip install "hwnas[gpu]" again'
