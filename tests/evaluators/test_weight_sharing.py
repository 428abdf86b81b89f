"""Several supernets: what is said of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from hwnas.core import Value
from hwnas.evaluators import FewShotEvaluator
from hwnas.networks import network_family
from hwnas.supernets import OneShot, SupernetRecipe, recalibrate
from hwnas.supernets.splitting import Groups
from hwnas.training import ImageData, Split, judged, load_data

pytestmark = pytest.mark.usefixtures("one_thread")


def evaluator_of(groups: Groups, restricted: Mapping[str, Sequence[Value]]) -> FewShotEvaluator:
    """Of some networks of ``mobilenet:tiny`` on 60 images of digits."""
    whole = network_family("mobilenet:tiny", channels=1, classes=10)
    family = replace(whole, space=whole.space.restrict({"resolution": [8], "width": [1.0], **restricted}))
    digits = load_data("digits")
    few, shown = (Split(one.images[:60], one.labels[:60]) for one in (digits.train, digits.validation))
    data = ImageData(name="few", class_names=digits.class_names, train=few, validation=shown, test=shown)
    recipe = SupernetRecipe(epochs=8, batch=30, random_paths=0, calibration_images=30)
    return FewShotEvaluator(family=family, data=data, recipe=recipe, seed=0, groups=groups)


def test_networks_of_a_part_are_in_the_order_of_its_own_supernet() -> None:
    evaluator = evaluator_of({"activation": (("relu",), ("hswish",))}, {})
    rng = np.random.default_rng(1)
    for part in evaluator.parts:
        networks = [part.sample(rng) for _ in range(4)]
        confidences = []
        for one in networks:
            module = evaluator.supernet(one).materialize(one)
            recalibrate(module, evaluator.data, size=8, images=30)
            confidences.append(judged(module, evaluator.data.validation, evaluator.data, size=8)[1])
        said = [evaluator.evaluate(one)["accuracy"] for one in networks]
        assert np.argsort(said).tolist() == np.argsort(confidences).tolist()


def test_parts_are_where_the_supernet_for_all_puts_their_networks() -> None:
    """A part of one network has its accuracy by that supernet, which ends where the parts begin."""
    rng = np.random.default_rng(1)
    groups = {"activation": (("relu",), ("hswish",))}
    free = network_family("mobilenet:tiny", channels=1, classes=10).space.sample(rng)
    evaluator = evaluator_of(
        groups, {name: [value] for name, value in free.items() if name not in {"activation", "resolution", "width"}}
    )
    assert [part.size for part in evaluator.parts] == [1, 1]
    alone = OneShot(
        family=evaluator.family, data=evaluator.data, recipe=replace(evaluator.recipe, epochs=6), seed=0
    )  # three quarters of the steps
    for part in evaluator.parts:
        one = part.sample(rng)
        assert evaluator.evaluate(one)["accuracy"] == alone.accuracy(one)
