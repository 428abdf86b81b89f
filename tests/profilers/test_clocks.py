"""Watching clocks, on fakes: a GPU that notes what it is told, and trees of /proc and /sys.

The law behind it: what is unknown is None and never 0.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilers.devices.clocks import ClockReading, ClockWatch, clock_drift
from profilers.devices.nvml import open_nvml
from tests.profilers.fakes_nvml import FakeNvml, NvmlError

NOTHING = {"clock_mhz": None, "memory_clock_mhz": None, "temperature_c": None, "power_w": None}
REASONS, OLD_REASONS = "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"


def reading(clock_mhz: float | None = None, reasons: tuple[str, ...] | None = None) -> ClockReading:
    return ClockReading(**(NOTHING | {"clock_mhz": clock_mhz}), throttle_reasons=reasons)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeNvml]:
    def fake(**answers: Any) -> FakeNvml:
        module = FakeNvml(**answers)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return module

    return fake


def write(root: Path, path: str, text: str | int) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(f"{text}\n", encoding="utf-8")


# --- readings


@pytest.mark.parametrize(
    ("reasons", "throttled"),
    [
        (None, None),
        ((), False),
        (("gpu_idle", "applications_clocks_setting", "display_clock_setting"), False),
        (("gpu_idle", "sw_power_cap"), True),
        (("thermal",), True),
        (("unknown_bit_20",), True),
    ],
)
def test_idling_and_settings_are_reasons_but_no_throttling(
    reasons: tuple[str, ...] | None, throttled: bool | None
) -> None:
    assert reading(reasons=reasons).throttled is throttled


def test_records_are_json() -> None:
    record = reading(1500.0, ("sw_power_cap",)).to_json()
    assert json.loads(json.dumps(record)) == NOTHING | {"clock_mhz": 1500.0, "throttle_reasons": ["sw_power_cap"]}
    assert reading().to_json()["throttle_reasons"] is None


@pytest.mark.parametrize(
    ("clocks", "drift"),
    [
        ([], None),
        ([1000.0], None),
        ([None, 1000.0, None], None),
        ([1000.0, 1000.0], 0.0),
        ([1000.0, 900.0, None, 1000.0], 0.1),
        ([1000.0, 1000.0, 1250.0], 0.25),
    ],
)
def test_drift_is_the_largest_deviation_from_the_median_of_the_known_clocks(
    clocks: list[float | None], drift: float | None
) -> None:
    found = clock_drift([reading(clock) for clock in clocks])
    assert found is None if drift is None else found == pytest.approx(drift)


# --- watching a GPU


def test_a_gpu_tells_its_clocks(install: Callable[..., FakeNvml]) -> None:
    nvml = install(
        nvmlDeviceGetClockInfo={1: 1755, 2: 2619},
        nvmlDeviceGetTemperature={0: 54},
        nvmlDeviceGetPowerUsage=312_500,
        **{REASONS: 0x44, OLD_REASONS: 0x1},
    )
    with ClockWatch("gpu", index=3) as watch:
        now = watch.read()
        watch.read()
        assert watch.reason is None
        assert nvml.named("nvmlShutdown") == 0
    assert now == ClockReading(
        clock_mhz=1755.0,
        memory_clock_mhz=2619.0,
        temperature_c=54.0,
        power_w=312.5,
        throttle_reasons=("sw_power_cap", "hw_thermal_slowdown"),
    )
    # Started once for both readings, of the GPU asked for, and stopped.
    assert [call for call in nvml.calls if call[0] in {"nvmlInit", "nvmlDeviceGetHandleByIndex"}] == [
        ("nvmlInit",),
        ("nvmlDeviceGetHandleByIndex", 3),
    ]
    assert nvml.calls[-1] == ("nvmlShutdown",)


@pytest.mark.parametrize(
    ("visible", "index"),
    [(None, 0), ("", 0), ("2", 2), ("3,1", 3), (" 1 ,0", 1)],
    ids=["unset", "empty", "2", "3", "1"],
)
def test_the_gpu_that_is_watched_is_the_one_that_cuda_runs_on(
    install: Callable[..., FakeNvml], monkeypatch: pytest.MonkeyPatch, visible: str | None, index: int
) -> None:
    """NVML shows all GPUs, CUDA those it is told to show: the first of them works."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    nvml = install()
    ClockWatch("gpu").close()
    assert ("nvmlDeviceGetHandleByIndex", index) in nvml.calls


