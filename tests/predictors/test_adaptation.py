"""Adaptation on devices whose coefficients are known: what must hold whatever the figures are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwnas.core import DataError, UsageError
from hwnas.predictors import DevicePrior, left_out
from hwnas.predictors.adaptation import _DESIGN, _posterior
from hwnas.predictors.ranking import spearman

Array = NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=25, deadline=None)


def made_up(
    seed: int, *, devices: int = 6, networks: int = 200, features: int = 8, rank: int = 3
) -> tuple[Array, Array]:
    """Counts of operations, and latencies of devices that are mixtures of a few; one device more than asked for."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, size=(networks, features)).astype(np.float64)
    prices = rng.uniform(0.2, 1.0, size=(devices + 1, rank)) @ rng.uniform(0.1, 1.0, size=(rank, features))
    scales = rng.uniform(0.1, 20.0, size=(devices + 1, 1))
    return counts, scales * (2.0 + prices @ counts.T)


@FEW
@given(SEEDS)
def test_a_device_between_those_of_the_pool_is_recovered(seed: int) -> None:
    features, pool_ms = made_up(seed)
    prior = DevicePrior.learn(features, pool_ms)
    between_ms = np.random.default_rng(seed).dirichlet(np.ones(len(pool_ms))) @ pool_ms
    rows = prior.choose(features, 12)
    predicted_ms, _ = prior.adapt(features[rows], between_ms[rows]).predict(features)
    assert float(np.median(np.abs(predicted_ms / between_ms - 1))) < 0.01
    assert (spearman(predicted_ms, between_ms) or 0) > 0.995


@FEW
@given(SEEDS, st.floats(0.01, 1000))
def test_a_scaled_copy_of_a_pool_device_is_ranked_perfectly(seed: int, scale: float) -> None:
    features, latency_ms = made_up(seed, devices=4)
    prior = DevicePrior.learn(features, np.vstack([latency_ms[:-1], latency_ms[:1]]))
    rows = prior.choose(features, 12)
    predicted_ms, _ = prior.adapt(features[rows], scale * latency_ms[0][rows]).predict(features)
    assert spearman(predicted_ms, latency_ms[0]) == pytest.approx(1, abs=2e-3)


