"""The NVIDIA GPUs of this machine through NVML: what they are, and one of them to ask and to order."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

_BYTES_PER_MIB = 2**20
_CURE_EXTRA = 'pip install "hwnas[gpu]"'
_CURE_DRIVER = "if this machine has an NVIDIA GPU, install its driver (restart after an update): nvidia-smi must answer"
_CURE_START = "if this machine has an NVIDIA GPU, install its driver: nvidia-smi must answer"


@dataclass(frozen=True)
class GpuDescription:
    """One NVIDIA GPU; ``None`` stands for what NVML does not tell on this device.

    Attributes:
        name: Product name.
        uuid: NVML's identifier of this very board.
        driver: Version of the NVIDIA driver.
        memory_mib: Total device memory in MiB.
        compute_capability: CUDA compute capability, such as ``9.0``.
        mig: Whether the GPU is partitioned (multi-instance GPU mode).
        clock_mhz: Current clock of the streaming multiprocessors in MHz.
        max_clock_mhz: Highest clock of the streaming multiprocessors in MHz.
        temperature_c: Temperature of the chip in degrees Celsius.
        power_w: Power drawn now in watts.
    """

    name: str | None
    uuid: str | None
    driver: str | None
    memory_mib: int | None
    compute_capability: str | None
    mig: bool | None
    clock_mhz: int | None
    max_clock_mhz: int | None
    temperature_c: int | None
    power_w: float | None


@dataclass(frozen=True)
class GpuReport:
    """The GPUs found, or why there are none.

    Attributes:
        gpus: The GPUs in NVML's order.
        reason: Why there are none, or which ones do not answer; ``None`` when all is well.
        cure: What to do about it; ``None`` when nothing needs doing.
    """

    gpus: tuple[GpuDescription, ...]
    reason: str | None = None
    cure: str | None = None


def describe_gpus() -> GpuReport:
    """Describe the NVIDIA GPUs; never raises when there is no GPU, driver or binding.

    Returns:
        The GPUs, or a reason and a cure.
    """
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return _report_without_binding()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return GpuReport((), f"NVML does not start: {error}", _CURE_DRIVER)
    try:
        return _read_gpus(nvml)
    finally:
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


class NvmlDevice:
    """One GPU with NVML started and its handle kept, so that a query costs microseconds. See ``open_nvml``."""

    def __init__(self, nvml: ModuleType, handle: object) -> None:
        self._nvml, self._handle, self._open = nvml, handle, True

    def ask(self, function: str, *arguments: object) -> Any:
        """The answer of one query; ``None`` where it is not supported, by the device or by the binding.

        Jetson starts NVML and then answers NotSupported to many queries, so that each one fails alone.

        Args:
            function: NVML's name of the query.
            *arguments: What it takes after the handle.
        """
        return _ask(self._nvml, function, self._handle, *arguments) if self._open else None

    def order(self, function: str, *arguments: object) -> Exception | None:
        """Carries out one command; the error that it was refused with, ``None`` when it was obeyed."""
        try:
            getattr(self._nvml, function)(self._handle, *arguments)
        except (self._nvml.NVMLError, AttributeError) as error:
            return error
        return None

    def close(self) -> None:
        """Stops NVML; a second time does nothing."""
        if self._open:
            self._open = False
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()


def cuda_gpu() -> int | str:
    """The GPU that CUDA counts as its first: its number on the PCI bus, or the beginning of its UUID.

    NVML shows all GPUs, CUDA those that ``CUDA_VISIBLE_DEVICES`` names, in the order it names them. Their numbers mean
    the same in both only where ``CUDA_DEVICE_ORDER`` is ``PCI_BUS_ID``; ``open_device`` sees to that.
    """
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() else first or 0


def used_gpu(gpus: Sequence[GpuDescription]) -> GpuDescription | None:
    """Of all GPUs in NVML's order the one that CUDA counts as its first; ``None`` where that cannot be told."""
    wanted = cuda_gpu()
    if isinstance(wanted, int):
        return gpus[wanted] if wanted < len(gpus) else None
    if wanted.startswith("MIG"):  # a part of a GPU has a name of its own, which does not tell whose part it is
        return gpus[0] if len(gpus) == 1 else None
    return next((gpu for gpu in gpus if gpu.uuid is not None and gpu.uuid.startswith(wanted)), None)


