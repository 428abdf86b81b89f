"""Several supernets: what is said of a network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwnas.core import Architecture, Value
from hwnas.evaluators import FewShotEvaluator
from hwnas.networks import network_family
from hwnas.supernets import OneShot, SupernetRecipe, recalibrate
from hwnas.supernets.scale import Scale
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


def judged_by_part(evaluator: FewShotEvaluator, one: Architecture) -> tuple[float, float]:
    """Accuracy and mean probability of the right class."""
    module = evaluator.supernet(one).materialize(one)
    recalibrate(module, evaluator.data, size=8, images=30)
    return judged(module, evaluator.data.validation, evaluator.data, size=8)


def test_networks_of_a_part_are_judged_by_its_own_supernet(tmp_path: Path) -> None:
    evaluator = replace(evaluator_of({"activation": (("relu",), ("hswish",))}, {}), folder=tmp_path)
    rng = np.random.default_rng(1)
    for number, part in enumerate(evaluator.parts):
        scale = Scale.from_json(json.loads((tmp_path / "scale.json").read_text())["parts"])
        for one in (part.sample(rng) for _ in range(4)):
            expected = scale.accuracy(number, *judged_by_part(evaluator, one))
            assert evaluator.evaluate(one)["accuracy"] == pytest.approx(expected, abs=1e-9)


def test_parts_are_where_the_supernet_for_all_puts_their_networks_unless_parts_have_overtaken_it() -> None:
    """Of parts of one network there is no spread, so that it is one or the other."""
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
    networks = [part.sample(rng) for part in evaluator.parts]
    whole = [alone.accuracy(one) for one in networks]
    own = [judged_by_part(evaluator, one)[0] for one in networks]
    expected = whole if np.mean(own) <= np.mean(whole) else own
    assert [evaluator.evaluate(one)["accuracy"] for one in networks] == pytest.approx(expected, abs=1e-9)
