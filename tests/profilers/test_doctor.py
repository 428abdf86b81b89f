"""The diagnosis of a machine, from faked probes; one test examines the real machine."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from profilers.devices import (
    CpuDescription,
    GpuDescription,
    GpuReport,
    ProviderDescription,
    RuntimeDescription,
    TensorRtDescription,
)
from profilers.doctor import examine, torch_distribution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profilers.doctor import Check, Diagnosis

REPOSITORY = Path(__file__).parents[2]
CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
QUIET_CPU = CpuDescription(
    model="Fake CPU",
    vendor="FakeVendor",
    family=6,
    model_number=1,
    stepping=1,
    logical_cores=8,
    physical_cores=4,
    usable_cores=4,
    container_cpu_quota=None,
    isa=("avx2", "fma"),
    governor="performance",
    clock_mhz=3000.0,
    load_1min=0.2,
    memory_mib=16000,
    virtualised=False,
)
UNKNOWN_CPU = CpuDescription(**dict.fromkeys(vars(QUIET_CPU)))
GPU = GpuDescription(
    "Fake GPU",
    "GPU-1",
    "570.1",
    8192,
    "8.9",
    mig=None,
    **dict.fromkeys(("clock_mhz", "max_clock_mhz", "temperature_c", "power_w")),
)
ONE_GPU, NO_GPU = GpuReport((GPU,)), GpuReport((), "no driver in sight")
BACKENDS = {"onnxruntime": ("cpu",), "tensorrt": ("gpu",)}
NO_TENSORRT = TensorRtDescription(None, "tensorrt is not installed", 'pip install "hwnas[tensorrt]"')


def runtime_where(*loading: str, listed: tuple[str, ...] = (TENSORRT, CUDA, CPU), **changes: Any) -> RuntimeDescription:
    """Return a fake onnxruntime in which the given providers load."""
    providers = tuple(
        ProviderDescription(name, name in listed, name in loading, None if name in loading else "fake reason")
        for name in (CPU, CUDA, TENSORRT)
    )
    return replace(RuntimeDescription("1.99.0", ("onnxruntime-gpu",), listed, providers), **changes)


def examine_fake(
    cpu: CpuDescription = QUIET_CPU,
    gpus: GpuReport = NO_GPU,
    runtime: RuntimeDescription | None = None,
    tensorrt: TensorRtDescription = NO_TENSORRT,
    torch: str | None = "2.9.0",
    python: str = "3.11.7",
    backends: Mapping[str, tuple[str, ...] | str] | None = None,
) -> Diagnosis:
    """Examine a fake machine that is fit unless told otherwise."""
    return examine(
        cpu=lambda: cpu,
        gpus=lambda: gpus,
        runtime=lambda: runtime or runtime_where(CPU, listed=(CPU,)),
        tensorrt=lambda: tensorrt,
        torch_version=lambda: torch,
        python_version=lambda: python,
        backends=lambda: BACKENDS if backends is None else backends,
    )


def check(diagnosis: Diagnosis, name: str) -> Check:
    return next(entry for entry in diagnosis.checks if entry.name == name)


def test_a_quiet_machine_is_fit() -> None:
    """Fakes: every probe."""
    diagnosis = examine_fake()
    assert diagnosis.fit_to_measure
    assert diagnosis.reasons == ()
    assert {entry.status for entry in diagnosis.checks} == {"ok", "absent"}
    names = f"Python torch onnxruntime {CPU} {CUDA} {TENSORRT} GPU TensorRT backends CPU cores governor load memory"
    assert [entry.name for entry in diagnosis.checks] == names.split()


@pytest.mark.parametrize(
    ("cpu", "name", "reason"),
    [
        (replace(QUIET_CPU, load_1min=2.1), "load", "load 2.10 on 4 usable cores"),
        (replace(QUIET_CPU, governor="performance,powersave"), "governor", "governor is performance,powersave"),
        (replace(QUIET_CPU, container_cpu_quota=0.5), "cores", "may use 0.5 cores"),
    ],
)
def test_a_disturbed_cpu_is_not_fit(cpu: CpuDescription, name: str, reason: str) -> None:
    """Fakes: every probe."""
    diagnosis = examine_fake(cpu=cpu)
    assert not diagnosis.fit_to_measure
    assert len(diagnosis.reasons) == 1
    assert reason in diagnosis.reasons[0]
    assert check(diagnosis, name).status == "warning"
    assert check(diagnosis, name).cure is not None


@pytest.mark.parametrize(
    "cpu",
    [
        replace(QUIET_CPU, load_1min=2.0),
        replace(QUIET_CPU, container_cpu_quota=1.0),
        replace(QUIET_CPU, governor="schedutil"),
    ],
)
def test_the_limits_themselves_are_fit(cpu: CpuDescription) -> None:
    """Fakes: every probe."""
    assert examine_fake(cpu=cpu).fit_to_measure


def test_unknown_values_are_absent_and_speak_against_nothing() -> None:
    """Fakes: every probe; a system that tells nothing of its CPU."""
    diagnosis = examine_fake(cpu=UNKNOWN_CPU)
    assert diagnosis.fit_to_measure
    for name in ("CPU", "cores", "governor", "load", "memory"):
        assert check(diagnosis, name).status == "absent"


@pytest.mark.parametrize(
    ("runtime", "reason"),
    [
        (RuntimeDescription(None, (), reason="onnxruntime is not installed", cure="install it"), "not installed"),
        (runtime_where(CPU, reason="2 distributions overwrite each other", cure="uninstall"), "2 distributions"),
    ],
)
def test_a_bad_onnxruntime_is_a_fault(runtime: RuntimeDescription, reason: str) -> None:
    """Fakes: every probe."""
    diagnosis = examine_fake(runtime=runtime)
    assert not diagnosis.fit_to_measure
    assert reason in diagnosis.reasons[0]
    assert check(diagnosis, "onnxruntime").status == "fault"
    assert check(diagnosis, "onnxruntime").cure == runtime.cure


def test_an_onnxruntime_that_does_not_run_on_the_cpu_is_a_fault() -> None:
    """Fakes: every probe."""
    diagnosis = examine_fake(runtime=runtime_where())
    assert not diagnosis.fit_to_measure
    assert check(diagnosis, CPU).status == "fault"


def test_auto_picks_the_gpu_only_when_it_is_seen_and_used() -> None:
    """Fakes: every probe."""
    assert examine_fake(gpus=ONE_GPU, runtime=runtime_where(CPU, CUDA)).device == "gpu"
    assert examine_fake(gpus=ONE_GPU, runtime=runtime_where(CPU)).device == "cpu"
    assert examine_fake(gpus=NO_GPU, runtime=runtime_where(CPU, CUDA)).device == "cpu"


@pytest.mark.parametrize(
    ("gpus", "listed", "status", "cure"),
    [
        (NO_GPU, (TENSORRT, CUDA, CPU), "absent", "None"),
        (ONE_GPU, (CPU,), "warning", "pip uninstall -y onnxruntime"),
        (ONE_GPU, (TENSORRT, CUDA, CPU), "fault", "hwnas[gpu]"),
    ],
)
def test_cuda_that_does_not_load(gpus: GpuReport, listed: tuple[str, ...], status: str, cure: str) -> None:
    """Fakes: every probe."""
    cuda = check(examine_fake(gpus=gpus, runtime=runtime_where(CPU, listed=listed)), CUDA)
    assert cuda.status == status
    assert "fake reason" in cuda.found
    assert cure in str(cuda.cure)


@pytest.mark.parametrize(
    ("listed", "tensorrt", "cure"),
    [
        ((CPU,), NO_TENSORRT, "hwnas[gpu]"),
        ((TENSORRT, CUDA, CPU), NO_TENSORRT, "hwnas[tensorrt]"),
        ((TENSORRT, CUDA, CPU), TensorRtDescription("10.9.0"), "LD_LIBRARY_PATH"),
    ],
)
def test_cure_of_the_tensorrt_provider(listed: tuple[str, ...], tensorrt: TensorRtDescription, cure: str) -> None:
    """Fakes: every probe."""
    diagnosis = examine_fake(gpus=ONE_GPU, runtime=runtime_where(CPU, listed=listed), tensorrt=tensorrt)
    assert check(diagnosis, TENSORRT).status == "absent"
    assert cure in str(check(diagnosis, TENSORRT).cure)


def test_backends_are_listed_with_the_devices_they_run_on() -> None:
    """Fakes: every probe; a third party's backend beside ours."""
    found = check(examine_fake(backends={**BACKENDS, "npu": ("npu", "npu-lite")}), "backends")
    assert (found.status, found.cure) == ("ok", None)
    assert found.found == "for --backend: onnxruntime (cpu), tensorrt (gpu), npu (npu npu-lite)"


