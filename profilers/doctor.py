"""Examine this machine: what it is, what works on it, and whether timings taken on it can be trusted.

``examine`` only gathers and judges; the command line renders its result.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from profilers.devices.cpu import CpuDescription, describe_cpu
from profilers.devices.nvml import GpuDescription, GpuReport, describe_gpus
from profilers.devices.runtimes import (
    ProviderDescription,
    RuntimeDescription,
    TensorRtDescription,
    describe_onnxruntime,
    describe_tensorrt,
)
from profilers.registry import describe_backends

Status = Literal["ok", "warning", "fault", "absent"]

MAX_LOAD_PER_CORE = 0.5
MIN_QUOTA_CORES = 1.0
MIN_PYTHON = (3, 11)

_CPU_PROVIDER = "CPUExecutionProvider"
_CUDA_PROVIDER = "CUDAExecutionProvider"
_TENSORRT_PROVIDER = "TensorrtExecutionProvider"
_CURE_GPU_WHEEL = 'pip uninstall -y onnxruntime, then pip install "hwnas[gpu]"'
_UNKNOWN = "unknown on this system"


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis.

    Attributes:
        name: What was looked at; stable, so that a program can look for it.
        status: ``ok``; ``warning``: works and harms the timings or leaves a device unused; ``fault``: must be repaired;
            ``absent``: not there, or not told by this system, and not needed.
        found: What was found, in words.
        cure: What to do about it; ``None`` when nothing needs doing.
    """

    name: str
    status: Status
    found: str
    cure: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """The checks, and the descriptions that they judge.

    Attributes:
        checks: One check for each thing looked at, in a fixed order.
        cpu: Raw description of the CPU.
        gpus: Raw description of the GPUs.
        runtime: Raw description of onnxruntime.
        tensorrt: Raw description of the native TensorRT.
    """

    checks: tuple[Check, ...]
    cpu: CpuDescription
    gpus: GpuReport
    runtime: RuntimeDescription
    tensorrt: TensorRtDescription

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why timings taken here now could not be trusted or taken at all; empty on a fit machine."""
        found = (
            _runtime_reason(self.runtime),
            _load_reason(self.cpu),
            _governor_reason(self.cpu),
            _quota_reason(self.cpu),
        )
        return tuple(reason for reason in found if reason is not None)

    @property
    def fit_to_measure(self) -> bool:
        """Whether nothing known speaks against measuring here now; an unknown value does not."""
        return not self.reasons

    @property
    def device(self) -> Literal["gpu", "cpu"]:
        """What ``--device auto`` picks: the GPU when NVML sees one and a session took the CUDA provider."""
        return "gpu" if self.gpus.gpus and self.runtime.loads(_CUDA_PROVIDER) else "cpu"

    def to_json(self) -> dict[str, object]:
        """Return the diagnosis as JSON values under stable keys.

        Returns:
            ``fit_to_measure``, ``reasons``, ``device``, ``checks`` and ``descriptions`` (``cpu``, ``gpus``,
            ``onnxruntime``, ``tensorrt``), of dicts, lists, strings, numbers, booleans and None only.
        """
        values = {
            "fit_to_measure": self.fit_to_measure,
            "reasons": self.reasons,
            "device": self.device,
            "checks": [asdict(check) for check in self.checks],
            "descriptions": {
                "cpu": asdict(self.cpu),
                "gpus": asdict(self.gpus),
                "onnxruntime": asdict(self.runtime),
                "tensorrt": asdict(self.tensorrt),
            },
        }
        # The round trip turns tuples into lists, so that the dict equals what a reader of the file gets.
        plain: dict[str, object] = json.loads(json.dumps(values))
        return plain


def torch_distribution() -> str | None:
    """Return the version of the installed torch distribution without importing torch; None when it is missing."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return None


