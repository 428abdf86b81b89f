"""What a campaign measures: int8 is what the backend asks for, in every model that it is handed.

The backend is a fake (``fakes_backend``); the networks and their conversion are real.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from latency_tables import keyed
from profilers import CampaignError, CampaignSettings, MeasuringProtocol, RunPlan, converted, profile, profile_model
from profilers.backends import Method, ProfiledRuns, TimedRuns
from profilers.backends.contract import symmetric_int8
from profilers.backends.onnxruntime_gpu import CudaBackend, TensorRtProviderBackend
from profilers.backends.tensorrt import TensorRtBackend
from profilers.precision import with_precision
from profilers.steps import step_tasks
from profilers.testing import chain
from tests.profilers.fakes_backend import InPlaceFake, PlainFake

NETWORK = chain((4, 6, 4))
PROTOCOL = MeasuringProtocol(warmup_runs=0, profiled_runs=3, timed_runs=3, rounds=2, most_rounds=2)


@dataclass
class Recording(InPlaceFake):
    """FAKE that keeps the models it is handed.

    Attributes:
        method: As of every fake.
        seen: The models.
    """

    method: Method = "blocks"
    seen: list[bytes] = field(default_factory=list)

    def time(self, model: bytes, plan: RunPlan) -> TimedRuns:
        self.seen.append(model)
        return super().time(model, plan)

    def profile(self, model: bytes, parts: object, plan: RunPlan) -> ProfiledRuns:
        self.seen.append(model)
        return super().profile(model, parts, plan)  # type: ignore[arg-type]


class Symmetric(Recording):
    """FAKE that asks for int8 around zero."""

    symmetric_int8: ClassVar[bool] = True


def activations(model: bytes) -> set[tuple[str, bool]]:
    """Type, and whether it is zero, of the zero point of every QuantizeLinear: those round activations."""
    graph = onnx.load_from_string(model).graph
    values = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    points = [values[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    return {(point.dtype.name, not point.any()) for point in points}


def types(model: bytes) -> Counter[np.dtype[np.generic]]:
    """Types of a model's constants."""
    return Counter(numpy_helper.to_array(one).dtype for one in onnx.load_from_string(model).graph.initializer)


def quantised(backend: Recording) -> list[bytes]:
    return [model for model in backend.seen if b"QuantizeLinear" in model]


@pytest.mark.parametrize("method", ["blocks", "in-place"])
@pytest.mark.parametrize(("kind", "element"), [(Symmetric, "int8"), (Recording, "uint8")])
def test_a_campaign_converts_as_the_backend_asks(
    kind: type[Recording], element: str, method: Method, tmp_path: Path
) -> None:
    backend = kind(method=method)
    settings = CampaignSettings(space="chain", precisions=("fp32", "int8"), steps=False, protocol=PROTOCOL)
    table = profile([NETWORK], [NETWORK], backend=backend, out=tmp_path / "table.jsonl", settings=settings)
    assert set(table.networks) == {NETWORK.name, keyed(NETWORK.name, precision="int8")}
    models = quantised(backend)
    assert models
    for model in models:
        assert {found for found, _ in activations(model)} == {element}
        if kind is Symmetric:
            assert activations(model) == {("int8", True)}
            assert np.dtype(np.uint8) not in types(model)


@pytest.mark.parametrize(("kind", "element"), [(Symmetric, "int8"), (Recording, "uint8")])
def test_a_model_of_the_users_is_converted_likewise(kind: type[Recording], element: str, tmp_path: Path) -> None:
    backend = kind()
    path = tmp_path / "chain.onnx"
    path.write_bytes(NETWORK.model)
    settings = CampaignSettings(precisions=("int8",), protocol=PROTOCOL)
    profile_model(path, backend=backend, settings=settings)
    assert {found for model in quantised(backend) for found, _ in activations(model)} == {element}


def test_a_workload_says_how_it_was_converted_and_keeps_its_name() -> None:
    for symmetric in (False, True):
        found = converted(NETWORK, "int8", symmetric=symmetric)
        assert found.model == with_precision(NETWORK.model, "int8", symmetric=symmetric)
        assert found.name == keyed(NETWORK.name, precision="int8")
        assert set(found.parts) == set(NETWORK.parts)
    assert converted(NETWORK, "fp16", symmetric=True).model == converted(NETWORK, "fp16").model
    assert converted(NETWORK, "fp32", symmetric=True) is NETWORK
    with pytest.raises(CampaignError, match="unknown precision 'fp8'"):
        converted(NETWORK, "fp8", symmetric=True)


@pytest.mark.parametrize(("symmetric", "element"), [(False, "uint8"), (True, "int8")])
def test_probes_of_steps_are_converted_likewise(symmetric: bool, element: str) -> None:
    key = "Conv(float[1x4x8x8],int8[6x4x3x3])->float[1x6x8x8]"
    (task,) = step_tasks([key], [40], symmetric=symmetric)
    assert {found for found, _ in activations(task.load())} == {element}


def test_tensorrt_asks_for_it_and_what_does_not_say_so_does_not() -> None:
    assert TensorRtBackend.symmetric_int8
    assert TensorRtProviderBackend.symmetric_int8
    assert not hasattr(CudaBackend, "symmetric_int8")
    assert symmetric_int8(Symmetric())
    assert not symmetric_int8(PlainFake())
