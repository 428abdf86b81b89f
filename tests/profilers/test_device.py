"""From the name of a device to what runs on it, with fakes for the machines there are not here.

The law behind all of it: who asks for a GPU gets the GPU or a refusal with a cure, never the CPU in silence.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import onnx
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from latency_tables import Json
from profilers import (
    DEVICES,
    BackendSettings,
    CampaignError,
    DeviceError,
    OnnxRuntimeBackend,
    RunPlan,
    open_device,
    open_device_of,
)
from profilers import device as device_module
from profilers.backends import IsolatedKernel
from profilers.devices import GpuDescription, GpuReport, ProviderDescription, RuntimeDescription
from tests.builders import made_up_manifest

REPOSITORY = Path(__file__).parents[2]
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
ONCE = RunPlan(warmup_runs=0, runs=2)

Gpus = Callable[[], GpuReport]
Runtime = Callable[[], RuntimeDescription]


def gpus(report: GpuReport) -> Gpus:
    return lambda: report


def runtime(description: RuntimeDescription) -> Runtime:
    return lambda: description


def gpu() -> GpuDescription:
    """FAKE: a GPU of which only the name matters here."""
    values: dict[str, Any] = dict.fromkeys(GpuDescription.__dataclass_fields__)
    return GpuDescription(**{**values, "name": "Fake GPU"})


def wheel(*, cuda_listed: bool, cuda_loads: bool, reason: str | None = None) -> RuntimeDescription:
    """FAKE: an ONNX Runtime whose CPU provider works."""
    providers = (
        ProviderDescription(CPU, listed=True, loads=True, reason=None),
        ProviderDescription(CUDA, listed=cuda_listed, loads=cuda_loads, reason=reason),
    )
    listed = (CUDA, CPU) if cuda_listed else (CPU,)
    return RuntimeDescription("1.23.0", ("onnxruntime",), listed, providers)


NO_GPU = gpus(GpuReport(gpus=(), reason="the NVIDIA driver is not loaded", cure="install the NVIDIA driver"))
NO_GPU_AND_NO_REASON = gpus(GpuReport(gpus=()))
ONE_GPU = gpus(GpuReport(gpus=(gpu(),)))
GOOD_WHEEL = runtime(wheel(cuda_listed=True, cuda_loads=True))
CPU_WHEEL = runtime(wheel(cuda_listed=False, cuda_loads=False, reason="this wheel was built without it"))
BROKEN_CUDA = runtime(wheel(cuda_listed=True, cuda_loads=False, reason="libcublasLt.so.12: cannot open shared object"))
NO_RUNTIME = runtime(
    RuntimeDescription(None, (), reason="onnxruntime is not installed", cure='pip install "hwnas[gpu]"')
)

UNUSABLE = {
    "no GPU": (NO_GPU, GOOD_WHEEL, "the NVIDIA driver is not loaded", "install the NVIDIA driver"),
    "no GPU, no reason": (NO_GPU_AND_NO_REASON, GOOD_WHEEL, "NVML reports none", 'pip install "hwnas[gpu]"'),
    "CPU-only wheel": (ONE_GPU, CPU_WHEEL, "1.23.0 has no CUDA provider", 'pip install "hwnas[gpu]"'),
    "CUDA does not load": (ONE_GPU, BROKEN_CUDA, f"{CUDA} does not load: libcublasLt.so.12", "--device cpu"),
    "no runtime": (ONE_GPU, NO_RUNTIME, "onnxruntime is not installed", 'pip install "hwnas[gpu]"'),
}
unusable = pytest.mark.parametrize(
    ("found", "installed"), [(each[0], each[1]) for each in UNUSABLE.values()], ids=list(UNUSABLE)
)


Opened = list[tuple[str, BackendSettings]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """FAKE: no backend is opened; what would have been is noted instead."""
    found: Opened = []
    monkeypatch.setattr(device_module, "open_backend", lambda name, settings: found.append((name, settings)))
    return found


@pytest.fixture
def no_probe() -> Callable[[], Any]:
    def probe() -> Any:
        pytest.fail("this device needs no probing")

    return probe


# --- names


@pytest.mark.parametrize("name", ["tpu", "GPU", "", "cuda:0"])
def test_an_unknown_device_is_refused_with_the_known_ones(name: str, no_probe: Callable[[], Any]) -> None:
    with pytest.raises(CampaignError, match=f"unknown device {name!r}: expected one of auto, cpu, gpu") as caught:
        open_device(name, gpus=no_probe, runtime=no_probe)
    assert caught.value.exit_code == 2
    assert DEVICES == ("auto", "cpu", "gpu")


def test_an_unknown_backend_is_refused_with_the_known_ones(no_probe: Callable[[], Any]) -> None:
    for name in ("auto", "cpu"):
        with pytest.raises(CampaignError, match="unknown backend 'magic': expected one of onnxruntime, "):
            open_device(name, backend="magic", gpus=no_probe, runtime=no_probe)


def test_the_cpu_is_opened_without_looking_for_gpus(no_probe: Callable[[], Any]) -> None:
    backend = open_device("cpu", settings=BackendSettings(threads=2), gpus=no_probe, runtime=no_probe)
    assert (backend.device, backend.provider, backend.threads) == ("cpu", CPU, 2)
    assert (backend.name, backend.method) == ("onnxruntime", "isolated")


def test_the_device_of_the_settings_does_not_count(no_probe: Callable[[], Any]) -> None:
    assert open_device("cpu", settings=BackendSettings(device="gpu"), gpus=no_probe, runtime=no_probe).device == "cpu"


def test_auto_with_a_backend_is_where_the_backend_runs(no_probe: Callable[[], Any]) -> None:
    assert open_device("auto", backend="onnxruntime", gpus=no_probe, runtime=no_probe).device == "cpu"


@pytest.mark.parametrize(("device", "backend", "right"), [("gpu", "onnxruntime", "cpu"), ("cpu", "tensorrt", "gpu")])
def test_a_backend_for_another_device_is_refused(
    device: str, backend: str, right: str, no_probe: Callable[[], Any]
) -> None:
    with pytest.raises(CampaignError, match=f"the backend {backend!r} does not run on {device!r}: expected {right}"):
        open_device(device, backend=backend, gpus=no_probe, runtime=no_probe)


# --- a GPU that is asked for


@pytest.mark.parametrize("backend", [None, "onnxruntime-cuda"])
@pytest.mark.parametrize(("found", "installed", "reason", "cure"), list(UNUSABLE.values()), ids=list(UNUSABLE))
def test_an_unusable_gpu_is_refused_with_reason_and_cure_and_the_cpu_stays_closed(
    found: Gpus, installed: Runtime, reason: str, cure: str, backend: str | None, opened: Opened
) -> None:
    with pytest.raises(DeviceError) as caught:
        open_device("gpu", backend=backend, gpus=found, runtime=installed)
    message = str(caught.value)
    assert message.startswith("no usable GPU: ")
    assert reason in message
    assert cure in message
    assert "Nothing was measured" in message
    assert caught.value.exit_code == 3
    assert opened == []


@unusable
def test_a_backend_for_gpus_is_never_opened_on_the_cpu_instead(found: Gpus, installed: Runtime, opened: Opened) -> None:
    with pytest.raises(DeviceError, match="no usable GPU"):
        open_device("auto", backend="onnxruntime-cuda", gpus=found, runtime=installed)
    assert opened == []


@pytest.mark.parametrize("name", ["gpu", "auto"])
def test_a_usable_gpu_is_opened(name: str, opened: Opened) -> None:
    asked = BackendSettings(threads=3, cuda_graph=True, include_io=True)
    open_device(name, settings=asked, gpus=ONE_GPU, runtime=GOOD_WHEEL)
    assert opened == [("onnxruntime-cuda", replace(asked, device="gpu"))]


@pytest.mark.parametrize(("before", "after"), [(None, "PCI_BUS_ID"), ("FASTEST_FIRST", "FASTEST_FIRST")])
def test_cuda_counts_the_gpus_as_nvml_does_unless_the_user_says_otherwise(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    monkeypatch.setenv("CUDA_DEVICE_ORDER", before or "")
    if before is None:
        monkeypatch.delenv("CUDA_DEVICE_ORDER")
    open_device("gpu", gpus=ONE_GPU, runtime=GOOD_WHEEL)
    assert os.environ["CUDA_DEVICE_ORDER"] == after


@unusable
def test_auto_falls_back_to_the_cpu(found: Gpus, installed: Runtime) -> None:
    backend = open_device("auto", gpus=found, runtime=installed)
    assert (backend.device, backend.provider, backend.fingerprint()["provider"]) == ("cpu", CPU, CPU)


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is installed here")
@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_tensorrt_that_is_not_installed_is_refused_with_the_install_line(device: str) -> None:
    with pytest.raises(DeviceError, match=r'TensorRT is not installed.*pip install "hwnas\[tensorrt\]"') as caught:
        open_device(device, backend="tensorrt")
    assert caught.value.exit_code == 3


# --- the settings of a table


settings_of_a_backend = st.builds(
    BackendSettings,
    threads=st.integers(1, 64),
    affinity=st.one_of(st.none(), st.lists(st.integers(0, 9), min_size=1, unique=True).map(tuple)),
    cuda_graph=st.booleans(),
    include_io=st.booleans(),
)


@given(chosen=settings_of_a_backend)
@settings(max_examples=60, deadline=None)
def test_settings_come_back_from_the_fingerprint_they_went_into(chosen: BackendSettings) -> None:
    told: dict[str, Json] = {
        "device": chosen.device,
        "threads": chosen.threads,
        "affinity": None if chosen.affinity is None else ",".join(map(str, chosen.affinity)),
        "cuda_graph": chosen.cuda_graph,
        "include_io": chosen.include_io,
    }
    assert BackendSettings.recorded(told) == chosen


def test_settings_of_a_fingerprint_without_them_are_the_usual_ones() -> None:
    assert BackendSettings.recorded({"device": "npu"}) == BackendSettings(device="npu")
    strange: Mapping[str, Json] = {"device": "cpu", "threads": "many", "affinity": "", "cuda_graph": "no"}
    assert BackendSettings.recorded(strange) == BackendSettings()


def test_a_table_is_measured_again_with_its_own_threads(no_probe: Callable[[], Any]) -> None:
    fingerprint = OnnxRuntimeBackend(BackendSettings(threads=2)).fingerprint()
    manifest = made_up_manifest(device="cpu", runtime="onnxruntime", provider=CPU, fingerprint=fingerprint)
    for device in ("auto", "cpu"):
        assert open_device_of(manifest, device=device).fingerprint() == fingerprint


def test_the_table_of_a_gpu_is_not_measured_again_on_the_cpu(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAKE: a machine without a GPU."""
    monkeypatch.setitem(open_device.__kwdefaults__, "gpus", NO_GPU)
    manifest = made_up_manifest(device="gpu", provider=CUDA, fingerprint={"device": "gpu", "threads": 1})
    with pytest.raises(DeviceError, match="no usable GPU"):
        open_device_of(manifest)
    assert opened == []


