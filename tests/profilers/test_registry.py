"""Backends by name: ours, and those that installed packages announce.

The packages are made for the test, in a folder on the path: that is all an installed package is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from latency_tables import Manifest, read_table, validate
from profilers import (
    Backend,
    BackendSettings,
    CampaignError,
    CampaignSettings,
    DeviceError,
    MeasuringProtocol,
    OnnxRuntimeBackend,
    PluginError,
    open_device,
    open_device_of,
    profile,
)
from profilers.registry import (
    GROUP,
    backend_devices,
    backend_names,
    backend_of,
    describe_backends,
    load_backend,
    open_backend,
)
from profilers.testing import BackendConformance, chain
from tests.builders import made_up_manifest

REPOSITORY = Path(__file__).parents[2]
OURS = ("onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt")
QUICK = MeasuringProtocol(warmup_runs=0, timed_runs=4, least_runs=2, rounds=2, most_rounds=2, sentinel_runs=2)

# FAKE: a runtime that computes its times, and variants of it that go wrong each in a way of its own.
MODULE = """
import numpy as np
from profilers import DeviceError
from profilers.backends import TimedRuns


class Npu:
    devices = ("npu", "npu-lite")
    name, provider, version, device_name = "npu-runtime", "NpuProvider", "1.5", "Fake NPU"
    method = "blocks"
    said = provider

    def __init__(self, settings):
        self.device, self.threads = settings.device, settings.threads

    def fingerprint(self):
        told = {"device": self.device, "runtime": f"{self.name} {self.version}", "provider": self.provider}
        return {**told, "threads": self.threads, "affinity": None}

    def time(self, model, plan):
        run_ms = np.full(plan.runs, 1e-3 + 1e-6 * len(model))
        return TimedRuns(run_ms=run_ms, preempted=np.zeros(plan.runs, dtype=bool), provider=self.said)


class Hidden(Npu):
    devices = ("cpu", "gpu")


class OtherDevice(Npu):
    devices = ("liar",)

    def __init__(self, settings):
        self.device, self.threads = "gpu", 1


class OtherProvider(Npu):
    devices = ("astray",)
    said = "CPUExecutionProvider"


class FailsToOpen(Npu):
    devices = ("broken",)

    def __init__(self, settings):
        raise ZeroDivisionError("its own fault")


class Refuses(Npu):
    devices = ("absent",)

    def __init__(self, settings):
        raise DeviceError("no NPU is plugged in: plug it in")


class FailsToRun(Npu):
    devices = ("crashing",)

    def time(self, model, plan):
        raise KeyError("its own fault")


class NegativeTimes(Npu):
    devices = ("negative",)

    def time(self, model, plan):
        timed = super().time(model, plan)
        return TimedRuns(run_ms=-timed.run_ms, preempted=timed.preempted, provider=self.provider)


class NoTimes(Npu):
    devices = ("none",)

    def time(self, model, plan):
        return TimedRuns(run_ms=np.zeros(0), preempted=np.zeros(0, dtype=bool), provider=self.provider)


class Bare:
    devices = ("bare",)

    def __init__(self, settings):
        pass


class Raising(type):
    @property
    def devices(cls):
        raise ZeroDivisionError("its own fault")


class DevicesRaise(metaclass=Raising):
    pass


class DevicesNonsense(Npu):
    devices = (7,)


class NotAClass:
    devices = ("number",)


class DeviceNameRaises(Npu):
    devices = ("nameless",)

    @property
    def device_name(self):
        raise OSError("npu-smi: not found")

    @device_name.setter
    def device_name(self, value):
        pass


class VersionNonsense(Npu):
    devices = ("versions",)
    version = float("nan")


class FingerprintRaises(Npu):
    devices = ("unmarked",)

    def fingerprint(self):
        raise KeyError("chip")


class FingerprintNonsense(Npu):
    devices = ("smudged",)

    def fingerprint(self):
        return {"chip": float("nan")}


class MethodNonsense(Npu):
    devices = ("methods",)
    method = "isolated"


class Denied(Npu):
    devices = ("denied",)

    def __init__(self, settings):
        raise PermissionError(13, "Permission denied", "/dev/npu0")


class WrongKind(Npu):
    devices = ("kind",)

    def time(self, model, plan):
        return 0.5