def examine(
    *,
    cpu: Callable[[], CpuDescription] = describe_cpu,
    gpus: Callable[[], GpuReport] = describe_gpus,
    runtime: Callable[[], RuntimeDescription] = describe_onnxruntime,
    tensorrt: Callable[[], TensorRtDescription] = describe_tensorrt,
    torch_version: Callable[[], str | None] = torch_distribution,
    python_version: Callable[[], str] = platform.python_version,
    backends: Callable[[], Mapping[str, tuple[str, ...] | str]] = describe_backends,
) -> Diagnosis:
    """Examine this machine; takes seconds where a GPU is present, because providers are tried in sessions.

    Args:
        cpu: Probe of the CPU.
        gpus: Probe of the GPUs.
        runtime: Probe of onnxruntime.
        tensorrt: Probe of the native TensorRT.
        torch_version: Probe of torch's version, None when it is missing.
        python_version: Probe of Python's version, such as ``3.11.7``.
        backends: Probe of the backends, third parties' included.

    Returns:
        The diagnosis. The probes given by default do not raise.
    """
    # The load is read first: the sessions tried below would add to it. TensorRT is imported last: it would leave its
    # libraries in the process, and the TensorRT provider would then load here and not in a run.
    seen_cpu, seen_gpus, seen_runtime, seen_tensorrt = cpu(), gpus(), runtime(), tensorrt()
    checks = (
        _check_python(python_version()),
        _check_torch(torch_version()),
        *_check_runtimes(seen_runtime, seen_gpus, seen_tensorrt),
        _check_backends(backends()),
        *_check_machine(seen_cpu),
    )
    return Diagnosis(checks, seen_cpu, seen_gpus, seen_runtime, seen_tensorrt)


def _check_runtimes(runtime: RuntimeDescription, gpus: GpuReport, tensorrt: TensorRtDescription) -> tuple[Check, ...]:
    return (
        _check_onnxruntime(runtime),
        *(_check_provider(provider, gpus, tensorrt) for provider in runtime.providers),
        _check_gpus(gpus),
        _check_tensorrt(tensorrt, gpus),
    )


def _check_machine(cpu: CpuDescription) -> tuple[Check, ...]:
    return (_check_cpu(cpu), _check_cores(cpu), _check_governor(cpu), _check_load(cpu), _check_memory(cpu))


def _runtime_reason(runtime: RuntimeDescription) -> str | None:
    if runtime.reason is not None or runtime.version is None:
        return runtime.reason or "onnxruntime is not usable"
    if not runtime.loads(_CPU_PROVIDER):
        return f"onnxruntime {runtime.version} does not run a model on the CPU"
    return None


def _load_reason(cpu: CpuDescription) -> str | None:
    if cpu.load_1min is None or cpu.usable_cores is None or cpu.load_1min <= MAX_LOAD_PER_CORE * cpu.usable_cores:
        return None
    per_core = f"{cpu.load_1min / cpu.usable_cores:.2f} per core, at most {MAX_LOAD_PER_CORE} expected"
    return f"load {cpu.load_1min:.2f} on {cpu.usable_cores} usable cores: {per_core}"


def _governor_reason(cpu: CpuDescription) -> str | None:
    if cpu.governor is None or "powersave" not in cpu.governor.split(","):
        return None
    return f"CPU frequency governor is {cpu.governor}: the clock follows the load and the timings follow the clock"


def _quota_reason(cpu: CpuDescription) -> str | None:
    quota_cores = cpu.container_cpu_quota
    if quota_cores is None or quota_cores >= MIN_QUOTA_CORES:
        return None
    expected = f"at least {MIN_QUOTA_CORES:g} expected"
    return f"the container may use {quota_cores:g} cores, {expected}: it is stopped within each scheduling period"


def _check_python(found: str) -> Check:
    if tuple(int(part) for part in found.split(".")[:2]) >= MIN_PYTHON:
        return Check("Python", "ok", found)
    least = ".".join(map(str, MIN_PYTHON))
    return Check("Python", "fault", f"{found}, at least {least} expected", f"install Python {least} or later")


def _check_torch(found: str | None) -> Check:
    if found is None:
        return Check("torch", "fault", "not installed", "pip install hwnas")
    return Check("torch", "ok", found)


def _check_onnxruntime(runtime: RuntimeDescription) -> Check:
    name = "onnxruntime"
    if runtime.version is None or runtime.reason is not None:
        return Check(name, "fault", runtime.reason or "not usable", runtime.cure)
    return Check(name, "ok", f"{runtime.version} from {', '.join(runtime.distributions) or 'an unknown distribution'}")


def _check_provider(provider: ProviderDescription, gpus: GpuReport, tensorrt: TensorRtDescription) -> Check:
    if provider.loads:
        return Check(provider.name, "ok", "loads and runs a model")
    found = f"{'listed, does not load' if provider.listed else 'not listed'}: {provider.reason}"
    if provider.name == _CPU_PROVIDER:
        return Check(provider.name, "fault", found, 'reinstall onnxruntime: pip install --force-reinstall "hwnas[cpu]"')
    if not gpus.gpus:
        # The GPU wheel lists these providers on every machine; without a GPU nothing is wrong.
        return Check(provider.name, "absent", f"{found}; no GPU is seen either")
    if provider.name == _TENSORRT_PROVIDER:
        return Check(provider.name, "absent", found, _cure_of_tensorrt_provider(provider, tensorrt))
    if not provider.listed:
        return Check(provider.name, "warning", f"{found}; the GPU stays unused", _CURE_GPU_WHEEL)
    return Check(provider.name, "fault", found, 'pip install "hwnas[gpu]" brings the CUDA and cuDNN libraries')


