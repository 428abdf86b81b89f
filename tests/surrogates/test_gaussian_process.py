"""The Gaussian process, its kernel and the warp in front of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.surrogates.kernels import Kernel, LinearPart, RadialPart
from hwnas.surrogates.process import GaussianProcess, Hyperparameters, fit
from hwnas.surrogates.warping import Warp

PART = RadialPart(groups=((0, 1), (2,)), amplitude=(-1.0, 1.0), weight=(-1.0, 1.0))
KERNEL = Kernel(
    [
        PART,
        RadialPart(groups=((1, 3),), amplitude=(-1.0, 1.0), weight=(0.0, 1.0)),
        LinearPart(groups=((0, 2), (3,)), weight=(-1.0, 1.0)),
    ]
)


def some_rows(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 4))


# --- kernel


def test_the_kernel_is_the_sum_of_its_parts() -> None:
    a, b = some_rows(2)
    gap = (a - b) ** 2
    parameters = np.array([0.1, 0.2, 0.3, -0.4, 0.5, 0.6, -0.7])
    first = np.exp(0.1 - 0.5 * (np.exp(0.2) * (gap[0] + gap[1]) + np.exp(0.3) * gap[2]))
    second = np.exp(-0.4 - 0.5 * np.exp(0.5) * (gap[1] + gap[3]))
    third = np.exp(0.6) * (a[0] * b[0] + a[2] * b[2]) + np.exp(-0.7) * a[3] * b[3]
    assert KERNEL.matrix(parameters, a[None], b[None])[0, 0] == pytest.approx(first + second + third)
    assert KERNEL.matrix(parameters, a[None], a[None])[0] == pytest.approx(KERNEL.variance(parameters, a[None]))


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_slopes_are_those_of_finite_differences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, parameters, sensitivity = some_rows(9, seed), rng.normal(size=7), rng.normal(size=(9, 9))
    sensitivity += sensitivity.T

    def value(at: np.ndarray) -> float:
        return float((sensitivity * KERNEL.matrix(at, rows, rows)).sum())

    steps = [(value(parameters + step) - value(parameters - step)) / 2e-6 for step in 1e-6 * np.eye(7)]
    assert KERNEL.gradient(parameters, rows, sensitivity) == pytest.approx(np.array(steps), abs=1e-6)


def test_indicators_of_a_choice_make_the_hamming_kernel() -> None:
    part = RadialPart(groups=((0, 1, 2), (3, 4)), amplitude=(0.0, 1.0), weight=(0.0, 1.0))
    codes = np.array([[1, 0, 0, 1, 0], [0, 1, 0, 1, 0], [0, 0, 1, 0, 1.0]])
    covariance = Kernel([part]).matrix(np.log([1.0, 0.5, 2.0]), codes, codes)
    assert -np.log(covariance[0]) == pytest.approx([0.0, 0.5, 2.5])


# --- process


def test_predictions_are_those_of_the_textbook() -> None:
    rows, targets, at = some_rows(7), np.random.default_rng(1).normal(size=7), some_rows(5, seed=2)
    hyper = Hyperparameters(np.array([0.1, 0.2, 0.3, -0.4, 0.5, 0.6, -0.7]), 0.01, 0.0)
    process = GaussianProcess(KERNEL, hyper, rows, targets)
    inside = KERNEL.matrix(hyper.kernel, rows, rows) + (0.01 + 1e-6) * np.eye(7)
    across = KERNEL.matrix(hyper.kernel, at, rows)
    covariance = KERNEL.matrix(hyper.kernel, at, at) - across @ np.linalg.solve(inside, across.T)
    means, variances = process.predict(at)
    assert means == pytest.approx(across @ np.linalg.solve(inside, targets))
    assert variances == pytest.approx(covariance.diagonal())
    assert process.covariance(at) == pytest.approx(covariance)


def test_believing_the_mean_leaves_means_as_they_are_and_lowers_variances() -> None:
    rows, targets, at = some_rows(12), np.random.default_rng(1).normal(size=12), some_rows(6, seed=2)
    process = GaussianProcess(KERNEL, Hyperparameters(np.zeros(7), 0.1, 0.0), rows, targets)
    means, variances = process.predict(at)
    later, smaller = process.extended(at[:2], means[:2]).predict(at)
    assert later == pytest.approx(means)
    assert (smaller < variances).all()


def test_hyperparameters_find_what_matters_and_how_noisy_targets_are() -> None:
    rows = some_rows(150)
    kernel = Kernel([RadialPart(groups=((0,), (1,), (2,)), amplitude=(0.0, 1.0), weight=(-1.0, 2.0))])
    targets = np.sin(2 * rows[:, 0]) + 0.3 * np.random.default_rng(3).normal(size=150)
    hyper = fit(kernel, rows, (targets - targets.mean()) / targets.std())
    assert hyper.kernel[1] > max(hyper.kernel[2], hyper.kernel[3]) + 2
    assert hyper.noise * targets.var() == pytest.approx(0.09, rel=0.4)


def test_equal_rows_with_different_targets_are_noise() -> None:
    rows = np.repeat(some_rows(15), 4, axis=0)
    truth = np.repeat(np.random.default_rng(0).normal(size=15), 4)
    targets = truth + 0.3 * np.random.default_rng(1).normal(size=60)
    hyper = fit(KERNEL, rows, targets)
    assert hyper.noise == pytest.approx(0.09, rel=0.5)
    means, _ = GaussianProcess(KERNEL, hyper, rows, targets).predict(rows[::4])
    assert means == pytest.approx(targets.reshape(15, 4).mean(axis=1), abs=0.3)


@pytest.mark.parametrize("n", [1, 2, 20])
def test_constant_targets_are_fitted(n: int) -> None:
    rows = some_rows(n)
    hyper = fit(KERNEL, rows, np.zeros(n))
    means, variances = GaussianProcess(KERNEL, hyper, rows, np.zeros(n)).predict(some_rows(4, seed=5))
    assert means == pytest.approx(np.zeros(4))
    assert np.isfinite(variances).all()


def test_targets_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(FloatingPointError, match="found none"):
        fit(KERNEL, some_rows(4), np.full(4, np.nan))


# --- warp

costs = st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=1, max_size=12)


@given(costs, st.floats(0.01, 100))
@settings(max_examples=60, deadline=None)
def test_a_warp_is_monotone_and_has_an_inverse(values: list[float], width: float) -> None:
    warp = Warp.of(np.array(values), width)
    order = np.sort(np.array(values))
    warped = warp.forward(order)
    assert (np.diff(warped) >= 0).all()
    assert warp.backward(warped) == pytest.approx(order, rel=1e-6, abs=1e-6)


@given(st.floats(0.05, 20), st.floats(-1.5, 1.5), st.floats(0.05, 1.5))
@settings(max_examples=30, deadline=None)
def test_the_improvement_is_that_of_many_draws(width: float, mean: float, deviation: float) -> None:
    warp = Warp.of(np.random.default_rng(0).normal(size=30) ** 2, width)
    grid = mean + deviation * np.linspace(-8, 8, 4001)
    weights = np.exp(-0.5 * ((grid - mean) / deviation) ** 2)
    drawn = warp.backward(grid)
    bounds = np.array([-0.5, 0.0, 0.7, 4.0])
    expected = [(weights * np.maximum(bound - drawn, 0)).sum() / weights.sum() for bound in bounds]
    found = warp.improvement(bounds, means=np.array([mean]), deviations=np.array([deviation]))[0]
    assert found == pytest.approx(np.array(expected), rel=2e-3, abs=1e-5)


def test_a_bound_without_end_below_leaves_nothing_to_improve() -> None:
    warp = Warp.of(np.array([0.0, 1.0]), 1.0)
    assert warp.improvement(np.array([-np.inf]), means=np.zeros(3), deviations=np.ones(3)).tolist() == [[0.0]] * 3


def test_the_slope_of_the_warp_is_that_of_finite_differences() -> None:
    values = np.array([0.0, 0.3, 2.0, 9.0])
    warp = Warp.of(values, 0.7)
    slopes = (warp.forward(values + 1e-6) - warp.forward(values - 1e-6)) / 2e-6
    assert warp.log_slope(values) == pytest.approx(np.log(slopes).sum(), abs=1e-6)
