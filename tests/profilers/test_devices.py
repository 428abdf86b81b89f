"""Descriptions of CPU, GPUs and runtimes: the real machine where it can answer, fakes where it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

from latency_tables import LatencyTable, TableMismatchError, fingerprint_sha256
from profilers import BackendSettings, OnnxRuntimeBackend
from profilers.devices import (
    CpuDescription,
    GpuDescription,
    GpuReport,
    describe_cpu,
    describe_gpus,
    describe_onnxruntime,
    describe_tensorrt,
)
from profilers.devices import fingerprint as fingerprint_module
from profilers.devices.fingerprint import device_name
from tests.builders import made_up_manifest

REPOSITORY = Path(__file__).parents[2]
CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
X86 = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8480+
stepping\t: 8
flags\t\t: fpu sse4_2 avx avx2 fma avx512f amx_tile amx_int8 svm sev hypervisor
"""
ARM = """processor\t: 0
Features\t: fp asimd asimddp i8mm sve sve2 aes
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd05
CPU revision\t: 1

processor\t: 1
CPU implementer\t: 0x41
CPU part\t: 0xd0b

Model\t\t: Some Board
"""


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


def test_this_machines_cpu_has_no_empty_values() -> None:
    cpu = describe_cpu()
    assert cpu.usable_cores is not None
    assert cpu.memory_mib is not None
    assert cpu.memory_mib > 64
    named = (value for name, value in vars(cpu).items() if name in {"model", "vendor", "governor", "clock_mhz"})
    assert all(value not in {0, ""} for value in named)


def test_x86_cpuinfo(tmp_path: Path) -> None:
    """Fake: a /proc/cpuinfo of another machine."""
    write(tmp_path, "proc/cpuinfo", X86)
    cpu = describe_cpu(tmp_path)
    assert cpu.model == "Intel(R) Xeon(R) Platinum 8480+"
    assert (cpu.vendor, cpu.family, cpu.model_number, cpu.stepping) == ("GenuineIntel", 6, 143, 8)
    assert cpu.isa == ("amx_int8", "amx_tile", "avx", "avx2", "avx512f", "fma", "sse4_2")
    assert cpu.virtualised is True


def test_x86_without_the_hypervisor_flag_is_not_virtual(tmp_path: Path) -> None:
    """Fake: a /proc/cpuinfo of another machine."""
    write(tmp_path, "proc/cpuinfo", X86.replace(" hypervisor", ""))
    assert describe_cpu(tmp_path).virtualised is False


def test_arm_cpuinfo_names_every_part_and_leaves_virtualisation_open(tmp_path: Path) -> None:
    """Fake: a /proc/cpuinfo of a big.LITTLE chip."""
    write(tmp_path, "proc/cpuinfo", ARM)
    cpu = describe_cpu(tmp_path)
    assert cpu.model == "ARM implementer 0x41 part 0xd05+0xd0b"
    assert (cpu.vendor, cpu.family, cpu.model_number, cpu.stepping) == ("0x41", 8, 0xD05, 1)
    assert cpu.isa == ("asimd", "dotprod", "i8mm", "sve", "sve2")
    assert cpu.virtualised is None


def test_a_machine_without_proc_and_sys_answers_none(tmp_path: Path) -> None:
    """Fake: a root folder without any file."""
    cpu = describe_cpu(tmp_path)
    assert (cpu.vendor, cpu.family, cpu.isa, cpu.governor, cpu.container_cpu_quota) == (None,) * 5
    assert cpu.virtualised is None


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000",
                "sys/fs/cgroup/a/cpu.max": "150000 100000",
            },
            1.5,
        ),
        ({"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/cpu.max": "200000 100000"}, 2.0),
        (
            {
                "proc/self/cgroup": "4:memory:/m\n3:cpu,cpuacct:/docker/host-only\n0::/\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "75000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            0.75,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
        ({"proc/self/cgroup": "not a cgroup line\n"}, None),
    ],
)
def test_container_quota(tmp_path: Path, files: dict[str, str], cores: float | None) -> None:
    """Fake: control group files of versions 1 and 2."""
    for path, text in files.items():
        write(tmp_path, path, text)
    assert describe_cpu(tmp_path).container_cpu_quota == cores