def _cure_of_tensorrt_provider(provider: ProviderDescription, tensorrt: TensorRtDescription) -> str | None:
    if not provider.listed:
        return _CURE_GPU_WHEEL
    if tensorrt.version is None:
        return tensorrt.cure
    return "put the folder of TensorRT's libnvinfer on LD_LIBRARY_PATH before Python starts"


def _check_gpus(report: GpuReport) -> Check:
    if not report.gpus:
        return Check("GPU", "absent", report.reason or "none", report.cure)
    found = "; ".join(_gpu_in_words(gpu) for gpu in report.gpus)
    if report.reason is not None:
        return Check("GPU", "warning", f"{found}; {report.reason}", report.cure)
    return Check("GPU", "ok", found)


def _gpu_in_words(gpu: GpuDescription) -> str:
    facts = (
        None if gpu.driver is None else f"driver {gpu.driver}",
        None if gpu.memory_mib is None else f"{gpu.memory_mib} MiB",
        None if gpu.compute_capability is None else f"compute capability {gpu.compute_capability}",
        "MIG" if gpu.mig else None,
    )
    known = ", ".join(fact for fact in facts if fact is not None)
    return f"{gpu.name or 'unnamed GPU'} ({known or 'NVML tells nothing more'})"


def _check_tensorrt(tensorrt: TensorRtDescription, gpus: GpuReport) -> Check:
    if tensorrt.version is not None:
        return Check("TensorRT", "ok", tensorrt.version)
    # Without a GPU, installing it would help nobody.
    return Check("TensorRT", "absent", tensorrt.reason or "not usable", tensorrt.cure if gpus.gpus else None)


def _check_backends(backends: Mapping[str, tuple[str, ...] | str]) -> Check:
    listed = ", ".join(f"{name} ({' '.join(on)})" for name, on in backends.items() if not isinstance(on, str))
    broken = [reason for reason in backends.values() if isinstance(reason, str)]
    if broken:
        return Check("backends", "warning", f"{listed}; {'; '.join(broken)}", "mend or uninstall the package named")
    return Check("backends", "ok", f"for --backend: {listed}")


def _check_cpu(cpu: CpuDescription) -> Check:
    if cpu.model is None and cpu.isa is None:
        return Check("CPU", "absent", _UNKNOWN)
    facts = (
        cpu.model or "model unknown",
        None if cpu.isa is None else " ".join(cpu.isa) or "no SIMD flag of interest",
        None if cpu.clock_mhz is None else f"{cpu.clock_mhz:.0f} MHz",
        "virtual machine" if cpu.virtualised else None,
    )
    return Check("CPU", "ok", "; ".join(fact for fact in facts if fact is not None))


def _check_cores(cpu: CpuDescription) -> Check:
    counts = {"physical": cpu.physical_cores, "logical": cpu.logical_cores, "usable": cpu.usable_cores}
    known = [f"{count} {kind}" for kind, count in counts.items() if count is not None]
    if cpu.container_cpu_quota is not None:
        known.append(f"container quota {cpu.container_cpu_quota:g}")
    found = ", ".join(known)
    if (reason := _quota_reason(cpu)) is not None:
        return Check("cores", "warning", f"{found}: {reason}", "give the container more CPU time, such as --cpus=2")
    return Check("cores", "ok", found) if found else Check("cores", "absent", _UNKNOWN)


def _check_governor(cpu: CpuDescription) -> Check:
    if cpu.governor is None:
        return Check("governor", "absent", "not visible, as in most virtual machines and containers")
    if (reason := _governor_reason(cpu)) is not None:
        return Check("governor", "warning", reason, "sudo cpupower frequency-set -g performance")
    return Check("governor", "ok", cpu.governor)


def _check_load(cpu: CpuDescription) -> Check:
    if cpu.load_1min is None:
        return Check("load", "absent", _UNKNOWN)
    if (reason := _load_reason(cpu)) is not None:
        return Check("load", "warning", reason, "end other work and wait a minute: the value is a one-minute average")
    return Check("load", "ok", f"{cpu.load_1min:.2f} over the last minute")


def _check_memory(cpu: CpuDescription) -> Check:
    if cpu.memory_mib is None:
        return Check("memory", "absent", _UNKNOWN)
    return Check("memory", "ok", f"{cpu.memory_mib} MiB")
