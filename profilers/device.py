"""From the name of a device to what runs on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import psutil

from latency_tables import Manifest
from profilers.backends.contract import Backend, BackendSettings
from profilers.devices import GpuReport, RuntimeDescription, describe_gpus, describe_onnxruntime
from profilers.errors import CampaignError, DeviceError
from profilers.registry import backend_devices, backend_of, open_backend

DEVICES = ("auto", "cpu", "gpu")
_DEFAULTS = {"cpu": "onnxruntime", "gpu": "onnxruntime-cuda"}
_CUDA = "CUDAExecutionProvider"


def open_device(
    name: str = "auto",
    *,
    backend: str | None = None,
    settings: BackendSettings | None = None,
    gpus: Callable[[], GpuReport] = describe_gpus,
    runtime: Callable[[], RuntimeDescription] = describe_onnxruntime,
) -> Backend:
    """The backend of a device, this process pinned to the CPUs that the settings name.

    Args:
        name: ``"cpu"``, ``"gpu"``, ``"auto"`` (the GPU where one is usable, else the CPU), or a device that a plug-in's
            backend runs on.
        backend: Name of the backend; by default ONNX Runtime, and for a plug-in's device the first that runs on it.
        settings: Threads and so on; their ``device`` does not count.
        gpus: Probe for GPUs.
        runtime: Probe for the runtime.

    Raises:
        CampaignError: No such device or backend, or CPUs that do not exist.
        DeviceError: The device is not usable; the message names what is missing and the cure.
        PluginError: A third party's backend failed.
    """
    chosen = settings or BackendSettings()
    device = name
    if name != "cpu":  # else CUDA counts the fastest GPU first, and what NVML tells would be told of another one
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if name in {"auto", "gpu"} and backend in {None, _DEFAULTS["gpu"]}:
        obstacle = _gpu_obstacle(gpus(), runtime())
        if obstacle is not None and (name == "gpu" or backend):
            raise DeviceError(
                f"no usable GPU: {obstacle}. Nothing was measured; `--device cpu` measures the CPU instead."
            )
        device = "gpu" if obstacle is None else "cpu"
    elif name == "auto":
        device = _first_device(str(backend))
    _pin(chosen.affinity)
    return open_backend(backend or _default_backend(device), replace(chosen, device=device))


def open_device_of(table: Manifest, *, device: str = "auto") -> Backend:
    """The backend that a table was made with, with the same settings.

    Args:
        table: Its manifest.
        device: What the user asked for; ``"auto"`` for the table's own.

    Raises:
        CampaignError: No such device.
        DeviceError: It, or the backend, is not usable here.
        PluginError: A third party's backend failed.
    """
    wanted = table.device if device == "auto" else device
    name = backend_of(table.runtime, table.provider) if wanted == table.device else None
    return open_device(wanted, backend=name, settings=BackendSettings.recorded(table.fingerprint))


def require_threads(threads: int) -> None:
    """Refuses more threads than there are CPUs: they would wait for one another, and a run would take minutes.

    Raises:
        CampaignError: There are fewer CPUs.
    """
    most = psutil.cpu_count() or threads
    if threads > most:
        raise CampaignError(f"expected --threads from 1 to {most}, the CPUs of this machine, received {threads}")


def _default_backend(device: str) -> str:
    if device in _DEFAULTS:
        return _DEFAULTS[device]
    offered = backend_devices()
    fitting = [name for name, devices in offered.items() if device in devices]
    if not fitting:
        devices = dict.fromkeys([*DEVICES, *(one for found in offered.values() for one in found)])
        raise CampaignError(f"unknown device {device!r}: expected one of {', '.join(devices)}")
    return fitting[0]


def _first_device(backend: str) -> str:
    devices = backend_devices().get(backend, ())
    return devices[0] if devices else "cpu"


def _pin(affinity: tuple[int, ...] | None) -> None:
    """Keeps this process on some logical CPUs; what the runtime starts later inherits it."""
    if affinity is None:
        return
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        raise CampaignError("this operating system does not pin processes to CPUs: leave --affinity out")
    before = process.cpu_affinity() or []
    try:
        process.cpu_affinity(list(affinity))
    except (OSError, ValueError, OverflowError) as error:
        raise _no_such_cpus(affinity, before) from error
    if set(process.cpu_affinity() or []) != set(affinity):  # the system leaves out in silence what is not there
        process.cpu_affinity(before)
        raise _no_such_cpus(affinity, before)


def _no_such_cpus(wanted: tuple[int, ...], usable: Sequence[int]) -> CampaignError:
    return CampaignError(
        f"cannot run on CPUs {','.join(map(str, wanted))}: not all of them are there for this process. "
        f"This process may use {','.join(map(str, usable))}"
    )


def _gpu_obstacle(report: GpuReport, runtime: RuntimeDescription) -> str | None:
    """What keeps the GPU from being used, with the cure; ``None`` when nothing does."""
    if not report.gpus:
        cure = report.cure or 'an NVIDIA GPU with its driver, and pip install "hwnas[gpu]"'
        return f"{report.reason or 'NVML reports none'}. Cure: {cure}"
    if runtime.version is None:
        return f"{runtime.reason or 'ONNX Runtime is missing'}. Cure: {runtime.cure}"
    provider = next((p for p in runtime.providers if p.name == _CUDA), None)
    if provider is None or not provider.listed:
        return (
            f"ONNX Runtime {runtime.version} has no CUDA provider. "
            'Cure: pip uninstall onnxruntime, then pip install "hwnas[gpu]"'
        )
    if provider.loads:
        return None
    return f'{provider.name} does not load: {provider.reason}. Cure: what it names, or pip install "hwnas[gpu]" again'
