"""Steps in which convolutions grow: recovered from made-up devices, probed with real models, used in lookups."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from latency_tables import LatencyTable, MissingRowError, convolution, read_table
from profilers import CampaignSettings, MeasuringProtocol, OnnxRuntimeBackend, RunPlan, profile
from profilers.backends import Method
from profilers.rows import STEP_CANDIDATES
from profilers.statistics import detect_step
from profilers.steps import WIDTHS, step_tasks
from profilers.testing import chain
from tests.profilers.fakes_backend import FakeBackend, Moment

PROTOCOL = MeasuringProtocol(warmup_runs=0, profiled_runs=4, timed_runs=8, sentinel_runs=4)
DENSE = "Conv 3x3 dense float: output channels"
CONV = "Conv(float[1x8x8x8],float[16x8x3x3])->float[1x16x8x8]{group=1}"
DEPTHWISE = "com.microsoft.nchwc.Conv(float[1x16x8x8],float[16x1x5x5])->float[1x16x8x8]{group=16}"
EIGHT_BIT = (
    "QLinearConv(uint8[1x8x8x8],float[],uint8[],int8[16x8x1x1],float[],int8[],float[],uint8[])"
    "->uint8[1x16x8x8]{group=1}"
)

relaxed = settings(deadline=None)


def stepped(step: int, *, base: float = 1.0, rise: float = 0.5) -> Callable[[int], float]:
    """A device that computes channels in blocks, or one by one."""
    return lambda channels: base + rise * step * -(-channels // step) / 16


def flat(channels: int) -> float:
    return 1.0


def detected(growth: Callable[[int], float], factors: float | np.ndarray = 1.0) -> int | None:
    latency_ms = np.array([growth(width) for width in WIDTHS]) * factors
    return detect_step(WIDTHS, latency_ms.tolist(), candidates=STEP_CANDIDATES)


# --- reading a step from latencies


@pytest.mark.parametrize("step", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize("base", [0.0, 1.0, 3.0])
def test_a_clean_step_is_found(step: int, base: float) -> None:
    assert detected(stepped(step, base=base)) == step


def test_what_does_not_grow_has_no_step() -> None:
    assert detected(flat) is None
    assert detected(lambda channels: 5.0 - 0.01 * channels) is None
    assert detected(lambda channels: 1.0 + 0.001 * channels) is None  # too little to read a step from


@pytest.mark.parametrize("step", [8, 16, 32])
@pytest.mark.parametrize("base", [0.0, 1.0])
def test_a_step_is_found_under_two_percent_of_noise(step: int, base: float) -> None:
    rng = np.random.default_rng(step)
    noise = 1 + 0.02 * rng.standard_normal((100, len(WIDTHS)))
    found = [detected(stepped(step, base=base), one) for one in noise]
    assert found.count(step) >= 98


@relaxed
@given(
    step=st.sampled_from([None, 1, 4, 8, 16, 32]),
    scale=st.floats(min_value=1e-6, max_value=1e6),
    noise=st.floats(min_value=0.0, max_value=0.2),
    seed=st.integers(0, 2**31),
)
def test_the_unit_of_the_clock_does_not_matter(step: int | None, scale: float, noise: float, seed: int) -> None:
    factors = 1 + noise * np.random.default_rng(seed).standard_normal(len(WIDTHS))
    growth = flat if step is None else stepped(step)
    assert detected(growth, scale * factors) == detected(growth, factors)


@pytest.mark.parametrize("growth", [lambda channels: channels / 16, flat], ids=["smooth", "flat"])
def test_noise_alone_makes_no_step(growth: Callable[[int], float]) -> None:
    """In a hundred devices of two percent of noise; at most a few of the smooth ones seem to go two by two."""
    rng = np.random.default_rng(3)
    found = [detected(growth, 1 + 0.02 * rng.standard_normal(len(WIDTHS))) for _ in range(100)]
    assert found.count(None if growth is flat else 1) >= 95
    assert set(found) <= ({None} if growth is flat else {1, 2})


def test_noise_alone_makes_no_step_of_a_kernel_that_grows_by_a_third() -> None:
    rng = np.random.default_rng(4)
    found = [
        detected(lambda channels: 160.0 + channels, 1 + 0.02 * rng.standard_normal(len(WIDTHS))) for _ in range(100)
    ]
    assert found.count(1) >= 90


# --- what is probed


def test_every_kind_of_convolution_is_probed_once_at_every_width() -> None:
    other = CONV.replace("16x8x3x3", "24x8x3x3")
    tasks = step_tasks([CONV, other, DEPTHWISE, "Relu(float[1x8])->float[1x8]", "block:mb(k=3)"])
    assert [task.name for task in tasks] == [
        *(f"{DENSE} {width}" for width in WIDTHS),
        *(f"Conv 5x5 depthwise float: output channels {width}" for width in WIDTHS),
    ]
    assert {task.kind for task in tasks} == {"step"}
    assert len(WIDTHS) == 2 * max(STEP_CANDIDATES)
    assert WIDTHS[0] % max(STEP_CANDIDATES) == 1  # a step begins with the first width


@pytest.mark.parametrize(
    "key",
    [
        CONV.replace("16x8x3x3", "16x8x2x2"),  # padding keeps the size of odd windows only
        CONV.replace("16x8x3x3", "16x8x1x3"),
        CONV.replace("float", "double"),  # no precision of ours
        CONV.replace("16x8x3x3", "16x4x3x3").replace("group=1", "group=2"),
        CONV.replace("16x8x3x3", "1x8x3x3"),
        "MatMul(float[1x8],float[8x8])->float[1x8]",
    ],
)
def test_what_has_no_step_to_be_read_is_not_probed(key: str) -> None:
    assert step_tasks([key]) == []


@pytest.mark.parametrize(
    ("key", "kind", "weights", "element"),
    [
        (CONV, DENSE, (40, 64, 3, 3), TensorProto.FLOAT),
        (DEPTHWISE, "Conv 5x5 depthwise float: output channels", (40, 1, 5, 5), TensorProto.FLOAT),
        (EIGHT_BIT, "Conv 1x1 dense int8: output channels", (40, 64, 1, 1), TensorProto.INT8),
        (CONV.replace("float", "float16"), DENSE.replace("float", "float16"), (40, 64, 3, 3), TensorProto.FLOAT16),
        (CONV.replace("float", "bfloat16"), DENSE.replace("float", "bfloat16"), (40, 64, 3, 3), TensorProto.BFLOAT16),
    ],
    ids=["dense", "depthwise", "int8", "fp16", "bf16"],
)
def test_a_probe_is_a_convolution_of_that_width_and_precision(
    key: str, kind: str, weights: tuple[int, ...], element: int
) -> None:
    (task,) = step_tasks([key], widths=[40])
    assert task.name == f"{kind} 40"
    model = onnx.load_from_string(task.load())
    onnx.checker.check_model(model, full_check=True)
    assert "Conv" in {node.op_type for node in model.graph.node}
    assert (weights, element) in {(tuple(weight.dims), weight.data_type) for weight in model.graph.initializer}


def test_a_backend_that_asks_for_signed_integers_is_probed_with_them() -> None:
    def elements(symmetric: bool) -> set[int]:
        (task,) = step_tasks([EIGHT_BIT], widths=[40], symmetric=symmetric)
        return {weight.data_type for weight in onnx.load_from_string(task.load()).graph.initializer}

    assert TensorProto.UINT8 in elements(symmetric=False)
    assert TensorProto.UINT8 not in elements(symmetric=True)


def test_a_real_runtime_runs_the_probes_it_asks_for() -> None:
    tasks = step_tasks([CONV, DEPTHWISE, EIGHT_BIT], widths=[33, 48])
    assert len(tasks) == 6
    backend = OnnxRuntimeBackend()
    for task in tasks:
        assert (backend.time(task.load(), RunPlan(warmup_runs=0, runs=2, least_runs=1)).run_ms > 0).all()


# --- in a campaign


def campaign(backend: FakeBackend, out: Path, *, steps: bool = True, method: Method = "isolated") -> LatencyTable:
    workloads = [chain((8, 16, 64)), chain((8, 32, 96))]
    settings_ = CampaignSettings(space="chain", steps=steps, method=method, protocol=PROTOCOL)
    return profile(workloads, workloads[:1], backend=backend, out=out, settings=settings_)


def restless(amount: float) -> Callable[[Moment], float]:
    """Every measurement of its own, some percent off; the sentinel is not."""

    def slowdown(moment: Moment) -> float:
        rng = np.random.default_rng(zlib.crc32(f"{moment.what} {moment.visit}".encode()))
        return float(1 + amount * rng.standard_normal()) if moment.measuring else 1.0

    return slowdown


@pytest.mark.parametrize("method", ["in-place", "isolated"])
@pytest.mark.parametrize("step", [8, 16, 32])
def test_a_campaign_recovers_the_block_of_a_device(tmp_path: Path, method: Method, step: int) -> None:
    backend = FakeBackend(growth=stepped(step), slowdown=restless(0.02))
    table = campaign(backend, tmp_path / "table.jsonl", method=method)
    assert {key: row.step for key, row in table.steps.items()} == {DENSE: step}
    assert table.steps[DENSE].widths == WIDTHS
    latency_ms = dict(zip(WIDTHS, table.steps[DENSE].latency_ms, strict=True))
    assert latency_ms[64] == pytest.approx(stepped(step)(64) + 0.02 + backend.floor_ms, rel=0.05)
    assert read_table(tmp_path / "table.jsonl") == table


@pytest.mark.parametrize(("growth", "step"), [(lambda channels: channels / 16, 1), (flat, None)])
def test_a_campaign_tells_smooth_growth_from_none(
    tmp_path: Path, growth: Callable[[int], float], step: int | None
) -> None:
    table = campaign(FakeBackend(growth=growth, slowdown=restless(0.02)), tmp_path / "table.jsonl")
    assert {row.step for row in table.steps.values()} == ({step} - {None})


def test_probes_are_measured_in_every_round_and_left_out_when_not_asked_for(tmp_path: Path) -> None:
    backend = FakeBackend(growth=stepped(16))
    campaign(backend, tmp_path / "with.jsonl")
    probes = {what: count for (_, what), count in backend.measured.items() if what.startswith("probe")}
    assert len(probes) == len(WIDTHS)
    assert set(probes.values()) == {PROTOCOL.rounds}
    without = FakeBackend(growth=stepped(16))
    assert campaign(without, tmp_path / "without.jsonl", steps=False).steps == {}
    assert not any(what.startswith("probe") for _, what in without.measured)


def test_a_lookup_goes_up_to_the_step_that_was_measured_and_never_between(tmp_path: Path) -> None:
    table = campaign(FakeBackend(growth=stepped(16)), tmp_path / "table.jsonl")
    key = next(key for key in table.kernels if (found := convolution(key)) and found.out_channels == 64)
    narrower = key.replace("[64x", "[57x").replace("->float[1x64x", "->float[1x57x")
    assert table.kernel(narrower, snap=True) == table.kernels[key]
    with pytest.raises(MissingRowError):
        table.kernel(narrower)
    with pytest.raises(MissingRowError):
        table.kernel(narrower.replace("57x", "48x"), snap=True)  # 48 is the end of a step of its own
