"""Describe the CPU: what it is, how much of it this process may use, and how busy it is."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ISA_FLAGS = frozenset(
    {
        *("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16"),
        *("avx512_fp16", "avx_vnni", "avx_vnni_int8", "asimd", "asimdhp", "dotprod", "i8mm", "bf16"),
    }
)
_ISA_PREFIXES = ("amx_", "sve")
_KERNEL_NAME_OF_ISA = {"asimddp": "dotprod"}
_BYTES_PER_MIB = 2**20


@dataclass(frozen=True)
class CpuDescription:
    """A CPU and the share of it that this process may use; ``None`` stands for unknown.

    Attributes:
        model: Marketing name. On ARM Linux, which gives no name, the implementer and part numbers.
        vendor: Vendor id, such as ``GenuineIntel``; on ARM the implementer number, such as ``0x41``.
        family: CPU family; on ARM the architecture version.
        model_number: Model number within the family; on ARM the part number of the first core.
        stepping: Stepping; on ARM the revision of the first core.
        logical_cores: Hardware threads that the operating system shows.
        physical_cores: Cores, with hardware threads of one core counted once.
        usable_cores: Logical cores in this process's affinity; all of them where the system has no affinity.
        container_cpu_quota: Cores' worth of CPU time that the control group grants; ``None`` also without a limit.
        isa: Sorted SIMD flags that matter to inference, in the kernel's spelling (``asimddp`` reads ``dotprod``).
        governor: cpufreq governor; several, sorted and joined by commas, where the cores differ.
        clock_mhz: Current clock in MHz, averaged over the cores.
        load_1min: Runnable processes, averaged over the last minute, on the whole machine.
        memory_mib: Physical memory in MiB.
        virtualised: Whether the CPU says that it runs under a hypervisor; only x86 Linux tells.
    """

    model: str | None
    vendor: str | None
    family: int | None
    model_number: int | None
    stepping: int | None
    logical_cores: int | None
    physical_cores: int | None
    usable_cores: int | None
    container_cpu_quota: float | None
    isa: tuple[str, ...] | None
    governor: str | None
    clock_mhz: float | None
    load_1min: float | None
    memory_mib: int | None
    virtualised: bool | None


def describe_cpu(root: Path = Path("/")) -> CpuDescription:
    """Describe the CPU of this machine; never raises for what the machine does not tell.

    Args:
        root: Folder that holds ``proc`` and ``sys``; another one than ``/`` serves tests.

    Returns:
        The description, with ``None`` for each value that could not be read.
    """
    blocks = _cpuinfo(root)
    first = blocks[0] if blocks else {}
    flags = _flags(first)
    logical = psutil.cpu_count(logical=True)
    return CpuDescription(
        model=_model(blocks),
        vendor=first.get("vendor_id") or first.get("CPU implementer"),
        family=_number(first.get("cpu family") or first.get("CPU architecture")),
        model_number=_number(first.get("model") or first.get("CPU part")),
        stepping=_number(first.get("stepping") or first.get("CPU revision")),
        logical_cores=logical,
        physical_cores=psutil.cpu_count(logical=False),
        usable_cores=_usable_cores(logical),
        container_cpu_quota=_cpu_quota(root),
        isa=None if flags is None else _isa(flags),
        governor=_governor(root),
        clock_mhz=_clock_mhz(),
        load_1min=_load_1min(),
        memory_mib=int(psutil.virtual_memory().total) // _BYTES_PER_MIB,
        # Only x86 has the flag: its absence on another architecture says nothing.
        virtualised="hypervisor" in flags if flags is not None and "flags" in first else None,
    )


def _read(path: Path) -> str | None:
    """Return a small text file without outer white space; None where it is missing, unreadable or empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _number(text: str | None) -> int | None:
    """Read a decimal or 0x number; None for anything else, such as the kernel's 'unknown'."""
    try:
        return None if text is None else int(text, 0)
    except ValueError:
        return None