def test_a_backend_that_does_not_load_is_told_and_takes_nothing_from_the_others() -> None:
    """Fakes: every probe; a third party's backend that does not import."""
    diagnosis = examine_fake(backends={**BACKENDS, "npu": "the backend 'npu' does not import: libnpu.so.7"})
    found = check(diagnosis, "backends")
    assert found.status == "warning"
    assert "onnxruntime (cpu), tensorrt (gpu); the backend 'npu' does not import: libnpu.so.7" in found.found
    assert "uninstall the package" in str(found.cure)
    assert diagnosis.fit_to_measure


def test_gpu_in_words() -> None:
    """Fakes: every probe."""
    assert check(examine_fake(gpus=ONE_GPU), "GPU").found == (
        "Fake GPU (driver 570.1, 8192 MiB, compute capability 8.9)"
    )
    bare = GpuReport((GpuDescription(**dict.fromkeys(vars(GPU))),), "GPU 1 does not answer", "restart")
    found = check(examine_fake(gpus=bare), "GPU")
    assert found.status == "warning"
    assert found.found == "unnamed GPU (NVML tells nothing more); GPU 1 does not answer"


def test_python_and_torch() -> None:
    """Fakes: every probe."""
    diagnosis = examine_fake(torch=None, python="3.10.1")
    assert check(diagnosis, "Python").found == "3.10.1, at least 3.11 expected"
    assert check(diagnosis, "Python").status == "fault"
    assert check(diagnosis, "torch").status == "fault"
    assert check(examine_fake(python="3.15.0rc1"), "Python").status == "ok"


