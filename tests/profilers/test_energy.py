"""Energy: counters that tick and wrap, power that is sampled, and what is beyond idling, on fakes and fake clocks.

The law behind it: an energy that is not known is a reason, never a zero.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from profilers import CampaignError, DeviceError
from profilers.devices.energy import (
    EnergyMeter,
    EnergyReading,
    EnergyUnknown,
    energy_meter,
    measure_energy,
)
from profilers.devices.power_sampler import PowerSampler

POWERCAP, INA3221 = "sys/class/powercap", "sys/bus/i2c/drivers/ina3221"
ENERGY, POWER = "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage"


class NvmlError(Exception):
    """FAKE of pynvml.NVMLError."""


class FakeNvml(ModuleType):
    """FAKE: a binding whose answers can be changed; an error is raised."""

    NVMLError = NvmlError

    def __init__(self, **answers: Any) -> None:
        super().__init__("pynvml")
        self.answers = {ENERGY: NvmlError("Not Supported"), POWER: NvmlError("Not Supported"), **answers}
        self.index: int | None = None
        self.started = 0

    def nvmlInit(self) -> None:  # noqa: N802 - the real name
        if isinstance(error := self.answers.get("init"), Exception):
            raise error
        self.started += 1

    def nvmlShutdown(self) -> None:  # noqa: N802 - the real name
        self.started -= 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802 - the real name
        self.index = index
        return "handle"

    def answer(self, name: str) -> Any:
        value = self.answers[name]
        if isinstance(value, Exception):
            raise value
        return value

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> Any:  # noqa: N802 - the real name
        assert handle == "handle"
        return self.answer(ENERGY)

    def nvmlDeviceGetPowerUsage(self, handle: str) -> Any:  # noqa: N802 - the real name
        assert handle == "handle"
        return self.answer(POWER)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeNvml]:
    def fake(**answers: Any) -> FakeNvml:
        module = FakeNvml(**answers)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return module

    return fake


@dataclass
class Simulation:
    """FAKE: a device and its meter on a clock that only sleeping and running move."""

    idle_w: float = 10.0
    busy_w: float = 60.0
    drift_w: float = 0.0  # what the idle device draws more after the runs than before
    run_s: float = 0.5
    window_s: float = 2.0
    lead_s: float = 0.0
    method: str = "fake meter"
    now_s: float = 100.0
    energy_mj: float = 5e6
    runs: int = 0
    slept_s: list[float] = field(default_factory=list)
    silent_after: int = 10**9
    reads: int = 0

    def clock(self) -> float:
        return self.now_s

    def pass_time(self, seconds: float, watts: float) -> None:
        self.now_s += seconds
        self.energy_mj += watts * seconds * 1000

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.pass_time(seconds, self.idle_w + (self.drift_w if self.runs else 0.0))

    def work(self, began: Callable[[], None]) -> int:
        """Loads and warms up, which draws a lot, then runs for a window."""
        self.pass_time(self.lead_s, 10 * self.busy_w)
        began()
        start_s = self.now_s
        while self.runs == 0 or self.now_s < start_s + self.window_s:
            self.runs += 1
            self.pass_time(self.run_s, self.busy_w)
        return self.runs

    def read_mj(self) -> float:
        self.reads += 1
        if self.reads > self.silent_after:
            raise DeviceError("the fake meter broke")
        return self.energy_mj

    def close(self) -> None:
        pytest.fail("the meter belongs to the caller")

    def measure(self, **options: float) -> EnergyReading | EnergyUnknown:
        return measure_energy(self.work, self, clock=self.clock, sleep=self.sleep, **options)


def meter_of(found: EnergyMeter | EnergyUnknown) -> EnergyMeter:
    assert not isinstance(found, EnergyUnknown), found.reason
    return found


def reason_of(found: object) -> str:
    assert isinstance(found, EnergyUnknown), found
    return found.reason


def write(root: Path, path: str, text: str | int) -> Path:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(f"{text}\n", encoding="utf-8")
    return root / path


# --- energy of a run


def test_the_energy_of_a_run_is_what_it_takes_beyond_idling() -> None:
    device = Simulation()
    found = device.measure()
    assert found == EnergyReading(energy_mj=25_000.0, method="fake meter", window_s=2.0, runs=4, idle_power_w=10.0)
    assert device.slept_s == [1.0, 1.0]


def test_idling_that_drifts_counts_by_its_middle() -> None:
    found = Simulation(drift_w=20.0).measure()
    assert isinstance(found, EnergyReading)
    assert found.idle_power_w == 20.0
    assert found.energy_mj == pytest.approx((60.0 - 20.0) * 0.5 * 1000)


def test_runs_that_draw_less_than_idling_drifts_tell_nothing() -> None:
    reason = reason_of(Simulation(busy_w=22.0, drift_w=20.0).measure())
    assert "no energy above idle (fake meter; idle before and after: 10 and 30 W)" in reason


def test_the_window_is_filled_with_whole_runs_and_its_true_length_counts() -> None:
    found = Simulation(run_s=0.75, window_s=4.0).measure(idle_s=3.0)
    assert isinstance(found, EnergyReading)
    assert (found.runs, found.window_s) == (6, 4.5)
    assert found.energy_mj == pytest.approx(50.0 * 0.75 * 1000)
    assert found.idle_power_w == pytest.approx(10.0)


def test_a_run_longer_than_the_window_runs_once() -> None:
    found = Simulation(run_s=9.0).measure()
    assert isinstance(found, EnergyReading)
    assert (found.runs, found.window_s) == (1, 9.0)


def test_loading_and_warming_up_are_no_part_of_it() -> None:
    assert Simulation(lead_s=7.0).measure() == Simulation().measure()


def test_a_backend_that_does_not_tell_when_its_runs_begin_has_no_energy() -> None:
    device = Simulation()
    found = measure_energy(lambda began: 5, device, clock=device.clock, sleep=device.sleep)
    assert "does not tell when its counted runs begin: profilers.backends.run_block" in reason_of(found)


@pytest.mark.parametrize("busy_w", [10.0, 8.0])
def test_no_energy_above_idle_is_unknown_and_neither_zero_nor_negative(busy_w: float) -> None:
    reason = reason_of(Simulation(busy_w=busy_w).measure())
    assert "the window of 2 s shows no energy above idle (fake meter; idle before and after: 10 and 10 W)" in reason
    assert "make the window longer" in reason


def test_a_counter_that_stands_still_while_idle_gives_no_baseline() -> None:
    reason = reason_of(Simulation(idle_w=0.0).measure(idle_s=0.5))
    assert reason == "the fake meter stood still for 0.5 s of idling: watch the idle device for longer"


@pytest.mark.parametrize("answers", [0, 1, 2, 3, 4])
def test_a_meter_that_falls_silent_is_a_reason(answers: int) -> None:
    assert reason_of(Simulation(silent_after=answers).measure()) == "the fake meter broke"


def test_what_the_run_raises_is_passed_on() -> None:
    device = Simulation()

    def failing(began: Callable[[], None]) -> int:
        raise DeviceError("the run failed")

    with pytest.raises(DeviceError, match="the run failed"):
        measure_energy(failing, device, clock=device.clock, sleep=device.sleep)


def test_no_idle_time_is_refused() -> None:
    device = Simulation()
    with pytest.raises(CampaignError, match="expected an idle time above 0 s, received 0 s"):
        device.measure(idle_s=0.0)
    assert device.runs == device.reads == 0


def test_runs_too_short_for_the_counters_tell_nothing() -> None:
    found = Simulation(window_s=1.5).measure()
    assert "3 runs took 1.5 s, and counters tick too coarsely for less than 2 s" in reason_of(found)
    assert isinstance(found, EnergyUnknown)
    assert found.too_short


def test_records_are_json() -> None:
    found = Simulation().measure()
    assert json.loads(json.dumps(found.to_json())) == {
        "energy_mj": 25000.0,
        "method": "fake meter",
        "window_s": 2.0,
        "runs": 4,
        "idle_power_w": 10.0,
    }
    assert EnergyUnknown("why").to_json() == {"energy_mj": None, "reason": "why"}


# --- NVML


def test_the_counter_of_a_gpu_is_read_in_millijoules(install: Callable[..., FakeNvml], tmp_path: Path) -> None:
    nvml = install(**{ENERGY: 123_456_789, POWER: 90_000})
    meter = meter_of(energy_meter("gpu", index=2, root=tmp_path))
    assert (meter.method, nvml.index) == ("nvml total energy counter", 2)
    assert meter.read_mj() == 123_456_789.0
    nvml.answers[ENERGY] += 1500
    assert meter.read_mj() == 123_458_289.0
    nvml.answers[ENERGY] = NvmlError("GPU is lost")
    with pytest.raises(DeviceError, match="nvml total energy counter no longer answers"):
        meter.read_mj()
    assert nvml.started == 1
    meter.close()
    meter.close()
    assert nvml.started == 0


def test_without_the_counter_the_power_is_sampled(install: Callable[..., FakeNvml], tmp_path: Path) -> None:
    nvml = install(**{POWER: 80_000})
    with closing(meter_of(energy_meter("gpu", root=tmp_path))) as meter:
        assert meter.method == "nvml power sampling"
        outer = time.monotonic()
        first = meter.read_mj()
        inner = time.monotonic()
        time.sleep(0.02)
        shortest_s = time.monotonic() - inner
        gained_mj = meter.read_mj() - first
        longest_s = time.monotonic() - outer
        assert 80_000 * shortest_s <= gained_mj * (1 + 1e-9)
        assert gained_mj <= 80_000 * longest_s
        nvml.answers[POWER] = NvmlError("GPU is lost")
        with pytest.raises(DeviceError, match="nvml power sampling no longer answers"):
            meter.read_mj()
        assert nvml.started == 1
    assert nvml.started == 0


def test_a_gpu_that_tells_neither_is_unknown(install: Callable[..., FakeNvml], tmp_path: Path) -> None:
    nvml = install(**{POWER: 0})
    assert (
        reason_of(energy_meter("gpu", index=1, root=tmp_path)) == "NVML tells neither the energy nor the power of GPU 1"
    )
    assert nvml.started == 0


def test_without_nvml_the_reason_names_the_cure(
    install: Callable[..., FakeNvml], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(init=NvmlError("Driver Not Loaded"))
    assert "NVML does not start: Driver Not Loaded" in reason_of(energy_meter("gpu", root=tmp_path))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert 'pip install "hwnas[gpu]"' in reason_of(energy_meter("gpu", root=tmp_path))


def test_other_devices_are_unknown(tmp_path: Path) -> None:
    assert "expected cpu or gpu, received 'npu'" in reason_of(energy_meter("npu", root=tmp_path))


# --- sampling


def samplers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "hwnas-power"]


def test_power_is_integrated_by_trapezoids() -> None:
    samples = iter([(10.0, 100.0), (12.0, 200.0), (13.0, 400.0)])
    now = [0.0]

    def power_w() -> float:
        now[0], watts = next(samples)
        return watts

    with closing(PowerSampler("fake", power_w, interval_s=3600.0, clock=lambda: now[0])) as meter:
        readings = [meter.read_mj() for _ in range(3)]
    assert readings == [0.0, 300_000.0, 600_000.0]


def test_a_thread_samples_between_readings_and_stops_with_the_meter() -> None:
    enough = threading.Event()
    taken: list[float] = []
    released: list[int] = []

    def power_w() -> float:
        taken.append(1.0)
        if len(taken) >= 3:
            enough.set()
        return 1.0

    meter = PowerSampler("fake", power_w, interval_s=0.001, release=lambda: released.append(len(samplers())))
    assert enough.wait(timeout=30.0)
    assert len(samplers()) == 1
    meter.close()
    meter.close()
    # Let go of the device after the last sample, once.
    assert released == [0]


def test_a_lost_sample_is_bridged() -> None:
    samples = iter([(0.0, 100.0), (1.0, None), (2.0, 100.0)])
    now = [0.0]

    def power_w() -> float | None:
        now[0], watts = next(samples)
        return watts

    with closing(PowerSampler("fake", power_w, interval_s=3600.0, clock=lambda: now[0])) as meter:
        assert meter.read_mj() == 0.0
        with pytest.raises(DeviceError, match="fake no longer answers"):
            meter.read_mj()
        assert meter.read_mj() == 200_000.0


# --- RAPL


def zone(root: Path, folder: str, *, name: str, energy_uj: int, range_uj: int = 1_000_000) -> Path:
    """FAKE of a powercap zone, reached by a link as the kernel has it."""
    write(root, f"sys/devices/virtual/powercap/{folder}/name", name)
    write(root, f"sys/devices/virtual/powercap/{folder}/max_energy_range_uj", range_uj)
    (root / POWERCAP).mkdir(parents=True, exist_ok=True)
    (root / POWERCAP / folder).symlink_to(root / f"sys/devices/virtual/powercap/{folder}", target_is_directory=True)
    return write(root, f"{POWERCAP}/{folder}/energy_uj", energy_uj)


def test_all_packages_are_summed_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    counters = {
        "intel-rapl:1": zone(tmp_path, "intel-rapl:1", name="package-1", energy_uj=70),
        "intel-rapl:0": zone(tmp_path, "intel-rapl:0", name="package-0", energy_uj=500),
        "intel-rapl:0:0": zone(tmp_path, "intel-rapl:0:0", name="core", energy_uj=0),
        "intel-rapl:2": zone(tmp_path, "intel-rapl:2", name="psys", energy_uj=0),
        "intel-rapl-mmio:0": zone(tmp_path, "intel-rapl-mmio:0", name="package-0", energy_uj=0),
    }
    meter = meter_of(energy_meter("cpu", root=tmp_path))
    assert meter.method == "rapl package-0+package-1"
    before = meter.read_mj()
    for gain, counter in zip((4_000, 2_000, 50_000, 50_000, 50_000), counters.values(), strict=True):
        counter.write_text(str(int(counter.read_text()) + gain))
    assert meter.read_mj() - before == pytest.approx(6.0)
    meter.close()


def test_each_counter_wraps_at_its_own_range(tmp_path: Path) -> None:
    one = zone(tmp_path, "intel-rapl:0", name="package-0", energy_uj=999_000, range_uj=1_000_000)
    two = zone(tmp_path, "intel-rapl:1", name="package-1", energy_uj=10_000, range_uj=50_000)
    meter = meter_of(energy_meter("cpu", root=tmp_path))
    readings = [meter.read_mj()]
    for first, second in ((2_000, 40_000), (3_000, 5_000), (1_000, 5_000)):
        one.write_text(str(first))
        two.write_text(str(second))
        readings.append(meter.read_mj())
    gains = [after - before for before, after in pairwise(readings)]
    assert gains == pytest.approx([3.0 + 30.0, 1.0 + 15.0, 998.0 + 0.0])


def test_without_permission_the_cure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAKE: tests may run as root, which may read everything."""
    zone(tmp_path, "intel-rapl:0", name="package-0", energy_uj=1)
    denied = zone(tmp_path, "intel-rapl:1", name="package-1", energy_uj=1)
    read_text = Path.read_text

    def read(path: Path, **options: Any) -> str:
        if path == denied:
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, **options)

    monkeypatch.setattr(Path, "read_text", read)
    reason = reason_of(energy_meter("cpu", root=tmp_path))
    assert f"no permission to read the RAPL counter {denied}" in reason
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/*energy*_uj" in reason
    assert "run as root" in reason


def test_a_broken_counter_is_a_reason_and_later_an_error(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", name="package-0", energy_uj=1)
    meter = meter_of(energy_meter("cpu", root=tmp_path))
    counter.write_text("nonsense")
    with pytest.raises(DeviceError, match=r"rapl package-0 no longer answers: .*nonsense"):
        meter.read_mj()
    assert "a RAPL counter does not answer: " in reason_of(energy_meter("cpu", root=tmp_path))
    counter.unlink()
    with pytest.raises(DeviceError, match="rapl package-0 no longer answers"):
        meter.read_mj()


def test_without_rapl_the_reason_is_told(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", name="psys", energy_uj=1)
    reason = reason_of(energy_meter("cpu", root=tmp_path))
    assert "no RAPL package counter under /sys/class/powercap" in reason
    assert "modprobe intel_rapl_msr" in reason
    assert "INA3221" not in reason


# --- Jetson


def rail(root: Path, label: str, *, channel: int = 2, **values: int) -> Path:
    folder = f"{INA3221}/1-0040/hwmon/hwmon4"
    write(root, f"{folder}/in{channel}_label", label)
    for name, value in values.items():
        write(root, f"{folder}/{name}{channel}_input", value)
    return root / folder


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize(
    ("values", "watts"),
    [({"in": 5_000, "curr": 3_000}, 15.0), ({"in": 5_000, "curr": 3_000, "power": 12_000_000}, 12.0)],
    ids=["voltage and current", "power"],
)
def test_a_jetson_samples_the_input_of_its_module(
    tmp_path: Path, install: Callable[..., FakeNvml], device: str, values: dict[str, int], watts: float
) -> None:
    install()  # NVML starts, and supports neither energy nor power
    rail(tmp_path, "VDD_CPU_GPU_CV", channel=1, **{"in": 1, "curr": 1})
    rail(tmp_path, "VDD_IN", **values)
    with closing(meter_of(energy_meter(device, root=tmp_path))) as meter:
        assert meter.method == "ina3221 VDD_IN sampling"
        outer = time.monotonic()
        first = meter.read_mj()
        inner = time.monotonic()
        time.sleep(0.02)
        shortest_s = time.monotonic() - inner
        gained_mj = meter.read_mj() - first
        assert watts * 1000 * shortest_s <= gained_mj * (1 + 1e-9)
        assert gained_mj <= watts * 1000 * (time.monotonic() - outer)


def test_a_rail_that_falls_silent_is_an_error(tmp_path: Path) -> None:
    folder = rail(tmp_path, "VDD_IN", **{"in": 5_000, "curr": 3_000})
    with closing(meter_of(energy_meter("cpu", root=tmp_path))) as meter:
        meter.read_mj()
        (folder / "curr2_input").unlink()
        with pytest.raises(DeviceError, match="ina3221 VDD_IN sampling no longer answers"):
            meter.read_mj()


def test_a_jetson_without_the_rail_tells_both_reasons(tmp_path: Path, install: Callable[..., FakeNvml]) -> None:
    install()
    rail(tmp_path, "VDD_GPU_SOC", **{"in": 5_000, "curr": 3_000})
    reason = reason_of(energy_meter("gpu", root=tmp_path))
    assert "NVML tells neither the energy nor the power of GPU 0; " in reason
    assert "expected a rail VDD_IN at the INA3221 power monitors, received VDD_GPU_SOC" in reason


def test_a_rail_that_cannot_be_read_is_a_reason(tmp_path: Path) -> None:
    folder = rail(tmp_path, "VDD_IN", **{"in": 5_000})
    assert f"the rail VDD_IN cannot be read in {folder}; try as root" in reason_of(energy_meter("cpu", root=tmp_path))
    assert samplers() == []


def test_a_counter_is_preferred_to_the_module_s_input(tmp_path: Path, install: Callable[..., FakeNvml]) -> None:
    install(**{ENERGY: 5})
    rail(tmp_path, "VDD_IN", **{"in": 5_000, "curr": 3_000})
    with closing(meter_of(energy_meter("gpu", root=tmp_path))) as meter:
        assert meter.method == "nvml total energy counter"


def test_this_machine_gives_a_meter_or_a_reason() -> None:
    found = energy_meter("cpu")
    if isinstance(found, EnergyUnknown):
        assert found.reason
    else:
        with closing(found):
            assert found.read_mj() <= found.read_mj()
