"""The GPU backends on a real GPU, by the suite that every backend must pass: `python -m pytest tests/gpu`.

Where the device or a runtime is missing, its tests are skipped and say what is missing. Nothing here is a fake, and no
figure is expected: the scripts in `benchmarks/gpu` look at those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pytest

from latency_tables import read_table
from profilers import (
    Backend,
    BackendSettings,
    CampaignSettings,
    DeviceEngines,
    DeviceError,
    DeviceMeter,
    MeasuringProtocol,
    profile,
)
from profilers.backends import InPlace, RunPlan
from profilers.devices import RuntimeDescription, describe_gpus, describe_onnxruntime
from profilers.precision import with_precision
from profilers.registry import open_backend
from profilers.testing import BackendConformance, chain

# Of ONNX Runtime's backends: they open wherever the wheel and a GPU are, and their libraries are looked for later.
PROVIDERS = {"onnxruntime-cuda": "CUDAExecutionProvider", "onnxruntime-tensorrt": "TensorrtExecutionProvider"}
NAMES = (*PROVIDERS, "tensorrt")
# The CUDA provider has no convolution in int8.
CAMPAIGNS = [(name, precision) for name in NAMES for precision in ("fp32", "fp16")]
CAMPAIGNS += [(name, "int8") for name in NAMES if name != "onnxruntime-cuda"]
QUICK = MeasuringProtocol(warmup_runs=1, profiled_runs=8, timed_runs=8, least_runs=4, rounds=2, most_rounds=2)

Open = Callable[[str], Any]


@lru_cache(maxsize=1)
def runtime() -> RuntimeDescription:
    return describe_onnxruntime()


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a backend; skips the test where there is nothing to run it on."""
    made: list[Any] = []

    def open_(name: str) -> Any:
        try:
            made.append(open_backend(name, BackendSettings(device="gpu")))
        except DeviceError as error:
            pytest.skip(str(error))
        provider = PROVIDERS.get(name)
        if provider is not None and not runtime().loads(provider):
            reasons = [entry.reason for entry in runtime().providers if entry.name == provider]
            pytest.skip(f"{provider} does not load: {reasons[0] if reasons else 'nobody tried it'}")
        return made[-1]

    yield open_
    for backend in made:
        backend.close()


class OnTheGpu(BackendConformance):
    """The suite, with one backend that is closed after every test."""

    backend_name: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _opener(self, opened: Open) -> None:
        self.open = opened

    def make_backend(self) -> Backend:
        backend: Backend = self.open(self.backend_name)
        return backend


class TestCuda(OnTheGpu):
    backend_name = "onnxruntime-cuda"


class TestTensorRtProvider(OnTheGpu):
    backend_name = "onnxruntime-tensorrt"
    test_kernels_alone = None  # an engine is one node to ONNX Runtime: it promises blocks and nothing finer

    def test_kernels_in_place(self) -> None:
        backend, network = self.make_backend(), chain((8, 8))
        assert isinstance(backend, InPlace)
        with pytest.raises(DeviceError, match="not timed in place"):
            backend.profile(network.model, network.parts, RunPlan(runs=4))


class TestTensorRt(OnTheGpu):
    backend_name = "tensorrt"


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_an_engine_to_take_home_is_the_one_that_was_measured_and_loads_again(opened: Open, precision: str) -> None:
    backend = opened("tensorrt")
    model = with_precision(chain((16, 32)).model, precision, symmetric=True)
    DeviceMeter(backend=backend, protocol=QUICK, rounds=1, most_rounds=1)(model)
    engine = DeviceEngines(backend=backend)(model)
    assert engine.measured
    assert engine.timing_cache
    assert backend._runtime.deserialize_cuda_engine(engine.content) is not None
    assert engine.conditions["gpu"] in {gpu.name for gpu in describe_gpus().gpus}
    assert all(engine.conditions[name] for name in ("tensorrt", "compute_capability", "driver", "cuda"))


@pytest.mark.parametrize(("name", "precision"), CAMPAIGNS)
def test_a_small_campaign_proves_of_every_row_what_ran_it(
    opened: Open, name: str, precision: str, tmp_path: Path
) -> None:
    backend = opened(name)
    networks = [chain((16, 32, 16)), chain((16, 16, 16, 16))]
    settings = CampaignSettings(space="chain", precisions=(precision,), steps=False, protocol=QUICK)
    out = tmp_path / "table.jsonl"
    table = profile(networks, networks, backend=backend, out=out, settings=settings)
    assert read_table(out) == table
    assert (table.manifest.device, table.manifest.provider) == ("gpu", backend.provider)
    assert table.manifest.device_name in {gpu.name for gpu in describe_gpus().gpus}, describe_gpus().reason
    assert table.manifest.precisions == (precision,)
    assert len(table.networks) == len(networks)
    proven = [*table.kernels.values(), *table.networks.values(), *table.floors.values()]
    assert table.kernels
    assert table.floors
    assert {row.provider for row in proven} == {backend.provider}
    assert all(row.timing.latency_ms > 0 for row in proven)