def open_nvml(index: int | None) -> NvmlDevice | str:
    """A GPU to ask through NVML, or why there is none, with the cure; never raises.

    Args:
        index: Number of the GPU in NVML's order, that of the PCI bus; ``None`` for the one that CUDA runs on.
    """
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return f"pynvml is not installed. Cure: {_CURE_EXTRA}"
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return f"NVML does not start: {error}. Cure: {_CURE_START}"
    wanted = cuda_gpu() if index is None else index
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(wanted) if isinstance(wanted, int) else _handle_of(nvml, wanted)
        return NvmlDevice(nvml, handle)
    except nvml.NVMLError as error:
        NvmlDevice(nvml, None).close()
        return f"GPU {wanted} does not answer: {error}. Cure: nvidia-smi -L lists the GPUs that there are"


def _handle_of(nvml: ModuleType, uuid: str) -> object:
    """A GPU by its UUID, or by as much of it as CUDA needs."""
    for index in range(int(nvml.nvmlDeviceGetCount())):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        if (_text(_ask(nvml, "nvmlDeviceGetUUID", handle)) or "").startswith(uuid):
            return handle
    return nvml.nvmlDeviceGetHandleByUUID(uuid)


def _report_without_binding() -> GpuReport:
    """Tell a machine whose GPU merely lacks the Python binding from one without a GPU."""
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return GpuReport((), "pynvml is not installed and nvidia-smi is not on PATH: no NVIDIA driver in sight")
    try:
        answer = subprocess.run([smi, "-L"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 - the path comes from PATH
    except (OSError, subprocess.SubprocessError) as error:
        return GpuReport((), f"pynvml is not installed and nvidia-smi does not run: {error}", _CURE_DRIVER)
    seen = [line for line in answer.stdout.splitlines() if line.startswith("GPU ")]
    if answer.returncode == 0 and seen:
        reason = f"nvidia-smi lists {len(seen)} GPU(s), but pynvml is not installed: the gpu extra is missing"
        return GpuReport((), reason, _CURE_EXTRA)
    text = " ".join((answer.stdout + answer.stderr).split()) or "no output"
    return GpuReport((), f"nvidia-smi lists no GPU (exit status {answer.returncode}): {text}", _CURE_DRIVER)


def _read_gpus(nvml: ModuleType) -> GpuReport:
    try:
        count = int(nvml.nvmlDeviceGetCount())
    except nvml.NVMLError as error:
        return GpuReport((), f"NVML does not count the GPUs: {error}", _CURE_DRIVER)
    if count == 0:
        return GpuReport((), "NVML runs and finds no GPU")
    driver = _text(_ask(nvml, "nvmlSystemGetDriverVersion"))
    gpus, silent = [], []
    for index in range(count):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError as error:
            silent.append(f"GPU {index} does not answer: {error}")
            continue
        gpus.append(_describe(nvml, handle, driver))
    return GpuReport(tuple(gpus), "; ".join(silent) or None, _CURE_DRIVER if silent else None)


def _describe(nvml: ModuleType, handle: object, driver: str | None) -> GpuDescription:
    memory = _ask(nvml, "nvmlDeviceGetMemoryInfo", handle)
    capability = _ask(nvml, "nvmlDeviceGetCudaComputeCapability", handle)
    mig = _ask(nvml, "nvmlDeviceGetMigMode", handle)
    power_mw = _ask(nvml, "nvmlDeviceGetPowerUsage", handle)
    return GpuDescription(
        name=_text(_ask(nvml, "nvmlDeviceGetName", handle)),
        uuid=_text(_ask(nvml, "nvmlDeviceGetUUID", handle)),
        driver=driver,
        memory_mib=None if memory is None else int(memory.total) // _BYTES_PER_MIB,
        compute_capability=None if capability is None else f"{capability[0]}.{capability[1]}",
        mig=None if mig is None else bool(mig[0]),
        clock_mhz=_ask(nvml, "nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_SM),
        max_clock_mhz=_ask(nvml, "nvmlDeviceGetMaxClockInfo", handle, nvml.NVML_CLOCK_SM),
        temperature_c=_ask(nvml, "nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU),
        power_w=None if power_mw is None else power_mw / 1000,
    )


def _ask(nvml: ModuleType, function: str, *arguments: object) -> Any:
    """Call one NVML query; None where the device or the binding does not support it.

    Jetson starts NVML and then answers NotSupported to many queries, so that each one fails alone.
    """
    try:
        return getattr(nvml, function)(*arguments)
    except (nvml.NVMLError, AttributeError):
        return None


def _text(answer: Any) -> str | None:
    """Return text; older bindings answer in bytes."""
    if isinstance(answer, bytes):
        answer = answer.decode("utf-8", errors="replace")
    return str(answer) if answer else None