def test_a_gpu_that_cuda_is_told_by_its_uuid_is_found_by_it(
    install: Callable[..., FakeNvml], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAKE: three GPUs, each a handle of its own."""
    nvml = install(nvmlDeviceGetClockInfo={1: 1500, 2: 2000})
    uuids = {"first": "GPU-aa11", "second": "GPU-bb22", "third": "GPU-bb33"}
    nvml.nvmlDeviceGetCount = lambda: 3
    nvml.nvmlDeviceGetHandleByIndex = lambda index: list(uuids)[index]
    nvml.nvmlDeviceGetUUID = lambda handle: uuids[handle].encode()
    nvml.nvmlDeviceGetHandleByUUID = lambda uuid: f"a part called {uuid}"
    for visible, handle in (("GPU-bb3", "third"), ("GPU-aa11,GPU-bb22", "first"), ("MIG-1", "a part called MIG-1")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        gpu = open_nvml(None)
        assert not isinstance(gpu, str)
        assert gpu._handle == handle


def test_every_bit_has_nvmls_meaning_and_an_unknown_one_is_told(install: Callable[..., FakeNvml]) -> None:
    install(**{REASONS: 0b1111_1111_1111})
    assert ClockWatch("gpu").read().throttle_reasons == (
        "gpu_idle",
        "applications_clocks_setting",
        "sw_power_cap",
        "hw_slowdown",
        "sync_boost",
        "sw_thermal_slowdown",
        "hw_thermal_slowdown",
        "hw_power_brake_slowdown",
        "display_clock_setting",
        "unknown_bit_9",
        "unknown_bit_10",
        "unknown_bit_11",
    )


@pytest.mark.parametrize("missing", [{}, {REASONS: NvmlError(13)}], ids=["old binding", "old driver"])
def test_reasons_by_their_older_name_and_none_at_all_is_not_unknown(
    install: Callable[..., FakeNvml], missing: dict[str, Any]
) -> None:
    install(**missing, **{OLD_REASONS: 0})
    assert ClockWatch("gpu").read().throttle_reasons == ()


def test_no_reason_by_the_newer_name_is_an_answer(install: Callable[..., FakeNvml]) -> None:
    install(**{REASONS: 0, OLD_REASONS: 0x40})
    assert ClockWatch("gpu").read().throttle_reasons == ()


def test_temperature_by_its_newer_name(install: Callable[..., FakeNvml]) -> None:
    install(nvmlDeviceGetTemperatureV={0: 41})
    assert ClockWatch("gpu").read().temperature_c == 41.0


def test_each_query_fails_alone(install: Callable[..., FakeNvml]) -> None:
    """FAKE: Jetson, where NVML starts and supports little; and sensors that answer 0."""
    install(
        nvmlDeviceGetClockInfo={1: 0, 2: 2133},
        nvmlDeviceGetPowerUsage=0,
        nvmlDeviceGetTemperature=0,
        **{REASONS: NvmlError(3)},
    )
    now = ClockWatch("gpu").read().to_json()
    assert now == NOTHING | {"memory_clock_mhz": 2133.0, "temperature_c": 0.0, "throttle_reasons": None}


def test_a_closed_watch_knows_nothing_and_closes_once(install: Callable[..., FakeNvml]) -> None:
    nvml = install(nvmlDeviceGetPowerUsage=90_000, nvmlShutdown=NvmlError(1))
    watch = ClockWatch("gpu")
    assert watch.read().power_w == 90.0
    watch.close()
    watch.close()
    assert watch.read() == reading()
    assert nvml.named("nvmlShutdown") == 1


def test_without_pynvml_nothing_is_known_and_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with ClockWatch("gpu") as watch:
        assert watch.read() == reading()
        assert 'pip install "hwnas[gpu]"' in str(watch.reason)


def test_without_a_driver_or_the_gpu_nothing_is_known(install: Callable[..., FakeNvml]) -> None:
    install(nvmlInit=NvmlError(9))
    assert "NVML does not start: error 9" in str(ClockWatch("gpu").reason)
    nvml = install(nvmlDeviceGetHandleByIndex=NvmlError(6))
    watch = ClockWatch("gpu", index=4)
    assert watch.read() == reading()
    assert "GPU 4 does not answer: error 6. Cure: nvidia-smi -L" in str(watch.reason)
    assert nvml.named("nvmlShutdown") == 1


def test_other_devices_are_unknown() -> None:
    with ClockWatch("npu") as watch:
        assert watch.read() == reading()
        assert "expected cpu or gpu, received 'npu'" in str(watch.reason)


# --- watching a CPU


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """FAKE: three cores, of which this process may use 0 and 2."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2}, raising=False)
    for core, khz in enumerate((2_000_000, 800_000, 3_000_000)):
        write(tmp_path, f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", khz)
    return tmp_path


def test_the_clock_is_the_mean_over_usable_cores(machine: Path) -> None:
    watch = ClockWatch("cpu", root=machine)
    assert watch.read() == reading(2500.0)
    assert watch.reason is None
    write(machine, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "<unknown>")
    assert watch.read().clock_mhz == 3000.0


def test_without_affinity_all_cores_count(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert ClockWatch("cpu", root=machine).read().clock_mhz == pytest.approx(5800 / 3)


def cpuinfo(*clocks: object) -> str:
    return "\n".join(f"processor\t: {core}\nmodel name\t: X\ncpu MHz\t\t: {mhz}\n" for core, mhz in enumerate(clocks))


def test_cpuinfo_stands_in_for_cpufreq(machine: Path) -> None:
    for core in range(3):
        write(machine, f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", 0)
    watch = ClockWatch("cpu", root=machine)
    assert watch.read().clock_mhz is None
    write(machine, "proc/cpuinfo", cpuinfo(2400.5, 800, 2600.5))
    assert watch.read().clock_mhz == 2500.5


def test_cpuinfo_without_folders_of_cores_counts_all(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", cpuinfo(2000, "unknown", 3000))
    assert ClockWatch("cpu", root=tmp_path).read().clock_mhz == 2500.0


def test_an_empty_machine_tells_nothing(tmp_path: Path) -> None:
    assert ClockWatch("cpu", root=tmp_path).read() == reading()


@pytest.mark.parametrize("counter", ["core_throttle_count", "package_throttle_count"])
def test_a_throttle_count_that_grew_since_the_last_reading_is_told_once(machine: Path, counter: str) -> None:
    def count(core: int, times: int) -> None:
        write(machine, f"sys/devices/system/cpu/cpu{core}/thermal_throttle/{counter}", times)

    count(0, 7)
    count(1, 7)
    watch = ClockWatch("cpu", root=machine)
    assert watch.read().throttle_reasons == ()
    count(0, 8)
    assert watch.read().throttle_reasons == ("thermal",)
    assert watch.read().throttle_reasons == ()
    count(1, 9)  # not usable
    count(2, 3)  # appears only now: what it counted before is unknown
    assert watch.read().throttle_reasons == ()


def test_the_hottest_package_is_the_temperature(machine: Path) -> None:
    zones = (("acpitz", 99_000), ("x86_pkg_temp", 51_000), ("x86_pkg_temp", 63_500))
    for number, (kind, millidegrees) in enumerate(zones):
        write(machine, f"sys/devices/virtual/thermal/thermal_zone{number}/type", kind)
        write(machine, f"sys/devices/virtual/thermal/thermal_zone{number}/temp", millidegrees)
        (machine / "sys/class/thermal").mkdir(exist_ok=True, parents=True)
        link = machine / f"sys/class/thermal/thermal_zone{number}"
        link.symlink_to(machine / f"sys/devices/virtual/thermal/thermal_zone{number}", target_is_directory=True)
    assert ClockWatch("cpu", root=machine).read().temperature_c == 63.5


def test_this_machine_can_be_read() -> None:
    with ClockWatch("cpu") as watch:
        now = watch.read()
    assert now.clock_mhz is None or 50 < now.clock_mhz < 20_000
