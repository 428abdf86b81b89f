"""Inner searchers by BoTorch, and their parts."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from botorch.exceptions.errors import ModelFittingError
from numpy.typing import NDArray
from scipy.stats import norm

from hwnas.core import Architecture
from hwnas.pareto import hypervolume
from hwnas.searchers.bayes import BayesSettings, QehviInner, QnehviInner, TurboInner, surrogate
from hwnas.searchers.bayes.acquisition import Improvement, greedy, values
from hwnas.searchers.bayes.candidates import LookSettings, look
from hwnas.searchers.bayes.improvement import _learned_from
from hwnas.searchers.bayes.library import advice_ignored
from hwnas.searchers.bayes.surrogate import Inputs, Surrogate, fitted
from hwnas.searchers.bayes.trust import TrustSettings, perturbed, replayed
from hwnas.searchers.inner import InnerSearcher, MutationInner, RandomInner
from hwnas.spaces import Encoding, mobilenet_space
from latency_tables import MissingExtraError
from tests.searchers.requests import (
    MIXED,
    Cost,
    history_of,
    narrow,
    nothing,
    problem_of,
    request_of,
    some,
    two_costs,
)

FAST = BayesSettings(samples=16, iterations=15)
INNERS: dict[str, Callable[[], InnerSearcher]] = {
    "qehvi": lambda: QehviInner(FAST),
    "qnehvi": lambda: QnehviInner(FAST),
    "turbo": lambda: TurboInner(candidates=100),
}
inners = pytest.mark.parametrize("inner", [make() for make in INNERS.values()], ids=list(INNERS))

COSTS: dict[str, Cost] = {
    "one": lambda a: two_costs(a)[:1],
    "three, one constant": lambda a: (*two_costs(a), 1.0),
    "far apart in scale": lambda a: (1e9 * two_costs(a)[0], 1e-9 * two_costs(a)[1]),
}


@inners
def test_proposals_are_new_legal_in_the_region_and_a_function_of_the_request(inner: InnerSearcher) -> None:
    history, pending = history_of(some(20), two_costs), some(3, seed=5)
    before = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    request = request_of(history, pending=pending, accept=narrow)
    found = inner.propose(3, request)
    assert len({a.id for a in found}) == 3
    assert not {a.id for a in found} & (history.seen | {a.id for a in pending})
    assert {a.id for a in found} <= request.taken
    assert narrow(found).all()
    assert all(MIXED.architecture(a) == a for a in found)
    assert request.notes == {}
    assert found == inner.propose(3, request_of(history, pending=pending, accept=narrow))
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002


@inners
@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_any_objectives_will_do(inner: InnerSearcher, cost: Cost) -> None:
    request = request_of(history_of(some(14), cost))
    assert len(inner.propose(2, request)) == 2
    assert request.notes == {}


@inners
def test_few_trials_lead_to_random_proposals_and_an_empty_region_to_none(inner: InnerSearcher) -> None:
    for count in (0, 1, 5):
        history = history_of(some(count), two_costs)
        assert inner.propose(4, request_of(history)) == RandomInner().propose(4, request_of(history))
    assert inner.propose(2, request_of(history_of(some(12), two_costs), accept=nothing)) == []


@inners
def test_a_fit_that_fails_is_replaced_by_mutation_and_said(
    inner: InnerSearcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ModelFittingError("no")

    monkeypatch.setattr(surrogate, "fit_gpytorch_mll", fails)
    request = request_of(history_of(some(12), two_costs))
    assert len(inner.propose(3, request)) == 3
    assert request.notes == {"fallback": "mutation, because the surrogate failed: ModelFittingError"}


@inners
def test_without_botorch_the_error_says_what_to_install(inner: InnerSearcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=rf'{inner.name} needs botorch.*pip install "hwnas\[bayes\]"'):
        inner.propose(1, request_of(history_of([], two_costs)))


def a_surrogate(count: int = 12) -> Surrogate:
    architectures = some(count)
    costs = np.array([two_costs(a) for a in architectures])
    inputs = Inputs(MIXED, "one-hot")
    return fitted(inputs(architectures), costs, problem_of(MIXED, 2).reference, inputs=inputs, seed=0, iterations=30)


def closed_form(front: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> float:
    """Expected hypervolume improvement of two independent gains over a front, strip by strip of the first gain."""

    def above(threshold: float, j: int) -> float:  # E[(Y - t)+]
        z = (mean[j] - threshold) / deviation[j]
        return float((mean[j] - threshold) * norm.cdf(z) + deviation[j] * norm.pdf(z))

    left, total = 0.0, 0.0
    for x in [*sorted(x for x in front[:, 0] if x > 0), np.inf]:
        height = max([0.0, *front[front[:, 0] >= x, 1]])
        beyond = above(x, 0) if np.isfinite(x) else 0.0
        total += (above(left, 0) - beyond) * above(height, 1)
        left = x
    return total


def test_expected_improvement_agrees_with_the_closed_form_and_plain_monte_carlo() -> None:
    believed = a_surrogate()
    x = Inputs(MIXED, "one-hot")(some(3, seed=8))
    front, corner = -believed.gains.numpy(), np.zeros(2)  # minimised, below zero

    def volume(more: NDArray[np.float64]) -> float:
        return hypervolume(np.vstack([front, more]), corner)

    worth = Improvement(name="qehvi", surrogate=believed, samples=4096, seed=0)
    with advice_ignored(), torch.no_grad():
        alone = values(worth.beside(x[:0]), x)
        beside = values(worth.beside(x[:1]), x[1:])
        posterior = believed.model.posterior(x)
        mean, deviation = posterior.mean.numpy(), posterior.variance.sqrt().numpy()
        joint = [process.posterior(x) for process in believed.model.models]
    assert alone == pytest.approx([closed_form(-front, mean[i], deviation[i]) for i in range(3)], rel=0.01)
    rng = np.random.default_rng(0)
    draws = -np.stack(
        [rng.multivariate_normal(p.mean[:, 0].numpy(), p.covariance_matrix.numpy(), 1000) for p in joint], axis=-1
    )  # (1000, 3, 2)
    first = np.array([volume(draw[:1]) for draw in draws])
    for i in (1, 2):
        added = np.array([volume(draw[[0, i]]) for draw in draws]) - first
        assert beside[i - 1] == pytest.approx(added.mean(), abs=4 * added.std() / np.sqrt(1000) + 0.01 * alone.max())


def test_what_a_candidate_adds_beside_many_others_is_counted_without_all_their_subsets() -> None:
    worth = Improvement(name="qehvi", surrogate=a_surrogate(), samples=128, seed=0)
    x = Inputs(MIXED, "one-hot")(some(40, seed=3))
    with advice_ignored():
        added = values(worth.beside(x[:16]), x[16:])
        alone = values(worth.beside(x[:0]), x[16:])
    noise = 0.02 * alone.max()
    assert (added >= -noise).all()
    assert (added <= alone + noise).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_batch_is_the_one_that_looking_at_every_candidate_each_time_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    covers = rng.random((400, 60)) < 0.08  # what a candidate covers is worth its size: submodular
    weights = rng.random(60)
    looked = 0

    def added(chosen: torch.Tensor, some_: NDArray[np.intp]) -> NDArray[np.float64]:
        before = covers[chosen[:, 0].numpy().astype(int)].any(axis=0)
        return np.asarray((covers[some_] & ~before) @ weights)

    def beside(chosen: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        def value(x: torch.Tensor) -> torch.Tensor:
            nonlocal looked
            looked += len(x)
            return torch.from_numpy(added(chosen, x[:, 0, 0].numpy().astype(int)))

        return value

    x = torch.arange(400, dtype=torch.float64)[:, None]
    alone = added(x[:0], np.arange(400))
    expected: list[int] = []
    for _ in range(6):
        gains = added(x[expected], np.arange(400))
        gains[expected] = -1
        expected.append(int(gains.argmax()))
    assert greedy(6, x, alone, beside=beside) == expected
    assert looked < 5 * 400
    assert greedy(9, x[:2], alone[:2], beside=beside) == sorted(range(2), key=lambda i: -alone[i])


def test_inputs_have_a_column_for_each_choice_or_for_each_option() -> None:
    architectures = some(20)
    one_hot, ordinal = Inputs(MIXED, "one-hot"), Inputs(MIXED, "ordinal")
    assert one_hot(architectures).numpy().tolist() == Encoding(MIXED).encode(architectures).tolist()
    numbers = ordinal(architectures).numpy()
    assert numbers.shape == (20, 6)
    positions = {"a": 1 / 3, "b": 2 / 3, "c": 1.0}
    assert numbers[:, 4] == pytest.approx([positions[str(a["op_1"])] for a in architectures])
    assert ordinal.categorical == [4, 5]


@pytest.mark.parametrize("kernel", ["ordinal", "hamming"])
def test_other_kernels_propose_too(kernel: str) -> None:
    inner = QehviInner(BayesSettings(samples=16, iterations=15, kernel=kernel))  # type: ignore[arg-type]
    assert len(inner.propose(2, request_of(history_of(some(12), two_costs)))) == 2


def test_a_surrogate_learns_from_the_front_and_the_latest_where_there_are_many_trials() -> None:
    costs = np.array([[float(i), float(50 - i)] if i < 5 else [60.0, 60.0] for i in range(50)])
    costs[7] = np.nan
    rows = _learned_from(costs, most=15)
    assert rows.tolist() == [0, 1, 2, 3, 4, *range(40, 50)]
    assert _learned_from(costs, most=100).tolist() == [i for i in range(50) if i != 7]


def counted(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    return np.array([sum(float(v) for v in a.values() if not isinstance(v, str)) for a in architectures])


def test_local_search_climbs_in_a_space_too_large_to_look_at_whole() -> None:
    space = mobilenet_space("small")
    history = history_of(some(12, space=space), lambda a: (1.0, -counted([a])[0]), space=space)
    request = request_of(history)
    pool = look(request, counted, settings=LookSettings(raw=20, climbers=2, steps=60))
    ids = [a.id for a in pool.architectures]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & request.taken
    assert pool.worth == pytest.approx(counted(pool.architectures))
    best = space.architecture({c.name: c.options[-1] for c in space.choices})
    assert pool.worth.max() == counted([best])[0]


def test_a_small_space_is_looked_at_whole_without_what_is_known() -> None:
    history = history_of(some(12), two_costs)
    pool = look(request_of(history, accept=narrow), lambda batch: np.ones(len(batch)), settings=LookSettings())
    inside = {a.id for a in MIXED.enumerate() if narrow([a])[0]}
    assert {a.id for a in pool.architectures} == inside - history.seen


def test_a_trust_region_grows_with_success_shrinks_with_failure_and_begins_anew() -> None:
    settings = TrustSettings(initial=2, failures=3)

    def after(*values_: float) -> tuple[int, float]:
        region = replayed(np.array(values_)[:, None], choices=5, settings=settings)
        return region.start, region.length

    assert after() == (0, 0.8)
    assert after(9, 8, 7, 6) == (0, 0.8)  # the first two are the initial design
    assert after(9, 8, 7, 6, 5) == (0, 1.6)
    assert after(9, 8, 7, 6, 5, 4, 3, 2) == (0, 1.6)
    assert after(9, 8, 9, 9, 9) == (0, 0.4)
    assert after(9, 8, 9, 9, 7, 9, 9) == (0, 0.8)
    shrunk = [9.0, 8.0, *[9.0] * 21]
    assert after(*shrunk) == (23, 0.8)
    assert after(*shrunk, 50, 40, 30) == (23, 0.8)  # what came before is forgotten


def test_in_a_trust_region_with_several_objectives_a_trial_off_the_front_fails() -> None:
    settings = TrustSettings(initial=1, failures=2, successes=2)
    front = [[2.0, 2.0], [1.0, 3.0], [3.0, 1.0]]
    assert replayed(np.array(front), choices=5, settings=settings).length == 1.6
    assert replayed(np.array([*front, front[0], [3.0, 3.0]]), choices=5, settings=settings).length == 0.8


def test_perturbed_architectures_stay_near_the_centre() -> None:
    center = MIXED.architecture({"width": 16, "depth": 2, "kernel_1": 5, "kernel_2": 5, "op_1": "a", "op_2": "b"})
    rng = np.random.default_rng(0)
    near = perturbed(center, 200, space=MIXED, sides=np.full(6, 0.01), rng=rng)
    assert {a["width"] for a in near} == {8, 16, 24}  # one option up or down is always allowed
    assert all((a["op_1"] != "a") + (a["op_2"] != "b") <= 1 for a in near)
    far = perturbed(center, 200, space=MIXED, sides=np.full(6, 1.6), rng=rng)
    assert {a["width"] for a in far} == {8, 16, 24, 32}
    assert any(a["op_1"] != "a" and a["op_2"] != "b" for a in far)
    assert all(MIXED.architecture(a) == a for a in [*near, *far])


@pytest.mark.science
def test_bayesian_optimisation_finds_better_architectures_than_mutation() -> None:
    def best(inner: InnerSearcher) -> float:
        known = some(12)
        for round_ in range(4):
            request = request_of(history_of(known, lambda a: two_costs(a)[:1]), seed=round_)
            known = [*known, *inner.propose(3, request)]
        return min(two_costs(a)[0] for a in known)

    optimum = min(two_costs(a)[0] for a in MIXED.enumerate())
    assert best(QehviInner(FAST)) == optimum
    assert best(TurboInner(candidates=200)) < best(MutationInner())


def test_botorch_is_imported_when_something_is_asked_for_and_not_before() -> None:
    script = "import sys, hwnas.searchers.bayes\nprint([m for m in ('botorch', 'gpytorch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
