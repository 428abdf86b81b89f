"""Rows that are there, and estimates of rows that are not: by step, by regression, or not at all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwnas.core import UsageError
from hwnas.networks import NetworkFamily
from hwnas.predictors import LatencyPredictor, RowEstimates, require_policy
from hwnas.predictors.shapes import block_shape, kernel_shape
from latency_tables import BlockRow, FloorRow, KernelRow, LatencyTable, MissingRowError, Row, StepRow
from tests.builders import PROVIDER, made_up_manifest, made_up_table, made_up_timing

STEP = 16


def conv(in_channels: int, out_channels: int, pixels: int, *, window: int = 1, act: str = "Relu") -> str:
    c, o, p, k = in_channels, out_channels, pixels, window
    return (
        f"com.microsoft.nchwc.Conv(float[1x{c}x{p}x{p}],float[{o}x{c}x{k}x{k}],float[{o}])->float[1x{o}x{p}x{p}]"
        f"{{activation={act},group=1,kernel_shape={k}x{k},strides=1x1}}"
    )


def cost_ms(in_channels: int, out_channels: int, pixels: int, window: int = 1) -> float:
    """A device that computes output channels in steps of 16."""
    return 0.001 + 1e-7 * in_channels * STEP * math.ceil(out_channels / STEP) * pixels**2 * window**2


def kernel(in_channels: int, out_channels: int, pixels: int, window: int = 1) -> KernelRow:
    return KernelRow(
        key=conv(in_channels, out_channels, pixels, window=window),
        timing=made_up_timing(cost_ms(in_channels, out_channels, pixels, window)),
        provider=PROVIDER,
    )


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    rows: list[Row] = [
        kernel(c, o, p, k) for c in (16, 32, 48, 64) for o in (16, 32, 64, 96) for p in (7, 14, 28) for k in (1, 3)
    ]
    rows += [
        StepRow(key="Conv 1x1 dense float: output channels", step=STEP, widths=(1, 2), latency_ms=(1.0, 1.0)),
        FloorRow(key="call", timing=made_up_timing(0.005)),
        BlockRow(key="b(c=16)", kernels={conv(16, 32, 14): 2, conv(16, 16, 14): 1}),
        BlockRow(key="b(c=17)", kernels={conv(16, 90, 14): 3}),
    ]
    return LatencyTable.from_rows(made_up_manifest(), rows)


def test_a_row_of_the_table_is_taken_as_it_is_under_every_policy(table: LatencyTable) -> None:
    for missing in ("error", "step", "regress"):
        found = RowEstimates(table, missing=require_policy(missing)).kernel(conv(32, 64, 14))
        assert (found.latency_ms, found.spread, found.how) == (cost_ms(32, 64, 14), 0.0, "exact")
        assert found.weights_mib == 32 * 64 * 4 / 2**20
        assert (found.dense_ms, found.depthwise_ms) == (found.latency_ms, 0.0)


def test_a_width_inside_a_step_costs_what_its_upper_end_costs(table: LatencyTable) -> None:
    found = RowEstimates(table, missing="step").kernel(conv(32, 90, 14))
    assert (found.latency_ms, found.how) == (cost_ms(32, 96, 14), "step")
    with pytest.raises(MissingRowError, match="holds no kernel") as caught:
        RowEstimates(table, missing="error").kernel(conv(32, 90, 14))
    assert caught.value.missing == (conv(32, 90, 14),)
    assert caught.value.nearest
    with pytest.raises(MissingRowError):
        RowEstimates(table, missing="step").kernel(conv(40, 90, 14))  # no row at the upper end either


def test_a_shape_between_those_measured_is_learned_and_says_how_sure_it_is(table: LatencyTable) -> None:
    rows = RowEstimates(table, missing="regress")
    for c, o, p, k in [(40, 64, 14, 1), (24, 32, 14, 3), (32, 64, 20, 1), (56, 96, 10, 3)]:
        found = rows.kernel(conv(c, o, p, window=k))
        assert found.how == "regressed"
        assert 0 < found.spread < 0.3
        assert abs(math.log(found.latency_ms / cost_ms(c, o, p, k))) < 3 * found.spread + 0.05
    assert rows.kernel(conv(32, 90, 14)).how == "step"  # the better way where there is one


def test_just_outside_of_what_was_measured_the_spread_is_wider_and_far_outside_there_is_none(
    table: LatencyTable,
) -> None:
    rows = RowEstimates(table, missing="regress")
    inside, outside = rows.kernel(conv(40, 64, 14)), rows.kernel(conv(40, 64, 36))
    assert outside.spread > 2 * inside.spread
    for far in (conv(40, 64, 3), conv(40, 64, 112), conv(512, 64, 14), conv(40, 64, 14, window=5)):
        with pytest.raises(MissingRowError):
            rows.kernel(far)


@pytest.mark.parametrize("key", [conv(32, 64, 20, act="HardSwish"), "Softmax(float[1x10])->float[1x10]", "odd", "x()"])
def test_a_kind_that_was_never_measured_is_an_error_under_every_policy(table: LatencyTable, key: str) -> None:
    with pytest.raises(MissingRowError):
        RowEstimates(table, missing="regress").kernel(key)


def test_a_block_is_the_sum_of_its_kernels_and_as_uncertain_as_they_are(table: LatencyTable) -> None:
    rows = RowEstimates(table, missing="step")
    found = rows.block("b(c=16)")
    assert found.latency_ms == pytest.approx(2 * cost_ms(16, 32, 14) + cost_ms(16, 16, 14))
    assert (found.kernels, found.how, found.spread) == (3, "exact", 0.0)
    assert found.weights_mib == pytest.approx((2 * 16 * 32 + 16 * 16) * 4 / 2**20)
    snapped = rows.block("b(c=17)")
    assert (snapped.how, snapped.latency_ms) == ("step", pytest.approx(3 * cost_ms(16, 96, 14)))
    with pytest.raises(MissingRowError):
        RowEstimates(table, missing="error").block("b(c=17)")


def test_a_block_of_an_unmeasured_size_is_learned_from_blocks_of_its_kind(tiny_family: NetworkFamily) -> None:
    """The made-up kernels cost what their blocks compute; every fourth block is taken away and has to be learned."""
    whole = made_up_table(tiny_family, networks=0)
    inner = [key for key in whole.blocks if key.startswith("mb(")]
    gone = set(inner[::7])
    lacking = LatencyTable.from_rows(whole.manifest, [row for row in whole.rows() if row.key not in gone])
    rows, errors = RowEstimates(lacking, missing="regress"), []
    for key in gone:
        found = rows.block(key)
        assert found.how == "regressed"
        errors.append(math.log(found.latency_ms / whole.block_cost(key)[0]) / found.spread)
        with pytest.raises(MissingRowError):
            RowEstimates(lacking, missing="step").block(key)
    assert np.sqrt(np.mean(np.square(errors))) < 2.0  # as sure as they say


def test_predictions_with_estimated_rows_are_less_sure_and_nothing_is_guessed_unasked(
    tiny_family: NetworkFamily,
) -> None:
    whole = made_up_table(tiny_family)
    architecture = next(tiny_family.space.enumerate())
    gone = tiny_family.block_keys(architecture)[1]
    lacking = LatencyTable.from_rows(whole.manifest, [row for row in whole.rows() if row.key != gone])
    with pytest.raises(MissingRowError):
        LatencyPredictor.of(lacking, tiny_family).predict([architecture])
    found = LatencyPredictor.of(lacking, tiny_family, missing="regress")
    (latency_ms,), (spread_ms,) = found.predict([architecture])
    (sure_ms,), (sure_spread_ms,) = LatencyPredictor.of(whole, tiny_family).predict([architecture])
    assert latency_ms == pytest.approx(sure_ms, rel=0.5)
    assert spread_ms > sure_spread_ms


def test_an_unknown_policy_is_named_with_those_there_are() -> None:
    with pytest.raises(
        UsageError, match="unknown policy for missing rows 'guess': expected one of error, regress, step"
    ):
        require_policy("guess")


# --- shapes


def test_keys_of_one_kind_differ_in_sizes_alone() -> None:
    a, b = kernel_shape(conv(16, 32, 14)), kernel_shape(conv(64, 96, 28, window=3))
    assert a is not None
    assert b is not None
    assert a.kind == b.kind
    assert a.logs.keys() == b.logs.keys()
    assert a.logs["work"] == pytest.approx(math.log(14 * 14 * 32 * 16))
    other = kernel_shape(conv(16, 32, 14, act="HardSwish"))
    assert other is not None
    assert other.kind != a.kind


def test_a_block_timed_as_one_kernel_is_read_as_the_block_it_is() -> None:
    assert kernel_shape("block:mb(in=16,out=24,act=relu)") == block_shape("mb(in=16,out=24,act=relu)")
    assert block_shape("mb(in=16,out=24,act=relu)@b8") != block_shape("mb(in=16,out=24,act=relu)")
    assert block_shape("mb(act=relu)") is None
    assert kernel_shape("nonsense") is None
