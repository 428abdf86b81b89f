"""Energy of a run, from the counters and sensors a device has; where there are none the reason, never a zero.

All of them count the whole board or package, other users included, so that the device has to be quiet otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from latency_tables.schema import Json
from profilers.devices.nvml import NvmlDevice, cuda_gpu, open_nvml
from profilers.devices.power_rails import rail_meter, rapl_meter
from profilers.devices.power_sampler import PowerSampler
from profilers.errors import CampaignError, DeviceError

# Counters tick coarsely: NVML's about every 10 ms on one machine (gpuopenanalytics/pynvml#18). Over 5 s of idling it
# told 187 J where the integral of power was 327 J (ml-energy/zeus#181); under load the two agree within 1 %
# (ml-energy/zeus#12). Two seconds make the ticks small beside what is counted.
MIN_WINDOW_S = 2.0
_LEAST_SHARE = 0.01  # of what the idle device draws: it is not known better than that


@dataclass(frozen=True, kw_only=True)
class EnergyReading:
    """Energy that a run takes beyond what the idle device takes in the same time.

    Attributes:
        energy_mj: Energy a run in millijoules, without the idle device's.
        method: Where it was read, such as ``"nvml total energy counter"``.
        window_s: Time that the runs took together, in seconds.
        runs: Runs in the window.
        idle_power_w: Power of the idle device in watts, before and after.
    """

    energy_mj: float
    method: str
    window_s: float
    runs: int
    idle_power_w: float

    def to_json(self) -> dict[str, Json]:
        """Field by field, for a record."""
        return asdict(self)


@dataclass(frozen=True)
class EnergyUnknown:
    """No energy is known.

    Attributes:
        reason: Why not, with the cure where there is one.
        too_short: Whether the runs together took less time than the counters need.
    """

    reason: str
    too_short: bool = False

    def to_json(self) -> dict[str, Json]:
        """For a record: no energy, and the reason."""
        return {"energy_mj": None, "reason": self.reason}


Work = Callable[[Callable[[], None]], int]
"""Runs, already warm, each finished by the device before the next; calls what it is given right before the first of
them and returns how many they were."""


class EnergyMeter(Protocol):
    """A source of energy readings."""

    @property
    def method(self) -> str:
        """Where the energy is read."""

    def read_mj(self) -> float:
        """Energy in millijoules since some moment before; never falls. Only differences mean something.

        Raises:
            DeviceError: The device no longer tells.
        """

    def close(self) -> None:
        """Lets go of the device; a second time does nothing."""


@dataclass(frozen=True)
class _Mark:
    at_s: float
    energy_mj: float


def energy_meter(device: str, *, index: int | None = None, root: Path = Path("/")) -> EnergyMeter | EnergyUnknown:
    """The best source of energy readings of a device; never raises where there is none.

    A GPU is read through NVML: its energy counter, or samples of its power. A CPU is read through RAPL, all packages
    together. Where those are missing and the board is a Jetson, samples of the whole module's input power do for both.

    Args:
        device: ``"cpu"`` or ``"gpu"``.
        index: Number of the GPU in NVML's order; ``None`` for the one that CUDA runs on.
        root: Folder that holds ``sys``; another one than ``/`` serves tests.

    Returns:
        A meter, to be closed after use, or the reason why there is none.
    """
    if device not in {"cpu", "gpu"}:
        return EnergyUnknown(f"expected cpu or gpu, received {device!r}: only their energy can be read")
    found = _nvml_meter(index) if device == "gpu" else rapl_meter(root)
    if isinstance(found, str) and (rail := rail_meter(root)) is not None:
        found = f"{found}; {rail}" if isinstance(rail, str) else rail
    return EnergyUnknown(found) if isinstance(found, str) else found


def measure_energy(
    work: Work,
    meter: EnergyMeter,
    *,
    idle_s: float = 1.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> EnergyReading | EnergyUnknown:
    """Measures the energy of a run: a window full of runs, one after the other, and the idle device before and after.

    What the idle device draws falls for a while after it worked. Half of how far the two readings of it lie apart is
    what the energy of the runs has to exceed.

    Args:
        work: Many runs; what it raises is passed on.
        meter: From ``energy_meter``; left open.
        idle_s: Time to watch the idle device, before and again after, in seconds.
        clock: Monotonic time in seconds.
        sleep: Waits for a number of seconds.

    Returns:
        The energy of a run beyond idling, or the reason why it is unknown.

    Raises:
        CampaignError: The idle time is not positive.
    """
    if idle_s <= 0:
        raise CampaignError(f"expected an idle time above 0 s, received {idle_s:g} s: it gives the baseline")
    if isinstance(begin := _mark(meter, clock), EnergyUnknown):
        return begin
    sleep(idle_s)
    idled = _mark(meter, clock)
    starts: list[_Mark | EnergyUnknown] = []
    runs = work(lambda: starts.append(_mark(meter, clock)))
    ended = _mark(meter, clock)
    sleep(idle_s)
    marks = [idled, *starts[-1:], ended, _mark(meter, clock)]
    for mark in marks:
        if isinstance(mark, EnergyUnknown):
            return mark
    if not starts:
        return EnergyUnknown(
            "the backend does not tell when its counted runs begin: profilers.backends.run_block does so for it"
        )
    known = [mark for mark in marks if isinstance(mark, _Mark)]
    idle = [(begin, known[0]), (known[2], known[3])]
    return _beyond_idling(idle, (known[1], known[2]), runs=runs, method=meter.method)


def _mark(meter: EnergyMeter, clock: Callable[[], float]) -> _Mark | EnergyUnknown:
    try:
        energy_mj = meter.read_mj()
    except DeviceError as error:
        return EnergyUnknown(str(error))
    return _Mark(clock(), energy_mj)


def _beyond_idling(
    idle: Sequence[tuple[_Mark, _Mark]], busy: tuple[_Mark, _Mark], *, runs: int, method: str
) -> EnergyReading | EnergyUnknown:
    window_s, busy_mj = _between(busy)
    if window_s < MIN_WINDOW_S:
        return EnergyUnknown(
            f"{runs} runs took {window_s:.3g} s, and counters tick too coarsely for less than {MIN_WINDOW_S:g} s",
            too_short=True,
        )
    for idle_s, idle_mj in map(_between, idle):
        if idle_mj <= 0 or idle_s <= 0:  # no device draws nothing: the counter does not tick, or too seldom
            return EnergyUnknown(
                f"the {method} stood still for {idle_s:.3g} s of idling: watch the idle device for longer"
            )
    powers_w = [idle_mj / idle_s / 1000 for idle_s, idle_mj in map(_between, idle)]
    idle_w, drift_w = sum(powers_w) / len(powers_w), (max(powers_w) - min(powers_w)) / 2
    beyond_mj = busy_mj - 1000 * idle_w * window_s
    if beyond_mj <= 1000 * max(_LEAST_SHARE * idle_w, drift_w) * window_s:
        return EnergyUnknown(
            f"the window of {window_s:.3g} s shows no energy above idle ({method}; idle before and after: "
            f"{powers_w[0]:.4g} and {powers_w[-1]:.4g} W): keep the device quiet otherwise, or make the window longer"
        )
    return EnergyReading(
        energy_mj=beyond_mj / runs,
        method=method,
        window_s=window_s,
        runs=runs,
        idle_power_w=idle_w,
    )


def _between(marks: tuple[_Mark, _Mark]) -> tuple[float, float]:
    """Seconds and millijoules from one mark to another."""
    first, last = marks
    return last.at_s - first.at_s, last.energy_mj - first.energy_mj


def _nvml_meter(index: int | None) -> EnergyMeter | str:
    gpu = open_nvml(index)
    if isinstance(gpu, str):
        return gpu
    if gpu.ask("nvmlDeviceGetTotalEnergyConsumption") is not None:
        return _NvmlCounter(gpu)
    power_w = partial(_nvml_power_w, gpu)
    if power_w() is not None:
        # Before Volta there is no counter, and this is the power of the moment. Where a newer GPU has none (virtual
        # ones), it is the mean of the last second, so that the window begins with an idle tail.
        return PowerSampler("nvml power sampling", power_w, release=gpu.close)
    gpu.close()
    return f"NVML tells neither the energy nor the power of GPU {cuda_gpu() if index is None else index}"


class _NvmlCounter:
    method = "nvml total energy counter"

    def __init__(self, gpu: NvmlDevice) -> None:
        self._gpu = gpu
        self.close = gpu.close

    def read_mj(self) -> float:
        energy_mj = self._gpu.ask("nvmlDeviceGetTotalEnergyConsumption")
        if energy_mj is None:
            raise DeviceError(f"the {self.method} no longer answers; nvidia-smi tells whether the GPU is still there")
        return float(energy_mj)


def _nvml_power_w(gpu: NvmlDevice) -> float | None:
    power_mw = gpu.ask("nvmlDeviceGetPowerUsage")
    return power_mw / 1000 if power_mw else None
