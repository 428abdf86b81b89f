"""Accuracy learned from trials: what it learns, how unsure it says it is, and when it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import Architecture, DataError, Predictor, Trial, UsageError
from hwnas.evaluators import PredictorEvaluator
from hwnas.evaluators.predicted import Sizes
from hwnas.networks import NetworkFamily, network_family

FAMILY = network_family("mobilenet:tiny", channels=1, classes=10)
NOISE = 0.004


def drawn(n: int, *, seed: int = 0, family: NetworkFamily = FAMILY) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [family.space.sample(rng) for _ in range(n)]


def truth(architectures: Sequence[Architecture], *, family: NetworkFamily = FAMILY) -> np.ndarray:
    """Larger is better, with diminishing returns; one activation is better than the other."""
    params, flops = Sizes(family)(architectures).T
    better = np.array([one["activation"] == "hswish" for one in architectures])
    return 0.97 - 0.02 / (1 + 40 * params) - 0.02 / (1 + flops) + 0.01 * better


def made_up(n: int, *, noise: float = NOISE, seed: int = 0) -> list[Trial]:
    architectures = drawn(n, seed=seed)
    luck = noise * np.random.default_rng(seed + 1).standard_normal(n)
    values = np.clip(truth(architectures) + luck, 0, 1)
    return [
        Trial(number=i, architecture=one, values={"accuracy": float(value)})
        for i, (one, value) in enumerate(zip(architectures, values, strict=True))
    ]


@pytest.fixture(scope="module")
def learned() -> PredictorEvaluator:
    return PredictorEvaluator.fit(made_up(60), family=FAMILY)


def test_it_ranks_networks_it_has_not_seen_better_than_their_size_does(learned: PredictorEvaluator) -> None:
    fresh = drawn(200, seed=9)
    mean, _ = learned.predict(fresh)
    assert np.corrcoef(mean, truth(fresh))[0, 1] > 0.9
    assert np.corrcoef(Sizes(FAMILY)(fresh)[:, 0], truth(fresh))[0, 1] < 0.9


def test_its_judgement_is_that_of_networks_left_out(learned: PredictorEvaluator) -> None:
    judgement = learned.judgement
    assert judgement.trials == 60
    assert judgement.tau is not None
    assert judgement.tau_of_params is not None
    assert 0.3 < judgement.tau < 0.95  # the noise alone keeps it from 1
    assert judgement.tau > judgement.tau_of_params
    assert NOISE < judgement.error < 2.5 * NOISE
    assert judgement.inside > 0.8


def test_where_there_is_nothing_but_luck_the_judgement_says_so() -> None:
    noise = np.random.default_rng(3).uniform(0.4, 0.6, 40)
    trials = [replace(one, values={"accuracy": float(v)}) for one, v in zip(made_up(40), noise, strict=True)]
    judgement = PredictorEvaluator.fit(trials, family=FAMILY).judgement
    assert judgement.tau is None or judgement.tau < 0.3
    assert judgement.error > 0.04


def test_a_deviation_says_how_far_a_training_will_be_off_and_grows_where_less_was_seen(
    learned: PredictorEvaluator,
) -> None:
    assert isinstance(learned, Predictor)
    assert learned.judgement.stretch >= 1
    fresh = drawn(300, seed=9)
    mean, deviation = learned.predict(fresh)
    trained = truth(fresh) + NOISE * np.random.default_rng(8).standard_normal(300)
    assert (np.abs(trained - mean) <= 1.96 * deviation).mean() > 0.85
    few = [PredictorEvaluator.fit(made_up(12, seed=seed), family=FAMILY) for seed in range(5)]  # some are lucky
    assert np.mean([one.predict(fresh)[1].mean() for one in few]) > 1.2 * deviation.mean()


def test_one_architecture_is_evaluated_as_it_is_predicted_among_others(learned: PredictorEvaluator) -> None:
    three = drawn(3, seed=5)
    mean, deviation = learned.predict(three)
    for i, one in enumerate(three):
        values = learned.evaluate(one)
        assert values == {"accuracy": pytest.approx(mean[i]), "accuracy_deviation": pytest.approx(deviation[i])}
    assert [part.shape for part in learned.predict([])] == [(0,), (0,)]


def test_trials_that_failed_or_were_stopped_teach_nothing() -> None:
    trials = made_up(12)
    others = [
        replace(trials[0], number=12, values={}, failed="no"),
        replace(trials[1], number=13, values={"rung_accuracy": 0.1}, stopped="early"),
        replace(trials[2], number=14, values={"accuracy": float("nan")}),
    ]
    one, two = (PredictorEvaluator.fit(told, family=FAMILY) for told in (trials, [*others, *trials]))
    assert one.judgement == two.judgement
    with pytest.raises(UsageError, match="expected at least 10 trials that were trained to their end, received 9"):
        PredictorEvaluator.fit([*trials[:9], *others], family=FAMILY)


def test_trials_of_one_accuracy_are_refused() -> None:
    trials = [replace(one, values={"accuracy": 0.5}) for one in made_up(12)]
    with pytest.raises(UsageError, match=r"all 12 trials have the accuracy 0\.5, so there is nothing to learn"):
        PredictorEvaluator.fit(trials, family=FAMILY)


def test_what_cannot_be_fitted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> object:
        raise FloatingPointError("no finite likelihood")

    monkeypatch.setattr("hwnas.evaluators.predicted.learn", fails)
    with pytest.raises(DataError, match="nothing can be learned from these 12 trials: no finite likelihood"):
        PredictorEvaluator.fit(made_up(12), family=FAMILY)


@settings(max_examples=5)
@given(st.integers(0, 100), st.sampled_from([0.0, 0.01, 0.5]))
def test_predictions_are_accuracies_whatever_was_learned(seed: int, noise: float) -> None:
    predictor = PredictorEvaluator.fit(made_up(10, noise=noise, seed=seed), family=FAMILY)
    mean, deviation = predictor.predict(drawn(50, seed=seed + 1))
    assert ((mean >= 0) & (mean <= 1)).all()
    assert ((deviation >= 0) & np.isfinite(deviation)).all()


def test_spaces_with_features_are_learned_by_them() -> None:
    family = network_family("nasbench201", channels=3, classes=10)
    architectures = drawn(14, family=family)
    trials = [
        Trial(number=i, architecture=one, values={"accuracy": float(value)})
        for i, (one, value) in enumerate(
            zip(architectures, 0.9 + Sizes(family)(architectures)[:, 0] / 100, strict=True)
        )
    ]
    predictor = PredictorEvaluator.fit(trials, family=family)
    assert predictor.judgement.tau is not None
    assert predictor.judgement.tau > 0.5
