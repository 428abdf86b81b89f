"""Energy that Linux shows under /sys: the RAPL counters of a CPU, and the input rail of a Jetson module."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from profilers.devices.power_sampler import PowerSampler
from profilers.errors import DeviceError

_POWERCAP = "sys/class/powercap"
_INA3221 = "sys/bus/i2c/drivers/ina3221"
_RAIL = "VDD_IN"  # what a Jetson module draws in all, the CPU, the GPU and the memory together


def rapl_meter(root: Path) -> RaplCounters | str:
    """The energy counters of all CPU packages together, or why there are none, with the cure; never raises.

    Args:
        root: Folder that holds ``sys``.
    """
    # Zones within a package (core, dram) are parts of it, and psys contains it: only packages may be summed.
    named = ((zone, _text(zone / "name") or "") for zone in sorted((root / _POWERCAP).glob("intel-rapl:*")))
    packages = {name: zone for zone, name in named if name.startswith("package-")}
    if not packages:
        return (
            f"no RAPL package counter under /{_POWERCAP}: virtual machines, containers and most Arm boards have none; "
            "on x86 hardware try sudo modprobe intel_rapl_msr"
        )
    try:
        return RaplCounters({name: _RaplPackage(zone) for name, zone in packages.items()})
    except PermissionError as error:
        # Linux 5.10 took the right to read away from users (CVE-2020-8694).
        cure = f"sudo chmod a+r /{_POWERCAP}/intel-rapl:*/*energy*_uj (until the next start), or run as root"
        return f"no permission to read the RAPL counter {error.filename}. Cure: {cure}"
    except (OSError, ValueError) as error:
        return f"a RAPL counter does not answer: {error}"


class RaplCounters:
    """The energy counters of CPU packages, summed."""

    def __init__(self, packages: dict[str, _RaplPackage]) -> None:
        self.method = f"rapl {'+'.join(packages)}"
        self._packages = tuple(packages.values())

    def read_mj(self) -> float:
        """Energy in millijoules since the counters were opened.

        Raises:
            DeviceError: A counter no longer answers.
        """
        try:
            return sum(package.read_mj() for package in self._packages)
        except (OSError, ValueError) as error:
            raise DeviceError(f"{self.method} no longer answers: {error}") from error

    def close(self) -> None:
        """Nothing is held open."""


class _RaplPackage:
    def __init__(self, zone: Path) -> None:
        self._file = zone / "energy_uj"
        self._range_uj = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
        self._last_uj = int(self._file.read_text(encoding="ascii"))
        self._energy_uj = 0

    def read_mj(self) -> float:
        now_uj = int(self._file.read_text(encoding="ascii"))
        # The counter starts again from 0 after its range, which lasts for minutes at full load: a window cannot hold
        # more than one wrap.
        self._energy_uj += now_uj - self._last_uj + (self._range_uj if now_uj < self._last_uj else 0)
        self._last_uj = now_uj
        return self._energy_uj / 1000


def rail_meter(root: Path) -> PowerSampler | str | None:
    """Samples of a Jetson module's input power, or why there are none; ``None`` on other boards. Never raises.

    Args:
        root: Folder that holds ``sys``.
    """
    if not (root / _INA3221).is_dir():
        return None
    labels = sorted((root / _INA3221).glob("*/hwmon/hwmon*/in*_label"))
    rails = {rail: label for label in labels if (rail := _text(label))}
    if _RAIL not in rails:
        seen = ", ".join(rails) or "none"
        return f"expected a rail {_RAIL} at the INA3221 power monitors, received {seen}"
    label = rails[_RAIL]
    power_w = partial(_rail_power_w, label.parent, label.name.removeprefix("in").removesuffix("_label"))
    if power_w() is None:
        return f"the rail {_RAIL} cannot be read in {label.parent}; try as root"
    return PowerSampler(f"ina3221 {_RAIL} sampling", power_w)


def _rail_power_w(folder: Path, channel: str) -> float | None:
    try:
        file = folder / f"power{channel}_input"
        if file.exists():
            return int(file.read_text(encoding="ascii")) / 1e6  # hwmon counts power in microwatts
        millivolts = int((folder / f"in{channel}_input").read_text(encoding="ascii"))
        milliamperes = int((folder / f"curr{channel}_input").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return millivolts * milliamperes / 1e6


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
