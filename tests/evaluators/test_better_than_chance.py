"""Cheap evaluations know something of the truth; ``make science`` runs it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from hwnas.evaluators import FewShotEvaluator, SupernetEvaluator, TrainedEvaluator
from hwnas.networks import network_family
from hwnas.supernets import SupernetRecipe
from hwnas.training import Recipe, load_data

_NETWORKS = 24
_BY_CHANCE = 0.25  # Kendall's tau that one guess in a hundred exceeds with so many networks is 0.34, one in twenty 0.24


@pytest.mark.science
def test_networks_are_ranked_better_than_by_chance_with_the_weights_of_one_supernet_and_of_four() -> None:
    digits = load_data("digits")
    family = network_family("mobilenet:tiny", channels=1, classes=10)
    rng = np.random.default_rng(5)
    networks = [family.space.sample(rng) for _ in range(_NETWORKS)]
    alone = TrainedEvaluator(family=family, data=digits, recipe=Recipe(epochs=4), seed=0)
    truth = [alone.evaluate(one)["accuracy"] for one in networks]
    for kind in (SupernetEvaluator, FewShotEvaluator):
        found = []
        for seed in (0, 1):
            shared = kind(family=family, data=digits, recipe=SupernetRecipe(epochs=15), seed=seed)
            guess = [shared.evaluate(one)["accuracy"] for one in networks]
            found.append(kendalltau(truth, guess).statistic)
        assert np.mean(found) > _BY_CHANCE
