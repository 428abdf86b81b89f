"""Several supernets: what is said of a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwnas.evaluators import FewShotEvaluator
from hwnas.networks import network_family
from hwnas.supernets import OneShot, SupernetRecipe, recalibrate
from hwnas.training import ImageData, Split, accuracy, load_data

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_network_is_judged_by_the_supernet_of_its_part_and_not_by_that_for_all() -> None:
    """That for all is the one supernet of a recipe that ends where the parts begin."""
    whole = network_family("mobilenet:tiny", channels=1, classes=10)
    family = replace(whole, space=whole.space.restrict({"resolution": [8], "width": [1.0]}))
    digits = load_data("digits")
    few, judged = (Split(one.images[:60], one.labels[:60]) for one in (digits.train, digits.validation))
    data = ImageData(name="few", class_names=digits.class_names, train=few, validation=judged, test=judged)
    recipe = SupernetRecipe(epochs=8, batch=30, random_paths=0, calibration_images=30)
    groups = {"activation": (("relu",), ("hswish",))}
    evaluator = FewShotEvaluator(family=family, data=data, recipe=recipe, seed=0, groups=groups)
    alone = OneShot(family=family, data=data, recipe=replace(recipe, epochs=6), seed=0)  # three quarters of the steps
    rng, said = np.random.default_rng(1), []
    for _ in range(4):
        one = family.space.sample(rng)
        for supernet in (evaluator.supernet(one), alone.supernet(one)):
            module = supernet.materialize(one)
            recalibrate(module, data, size=8, images=30)
            said.append(accuracy(module, data.validation, data, size=8))
        assert evaluator.evaluate(one)["accuracy"] == said[-2]
    assert any(part != whole for part, whole in zip(said[::2], said[1::2], strict=True))