# --- CPUs to stay on


PINNED = """
import json, os, sys
import psutil
from profilers import BackendSettings, RunPlan, open_device
from profilers.models import sentinel_model

before = {thread.id for thread in psutil.Process().threads()} - {os.getpid()}
backend = open_device("cpu", settings=BackendSettings(threads=2, affinity=tuple(json.loads(sys.argv[1]))))
session = backend._session(sentinel_model(), backend._options())
started = [thread.id for thread in psutil.Process().threads() if thread.id not in before]
told = backend.fingerprint()
print(json.dumps([[sorted(os.sched_getaffinity(thread)) for thread in started], told["affinity"], told["cpu_cores"]]))
"""


@pytest.fixture
def affinity() -> Iterator[list[int]]:
    """The CPUs this process may use; it gets them back in the end."""
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        pytest.skip("this system does not pin processes")
    before = process.cpu_affinity()
    yield before
    process.cpu_affinity(before)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not tell where threads run")
def test_affinity_keeps_the_process_and_the_runtimes_threads_on_their_cpus_and_is_recorded(affinity: list[int]) -> None:
    last = max(affinity)
    done = subprocess.run(
        [sys.executable, "-c", PINNED, json.dumps([last])], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    threads, told, cores = json.loads(done.stdout)
    assert len(threads) > 1  # the main one, and those of the runtime
    assert all(cpus == [last] for cpus in threads)
    assert (told, cores) == (str(last), 1)
    assert psutil.Process().cpu_affinity() == affinity


def test_without_affinity_the_process_stays_where_it_is(affinity: list[int], no_probe: Callable[[], Any]) -> None:
    backend = open_device("cpu", gpus=no_probe, runtime=no_probe)
    assert psutil.Process().cpu_affinity() == affinity
    assert backend.fingerprint()["affinity"] is None


@pytest.mark.parametrize(
    "cpus",
    [
        (4711,),
        (0, 4711),
        (2**70,),
    ],
)
def test_cpus_that_are_not_there_are_refused_with_those_that_are(
    cpus: tuple[int, ...], affinity: list[int], opened: Opened
) -> None:
    usable = ",".join(map(str, affinity))
    with pytest.raises(CampaignError, match=f"cannot run on CPUs .*{cpus[-1]}: .*This process may use {usable}$") as e:
        open_device("cpu", settings=BackendSettings(affinity=cpus))
    assert e.value.exit_code == 2
    assert psutil.Process().cpu_affinity() == affinity
    assert opened == []


def test_a_process_can_be_put_on_one_cpu_after_another(affinity: list[int], opened: Opened) -> None:
    if len(affinity) < 2:
        pytest.skip("this process has one CPU alone")
    for cpu in affinity[:2]:
        open_device("cpu", settings=BackendSettings(affinity=(cpu,)))
        assert psutil.Process().cpu_affinity() == [cpu]


def test_a_system_that_does_not_pin_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAKE: psutil on macOS."""
    monkeypatch.setattr(psutil, "Process", SimpleNamespace)
    with pytest.raises(CampaignError, match="does not pin processes to CPUs: leave --affinity out"):
        open_device("cpu", settings=BackendSettings(affinity=(0,)))


# --- a runtime that is missing or damaged


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_without_onnx_runtime_the_install_line_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match="ONNX Runtime is not installed") as caught:
        open_device(name, gpus=NO_GPU, runtime=NO_RUNTIME)
    assert str(caught.value).endswith('pip install "hwnas[cpu]"')
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("device", ["gpu", "npu"])
def test_without_onnx_runtime_the_gpus_install_line_is_told_for_a_gpu(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match="ONNX Runtime is not installed") as caught:
        OnnxRuntimeBackend(BackendSettings(device=device))
    assert 'pip install "hwnas[gpu]"' in str(caught.value)


def test_a_damaged_onnx_runtime_is_refused_with_what_damages_it_and_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAKE: the empty namespace that is left when one of two wheels in one folder was uninstalled."""
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    with pytest.raises(DeviceError, match="damaged") as caught:
        open_device("cpu")
    message = str(caught.value)
    assert "onnxruntime and onnxruntime-gpu overwrite each other" in message
    assert "pip uninstall onnxruntime onnxruntime-gpu" in message
    assert 'pip install "hwnas[cpu]" or pip install "hwnas[gpu]"' in message
    assert caught.value.exit_code == 3


# --- a runtime that lands somewhere else in silence


def relu_model() -> bytes:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("image", "p/out")]
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["p/out"], "p/relu")], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def fake_onnxruntime(*, session: str, node: str, runs: list[int]) -> ModuleType:
    """FAKE of the runtime: a session that says it is on one provider and runs its node on another.

    Args:
        session: First provider of every session, whatever was asked for.
        node: Provider that the profile names for the node.
        runs: Gets an entry a run.
    """

    class Session:
        def __init__(self, model: bytes, options: Any, providers: Sequence[str]) -> None:
            self.options, self.events = options, []
            if getattr(options, "optimized_model_filepath", None):
                onnx.save(onnx.ModelProto.FromString(model), options.optimized_model_filepath)

        def get_providers(self) -> list[str]:
            return [session, CPU]

        def get_inputs(self) -> list[Any]:
            return [SimpleNamespace(name="image", type="tensor(float)", shape=[1, 3])]

        def run(self, _: None, feeds: dict[str, Any]) -> list[Any]:
            runs.append(len(runs))
            shapes = {"input_type_shape": [{"float": [1, 3]}], "output_type_shape": [{"float": [1, 3]}]}
            sizes = {"activation_size": "12", "parameter_size": "0", "output_size": "12", "mem_in_use_peak": "4096"}
            told = {"provider": node, "op_name": "Relu", "node_index": "0", **shapes, **sizes}
            self.events.append({"cat": "Node", "name": "p/relu_kernel_time", "dur": 3, "args": told})
            return [feeds["image"]]

        def end_profiling(self) -> str:
            path = Path(f"{self.options.profile_file_prefix}.json")
            path.write_text(json.dumps(self.events), encoding="utf-8")
            return str(path)

    module: Any = ModuleType("onnxruntime")
    module.__version__ = "1.23.0"
    module.InferenceSession = Session
    module.SessionOptions = SimpleNamespace
    module.GraphOptimizationLevel = SimpleNamespace(ORT_ENABLE_ALL=99, ORT_DISABLE_ALL=0)
    return module