def test_torch_distribution_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake: an environment without distributions."""
    monkeypatch.setattr(sys, "path", [])
    assert torch_distribution() is None


def test_json_keeps_its_keys_and_survives_the_round_trip() -> None:
    """Fakes: every probe."""
    document = examine_fake(gpus=ONE_GPU).to_json()
    assert json.loads(json.dumps(document)) == document
    assert list(document) == ["fit_to_measure", "reasons", "device", "checks", "descriptions"]
    descriptions: Any = document["descriptions"]
    assert set(descriptions) == {"cpu", "gpus", "onnxruntime", "tensorrt"}
    assert descriptions["cpu"]["isa"] == ["avx2", "fma"]
    checks: Any = document["checks"]
    assert set(checks[0]) == {"name", "status", "found", "cure"}


def test_the_real_machine_is_examined_without_importing_torch() -> None:
    code = (
        "import json, sys; from profilers.doctor import examine; document = examine().to_json();"
        "document['imported'] = [n for n in ('torch', 'hwnas') if n in sys.modules]; print(json.dumps(document))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True
    )
    document = json.loads(answer.stdout)
    assert document["imported"] == []
    assert document["device"] in {"cpu", "gpu"}
    (backends,) = (entry for entry in document["checks"] if entry["name"] == "backends")
    assert backends["found"].startswith("for --backend: onnxruntime (cpu), onnxruntime-cuda (gpu), ")
    assert answer.stderr == ""
