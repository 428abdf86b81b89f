"""Watch the clocks of a device between measurements.

What counts, and what belongs into a table, is the observed clock: a locked one (``clock_lock``) is still only a wish.
"""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from latency_tables.schema import Json
from profilers.devices.nvml import NvmlDevice, open_nvml

if TYPE_CHECKING:
    from typing_extensions import Self

# Numbers of NVML's C interface: fixed by its ABI, while older bindings lack some of the names.
_CLOCK_SM, _CLOCK_MEMORY, _TEMPERATURE_GPU = 1, 2, 0
_REASON_BITS = (
    *("gpu_idle", "applications_clocks_setting", "sw_power_cap", "hw_slowdown", "sync_boost", "sw_thermal_slowdown"),
    *("hw_thermal_slowdown", "hw_power_brake_slowdown", "display_clock_setting"),
)
# Somebody's choice or a lack of work: the device could run faster if it were told to.
_NO_THROTTLING = frozenset({"gpu_idle", "applications_clocks_setting", "display_clock_setting"})


@dataclass(frozen=True, kw_only=True)
class ClockReading:
    """Clocks of a device at one moment; ``None`` stands for what the device does not tell.

    Attributes:
        clock_mhz: Clock of the cores in MHz: a GPU's streaming multiprocessors, a CPU's usable cores on average. On a
            virtual machine it is often the nominal clock, whatever the host really runs at.
        memory_clock_mhz: Clock of the device memory in MHz.
        temperature_c: Temperature of the chip in degrees Celsius.
        power_w: Power drawn now in watts.
        throttle_reasons: Why the clock is not higher; ``()`` when nothing holds it down, ``None`` when unknown.
    """

    clock_mhz: float | None
    memory_clock_mhz: float | None
    temperature_c: float | None
    power_w: float | None
    throttle_reasons: tuple[str, ...] | None

    @property
    def throttled(self) -> bool | None:
        """Whether heat, power or a fault holds the clock down; ``None`` when unknown.

        Idling, clocks that somebody set and a display's demands are reasons, but no throttling.
        """
        return None if self.throttle_reasons is None else not _NO_THROTTLING.issuperset(self.throttle_reasons)

    def to_json(self) -> dict[str, Json]:
        """Field by field, for a record."""
        reasons = self.throttle_reasons
        return asdict(self) | {"throttle_reasons": None if reasons is None else list(reasons)}


_NOTHING_KNOWN = ClockReading(
    clock_mhz=None, memory_clock_mhz=None, temperature_c=None, power_w=None, throttle_reasons=None
)


class _Source(Protocol):
    reason: str | None

    def read(self) -> ClockReading: ...

    def close(self) -> None: ...