class OnAGpu(OnnxRuntimeBackend):
    """FAKE: what all of ONNX Runtime's backends have in common, on another provider than the CPU's."""

    provider: ClassVar[str] = CUDA
    devices: ClassVar[tuple[str, ...]] = ("gpu",)


@pytest.mark.parametrize(
    "measure",
    [
        lambda backend: backend.time(relu_model(), ONCE),
        lambda backend: backend.profile(relu_model(), {"p": "block"}, ONCE),
        lambda backend: backend.isolate(relu_model(), {"p": "block"}),
        lambda backend: backend.time_kernel(IsolatedKernel(model=relu_model(), copies=4), ONCE),
    ],
    ids=["time", "profile", "isolate", "time_kernel"],
)
def test_a_session_on_another_provider_is_refused_before_it_runs(
    measure: Callable[[OnnxRuntimeBackend], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    monkeypatch.setitem(sys.modules, "onnxruntime", fake_onnxruntime(session=CPU, node=CPU, runs=runs))
    backend = OnAGpu()
    with pytest.raises(DeviceError, match=f"expected every node on {CUDA}, but ONNX Runtime ran on {CPU}") as caught:
        measure(backend)
    assert "hwnas doctor" in str(caught.value)
    assert caught.value.exit_code == 3
    assert runs == []


@pytest.mark.parametrize("how", ["profile", "isolate"])
def test_a_node_on_another_provider_is_refused(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", fake_onnxruntime(session=CUDA, node=CPU, runs=[]))
    plan = [ONCE] if how == "profile" else []
    with pytest.raises(DeviceError, match=f"expected every node on {CUDA}, but ONNX Runtime ran on {CPU}"):
        getattr(OnAGpu(), how)(relu_model(), {"p": "block"}, *plan)


def test_what_is_on_the_right_provider_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    monkeypatch.setitem(sys.modules, "onnxruntime", fake_onnxruntime(session=CUDA, node=CUDA, runs=runs))
    backend = OnAGpu()
    found = backend.profile(relu_model(), {"p": "block"}, ONCE)
    assert found.provider == backend.provider == CUDA
    (use,) = found.uses
    assert (use.node, use.part, use.provider, use.op_type) == ("p/relu", "p", CUDA, "Relu")
    assert use.memory_mib == pytest.approx(24 / 2**20, rel=1e-5)
    assert found.inspection.memory_mib == pytest.approx(4096 / 2**20, rel=1e-5)
    assert np.array_equal(found.kernel_ms, [[0.003, 0.003]])
    assert len(runs) == 3


def test_sizes_that_the_runtime_does_not_tell_are_unknown_and_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAKE: a profile without the fields, as of an older runtime."""
    module: Any = fake_onnxruntime(session=CPU, node=CPU, runs=[])
    kept = module.InferenceSession.end_profiling

    def end_profiling(session: Any) -> Any:
        for event in session.events:
            for size in ("activation_size", "mem_in_use_peak"):
                event["args"].pop(size, None)
        return kept(session)

    module.InferenceSession.end_profiling = end_profiling
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    found = OnnxRuntimeBackend().profile(relu_model(), {"p": "block"}, ONCE)
    assert found.inspection.memory_mib is None
    assert found.uses[0].memory_mib is None


def test_a_session_that_cannot_be_made_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAKE: every provider is refused by the runtime itself."""
    module: Any = fake_onnxruntime(session=CUDA, node=CUDA, runs=[])

    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA failure 35")

    module.InferenceSession = failing
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    with pytest.raises(Exception, match="CUDA failure 35") as caught:
        OnAGpu().time(relu_model(), ONCE)
    assert caught.value.exit_code in {2, 3}  # type: ignore[attr-defined]
