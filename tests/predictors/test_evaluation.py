"""How far predictions are from the truth, and the baselines beside them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwnas.core import UsageError
from hwnas.predictors import Estimate, accuracy, compare, fitted_line
from hwnas.predictors.evaluation import FEWEST

Values = NDArray[np.float64]

latencies = st.lists(st.floats(0.01, 100.0), min_size=FEWEST, max_size=60).map(np.array)


def off_by(truth_ms: Values, *errors: float) -> Estimate:
    return Estimate(predicted_ms=truth_ms * (1 + np.resize(np.array(errors), len(truth_ms))))


@given(truth_ms=latencies)
def test_a_perfect_prediction_has_no_error_and_no_regret(truth_ms: Values) -> None:
    found = accuracy(truth_ms, Estimate(predicted_ms=truth_ms, spread_ms=np.zeros(len(truth_ms))))
    assert (found.mape, found.median_error, found.bias, found.worst_5) == (0, 0, 0, 0)
    assert (found.within_5, found.within_10, found.inside) == (1, 1, 1)
    assert (found.top_1_regret, found.top_k_regret) == pytest.approx((0, 0), abs=1e-12)
    if len(set(truth_ms)) > 1:
        assert found.spearman == pytest.approx(1)
        assert found.kendall == pytest.approx(1)


@given(truth_ms=latencies, unit=st.floats(0.001, 1000.0), errors=st.lists(st.floats(-0.9, 2.0), min_size=1, max_size=7))
def test_figures_are_the_same_in_any_unit_of_time(truth_ms: Values, unit: float, errors: list[float]) -> None:
    estimate = off_by(truth_ms, *errors)
    one = accuracy(truth_ms, estimate).to_json()
    other = accuracy(unit * truth_ms, Estimate(predicted_ms=unit * estimate.predicted_ms)).to_json()
    for name in ("mape", "median_error", "bias", "worst_5", "k"):
        assert other[name] == pytest.approx(one[name], abs=1e-9)


@given(truth_ms=latencies, errors=st.lists(st.floats(-0.9, 2.0), min_size=1, max_size=7), data=st.data())
def test_figures_do_not_depend_on_the_order_of_the_networks(
    truth_ms: Values, errors: list[float], data: st.DataObject
) -> None:
    estimate = off_by(truth_ms, *errors)
    order = np.array(data.draw(st.permutations(range(len(truth_ms)))))
    one = accuracy(truth_ms, estimate).to_json()
    other = accuracy(truth_ms[order], Estimate(predicted_ms=estimate.predicted_ms[order])).to_json()
    assert other == pytest.approx(one)


@given(truth_ms=latencies, error=st.floats(0.001, 1.0))
def test_an_error_of_one_sign_is_all_bias_and_leaves_the_order_alone(truth_ms: Values, error: float) -> None:
    found = accuracy(truth_ms, off_by(truth_ms, error))
    assert found.bias == pytest.approx(error)
    assert (found.mape, found.median_error, found.worst_5) == pytest.approx((error, error, error))
    assert found.top_1_regret == pytest.approx(0, abs=1e-9)


def test_figures_of_known_errors() -> None:
    truth_ms = np.arange(1.0, 41.0)
    errors = np.zeros(40)
    errors[:4] = (0.5, -0.3, 0.08, 0.04)
    found = accuracy(truth_ms, Estimate(predicted_ms=truth_ms * (1 + errors)))
    assert found.mape == pytest.approx(0.92 / 40)
    assert found.median_error == 0
    assert found.bias == pytest.approx(0.32 / 40)
    assert found.within_5 == pytest.approx(37 / 40)
    assert found.within_10 == pytest.approx(38 / 40)
    assert found.worst_5 == pytest.approx(0.4)  # of 40 networks the worst two
    assert found.k == 8
    assert found.inside is None


def test_a_stated_spread_is_held_against_its_95_per_cent_interval() -> None:
    truth_ms = np.full(4, 10.0)
    predicted_ms = np.array([10.0, 11.0, 12.0, 8.0])
    assert accuracy(truth_ms, Estimate(predicted_ms=predicted_ms, spread_ms=np.full(4, 0.6))).inside == 0.5
    rng = np.random.default_rng(0)
    sure = Estimate(predicted_ms=100 + rng.normal(size=4000), spread_ms=np.ones(4000))
    assert accuracy(np.full(4000, 100.0), sure).inside == pytest.approx(0.95, abs=0.01)


@given(truth_ms=latencies)
def test_the_noise_stands_beside_every_figure_and_is_0_where_both_halves_agree(truth_ms: Values) -> None:
    found = compare(truth_ms, {"mine": off_by(truth_ms, 0.1)}, halves_ms=(truth_ms, truth_ms))
    assert found.noise.mape == 0
    assert found.networks == len(truth_ms)
    assert set(found.noise.to_json()) == set(found.estimates["mine"].to_json())
    moved = compare(truth_ms, {}, halves_ms=(truth_ms, 1.02 * truth_ms))
    assert moved.noise.mape == pytest.approx(0.02)


@given(
    offset_ms=st.floats(0.01, 5.0),
    slope=st.floats(0.01, 3.0),
    known=st.lists(st.floats(0.1, 100.0), min_size=5, max_size=30, unique=True),
)
def test_a_baseline_finds_the_line_there_is(offset_ms: float, slope: float, known: list[float]) -> None:
    quantity = np.array(known)
    assume(np.ptp(quantity) > 1)
    at = np.array([0.5, 20.0, 200.0])
    found = fitted_line(quantity, offset_ms + slope * quantity, at=at)
    np.testing.assert_allclose(found, offset_ms + slope * at, rtol=1e-5)


def test_a_baseline_weighs_relative_errors() -> None:
    quantity, truth_ms = np.array([1.0, 2.0, 100.0]), np.array([1.0, 2.0, 300.0])
    found = fitted_line(quantity, truth_ms, at=quantity)

    def loss(estimate_ms: Values) -> float:
        return float((((estimate_ms - truth_ms) / truth_ms) ** 2).sum())

    for offset_ms in (-0.01, 0.01):
        assert loss(found) < loss(found + offset_ms)
    assert loss(found) < loss(found * 1.01)


GOOD = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("truth_ms", "predicted_ms", "spread_ms", "message"),
    [
        (GOOD[:2], GOOD[:2], None, "at least 3 networks, received 2: measure more"),
        (np.array([1.0, np.nan, 2.0]), GOOD, None, "finite measured latencies, received nan at position 1"),
        (np.array([1.0, 0.0, 2.0]), GOOD, None, "measured latencies above 0 ms, received 0: measure"),
        (GOOD, np.array([1.0, 2.0, math.inf]), None, "finite predicted latencies, received inf at position 2"),
        (GOOD, GOOD[:2], None, r"predicted latencies of shape \(3,\), .*received shape \(2,\)"),
        (GOOD, GOOD, -GOOD, "spreads of at least 0 ms, received -3"),
        (GOOD, GOOD, GOOD[:1], r"spreads of shape \(3,\)"),
    ],
)
def test_what_is_no_latency_is_refused(
    truth_ms: Values, predicted_ms: Values, spread_ms: Values | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        accuracy(truth_ms, Estimate(predicted_ms=predicted_ms, spread_ms=spread_ms))


def test_halves_and_sizes_are_looked_at_too() -> None:
    with pytest.raises(UsageError, match="latencies of half of the rounds above 0 ms, received -1"):
        compare(GOOD, {}, halves_ms=(GOOD, -np.ones(3)))
    with pytest.raises(UsageError, match=r"sizes of networks of shape \(3,\)"):
        fitted_line(np.ones(4), GOOD, at=GOOD)
    with pytest.raises(UsageError, match="finite sizes of networks, received nan"):
        fitted_line(GOOD, GOOD, at=np.array([np.nan]))
