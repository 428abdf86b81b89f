"""Accuracy in a precision: one training for all twins, and each judged as what would be deployed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwnas.conversion import calibration_images, model_in, onnx_accuracy
from hwnas.core import Architecture
from hwnas.evaluators import MixedEvaluator, TrainedEvaluator
from hwnas.networks import NetworkFamily, network_family
from hwnas.spaces import PRECISION, SearchSpace, without_precision
from hwnas.testing import EvaluatorConformance
from hwnas.training import Recipe
from tests.evaluators.test_conformance import DATA

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = Recipe(epochs=1, batch=24, device="cpu")


def family() -> NetworkFamily:
    whole = network_family("mobilenet:tiny", channels=1, classes=10, precisions=("fp32", "int8"))
    return replace(whole, space=whole.space.restrict({"resolution": [8], "width": [1.0]}))


FAMILY = family()


def made(folder: Path) -> MixedEvaluator:
    trained = TrainedEvaluator(family=FAMILY, data=DATA, recipe=RECIPE, seed=0)
    return MixedEvaluator(trained=trained, weights=folder)


@pytest.fixture(scope="module")
def twins() -> tuple[Architecture, Architecture]:
    network = without_precision(FAMILY.space.sample(np.random.default_rng(3)))
    first, second = (FAMILY.space.architecture({**network, PRECISION: name}) for name in ("fp32", "int8"))
    return first, second


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of networks that were trained, in their order."""
    found: list[str] = []
    module = TrainedEvaluator.module

    def noting(self: TrainedEvaluator, architecture: Architecture) -> object:
        found.append(architecture.id)
        return module(self, architecture)

    monkeypatch.setattr(TrainedEvaluator, "module", noting)
    return found


def test_twins_are_trained_once_and_each_is_judged_in_its_own_precision(
    twins: tuple[Architecture, Architecture], trainings: list[str], tmp_path: Path
) -> None:
    plain, rounded = twins
    evaluator = made(tmp_path)
    after, before = evaluator.evaluate(rounded), evaluator.evaluate(plain)
    assert trainings == [without_precision(plain).id]
    alone = evaluator.trained.evaluate(without_precision(plain))
    assert before["accuracy"] == before["float_accuracy"] == after["float_accuracy"] == alone["accuracy"]
    module, _ = evaluator.trained.module(without_precision(plain))
    model = model_in(module, "int8", calibration_images(DATA, size=8))
    assert b"QuantizeLinear" in model
    assert after["accuracy"] == onnx_accuracy(model, DATA.validation, DATA, size=8)


def test_a_twin_in_another_process_takes_the_weights_that_are_there(
    twins: tuple[Architecture, Architecture], trainings: list[str], tmp_path: Path
) -> None:
    first = made(tmp_path).evaluate(twins[0])
    second = made(tmp_path).evaluate(twins[1])
    assert len(trainings) == 1
    assert first["float_accuracy"] == second["float_accuracy"]


def test_damaged_weights_are_trained_anew_to_the_same(
    twins: tuple[Architecture, Architecture], trainings: list[str], tmp_path: Path
) -> None:
    evaluator = made(tmp_path)
    first = evaluator.evaluate(twins[0])
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    assert evaluator.evaluate(twins[0])["accuracy"] == first["accuracy"]
    assert len(trainings) == 2


class TestConformance(EvaluatorConformance):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_space(self) -> SearchSpace:
        return FAMILY.space

    def make_evaluator(self) -> MixedEvaluator:
        return made(self.folder)
