"""The law of a device: found exactly where there is one, and no more of it than the networks prove."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwnas.networks import network_family
from hwnas.predictors import LatencyPredictor
from hwnas.predictors.calibration import COLD, FEWEST_NETWORKS, FIGURES, calibrate
from latency_tables import read_table

Values = NDArray[np.float64]


def networks(n: int, seed: int = 0) -> Values:
    """Figures of made-up networks, whose weights, activations and shares vary independently; shape (n, 8)."""
    rng = np.random.default_rng(seed)
    sum_ms = np.exp(rng.uniform(-2, 2, n))
    shares = rng.dirichlet([3, 2, 1, 1], n)
    kernels, weights_mib, written_mib = rng.integers(10, 80, n), *(sum_ms * rng.uniform(0.5, 5, (2, n)))
    once_ms, dense_ms, depthwise_ms = (sum_ms * shares[:, i] for i in (2, 0, 1))
    columns = [sum_ms, kernels, once_ms, weights_mib, dense_ms, depthwise_ms, written_mib, np.zeros(n)]
    return np.column_stack(columns).astype(np.float64)


def noiseless(n: int) -> Values:
    return np.zeros(n)


@given(st.integers(FEWEST_NETWORKS, 24), st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_where_nothing_but_the_first_three_terms_matters_the_residual_model_is_off(n: int, seed: int) -> None:
    figures = networks(n, seed)
    found = calibrate(figures, 0.02 + 0.9 * figures[:, 0] + 0.001 * figures[:, 1], row_spread=noiseless(n))
    assert (found.offset_ms, found.scale, found.per_kernel_ms) == pytest.approx((0.02, 0.9, 0.001), abs=1e-7)
    assert not found.residual
    assert found.networks == n


@pytest.mark.parametrize("seed", range(5))
def test_weights_that_come_from_memory_are_learned_and_make_fresh_networks_better(seed: int) -> None:
    rng, figures, fresh = np.random.default_rng(seed), networks(20, seed), networks(200, seed + 100)

    def device(of: Values) -> Values:
        return 0.01 + of[:, 0] + 0.1 * of[:, FIGURES.index("weights_mib")]

    noisy = device(figures) * (1 + 0.01 * rng.standard_normal(20))
    found = calibrate(figures, noisy, row_spread=noiseless(20))
    assert found.residual[COLD] == pytest.approx(0.1, rel=0.4)
    error = np.abs(found.apply(fresh) / device(fresh) - 1)
    assert error.mean() < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_weights_that_no_longer_fit_the_cache_are_learned_from_a_few_large_networks(seed: int) -> None:
    """Most networks stay inside; the two or three that do not look like disturbed ones at first."""
    rng, figures, fresh = np.random.default_rng(seed), networks(20, seed), networks(200, seed + 100)
    weights = FIGURES.index("weights_mib")
    for some in (figures, fresh):
        some[:, weights] = some[:, 0] * rng.uniform(0.9, 1.1, len(some))

    def device(of: Values) -> Values:
        return 0.005 + of[:, 0] + 0.25 * np.maximum(of[:, weights] - 4.0, 0)

    figures[-3:, 0] = 6.0, 6.6, 7.2
    figures[-3:, weights] = 6.2, 6.5, 7.0
    found = calibrate(figures, device(figures) * (1 + 0.01 * rng.standard_normal(20)), row_spread=noiseless(20))
    error = np.abs(found.apply(fresh) / device(fresh) - 1)
    assert error.mean() < 0.02
    large = fresh[:, weights] > 5
    assert large.any()
    assert error[large].mean() < 0.03


@pytest.mark.parametrize("seed", range(5))
def test_activations_that_drive_weights_from_the_cache_are_learned(seed: int) -> None:
    """As in networks for large images, whose weights would fit the cache if there were nothing else."""
    rng, figures, fresh = np.random.default_rng(seed), networks(20, seed), networks(200, seed + 100)
    weights, written = FIGURES.index("weights_mib"), FIGURES.index("written_mib")
    for some in (figures, fresh):
        some[:, weights] = rng.uniform(0.5, 1.5, len(some))
        some[:, written] = rng.uniform(0.0, 64.0, len(some))
        some[:, 0] = rng.uniform(0.5, 1.5, len(some))

    def device(of: Values) -> Values:
        used = of[:, weights] + 0.5 * of[:, written]
        return 0.005 + of[:, 0] + 0.3 * of[:, weights] * used**2 / (used**2 + 8.0**2)

    found = calibrate(figures, device(figures) * (1 + 0.01 * rng.standard_normal(20)), row_spread=noiseless(20))
    assert found.cache.written_share > 0
    assert np.abs(found.apply(fresh) / device(fresh) - 1).mean() < 0.025


@pytest.mark.parametrize("seed", range(5))
def test_kernels_that_cost_more_in_company_are_learned_though_few_networks_have_many(seed: int) -> None:
    """Gates, whose weights are cold in a network: a part of some networks only, which look like outliers at first."""
    rng, figures, fresh = np.random.default_rng(seed), networks(20, seed), networks(200, seed + 100)
    once = FIGURES.index("once_ms")
    for some in (figures, fresh):
        some[rng.random(len(some)) < 0.6, once] *= 0.02

    def device(of: Values) -> Values:
        return 0.005 + of[:, 0] + 0.8 * of[:, once]

    noisy = device(figures) * (1 + 0.01 * rng.standard_normal(20))
    found = calibrate(figures, noisy, row_spread=noiseless(20))
    assert found.residual["once_ms"] == pytest.approx(0.8, rel=0.35)
    assert np.abs(found.apply(fresh) / device(fresh) - 1).mean() < 0.02


@pytest.mark.parametrize("seed", range(8))
def test_of_noise_the_residual_model_learns_little(seed: int) -> None:
    """It may be fooled into being on, but then it may not do harm."""
    rng, figures, fresh = np.random.default_rng(seed), networks(20, seed), networks(200, seed + 100)
    noisy = figures[:, 0] * (1 + 0.02 * rng.standard_normal(20))
    found = calibrate(figures, noisy, row_spread=noiseless(20))
    assert np.abs(found.apply(fresh) / fresh[:, 0] - 1).mean() < 0.025


def test_a_network_measured_badly_counts_less_where_its_row_says_so() -> None:
    figures = networks(12)
    truth = figures[:, 0].copy()
    truth[:4] *= 1.06
    spread = np.where(np.arange(12) < 4, 0.2, 0.001)
    trusted = calibrate(figures, truth, row_spread=spread)
    np.testing.assert_allclose(trusted.apply(figures), figures[:, 0], rtol=0.01)


def test_the_spread_grows_outside_of_what_was_measured_and_not_inside() -> None:
    figures = networks(20)
    rng = np.random.default_rng(3)
    found = calibrate(figures, figures[:, 0] * (1 + 0.02 * rng.standard_normal(20)), row_spread=noiseless(20))
    inside = found.spreads(figures, found.apply(figures)) / found.apply(figures)
    assert np.median(inside) == pytest.approx(found.spread, rel=0.1)
    assert np.sqrt(np.mean(inside**2)) == pytest.approx(found.spread, rel=0.1)
    far = networks(1)
    far[:, 1] = 2000  # kernels
    latency_ms = found.apply(far)
    assert found.spreads(far, latency_ms)[0] / latency_ms[0] > 2 * found.spread


def test_an_estimated_row_adds_its_own_variance() -> None:
    figures = networks(20)
    found = calibrate(figures, figures[:, 0], row_spread=noiseless(20))
    estimated = figures[:1].copy()
    estimated[0, FIGURES.index("variance_ms2")] = 0.04**2
    latency_ms = found.apply(estimated)
    assert found.spreads(estimated, latency_ms)[0] == pytest.approx(0.04, rel=1e-3)


def test_fewer_networks_than_eight_give_the_plain_sum() -> None:
    figures = networks(FEWEST_NETWORKS - 1)
    found = calibrate(figures, 2 * figures[:, 0], row_spread=noiseless(len(figures)))
    np.testing.assert_array_equal(found.apply(figures), figures[:, 0])
    assert found.networks == 0


def test_where_nothing_is_known_of_the_scale_any_scale_is_found() -> None:
    """Energy, in millijoules where the sums are in milliseconds."""
    figures = networks(12)
    for scale in (1e-3, 1.0, 1e4):
        found = calibrate(figures, scale * (1 + figures[:, 0]), row_spread=noiseless(12), scale=None)
        assert (found.offset_ms, found.scale) == pytest.approx((scale, scale), rel=1e-6)
        assert (found.apply(figures) > 0).all()


def test_a_gpu_is_predicted_though_its_table_was_made_on_a_restless_host() -> None:
    """On networks left out; `tests/golden/README.md` tells how the table was made."""
    table = read_table(Path(__file__).parents[1] / "golden" / "onnxruntime-1.30.0-cuda" / "nasbench201.jsonl")
    found = LatencyPredictor.of(table, network_family("nasbench201")).calibration
    assert found.networks == 20
    assert found.spread < 0.05