def _cpuinfo(root: Path) -> list[dict[str, str]]:
    """Return one mapping for each logical core of /proc/cpuinfo; empty off Linux."""
    blocks = []
    for block in (_read(root / "proc/cpuinfo") or "").split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, _, value in pairs}
        # A board's summary at the end (Raspberry Pi, older ARM kernels) is no core.
        if "processor" in fields:
            blocks.append(fields)
    return blocks


def _flags(fields: Mapping[str, str]) -> frozenset[str] | None:
    text = fields.get("flags") or fields.get("Features")
    return None if text is None else frozenset(text.split())


def _isa(flags: frozenset[str]) -> tuple[str, ...]:
    names = {_KERNEL_NAME_OF_ISA.get(flag, flag) for flag in flags}
    return tuple(sorted(name for name in names if name in _ISA_FLAGS or name.startswith(_ISA_PREFIXES)))


def _model(blocks: list[dict[str, str]]) -> str | None:
    if not blocks:
        return _model_off_linux()
    if named := blocks[0].get("model name"):
        return named
    # Cores of a big.LITTLE chip differ, so the first one does not stand for all.
    parts = sorted({block["CPU part"] for block in blocks if "CPU part" in block})
    implementer = blocks[0].get("CPU implementer")
    return f"ARM implementer {implementer} part {'+'.join(parts)}" if implementer and parts else None


def _model_off_linux() -> str | None:
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603 - constant
        except (OSError, subprocess.SubprocessError):
            return platform.processor() or None
        return answer.stdout.strip() or None
    return platform.processor() or None


def _usable_cores(logical_cores: int | None) -> int | None:
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        return logical_cores
    try:
        return len(process.cpu_affinity()) or None
    except (OSError, psutil.Error):
        return None


def _cpu_quota(root: Path) -> float | None:
    """Return the smallest quota on the way from this process's control group to the top, in cores."""
    quotas = [quota for folder in _cgroup_folders(root) if (quota := _quota_of(folder)) is not None]
    return min(quotas, default=None)


def _cgroup_folders(root: Path) -> Iterator[Path]:
    """Yield the folders whose quota binds this process, for control groups v1 and v2."""
    mount = root / "sys/fs/cgroup"
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Inside a container the listed path is often the host's and missing here; the mount's top then holds the quota.
        inner = PurePosixPath(group.lstrip("/"))
        paths = [PurePosixPath()] if ".." in inner.parts else [inner, *inner.parents]
        bases = [mount / controllers, mount / "cpu"] if controllers else [mount]
        yield from (base / path for base in dict.fromkeys(bases) for path in paths)


def _quota_of(folder: Path) -> float | None:
    if (line := _read(folder / "cpu.max")) is not None:
        quota, _, period = line.partition(" ")
    else:
        quota = _read(folder / "cpu.cfs_quota_us") or ""
        period = _read(folder / "cpu.cfs_period_us") or ""
    quota_us, period_us = _number(quota), _number(period)
    # "max" (v2) and -1 (v1) both say that there is no limit.
    if quota_us is None or period_us is None or quota_us <= 0 or period_us <= 0:
        return None
    return quota_us / period_us


def _governor(root: Path) -> str | None:
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return ",".join(sorted({text for file in files if (text := _read(file)) is not None})) or None


def _clock_mhz() -> float | None:
    try:
        clock = psutil.cpu_freq()
    except (AttributeError, NotImplementedError, OSError, RuntimeError):
        # psutil lacks the function on some systems and fails on others, such as some Apple chips.
        return None
    return float(clock.current) or None if clock is not None else None


def _load_1min() -> float | None:
    # psutil's imitation on Windows answers 0.0 for its first seconds, which would read as an idle machine.
    if not hasattr(os, "getloadavg"):
        return None
    try:
        return os.getloadavg()[0]
    except OSError:
        return None