def test_governors_that_differ_are_all_named(tmp_path: Path) -> None:
    """Fake: cpufreq files of three cores."""
    for core, governor in enumerate(("schedutil", "performance", "schedutil")):
        write(tmp_path, f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor", f"{governor}\n")
    assert describe_cpu(tmp_path).governor == "performance,schedutil"


def test_cpu_survives_what_psutil_and_the_system_do_not_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake: a psutil without affinity and clock, a system without load average."""

    def fail() -> Any:
        raise OSError

    monkeypatch.setattr(psutil, "Process", SimpleNamespace)
    monkeypatch.setattr(psutil, "cpu_freq", fail)
    monkeypatch.setattr(os, "getloadavg", fail)
    cpu = describe_cpu()
    assert cpu.usable_cores == cpu.logical_cores
    assert cpu.clock_mhz is None
    assert cpu.load_1min is None


def test_a_clock_of_zero_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake: psutil's answer on some ARM boards."""
    monkeypatch.setattr(psutil, "cpu_freq", lambda: SimpleNamespace(current=0.0))
    assert describe_cpu().clock_mhz is None


class NvmlError(Exception):
    """Fake of pynvml.NVMLError."""


def answering(value: Any) -> Any:
    """Return a fake query that answers a value or raises it."""

    def query(*_: object) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    return query


def fake_nvml(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
    """Put a fake pynvml in place: what is not given answers NotSupported, as on Jetson."""
    module = ModuleType("pynvml")
    unsupported = ("Name", "UUID", "MemoryInfo", "PowerUsage", "CudaComputeCapability", "MigMode", "ClockInfo")
    queries = ["SystemGetDriverVersion", "DeviceGetTemperature", *(f"DeviceGet{name}" for name in unsupported)]
    working = {"Init": None, "Shutdown": None, "DeviceGetCount": 1, "DeviceGetHandleByIndex": object()}
    values = dict.fromkeys(queries, NvmlError("Not Supported")) | working | answers
    functions = {f"nvml{name}": answering(value) for name, value in values.items()}
    vars(module).update(functions, NVMLError=NvmlError, NVML_CLOCK_SM=1, NVML_TEMPERATURE_GPU=0)
    monkeypatch.setitem(sys.modules, "pynvml", module)


def test_gpu_with_every_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake: pynvml on a machine with one GPU, answering partly in bytes as old bindings do."""
    fake_nvml(
        monkeypatch,
        SystemGetDriverVersion=b"570.86",
        DeviceGetName="NVIDIA H200",
        DeviceGetUUID="GPU-1",
        DeviceGetMemoryInfo=SimpleNamespace(total=143771 * 2**20),
        DeviceGetCudaComputeCapability=(9, 0),
        DeviceGetMigMode=[0, 1],
        DeviceGetClockInfo=1500,
        DeviceGetMaxClockInfo=1980,
        DeviceGetTemperature=31,
        DeviceGetPowerUsage=75500,
    )
    report = describe_gpus()
    assert report.reason is None
    (gpu,) = report.gpus
    assert (gpu.name, gpu.uuid, gpu.driver, gpu.memory_mib) == ("NVIDIA H200", "GPU-1", "570.86", 143771)
    assert (gpu.compute_capability, gpu.mig, gpu.clock_mhz, gpu.max_clock_mhz) == ("9.0", False, 1500, 1980)
    assert (gpu.temperature_c, gpu.power_w) == (31, 75.5)


def test_gpu_whose_queries_are_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake: pynvml on Jetson, in a binding without nvmlDeviceGetMaxClockInfo."""
    fake_nvml(monkeypatch, DeviceGetName="Orin (nvgpu)")
    (gpu,) = describe_gpus().gpus
    assert {name: value for name, value in vars(gpu).items() if value is not None} == {"name": "Orin (nvgpu)"}


def test_one_lost_gpu_does_not_hide_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake: pynvml with two GPUs, the first one off the bus; shutting down fails too."""

    def handle(index: int) -> object:
        if index == 0:
            raise NvmlError("GPU is lost")
        return object()

    fake_nvml(monkeypatch, DeviceGetCount=2, DeviceGetName="B", Shutdown=NvmlError("Uninitialized"))
    monkeypatch.setattr(sys.modules["pynvml"], "nvmlDeviceGetHandleByIndex", handle)
    report = describe_gpus()
    assert [gpu.name for gpu in report.gpus] == ["B"]
    assert report.reason == "GPU 0 does not answer: GPU is lost"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"Init": NvmlError("NVML Shared Library Not Found")}, "NVML does not start: NVML Shared Library Not Found"),
        ({"DeviceGetCount": NvmlError("Unknown Error")}, "NVML does not count the GPUs: Unknown Error"),
        ({"DeviceGetCount": 0}, "NVML runs and finds no GPU"),
    ],
)
def test_reasons_for_no_gpu(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], reason: str) -> None:
    """Fake: pynvml without a driver, with a failing one, and without a GPU."""
    fake_nvml(monkeypatch, **answers)
    report = describe_gpus()
    assert (report.gpus, report.reason) == ((), reason)


def fake_smi(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Take pynvml away and put a fake nvidia-smi first on PATH."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    write(folder, "nvidia-smi", f"#!/bin/sh\n{script}\n")
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.skipif(os.name != "posix", reason="the fake nvidia-smi is a shell script")
@pytest.mark.parametrize(
    ("script", "reason", "cure"),
    [
        ("echo 'GPU 0: NVIDIA H200 (UUID: GPU-1)'", "nvidia-smi lists 1 GPU(s)", 'pip install "hwnas[gpu]"'),
        ('echo "couldn\'t communicate with the driver"; exit 9', "exit status 9", "driver"),
    ],
)
def test_without_pynvml_nvidia_smi_tells_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, reason: str, cure: str
) -> None:
    """Fake: nvidia-smi as a shell script."""
    fake_smi(monkeypatch, tmp_path, script)
    report = describe_gpus()
    assert report.gpus == ()
    assert reason in str(report.reason)
    assert cure in str(report.cure)


def test_without_pynvml_and_nvidia_smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fake: an empty PATH and no pynvml."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    report = describe_gpus()
    assert "pynvml is not installed" in str(report.reason)
    assert report.cure is None


def test_this_environments_onnxruntime_runs_on_the_cpu(capfd: pytest.CaptureFixture[str]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    runtime = describe_onnxruntime()
    assert runtime.version == onnxruntime.__version__
    assert runtime.loads(CPU)
    assert not runtime.loads("NoSuchExecutionProvider")
    assert capfd.readouterr() == ("", "")


class FakeRuntime(ModuleType):
    """Fake: the GPU wheel of onnxruntime, which lists all of its providers on every machine.

    ``takes`` are the providers that a session takes in silence; ``log`` goes to file descriptor 2 as native code
    writes it; ``refusal`` is raised instead of a session, ``crash`` when it runs.
    """

    __version__ = "1.99.0"
    SessionOptions = SimpleNamespace

    def __init__(self, takes: tuple[str, ...] = (CPU,), **faults: Any) -> None:
        super().__init__("onnxruntime")
        self.takes, self.faults, self.preloads = takes, faults, 0

    def get_available_providers(self) -> list[str]:
        return [TENSORRT, CUDA, CPU]

    def preload_dlls(self) -> None:
        self.preloads += 1
        print("Failed to load libcublas.so.13")  # noqa: T201 - the real one prints
        raise RuntimeError

    def InferenceSession(  # noqa: N802 - the real name
        self, model: bytes, options: Any, *, providers: list[str], enable_fallback: int
    ) -> SimpleNamespace:
        assert (bool(model), options.log_severity_level, enable_fallback) == (True, 4, 0)
        accelerated = providers[0] != CPU
        if accelerated and "log" in self.faults:
            os.write(2, self.faults["log"])
        if accelerated and "refusal" in self.faults:
            raise self.faults["refusal"]
        run = answering(self.faults.get("crash") if accelerated else None)
        return SimpleNamespace(get_providers=lambda: [name for name in providers if name in self.takes], run=run)


def install(monkeypatch: pytest.MonkeyPatch, module: object, *distributions: str) -> None:
    """Put a fake onnxruntime and its distributions in place."""
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    names = {"onnxruntime": list(distributions)}
    monkeypatch.setattr("profilers.devices.runtimes.packages_distributions", lambda: names)


def test_listed_providers_are_no_evidence(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Fake: the GPU wheel on a machine without a GPU, whose sessions silently run on the CPU."""
    module = FakeRuntime()
    install(monkeypatch, module, "onnxruntime-gpu")
    runtime = describe_onnxruntime()
    assert CUDA in runtime.listed_providers
    assert [entry.name for entry in runtime.providers if entry.loads] == [CPU]
    assert f"asked for {CUDA}, the session took {CPU}" in [entry.reason for entry in runtime.providers]
    assert runtime.reason is None
    assert module.preloads == 2
    assert capfd.readouterr() == ("", "")


def test_a_provider_that_the_session_took_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake: the GPU wheel on a machine with a GPU."""
    install(monkeypatch, FakeRuntime(takes=(CUDA, CPU)), "onnxruntime-gpu")
    runtime = describe_onnxruntime()
    assert (runtime.loads(CPU), runtime.loads(CUDA), runtime.loads(TENSORRT)) == (True, True, False)


def test_tensorrts_wheel_is_imported_before_its_provider_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Fake: TensorRT's wheel, in which one library is missing and the one that the provider needs is found."""
    install(monkeypatch, FakeRuntime(), "onnxruntime-gpu")
    found = f"import onnxruntime; onnxruntime.takes = {(TENSORRT, CPU)}; raise OSError('libnvinfer_plugin: missing')"
    write(tmp_path, "tensorrt_libs.py", found)
    monkeypatch.syspath_prepend(tmp_path)
    runtime = describe_onnxruntime()
    assert (runtime.loads(CUDA), runtime.loads(TENSORRT)) == (False, True)


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (
            {"log": b"\x1b[1;31m[E:onnxruntime] Failed to load x.so with error: libcublasLt.so.13: missing\n\x1b[m\n"},
            "libcublasLt.so.13: missing",
        ),
        ({"refusal": RuntimeError("CUDA failure 100:\n  no device")}, "CUDA failure 100: no device"),
        ({"refusal": ValueError()}, "ValueError"),
        ({"crash": RuntimeError("no kernel image is available")}, "no kernel image is available"),
    ],
)
def test_reasons_why_a_provider_does_not_load(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], faults: dict[str, Any], reason: str
) -> None:
    """Fake: the GPU wheel failing in the log, at creation and at the first run; the first log is a real one's form."""
    install(monkeypatch, FakeRuntime((CPU, CUDA) if "crash" in faults else (CPU,), **faults), "onnxruntime-gpu")
    cuda = next(entry for entry in describe_onnxruntime().providers if entry.name == CUDA)
    assert (cuda.listed, cuda.loads, cuda.reason) == (True, False, reason)
    assert capfd.readouterr() == ("", "")