class ClockWatch:
    """Reads the clocks of a device, cheaply enough to be called between measurements.

    Attributes:
        reason: Why nothing can be read at all, with the cure; ``None`` when the device can be asked.
    """

    def __init__(self, device: str, *, index: int | None = None, root: Path = Path("/")) -> None:
        """Opens the device.

        Args:
            device: ``"cpu"`` or ``"gpu"``; of any other device every value is ``None``.
            index: Number of the GPU in NVML's order; ``None`` for the one that CUDA runs on.
            root: Folder that holds ``proc`` and ``sys``; another one than ``/`` serves tests.
        """
        self._source = _source(device, index=index, root=root)
        self.reason = self._source.reason

    def read(self) -> ClockReading:
        """The clocks now; never raises for what the device does not tell, nor after ``close``."""
        return self._source.read()

    def close(self) -> None:
        """Lets go of the device; a second time does nothing."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def clock_drift(readings: Sequence[ClockReading]) -> float | None:
    """Largest relative deviation of the core clock from its median.

    Args:
        readings: In any order; those without a clock are left out.

    Returns:
        A fraction of the median, 0 for a steady clock; ``None`` with fewer than two known clocks.
    """
    clocks = [reading.clock_mhz for reading in readings if reading.clock_mhz is not None]
    if len(clocks) < 2:
        return None
    median = statistics.median(clocks)
    return max(abs(clock / median - 1) for clock in clocks)


def _source(device: str, *, index: int | None, root: Path) -> _Source:
    if device == "cpu":
        return _CpuClocks(root)
    if device != "gpu":
        return _NoClocks(f"expected cpu or gpu, received {device!r}: only their clocks can be read")
    gpu = open_nvml(index)
    return _NoClocks(gpu) if isinstance(gpu, str) else _GpuClocks(gpu)


class _NoClocks:
    def __init__(self, reason: str) -> None:
        self.reason: str | None = reason

    def read(self) -> ClockReading:
        return _NOTHING_KNOWN

    def close(self) -> None:
        pass


class _GpuClocks:
    def __init__(self, gpu: NvmlDevice) -> None:
        self.reason: str | None = None
        self._gpu = gpu
        self.close = gpu.close

    def read(self) -> ClockReading:
        ask = self._gpu.ask
        power_mw = _positive(ask("nvmlDeviceGetPowerUsage"))
        temperature_c = ask("nvmlDeviceGetTemperature", _TEMPERATURE_GPU)
        if temperature_c is None:  # the name that replaces it
            temperature_c = ask("nvmlDeviceGetTemperatureV", _TEMPERATURE_GPU)
        reasons = ask("nvmlDeviceGetCurrentClocksEventReasons")
        if reasons is None:  # the name in drivers before 535
            reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        return ClockReading(
            clock_mhz=_positive(ask("nvmlDeviceGetClockInfo", _CLOCK_SM)),
            memory_clock_mhz=_positive(ask("nvmlDeviceGetClockInfo", _CLOCK_MEMORY)),
            temperature_c=None if temperature_c is None else float(temperature_c),
            power_w=None if power_mw is None else power_mw / 1000,
            throttle_reasons=None if reasons is None else _reason_names(int(reasons)),
        )


def _positive(value: float | None) -> float | None:
    """A clock or a power of 0 is a sensor that does not work."""
    return float(value) if value else None


def _reason_names(mask: int) -> tuple[str, ...]:
    names = dict(enumerate(_REASON_BITS))
    return tuple(names.get(bit, f"unknown_bit_{bit}") for bit in range(mask.bit_length()) if mask >> bit & 1)


class _CpuClocks:
    def __init__(self, root: Path) -> None:
        self.reason: str | None = None
        self._cpuinfo = root / "proc/cpuinfo"
        self._cpus = root / "sys/devices/system/cpu"
        zones = (root / "sys/class/thermal").glob("thermal_zone*")
        self._temperatures = [zone / "temp" for zone in zones if _text(zone / "type") == "x86_pkg_temp"]
        self._throttle_counts = self._read_throttle_counts()

    def read(self) -> ClockReading:
        temperatures = [value for file in self._temperatures if (value := _number(_text(file))) is not None]
        return ClockReading(
            clock_mhz=self._clock_mhz(),
            memory_clock_mhz=None,
            temperature_c=max(temperatures) / 1000 if temperatures else None,  # of the hottest package
            power_w=None,
            throttle_reasons=self._throttle_reasons(),
        )

    def close(self) -> None:
        pass

    def _clock_mhz(self) -> float | None:
        files = (folder / "cpufreq/scaling_cur_freq" for folder in self._usable())
        clocks = [clock / 1000 for file in files if (clock := _positive(_number(_text(file)))) is not None]
        clocks = clocks or self._clocks_of_cpuinfo()
        return statistics.fmean(clocks) if clocks else None

    def _clocks_of_cpuinfo(self) -> list[float]:
        usable = {folder.name for folder in self._usable()}
        clocks = []
        for block in (_text(self._cpuinfo) or "").split("\n\n"):
            core = re.search(r"^processor\s*:\s*(\d+)", block, re.MULTILINE)
            text = re.search(r"^cpu MHz\s*:\s*(\S+)", block, re.MULTILINE)
            clock = _positive(_number(text[1])) if text else None
            # Without a folder for each core, as in some containers, nothing tells the usable ones.
            if core and clock is not None and (not usable or f"cpu{core[1]}" in usable):
                clocks.append(clock)
        return clocks

    def _throttle_reasons(self) -> tuple[str, ...] | None:
        before, self._throttle_counts = self._throttle_counts, self._read_throttle_counts()
        if not self._throttle_counts:
            return None
        grown = any(count > before.get(file, count) for file, count in self._throttle_counts.items())
        return ("thermal",) if grown else ()

    def _read_throttle_counts(self) -> dict[Path, float]:
        files = (file for folder in self._usable() for file in folder.glob("thermal_throttle/*_throttle_count"))
        return {file: count for file in files if (count := _number(_text(file))) is not None}

    def _usable(self) -> list[Path]:
        """Folders of the cores in this thread's affinity; of all cores where the system has no affinity."""
        if not hasattr(os, "sched_getaffinity"):
            return list(self._cpus.glob("cpu[0-9]*"))
        return [folder for core in os.sched_getaffinity(0) if (folder := self._cpus / f"cpu{core}").is_dir()]


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:  # the kernel writes <unknown> at times
        return None
