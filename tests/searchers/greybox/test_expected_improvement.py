"""Expected hypervolume improvement in closed form, against draws and against BoTorch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.special import ndtri

from hwnas.pareto import hypervolume, non_dominated_boxes
from hwnas.searchers.greybox.improvement import Belief, expected_improvement
from hwnas.surrogates.warping import Warp

PLAIN = Warp(0.0, 1e4, 0.0, 1e-4)  # as good as no warp
RNG = np.random.default_rng(0)


def gain(costs: np.ndarray, reference: np.ndarray, point: np.ndarray) -> float:
    return hypervolume(np.vstack([costs, point]), reference) - hypervolume(costs, reference)


def draws(belief: Belief, row: int, n: int = 80) -> np.ndarray:
    """Evenly spread quantiles of the cost, so that means over them are close to expectations."""
    shares = (np.arange(n) + 0.5) / n
    return belief.warp.backward(belief.means[row] + np.sqrt(belief.variances[row]) * ndtri(shares))


@pytest.mark.parametrize("warp", [PLAIN, Warp(0.1, 0.3, 0.2, 1.5)])
@pytest.mark.parametrize("exact", [0, 1, 2, 3])
def test_with_exact_costs_the_improvement_is_the_mean_gain_over_the_uncertain_one(exact: int, warp: Warp) -> None:
    m = exact + 1
    costs, reference = RNG.random((6, m)), np.full(m, 1.1)
    paid = exact // 2  # somewhere in the middle
    cheap = [j for j in range(m) if j != paid]
    candidates = RNG.random((3, exact)) * 0.8
    belief = Belief(warp, warp.forward(RNG.random(3)), np.full(3, (0.2 / warp.scale) ** 2))
    boxes = non_dominated_boxes(costs, reference, along=paid)
    found = expected_improvement(boxes, candidates, [belief], cheap=cheap, paid=[paid])
    for row in range(3):
        points = np.empty((80, m))
        points[:, cheap] = candidates[row]
        points[:, paid] = draws(belief, row)
        expected = np.mean([gain(costs, reference, point) for point in points])
        assert found[row] == pytest.approx(expected, rel=0.03, abs=1e-3)


def test_without_uncertain_costs_it_is_the_gain_itself() -> None:
    costs, reference, candidates = RNG.random((9, 3)), np.full(3, 1.1), RNG.random((8, 3)) * 0.7
    boxes = non_dominated_boxes(costs, reference)
    found = expected_improvement(boxes, candidates, [], cheap=[0, 1, 2], paid=[])
    assert found == pytest.approx(np.array([gain(costs, reference, point) for point in candidates]))


@pytest.mark.parametrize("m", [2, 3])
def test_without_exact_costs_it_is_that_of_botorch(m: int) -> None:
    costs, reference = RNG.random((8, m)), np.full(m, 1.1)
    means, variances = RNG.random((5, m)), RNG.random((5, m)) * 0.1
    beliefs = [Belief(PLAIN, means[:, j], variances[:, j]) for j in range(m)]
    boxes = non_dominated_boxes(costs, reference)
    found = expected_improvement(boxes, np.zeros((5, 0)), beliefs, cheap=[], paid=list(range(m)))
    assert found == pytest.approx(improvement_of_botorch(costs, reference, means, variances), rel=1e-3)


def improvement_of_botorch(costs: np.ndarray, reference: np.ndarray, *moments: np.ndarray) -> np.ndarray:
    """BoTorch's closed form, which maximises, for independent normal costs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch = pytest.importorskip("torch")
        pytest.importorskip("botorch")
        from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
        from botorch.utils.multi_objective.box_decompositions import NondominatedPartitioning
        from botorch.utils.testing import MockModel, MockPosterior

        corner = torch.from_numpy(-reference)
        partitioning = NondominatedPartitioning(ref_point=corner, Y=torch.from_numpy(-costs))
        found = []
        for mean, variance in zip(*moments, strict=True):
            posterior = MockPosterior(
                mean=torch.from_numpy(-mean[None, None]), variance=torch.from_numpy(variance[None, None])
            )
            theirs = ExpectedHypervolumeImprovement(MockModel(posterior), corner, partitioning)
            found.append(float(theirs(torch.zeros(1, 1, 1, dtype=torch.double))))
    return np.array(found)


def test_many_boxes_are_summed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    costs, reference = RNG.random((20, 3)), np.full(3, 1.1)
    boxes = non_dominated_boxes(costs, reference)
    belief = Belief(PLAIN, RNG.random(30), np.full(30, 0.01))
    arguments = (boxes, RNG.random((30, 2)), [belief])
    whole = expected_improvement(*arguments, cheap=[1, 2], paid=[0])
    monkeypatch.setattr("hwnas.searchers.greybox.improvement._AT_ONCE", 4 * len(boxes.upper))
    assert expected_improvement(*arguments, cheap=[1, 2], paid=[0]) == pytest.approx(whole)