def test_two_distributions_are_named_with_their_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake: both wheels installed over each other."""
    install(monkeypatch, FakeRuntime(), "onnxruntime-gpu", "onnxruntime", "onnxruntime")
    runtime = describe_onnxruntime()
    assert runtime.version == "1.99.0"
    assert runtime.distributions == ("onnxruntime", "onnxruntime-gpu")
    assert "overwrite each other" in str(runtime.reason)
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in str(runtime.cure)


@pytest.mark.parametrize(
    ("module", "distributions", "reason", "cure"),
    [
        (None, (), "onnxruntime is not installed", 'pip install "hwnas[cpu]"'),
        (ModuleType("onnxruntime"), ("onnxruntime",), "does not work", "pip uninstall -y onnxruntime"),
        (ModuleType("onnxruntime"), ("onnxruntime", "onnxruntime-gpu"), "does not import", "uninstall all of them"),
    ],
)
def test_missing_or_gutted_onnxruntime(
    monkeypatch: pytest.MonkeyPatch, module: object, distributions: tuple[str, ...], reason: str, cure: str
) -> None:
    """Fake: no onnxruntime, and the empty folder that uninstalling one of two wheels leaves."""
    install(monkeypatch, module, *distributions)
    runtime = describe_onnxruntime()
    assert (runtime.version, runtime.providers, runtime.loads(CPU)) == (None, (), False)
    assert reason in str(runtime.reason)
    assert cure in str(runtime.cure)


def test_onnxruntime_is_described_without_a_standard_error() -> None:
    pytest.importorskip("onnxruntime")
    code = "import os; os.close(2); import profilers.devices as d; print(d.describe_onnxruntime().providers[0].loads)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.strip() == "True"


@pytest.mark.parametrize(
    ("attributes", "version", "reason"),
    [({"__version__": "10.9.0"}, "10.9.0", "None"), ({}, None, "does not import"), (None, None, "is not installed")],
)
def test_tensorrt(
    monkeypatch: pytest.MonkeyPatch, attributes: dict[str, str] | None, version: str | None, reason: str
) -> None:
    """Fake: a tensorrt module that works, one that is broken, and none."""
    module = None if attributes is None else ModuleType("tensorrt")
    if attributes and module is not None:
        vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    tensorrt = describe_tensorrt()
    assert tensorrt.version == version
    assert reason in str(tensorrt.reason)
    assert (tensorrt.cure is None) == (version is not None)


# --- the fingerprint


PLAIN_CPU = CpuDescription(
    model="Fake CPU",
    vendor="FakeVendor",
    family=25,
    model_number=17,
    stepping=1,
    logical_cores=8,
    physical_cores=4,
    usable_cores=8,
    container_cpu_quota=None,
    isa=("avx2", "fma"),
    governor="performance",
    clock_mhz=3000.0,
    load_1min=0.2,
    memory_mib=16000,
    virtualised=False,
)
PLAIN_GPU = GpuDescription(
    name="Fake GPU",
    uuid="GPU-1",
    driver="570.86",
    memory_mib=8192,
    compute_capability="9.0",
    mig=False,
    clock_mhz=1500,
    max_clock_mhz=1980,
    temperature_c=31,
    power_w=75.0,
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """The fingerprint of a made-up machine."""

    def made(
        settings: BackendSettings | None = None,
        *,
        cpu: CpuDescription = PLAIN_CPU,
        gpus: tuple[GpuDescription, ...] = (PLAIN_GPU,),
        runtime: str = "runtime 1.0",
        provider: str = "Provider",
    ) -> dict[str, Any]:
        monkeypatch.setattr(fingerprint_module, "describe_cpu", lambda: cpu)
        monkeypatch.setattr(fingerprint_module, "describe_gpus", lambda: GpuReport(gpus))
        return fingerprint_module.fingerprint(settings or BackendSettings(), runtime=runtime, provider=provider)

    return made


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"model": "Other CPU"}, "cpu"),
        ({"family": 26}, "cpu_family"),
        ({"model_number": 18}, "cpu_model"),
        ({"isa": ("avx2", "avx512f", "fma")}, "cpu_isa"),
        ({"isa": None}, "cpu_isa"),
        ({"usable_cores": 2}, "cpu_cores"),
        ({"container_cpu_quota": 2.5}, "cpu_quota"),
        ({"governor": "powersave"}, "governor"),
    ],
)
def test_what_changes_a_latency_changes_the_fingerprint_of_the_cpu(
    machine: Callable[..., dict[str, Any]], change: dict[str, Any], name: str
) -> None:
    plain = machine()
    other = machine(cpu=replace(PLAIN_CPU, **change))
    assert differing(plain, other) == {name}
    table = LatencyTable(made_up_manifest(fingerprint=plain))
    with pytest.raises(TableMismatchError, match=f"{name}: here ") as caught:
        table.require_fingerprint(other, override="--allow-other-device")
    assert set(caught.value.differences) == {name}
    assert fingerprint_sha256(plain) != fingerprint_sha256(other)


@pytest.mark.parametrize("change", [{"clock_mhz": 1200.0}, {"load_1min": 7.0}, {"memory_mib": 1}])
def test_what_changes_from_minute_to_minute_is_left_out(
    machine: Callable[..., dict[str, Any]], change: dict[str, Any]
) -> None:
    assert machine() == machine(cpu=replace(PLAIN_CPU, **change))
    gpu = BackendSettings(device="gpu")
    hot = replace(PLAIN_GPU, clock_mhz=300, temperature_c=88, power_w=700.0)
    assert machine(gpu) == machine(gpu, gpus=(hot,))


@pytest.mark.parametrize(
    ("settings", "runtime", "provider", "name"),
    [
        (BackendSettings(threads=2), "runtime 1.0", "Provider", "threads"),
        (BackendSettings(affinity=(0,)), "runtime 1.0", "Provider", "affinity"),
        (BackendSettings(affinity=(0, 2)), "runtime 1.0", "Provider", "affinity"),
        (BackendSettings(device="npu"), "runtime 1.0", "Provider", "device"),
        (BackendSettings(), "runtime 1.1", "Provider", "runtime"),
        (BackendSettings(), "runtime 1.0", "OtherProvider", "provider"),
    ],
)
def test_what_the_user_chose_and_what_runs_it_are_in_the_fingerprint(
    machine: Callable[..., dict[str, Any]], settings: BackendSettings, runtime: str, provider: str, name: str
) -> None:
    assert differing(machine(), machine(settings, runtime=runtime, provider=provider)) == {name}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"name": "Other GPU"}, "gpu"),
        ({"driver": "580.1"}, "driver"),
        ({"mig": True}, "mig"),
        ({"max_clock_mhz": 1755}, "max_clock_mhz"),
    ],
)
def test_what_changes_a_latency_changes_the_fingerprint_of_a_gpu(
    machine: Callable[..., dict[str, Any]], change: dict[str, Any], name: str
) -> None:
    plain = machine(BackendSettings(device="gpu"))
    assert differing(plain, machine(BackendSettings(device="gpu"), gpus=(replace(PLAIN_GPU, **change),))) == {name}
    for option in ("cuda_graph", "include_io"):
        chosen = BackendSettings(device="gpu", **{option: True})
        assert differing(plain, machine(chosen)) == {option}
        assert option not in machine(replace(chosen, device="cpu"))


def test_a_machine_that_tells_nothing_has_a_fingerprint_of_unknowns(machine: Callable[..., dict[str, Any]]) -> None:
    bare = CpuDescription(**dict.fromkeys(vars(PLAIN_CPU)))
    told = machine(BackendSettings(device="gpu"), cpu=bare, gpus=())
    known = {"device", "runtime", "provider", "threads", "cuda_graph", "include_io"}
    assert {name for name, value in told.items() if value is not None} == known


def test_a_fingerprint_is_flat_and_survives_the_round_trip(machine: Callable[..., dict[str, Any]]) -> None:
    for told in (machine(BackendSettings(device="gpu", affinity=(1, 0))), OnnxRuntimeBackend().fingerprint()):
        assert json.loads(json.dumps(told, allow_nan=False)) == told
        assert all(value is None or isinstance(value, str | int | float | bool) for value in told.values())


def test_this_machines_fingerprint_names_the_runtime_and_stays_the_same() -> None:
    backend = OnnxRuntimeBackend(BackendSettings(threads=2))
    told = backend.fingerprint()
    assert told == backend.fingerprint()
    assert told["runtime"] == f"onnxruntime {backend.version}"
    assert (told["provider"], told["device"], told["threads"], told["affinity"]) == (CPU, "cpu", 2, None)
    assert told["cpu"] == describe_cpu().model
    assert told["cpu_cores"] == describe_cpu().usable_cores


@pytest.mark.parametrize(
    ("visible", "name"),
    [
        ("", "one"),
        ("1", "two"),
        ("1,0", "two"),
        ("GPU-22", "two"),
        ("7", "unknown"),
        ("GPU-99", "unknown"),
        ("MIG-1", "unknown"),
    ],
)
def test_the_gpu_in_the_fingerprint_is_the_one_that_cuda_runs_on(
    machine: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, visible: str, name: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    gpus = tuple(replace(PLAIN_GPU, name=one, uuid=uuid) for one, uuid in (("one", "GPU-11"), ("two", "GPU-2222")))
    told = machine(BackendSettings(device="gpu"), gpus=gpus)
    assert (told["gpu"] or "unknown", device_name("gpu")) == (name, name)


def test_a_part_of_the_only_gpu_is_called_after_it(
    machine: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1")
    assert machine(BackendSettings(device="gpu"))["gpu"] == PLAIN_GPU.name


def test_a_device_that_gives_itself_no_name_is_unknown(machine: Callable[..., dict[str, Any]]) -> None:
    machine()
    assert (device_name("cpu"), device_name("gpu")) == ("Fake CPU", "Fake GPU")
    machine(cpu=replace(PLAIN_CPU, model=None), gpus=())
    assert (device_name("cpu"), device_name("gpu")) == ("unknown", "unknown")
