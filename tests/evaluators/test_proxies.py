"""Scores before training: figures that can be computed by hand, and a value that depends on no other network."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.core import UsageError
from hwnas.evaluators import SCORES, ProxyEvaluator
from hwnas.evaluators.proxy_scores import Untrained, gradnorm, naswot, synflow, zico
from hwnas.networks import NetworkFamily, flops_m, network_family, params_m
from hwnas.spaces import from_string
from hwnas.training import ImageData, load_data

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_data("digits")


@pytest.fixture(scope="module")
def small(tiny_family: NetworkFamily) -> NetworkFamily:
    return replace(tiny_family, space=tiny_family.space.restrict({"resolution": [8]}))


def untrained(*parts: nn.Module, images: torch.Tensor, labels: list[int] | None = None) -> Untrained:
    """A made-up network with given weights."""
    return Untrained(
        blocks=(), make=lambda: nn.Sequential(*parts), images=images, labels=torch.tensor(labels or [0] * len(images))
    )


def linear(*rows: list[float]) -> nn.Linear:
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
    return layer


def test_naswot_counts_the_units_that_agree() -> None:
    """Two images, two units: on/on and on/off. Each agrees with itself in both, with the other in one."""
    images = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    found = naswot(untrained(linear([1.0, 0.0], [0.0, 1.0]), nn.ReLU(), images=images))
    assert found == pytest.approx(math.log(2 * 2 - 1 * 1))
    two_layers = untrained(linear([1.0, 0.0], [0.0, 1.0]), nn.ReLU(), nn.ReLU(), images=images)
    assert naswot(two_layers) == pytest.approx(math.log(4 * 4 - 2 * 2))


def test_naswot_of_images_that_a_network_does_not_tell_apart_is_the_lowest() -> None:
    images = torch.ones(3, 2)
    assert naswot(untrained(linear([1.0, 0.0], [0.0, 1.0]), nn.ReLU(), images=images)) == math.log(1e-30)


def test_synflow_sums_the_products_of_sizes_along_all_paths_once_a_layer() -> None:
    """Paths: |1||3| + |-2||4| = 11; each of two layers counts all of them."""
    images = torch.zeros(1, 1)
    found = synflow(untrained(linear([1.0], [-2.0]), linear([3.0, 4.0]), images=images))
    assert found == pytest.approx(math.log(2 * 11))
    assert synflow(untrained(linear([0.0]), images=images)) == math.log(1e-30)


def test_gradnorm_is_the_norm_of_the_gradient_of_the_loss() -> None:
    """Two classes at even odds: the gradient of a row is minus or plus a half times the image."""
    images = torch.tensor([[3.0, 4.0]])
    found = gradnorm(untrained(linear([0.0, 0.0], [0.0, 0.0]), images=images))
    assert found == pytest.approx(math.log(math.sqrt(2 * 2.5**2)))


def test_zico_is_larger_where_gradients_are_steadier() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(16, 3, generator=generator)
    base = torch.tensor([2.0, -1.0, 1.0])
    weights = [[0.1, 0.2, 0.3], [0.3, 0.1, -0.1]]
    steady, restless = (zico(untrained(linear(*weights), images=base + spread * noise)) for spread in (0.01, 1.0))
    assert steady > restless


def test_all_scores_of_a_real_network_are_finite_and_the_baselines_are_counts(
    small: NetworkFamily, digits: ImageData
) -> None:
    evaluator = ProxyEvaluator(family=small, data=digits, seed=0, scores=tuple(SCORES), sample=4)
    architecture = small.space.sample(np.random.default_rng(0))
    values = evaluator.evaluate(architecture)
    assert list(values) == ["proxy_score", *SCORES]
    assert all(math.isfinite(value) for value in values.values())
    blocks = small.blocks(architecture)
    assert values["params"] == pytest.approx(math.log(params_m(blocks)))
    assert values["flops"] == pytest.approx(math.log(flops_m(blocks)))


def test_a_cell_that_lets_nothing_through_has_scores_too_the_lowest(digits: ImageData) -> None:
    cells = network_family("nasbench201", channels=1, classes=10)
    empty = from_string("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    evaluator = ProxyEvaluator(family=cells, data=digits, seed=0)
    found = evaluator._scores(empty)
    assert np.isfinite(found).all()
    assert found[evaluator.scores.index("synflow")] == math.log(1e-30)


def test_the_score_is_the_mean_distance_from_the_median_of_a_fixed_sample_in_deviations(
    small: NetworkFamily, digits: ImageData
) -> None:
    evaluator = ProxyEvaluator(family=small, data=digits, seed=5, scores=("params", "flops"), sample=16)
    rng = np.random.default_rng(5)
    counted = np.array(
        [
            [math.log(count(small.blocks(one))) for count in (params_m, flops_m)]
            for one in (small.space.sample(rng) for _ in range(16))
        ]
    )
    low, middle, high = np.percentile(counted, [25, 50, 75], axis=0)
    one = small.space.sample(np.random.default_rng(99))
    own = np.array([math.log(count(small.blocks(one))) for count in (params_m, flops_m)])
    expected = ((own - middle) / ((high - low) / 1.349)).mean()
    assert evaluator.evaluate(one)["proxy_score"] == pytest.approx(expected)


def test_no_score_outvotes_the_others_by_being_absurd(
    small: NetworkFamily, digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([*range(8), 10**9, -(10**9)])
    monkeypatch.setitem(SCORES, "zico", lambda _: float(next(calls)))
    evaluator = ProxyEvaluator(family=small, data=digits, seed=0, scores=("zico",), sample=8)
    _ = evaluator._scale
    one = small.space.sample(np.random.default_rng(0))
    assert [evaluator.evaluate(one)["proxy_score"] for _ in range(2)] == [5.0, -5.0]


def test_a_score_that_is_the_same_everywhere_says_nothing(
    small: NetworkFamily, digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCORES, "zico", lambda _: 3.0)
    evaluator = ProxyEvaluator(family=small, data=digits, seed=0, scores=("zico",), sample=4)
    assert evaluator.evaluate(small.space.sample(np.random.default_rng(0)))["proxy_score"] == 0


def test_what_is_no_score_is_refused(small: NetworkFamily, digits: ImageData) -> None:
    with pytest.raises(UsageError, match=r"unknown score 'synfow'.*Did you mean 'synflow'"):
        ProxyEvaluator(family=small, data=digits, seed=0, scores=("synfow",))
    for settings in ({"scores": ()}, {"sample": 3}):
        with pytest.raises(UsageError, match=r"at least one score and a sample of at least 4 networks, received"):
            ProxyEvaluator(family=small, data=digits, seed=0, **settings)
