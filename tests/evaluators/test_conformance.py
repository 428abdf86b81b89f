"""Every evaluator of the house keeps the contract of evaluators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from hwnas.core import Architecture, Evaluator, Trial
from hwnas.evaluators import (
    ACCEL_FILE,
    Cached,
    Counted,
    FewShotEvaluator,
    FunctionEvaluator,
    Noisy,
    PredictorEvaluator,
    ProxyEvaluator,
    SupernetEvaluator,
    TabularEvaluator,
    TrainedEvaluator,
    accel_evaluator,
    ofa_evaluator,
)
from hwnas.evaluators.ofa import LATENCY_FILE, PREDICTOR_FILE
from hwnas.networks import network_family
from hwnas.spaces import SearchSpace, accel_space
from hwnas.supernets import SupernetRecipe
from hwnas.testing import EvaluatorConformance
from hwnas.training import ImageData, Recipe, Split, load_data
from tests.evaluators.test_tabular import in_folder

WHOLE = network_family("mobilenet:tiny", channels=1, classes=10)
FAMILY = replace(WHOLE, space=WHOLE.space.restrict({"resolution": [8], "width": [1.0]}))
QUICK = SupernetRecipe(epochs=2, batch=24, random_paths=0, calibration_images=24)
HERE = Path(__file__)


pytestmark = pytest.mark.usefixtures("one_thread")


def few() -> ImageData:
    """48 digits to learn from, 60 to be judged on."""
    digits = load_data("digits")
    judged = Split(digits.validation.images[:60], digits.validation.labels[:60])
    learned = Split(digits.train.images[:48], digits.train.labels[:48])
    return ImageData(name="few", class_names=digits.class_names, train=learned, validation=judged, test=judged)


DATA = few()


def share_of_choices(architecture: dict[str, object], seed: int) -> float:
    """What a user may evaluate by."""
    return (len(architecture) + seed % 7) / 100


accelerator = cache(partial(accel_evaluator, "zcu102"))


@dataclass(frozen=True)
class MadeUp:
    """Accuracy out of the name."""

    def evaluate(self, architecture: Architecture) -> dict[str, float]:
        return {"accuracy": int(architecture.id, 16) / 16**10}


class OfTiny(EvaluatorConformance):
    """On a small part of the space of tiny networks."""

    folder: Path

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """One for all tests of a suite, so that a supernet is trained once."""
        kind = type(self)
        if "folder" not in vars(kind):
            kind.folder = tmp_path_factory.mktemp(kind.__name__)

    def make_space(self) -> SearchSpace:
        return FAMILY.space


class TestTrained(OfTiny):
    def make_evaluator(self) -> Evaluator:
        return TrainedEvaluator(family=FAMILY, data=DATA, recipe=Recipe(epochs=1, batch=24), seed=0)


class TestSupernet(OfTiny):
    spawns = True

    def make_evaluator(self) -> Evaluator:
        return SupernetEvaluator(family=FAMILY, data=DATA, recipe=QUICK, seed=0, folder=self.folder)


class TestSupernetInMemory(OfTiny):
    architectures = 2

    def make_evaluator(self) -> Evaluator:
        return SupernetEvaluator(family=FAMILY, data=DATA, recipe=replace(QUICK, epochs=1), seed=0)


class TestFewShot(OfTiny):
    groups: ClassVar = {"activation": (("relu",), ("hswish",))}

    def make_evaluator(self) -> Evaluator:
        return FewShotEvaluator(
            family=FAMILY, data=DATA, recipe=QUICK, seed=0, folder=self.folder, groups=self.groups, parent_share=0.5
        )


class TestProxy(OfTiny):
    def make_evaluator(self) -> Evaluator:
        return ProxyEvaluator(family=FAMILY, data=DATA, seed=0, sample=4)


class TestPlacedProxy(OfTiny):
    def make_evaluator(self) -> Evaluator:
        return ProxyEvaluator(family=FAMILY, data=DATA, seed=0, scores=("params",), sample=4).placed()


class TestPredictor(OfTiny):
    spawns = True

    def make_evaluator(self) -> Evaluator:
        rng = np.random.default_rng(0)
        drawn = [FAMILY.space.sample(rng) for _ in range(12)]
        made_up = [
            Trial(number=i, architecture=one, values={"accuracy": 0.5 + len(FAMILY.blocks(one)) / 100 + i % 3 / 50})
            for i, one in enumerate(drawn)
        ]
        return PredictorEvaluator.fit(made_up, family=FAMILY)


class TestFunction(OfTiny):
    def make_evaluator(self) -> Evaluator:
        return FunctionEvaluator(function=f"{HERE}:share_of_choices", family=FAMILY, seed=3)


class TestWrapped(OfTiny):
    """A count around a cache around noise around a function that is imported."""

    def make_evaluator(self) -> Evaluator:
        function = FunctionEvaluator(
            function="tests.evaluators.test_conformance:share_of_choices", family=FAMILY, seed=3
        )
        noisy = Noisy(evaluator=function, deviation=0.1, seed=1)
        return Counted(evaluator=Cached(evaluator=noisy, path=self.folder / "values.jsonl"))


class TestTabular(EvaluatorConformance):
    space = FAMILY.space.restrict({"s1.depth": [1], "s2.depth": [1]})

    def make_space(self) -> SearchSpace:
        return self.space

    def make_evaluator(self) -> Evaluator:
        architectures = list(self.space.enumerate())
        columns = {"accuracy": np.linspace(0, 1, len(architectures))}
        return TabularEvaluator(space=self.space, architectures=architectures, columns=columns)


class TestOnceForAll(EvaluatorConformance):
    full_accuracy = 100.0

    def make_space(self) -> SearchSpace:
        for file in (PREDICTOR_FILE, LATENCY_FILE):
            in_folder(file)
        return ofa_evaluator().space

    def make_evaluator(self) -> Evaluator:
        self.make_space()
        return ofa_evaluator()


class TestAccelerator(EvaluatorConformance):
    full_accuracy = 100.0

    def make_space(self) -> SearchSpace:
        return accel_space()

    def make_evaluator(self) -> Evaluator:
        in_folder(ACCEL_FILE)
        return accelerator()


# --- the suite itself


class Sound(EvaluatorConformance):
    def make_space(self) -> SearchSpace:
        return FAMILY.space

    def make_evaluator(self) -> Evaluator:
        return MadeUp()


def failed(suite: type[EvaluatorConformance], test: str) -> str:
    """What a test says of an evaluator that fails it; nothing of one that passes."""
    try:
        getattr(suite(), test)()
    except AssertionError as error:
        return str(error)
    return ""


def with_answers(answer: object) -> type[EvaluatorConformance]:
    class Suite(Sound):
        def make_evaluator(self) -> Evaluator:
            class Bad:
                asked = 0

                def evaluate(self, architecture: Architecture) -> object:
                    self.asked += 1
                    return answer(self, architecture) if callable(answer) else answer

            return Bad()  # type: ignore[return-value]

    return Suite


def test_a_sound_evaluator_passes_and_whoever_breaks_the_contract_is_told_how() -> None:
    assert not any(failed(Sound, name) for name in dir(Sound) if name.startswith("test_"))
    first = "test_values_are_finite_numbers_by_name"
    for answer, test, message in (
        (0.5, first, "expected values by name, received float"),
        ({}, first, "at least one value"),
        ({"accuracy": float("nan")}, first, "expected a finite number, received nan"),
        ({"accuracy": 91.2}, first, "expected 0 to 1, received 91.2"),
        ({"accuracy": "0.9"}, first, "expected a number, received str"),
        ({1: 0.5}, first, "expected a name, received 1"),
        (lambda own, _: {"accuracy": own.asked / 10}, "test_the_same_architecture_has_the_same_values", "asked again"),
        (
            lambda own, one: {"accuracy": (own.asked > 1) * int(one.id, 16) / 16**10},
            "test_what_was_evaluated_before_does_not_matter",
            "depends on what was evaluated before",
        ),
        (
            lambda *_: {"accuracy": float(torch.rand(1))},
            "test_global_random_states_are_left_alone",
            "state of torch was changed",
        ),
        (
            lambda *_: {"accuracy": float(np.random.rand())},  # noqa: NPY002  (the global generator is the point)
            "test_global_random_states_are_left_alone",
            "state of numpy was changed",
        ),
    ):
        assert message in failed(with_answers(answer), test)


def test_seconds_need_not_be_the_same() -> None:
    timed = with_answers(lambda own, _: {"accuracy": 0.5, "train_s": own.asked})
    assert not failed(timed, "test_the_same_architecture_has_the_same_values")


def test_a_suite_without_an_evaluator_says_how_to_give_one() -> None:
    with pytest.raises(NotImplementedError, match="def make_evaluator"):
        EvaluatorConformance().make_evaluator()
    with pytest.raises(NotImplementedError, match="def make_space"):
        EvaluatorConformance().make_space()