@FEW
@given(SEEDS)
def test_the_order_of_the_measurements_changes_nothing(seed: int) -> None:
    features, latency_ms = made_up(seed)
    prior = DevicePrior.learn(features, latency_ms[:-1])
    rows = prior.choose(features, 9)
    mixed = np.random.default_rng(seed).permutation(rows)
    found = [prior.adapt(features[one], latency_ms[-1][one]).predict(features) for one in (rows, mixed)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


@FEW
@given(SEEDS, st.floats(1e-3, 1e3))
def test_another_unit_scales_predictions_and_spreads(seed: int, scale: float) -> None:
    features, latency_ms = made_up(seed)
    prior = DevicePrior.learn(features, latency_ms[:-1])
    scaled = DevicePrior.learn(features, scale * latency_ms[:-1])
    rows = prior.choose(features, 7)
    once = np.array(prior.adapt(features[rows], latency_ms[-1][rows]).predict(features))
    again = np.array(scaled.adapt(features[rows], scale * latency_ms[-1][rows]).predict(features))
    np.testing.assert_allclose(again, scale * once, rtol=1e-6)


@FEW
@given(SEEDS)
def test_a_further_measurement_leaves_less_variance_everywhere(seed: int) -> None:
    features, latency_ms = made_up(seed)
    prior = DevicePrior.learn(features, latency_ms[:-1])
    design = prior.design(features)
    left = []
    for n in (5, 6, 12):
        rows = prior.choose(features, n)
        covariance = _posterior(
            prior.covariance(0.1), design[rows], np.zeros(n), noise_variance=np.full(n, 0.01)
        )[2]  # fmt: skip
        left.append(np.sum(design @ covariance * design, axis=1))
    assert (left[0] >= left[1] - 1e-12).all()
    assert (left[1] >= left[2] - 1e-12).all()


def test_spreads_shrink_with_measurements_and_hold_what_they_promise() -> None:
    inside, spreads = [], {6: 0.0, 24: 0.0}
    for seed in range(20):
        features, latency_ms = made_up(seed)
        noisy = latency_ms[-1] * np.exp(np.random.default_rng(seed).normal(0, 0.03, size=latency_ms.shape[1]))
        prior = DevicePrior.learn(features, latency_ms[:-1])
        for n in spreads:
            rows = prior.choose(features, n)
            predicted_ms, spread_ms = prior.adapt(features[rows], noisy[rows]).predict(features)
            inside.append(np.mean(np.abs(predicted_ms - noisy) < 2 * spread_ms))
            spreads[n] += float(np.mean(spread_ms / latency_ms[-1]))
    assert spreads[24] < spreads[6]
    assert np.mean(inside) > 0.9


@FEW
@given(SEEDS, st.integers(1, 15))
def test_fewer_choices_are_the_first_of_more_and_no_network_is_chosen_twice(seed: int, n: int) -> None:
    features, latency_ms = made_up(seed)
    prior = DevicePrior.learn(features, latency_ms)
    more = prior.choose(features, n + 3)
    assert len(set(more.tolist())) == n + 3
    assert prior.choose(features, n).tolist() == more[:n].tolist()


@FEW
@given(SEEDS)
def test_chosen_networks_leave_less_variance_than_random_ones(seed: int) -> None:
    features, latency_ms = made_up(seed)
    prior = DevicePrior.learn(features, latency_ms)
    design, (looseness, noise) = prior.design(features), _DESIGN

    def left(rows: NDArray[np.intp]) -> float:
        """Variance of the predictions about their mean over the networks."""
        noise_variance = (noise * prior.usual(design[rows])) ** 2
        unlike = np.zeros(len(rows))
        known = _posterior(prior.covariance(looseness), design[rows], unlike, noise_variance=noise_variance)[2]
        return float(np.trace(known @ np.cov(design.T, bias=True)))

    rng = np.random.default_rng(seed)
    drawn = [left(rng.choice(len(features), 8, replace=False)) for _ in range(5)]
    assert left(prior.choose(features, 8)) < min(drawn)


def test_unknown_latencies_of_the_pool_do_not_count() -> None:
    features, latency_ms = made_up(0)
    holed = latency_ms[:-1].copy()
    holed[0, ::3] = np.nan
    whole, less = DevicePrior.learn(features, latency_ms[:-1]), DevicePrior.learn(features, holed)
    np.testing.assert_allclose(less.coefficients, whole.coefficients, rtol=1e-6, atol=1e-9)


def test_some_devices_make_the_prior_that_they_alone_would_make() -> None:
    features, latency_ms = made_up(0)
    some = np.arange(len(latency_ms)) < 4
    part, alone = DevicePrior.learn(features, latency_ms).of(some), DevicePrior.learn(features, latency_ms[some])
    np.testing.assert_allclose(part.covariance(0.1), alone.covariance(0.1))
    np.testing.assert_allclose(part.mean, alone.mean)


def test_features_that_repeat_one_another_do_no_harm() -> None:
    features, latency_ms = made_up(0)
    doubled = np.hstack([features, features[:, :3], np.ones((len(features), 1))])
    prior = DevicePrior.learn(doubled, latency_ms[:-1])
    rows = prior.choose(doubled, 10)
    predicted_ms, _ = prior.adapt(doubled[rows], latency_ms[-1][rows]).predict(doubled)
    assert float(np.median(np.abs(predicted_ms / latency_ms[-1] - 1))) < 0.01


def test_left_out_networks_are_predicted_without_their_own_latency() -> None:
    features, latency_ms = made_up(0)
    prior = DevicePrior.learn(features, latency_ms[:-1])
    rows = prior.choose(features, 8)
    first = left_out(prior, features[rows], latency_ms[-1][rows])
    changed = latency_ms[-1][rows].copy()
    changed[2] *= 3
    second = left_out(prior, features[rows], changed)
    assert first[0][2] == second[0][2]
    assert first[0][3] != second[0][3]


def test_predictions_stay_above_zero() -> None:
    features, latency_ms = made_up(0)
    prior = DevicePrior.learn(features, latency_ms[:-1])
    steep = np.linspace(0.001, 10, 6)
    predicted_ms, spread_ms = prior.adapt(features[:6], steep).predict(features)
    assert (predicted_ms > 0).all()
    assert (spread_ms > 0).all()


def test_what_cannot_be_learned_from_is_refused() -> None:
    features, latency_ms = made_up(0)
    with pytest.raises(DataError, match="at least 2 devices to learn from, received 1"):
        DevicePrior.learn(features, latency_ms[:1])
    with pytest.raises(DataError, match=r"has 3 known latencies: expected at least 9"):
        DevicePrior.learn(features, np.where(np.arange(latency_ms.shape[1]) < 3, latency_ms, np.nan))
    prior = DevicePrior.learn(features, latency_ms)
    with pytest.raises(UsageError, match="from 1 to 200, received 201"):
        prior.choose(features, 201)
    for wrong in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(DataError, match="latencies above 0 ms, received"):
            prior.adapt(features[:6], np.array([1, 2, 3, 4, 5, wrong]))
