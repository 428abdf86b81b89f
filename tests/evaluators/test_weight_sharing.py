"""Several supernets: networks of different parts are compared on one scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwnas.core import Architecture
from hwnas.evaluators import FewShotEvaluator, weight_sharing
from hwnas.networks import network_family
from hwnas.supernets import Supernet, SupernetRecipe
from hwnas.training import ImageData, Split, load_data

LAGS = (0.3, 0.0)  # what the supernet of each part says too little

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def evaluator() -> FewShotEvaluator:
    """Two parts; trained for a moment."""
    whole = network_family("mobilenet:tiny", channels=1, classes=10)
    digits = load_data("digits")
    few = Split(digits.train.images[:48], digits.train.labels[:48])
    return FewShotEvaluator(
        family=replace(whole, space=whole.space.restrict({"resolution": [8], "width": [1.0]})),
        data=ImageData(name="few", class_names=digits.class_names, train=few, validation=few, test=few),
        recipe=SupernetRecipe(epochs=2, batch=24, random_paths=0, calibration_images=24),
        seed=0,
        groups={"activation": (("relu",), ("hswish",))},
        parent_share=0.5,
    )


def test_that_one_part_is_not_as_far_in_its_training_as_another_changes_no_accuracy(
    evaluator: FewShotEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(supernet: Supernet, architecture: Architecture, by: FewShotEvaluator) -> float:
        lag = 0.0 if supernet is by.parent else LAGS[["relu", "hswish"].index(str(architecture["activation"]))]
        return 0.4 + len(architecture) / 100 - lag

    monkeypatch.setattr(weight_sharing, "_judged", judged)
    rng = np.random.default_rng(1)
    for _ in range(8):
        one = evaluator.family.space.sample(rng)
        assert evaluator.evaluate(one)["accuracy"] == pytest.approx(0.4 + len(one) / 100)


@pytest.mark.parametrize(("said", "expected"), [(0.98, 1.0), (0.02, 0.0)])
def test_an_accuracy_on_the_common_scale_is_still_between_0_and_1(
    evaluator: FewShotEvaluator, monkeypatch: pytest.MonkeyPatch, said: float, expected: float
) -> None:
    """The parts say it of one network, and the opposite of all that they are compared by."""
    asked = evaluator.family.space.sample(np.random.default_rng(1))

    def judged(supernet: Supernet, architecture: Architecture, by: FewShotEvaluator) -> float:
        return said if (architecture == asked or supernet is by.parent) else 1 - said

    monkeypatch.setattr(weight_sharing, "_judged", judged)
    assert evaluator.evaluate(asked)["accuracy"] == expected