"""
ANNOUNCED = {
    "npu": "made_up_npu:Npu",
    "onnxruntime": "made_up_npu:Hidden",
    "other-device": "made_up_npu:OtherDevice",
    "other-provider": "made_up_npu:OtherProvider",
    "fails-to-open": "made_up_npu:FailsToOpen",
    "refuses": "made_up_npu:Refuses",
    "fails-to-run": "made_up_npu:FailsToRun",
    "negative-times": "made_up_npu:NegativeTimes",
    "no-times": "made_up_npu:NoTimes",
    "bare": "made_up_npu:Bare",
    "wrong-kind": "made_up_npu:WrongKind",
    "devices-raise": "made_up_npu:DevicesRaise",
    "devices-nonsense": "made_up_npu:DevicesNonsense",
    "not-a-class": "made_up_npu:NotAClass",
    "device-name-raises": "made_up_npu:DeviceNameRaises",
    "version-nonsense": "made_up_npu:VersionNonsense",
    "fingerprint-raises": "made_up_npu:FingerprintRaises",
    "fingerprint-nonsense": "made_up_npu:FingerprintNonsense",
    "method-nonsense": "made_up_npu:MethodNonsense",
    "denied": "made_up_npu:Denied",
    "no-module": "made_up_module_that_is_not_there:Npu",
    "no-class": "made_up_npu:NotThere",
    "needs-library": "made_up_npu_broken:Npu",
}


def install(folder: Path, announced: dict[str, str], **modules: str) -> Path:
    """A package as an installer leaves it in a folder."""
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    info = folder / "made_up_npu-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up-npu\nVersion: 1.0\n", encoding="utf-8")
    lines = "\n".join(f"{name} = {value}" for name, value in announced.items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    broken = "raise OSError('libnpu.so.7: cannot open shared object file')"
    return install(tmp_path_factory.mktemp("site"), ANNOUNCED, made_up_npu=MODULE, made_up_npu_broken=broken)


@pytest.fixture
def installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(package))
    yield package
    for name in set(sys.modules) - before:
        if name.startswith("made_up"):
            del sys.modules[name]


# --- names


def test_without_plug_ins_there_are_ours() -> None:
    assert tuple(backend_names([])) == OURS


def test_the_announced_come_beside_ours_and_never_hide_one(installed: Path) -> None:
    names = backend_names()
    assert set(names) == {*OURS, *ANNOUNCED}
    assert names["npu"] == "made_up_npu:Npu"
    assert load_backend("onnxruntime") is OnnxRuntimeBackend
    assert type(open_device("cpu")) is OnnxRuntimeBackend
    entry = EntryPoint(name="tensorrt", value="made_up_npu:Hidden", group=GROUP)
    assert backend_names([entry]) == backend_names([])


def test_an_unknown_backend_is_refused_with_the_known_ones(installed: Path) -> None:
    with pytest.raises(CampaignError, match=r"unknown backend 'npx': expected one of npu, .*tensorrt") as caught:
        load_backend("npx")
    assert caught.value.exit_code == 2


def test_every_backend_says_where_it_runs_or_why_it_does_not_load(installed: Path) -> None:
    found = describe_backends()
    assert found["npu"] == ("npu", "npu-lite")
    assert found["onnxruntime"] == ("cpu",)
    assert found["onnxruntime-cuda"] == ("gpu",)
    assert "libnpu.so.7" in found["needs-library"]
    broken = {"no-module", "no-class", "needs-library", "devices-raise", "devices-nonsense"}
    assert {name for name, told in found.items() if isinstance(told, str)} == broken
    assert set(backend_devices()) == set(found) - broken


def test_a_table_leads_back_to_the_backend_that_made_it(installed: Path) -> None:
    assert backend_of("npu-runtime", "NpuProvider") == "npu"
    assert backend_of("onnxruntime", "CPUExecutionProvider") == "onnxruntime"
    assert backend_of("onnxruntime", "CUDAExecutionProvider") == "onnxruntime-cuda"
    assert backend_of("npu-runtime", "OtherProvider") is None


# --- opening


def test_a_plug_in_is_found_by_its_name_and_by_its_device(installed: Path) -> None:
    for backend in (
        open_device("npu"),
        open_device("npu-lite"),
        open_device("auto", backend="npu"),
        open_device("npu", backend="npu", settings=BackendSettings(device="cpu", threads=3)),
    ):
        assert isinstance(backend, Backend)
        assert (backend.name, backend.provider) == ("npu-runtime", "NpuProvider")
    assert backend.threads == 3
    assert [open_device(name).device for name in ("npu", "npu-lite")] == ["npu", "npu-lite"]
    assert open_device("auto", backend="npu").device == "npu"


def test_a_device_that_none_of_the_backends_has_is_refused_with_all_there_are(installed: Path) -> None:
    with pytest.raises(CampaignError, match="unknown device 'tpu': expected one of auto, cpu, gpu, npu, npu-lite") as e:
        open_device("tpu")
    assert e.value.exit_code == 2


@pytest.mark.parametrize(("device", "expected"), [("cpu", "npu or npu-lite"), ("gpu", "npu or npu-lite")])
def test_a_plug_in_is_not_opened_for_a_device_it_does_not_run_on(installed: Path, device: str, expected: str) -> None:
    with pytest.raises(CampaignError, match=f"the backend 'npu' does not run on {device!r}: expected {expected}"):
        open_device(device, backend="npu")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no-module", "does not import: ModuleNotFoundError: No module named 'made_up_module_that_is_not_there'"),
        ("no-class", "does not import: AttributeError: .*NotThere"),
        ("needs-library", "does not import: OSError: libnpu.so.7: cannot open"),
        ("fails-to-open", "failed to open: ZeroDivisionError: its own fault"),
    ],
)
def test_a_plug_in_that_does_not_load_is_named_with_its_reason(installed: Path, name: str, reason: str) -> None:
    with pytest.raises(PluginError, match=f"the backend {name!r}.*{reason}") as caught:
        open_device("auto" if name.startswith(("no", "needs")) else "broken", backend=name)
    assert caught.value.exit_code == 3
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("name", "device", "reason"),
    [
        ("devices-raise", "auto", "does not tell its devices: ZeroDivisionError: its own fault"),
        ("devices-nonsense", "auto", r"must list its devices in words, not as \(7,\)"),
        ("not-a-class", "number", "failed to open: TypeError"),
        ("device-name-raises", "nameless", "does not tell its device_name: OSError: npu-smi: not found"),
        ("version-nonsense", "versions", "must have text that is not empty as version, but has nan"),
        ("fingerprint-raises", "unmarked", "'npu-runtime' failed: KeyError: 'chip'"),
        ("fingerprint-nonsense", "smudged", "'npu-runtime' must return a fingerprint of texts.*{'chip': nan}"),
        ("method-nonsense", "methods", "says its method is 'isolated' and lacks what Isolating"),
        ("denied", "denied", "failed to open: PermissionError: .*/dev/npu0"),
    ],
)
def test_a_plug_in_that_says_nonsense_of_itself_is_named_before_anything_is_measured(
    installed: Path, name: str, device: str, reason: str
) -> None:
    with pytest.raises(PluginError, match=reason) as caught:
        open_device(device, backend=name)
    assert caught.value.exit_code == 3
    assert "Report it to whoever wrote it" in str(caught.value)


def test_what_a_plug_in_says_of_its_device_is_passed_on(installed: Path) -> None:
    with pytest.raises(DeviceError, match="no NPU is plugged in: plug it in"):
        open_device("absent")


def test_a_broken_plug_in_does_not_stand_in_the_way_of_the_others(installed: Path) -> None:
    assert open_device("npu").name == "npu-runtime"
    assert open_device("cpu").name == "onnxruntime"


def test_the_table_of_a_plug_in_is_measured_again_with_its_backend_and_its_settings(installed: Path) -> None:
    settings = BackendSettings(device="npu-lite", threads=2)
    backend = open_backend("npu", settings)
    manifest: Manifest = made_up_manifest(
        device="npu-lite", runtime="npu-runtime", provider="NpuProvider", fingerprint=backend.fingerprint()
    )
    again = open_device_of(manifest)
    assert again.fingerprint() == backend.fingerprint()
    assert type(again) is type(backend)


# --- measuring


def measured(name: str, device: str, out: Path) -> Any:
    networks = [chain((8, 16, 8)), chain((8, 8, 8, 8))]
    settings = CampaignSettings(space="chain", steps=False, protocol=QUICK)
    return profile(networks, networks, backend=open_device(device, backend=name), out=out, settings=settings)


def test_a_plug_in_that_can_do_no_more_than_time_models_makes_a_table(installed: Path, tmp_path: Path) -> None:
    table = measured("npu", "npu", tmp_path / "npu.jsonl")
    assert (table.manifest.device, table.manifest.runtime) == ("npu", "npu-runtime")
    assert table.manifest.protocol["method"] == "blocks"
    assert set(table.kernels) == {f"block:{key}" for key in table.blocks}
    assert {row.provider for row in (*table.kernels.values(), *table.networks.values())} == {"NpuProvider"}
    assert not [finding for finding in validate(table) if finding.severity == "error"]


def test_a_plug_in_passes_the_suite_that_third_parties_are_given(installed: Path) -> None:
    class Suite(BackendConformance):
        def make_backend(self) -> Backend:
            return open_device("npu")

    suite = Suite()
    for name in ("it_says_what_it_is", "it_has_what_its_method_needs", "its_fingerprint_is_flat_complete_and_steady"):
        getattr(suite, f"test_{name}")()


@pytest.mark.parametrize(
    ("name", "device", "kind", "reason"),
    [
        ("other-provider", "astray", DeviceError, "is for NpuProvider, but its runs say CPUExecutionProvider"),
        ("negative-times", "negative", PluginError, "returned times .*that are negative or not finite"),
        ("fails-to-run", "crashing", PluginError, "'npu-runtime' failed: KeyError: 'its own fault'"),
        ("no-times", "none", PluginError, r"expected two of shape \(runs,\) with at least one run"),
        ("wrong-kind", "kind", PluginError, "'npu-runtime' must return TimedRuns, but returned 0.5"),
    ],
)
def test_a_plug_in_that_breaks_the_contract_is_named_and_leaves_no_table(
    installed: Path, tmp_path: Path, name: str, device: str, kind: type[Exception], reason: str
) -> None:
    with pytest.raises(kind, match=reason) as caught:
        measured(name, device, tmp_path / "table.jsonl")
    assert caught.value.exit_code == 3  # type: ignore[attr-defined]
    assert not (tmp_path / "table.jsonl").exists()


def test_a_plug_in_that_lies_about_its_device_is_refused(installed: Path) -> None:
    with pytest.raises(PluginError, match=r"'other-device'.*'gpu'.*'liar'|'other-device'.*'liar'.*'gpu'"):
        open_device("liar")


def test_a_plug_in_without_the_methods_of_the_contract_is_refused(installed: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="bare"):
        measured("bare", "bare", tmp_path / "table.jsonl")


def test_a_plug_in_that_ends_the_process_does_not_end_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that was never meant to be imported: without this, the command ends with status 0 and no table."""
    install(tmp_path, {"script": "made_up_script:Npu"}, made_up_script="import sys\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match="script"):
        load_backend("script")


def test_an_entry_point_may_name_an_attribute_of_an_attribute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "class Outer:\n    class Inner:\n        devices = ('x',)\n"
    install(tmp_path, {"inner": "made_up_inner:Outer.Inner"}, made_up_inner=source)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert getattr(load_backend("inner"), "devices", None) == ("x",)


# --- on the command line, in a process of its own


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(package: Path, tmp_path: Path) -> Run:
    """The command line where the package is installed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package), str(REPOSITORY)])}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return call


def test_profile_finds_an_installed_backend_by_its_device(run: Run, tmp_path: Path) -> None:
    done = run("profile", "--device", "npu", "--space", "mobilenet:tiny", "--out", "npu.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["device"], result["device_name"], result["provider"]) == ("npu", "Fake NPU", "NpuProvider")
    assert result["settings"][0]["coverage"]["complete_networks"] == result["settings"][0]["coverage"]["networks"] > 0
    table = read_table(tmp_path / "npu.jsonl")
    assert table.manifest.protocol["method"] == "blocks"
    assert len(table.blocks) == len(table.kernels) == result["kernels"] > 100


def test_a_failing_backend_ends_the_command_with_its_name_and_status_3(run: Run, tmp_path: Path) -> None:
    done = run("profile", "--backend", "needs-library", "--out", "npu.jsonl")
    assert done.returncode == 3
    assert "the backend 'needs-library' (made_up_npu_broken:Npu) does not import" in done.stderr
    assert "libnpu.so.7" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
