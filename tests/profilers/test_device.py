"""From the name of a device to what runs on it, with fakes for the machines there are not here.

The law behind all of it: who asks for a GPU gets the GPU or a refusal with a cure, never the CPU in silence.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from profilers import DEVICES, CampaignError, DeviceError, OnnxRuntimeBackend, open_device
from profilers import device as device_module
from profilers.devices import GpuDescription, GpuReport, ProviderDescription, RuntimeDescription

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

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


class Opened:
    """FAKE of ``OnnxRuntimeBackend`` that records what was opened and needs no GPU for it."""

    def __init__(self, device: str, *, threads: int = 1) -> None:
        self.device, self.threads = device, threads


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


def test_the_cpu_is_opened_without_looking_for_gpus(no_probe: Callable[[], Any]) -> None:
    backend = open_device("cpu", threads=2, gpus=no_probe, runtime=no_probe)
    assert (backend.device, backend.provider, backend.threads) == ("cpu", CPU, 2)


# --- a GPU that is asked for


@pytest.mark.parametrize(("found", "installed", "reason", "cure"), list(UNUSABLE.values()), ids=list(UNUSABLE))
def test_an_unusable_gpu_is_refused_with_reason_and_cure_and_the_cpu_stays_closed(
    found: Gpus, installed: Runtime, reason: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "OnnxRuntimeBackend", lambda *_, **__: pytest.fail("a backend was opened"))
    with pytest.raises(DeviceError) as caught:
        open_device("gpu", gpus=found, runtime=installed)
    message = str(caught.value)
    assert message.startswith("no usable GPU: ")
    assert reason in message
    assert cure in message
    assert "Nothing was measured" in message
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", ["gpu", "auto"])
def test_a_usable_gpu_is_opened(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "OnnxRuntimeBackend", Opened)
    backend = open_device(name, threads=3, gpus=ONE_GPU, runtime=GOOD_WHEEL)
    assert (backend.device, backend.threads) == ("gpu", 3)


@unusable
def test_auto_falls_back_to_the_cpu(found: Gpus, installed: Runtime) -> None:
    backend = open_device("auto", gpus=found, runtime=installed)
    assert (backend.device, backend.provider, backend.fingerprint()["provider"]) == ("cpu", CPU, CPU)


# --- a runtime that is missing or damaged


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_without_onnx_runtime_the_install_line_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match="ONNX Runtime is not installed") as caught:
        open_device(name, gpus=NO_GPU, runtime=NO_RUNTIME)
    assert str(caught.value).endswith('pip install "hwnas[cpu]"')
    assert caught.value.exit_code == 3


def test_without_onnx_runtime_the_gpus_install_line_is_told_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match="ONNX Runtime is not installed") as caught:
        OnnxRuntimeBackend("gpu")
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
            arguments = {"provider": node, "output_type_shape": [{"float": [1, 3]}]}
            self.events.append({"cat": "Node", "name": "p/relu_kernel_time", "dur": 3, "args": arguments})
            return [feeds["image"]]

        def end_profiling(self) -> str:
            path = Path(f"{self.options.profile_file_prefix}.json")
            path.write_text(json.dumps(self.events), encoding="utf-8")
            return str(path)

    module: Any = ModuleType("onnxruntime")
    module.__version__ = "1.23.0"
    module.InferenceSession = Session
    module.SessionOptions = SimpleNamespace
    module.GraphOptimizationLevel = SimpleNamespace(ORT_ENABLE_ALL=99)
    return module


@pytest.mark.parametrize(
    "measure",
    [
        lambda backend: backend.time(relu_model(), warmup=1, runs=2),
        lambda backend: backend.profile(relu_model(), {"p": "block"}, warmup=1, runs=2),
    ],
    ids=["time", "profile"],
)
def test_a_session_on_another_provider_is_refused_before_it_runs(
    measure: Callable[[OnnxRuntimeBackend], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    monkeypatch.setitem(sys.modules, "onnxruntime", fake_onnxruntime(session=CPU, node=CPU, runs=runs))
    backend = OnnxRuntimeBackend("gpu")
    with pytest.raises(DeviceError, match=f"expected every node on {CUDA}, but ONNX Runtime ran on {CPU}") as caught:
        measure(backend)
    assert "hwnas doctor" in str(caught.value)
    assert caught.value.exit_code == 3
    assert runs == []


def test_a_node_on_another_provider_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", fake_onnxruntime(session=CUDA, node=CPU, runs=[]))
    with pytest.raises(DeviceError, match=f"expected every node on {CUDA}, but ONNX Runtime ran on {CPU}"):
        OnnxRuntimeBackend("gpu").profile(relu_model(), {"p": "block"}, warmup=1, runs=2)


def test_what_is_on_the_right_provider_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    monkeypatch.setitem(sys.modules, "onnxruntime", fake_onnxruntime(session=CUDA, node=CUDA, runs=runs))
    backend = OnnxRuntimeBackend("gpu")
    found = backend.profile(relu_model(), {"p": "block"}, warmup=1, runs=2)
    assert found.provider == backend.provider == CUDA
    assert [(use.node, use.part) for use in found.uses] == [("p/relu", "p")]
    assert np.array_equal(found.kernel_ms, [[0.003, 0.003]])
    assert len(runs) == 3


def test_a_session_that_cannot_be_made_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAKE: every provider is refused by the runtime itself."""
    module: Any = fake_onnxruntime(session=CUDA, node=CUDA, runs=[])

    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA failure 35")

    module.InferenceSession = failing
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    with pytest.raises(Exception, match="CUDA failure 35") as caught:
        OnnxRuntimeBackend("gpu").time(relu_model(), warmup=0, runs=1)
    assert caught.value.exit_code in {2, 3}  # type: ignore[attr-defined]
