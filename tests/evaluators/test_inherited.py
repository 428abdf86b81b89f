"""Inherited weights: who inherits from whom, for how long it is trained, and what is kept, whatever happens."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from hwnas.core import Architecture, Evaluator, RunMismatchError, StudyError, Value
from hwnas.evaluators import InheritanceStore, InheritedEvaluator, inherited
from hwnas.evaluators.inherited import changed, child_recipe
from hwnas.networks import network_family
from hwnas.spaces import SearchSpace
from hwnas.testing import EvaluatorConformance
from hwnas.training import Course, ImageData, Recipe, loop
from tests.evaluators.test_conformance import FAMILY, few

pytestmark = pytest.mark.usefixtures("one_thread")

DATA = few()
RECIPE = Recipe(epochs=3, batch=24, device="cpu")
FIRST: dict[str, Value] = {choice.name: choice.options[0] for choice in FAMILY.space.choices}
WEIGHTS = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}


def network(**changes: Value) -> Architecture:
    named = {name.replace("_", "."): value for name, value in changes.items()}
    return FAMILY.space.architecture({**FIRST, **named})


PARENT, CHILD, STEPCHILD = network(), network(s1_b1_kernel=5), network(activation="hswish")
GRANDCHILD = network(s1_b1_kernel=5, s2_se=True)
STRANGER = network(activation="hswish", s1_se=True, s2_se=True, s1_b1_kernel=5)


def evaluator(folder: Path, *, data: ImageData = DATA, recipe: Recipe = RECIPE, seed: int = 0) -> InheritedEvaluator:
    return InheritedEvaluator(family=FAMILY, data=data, recipe=recipe, seed=seed, folder=folder)


class TestInherited(EvaluatorConformance):
    """The contract, but for one law: what was evaluated before does matter."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_space(self) -> SearchSpace:
        return FAMILY.space

    def make_evaluator(self) -> Evaluator:
        return evaluator(self.folder, recipe=Recipe(epochs=1, batch=24, device="cpu"))

    def test_what_was_evaluated_before_does_not_matter(self) -> None:
        """It does, and only through the parents: without any within reach, a network is trained as by itself."""
        here, there = (evaluator(self.folder / name, recipe=Recipe(epochs=1, batch=24)) for name in ("a", "b"))
        here.evaluate(PARENT)
        assert here.evaluate(STRANGER)["accuracy"] == there.evaluate(STRANGER)["accuracy"]


def test_a_child_is_trained_for_a_third_of_the_epochs_from_the_weights_of_its_parent(tmp_path: Path) -> None:
    held = evaluator(tmp_path)
    first = held.evaluate(PARENT)
    assert (first["train_epochs"], first["lineage_epochs"]) == (3, 3)
    assert "parent_distance" not in first
    child, stepchild, grandchild = (dict(held.evaluate(one)) for one in (CHILD, STEPCHILD, GRANDCHILD))
    assert [one["train_epochs"] for one in (child, stepchild, grandchild)] == [1, 1, 1]
    assert [one["lineage_epochs"] for one in (child, stepchild, grandchild)] == [4, 4, 5]
    assert [one["parent_exact"] for one in (child, stepchild, grandchild)] == [1, 0, 1]
    kept = {one.architecture: one.parent for one in held.store.networks()}
    assert kept == {PARENT: None, CHILD: PARENT.id, STEPCHILD: PARENT.id, GRANDCHILD: CHILD.id}


def test_a_child_begins_as_its_parent_and_learns_from_it_only_where_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teachers: list[bool] = []

    def untrained(module: torch.nn.Module, *_: object, teacher: object, **__: object) -> Course:
        teachers.append(teacher is not None)
        module.eval()
        return Course()

    held = evaluator(tmp_path)
    before = held.evaluate(PARENT)["accuracy"]
    monkeypatch.setattr(inherited, "train", untrained)
    assert held.evaluate(CHILD)["accuracy"] == before
    held.evaluate(STEPCHILD)
    assert teachers == [False, True]


def test_children_learn_more_slowly_or_from_the_parent_too_where_they_had_to_be_changed() -> None:
    exact, changed_ = (child_recipe(Recipe(epochs=7), exact=exact) for exact in (True, False))
    assert exact.changes() == {"epochs": 3, "learning_rate": 4e-3}
    assert changed_.changes() == {"epochs": 3, "distillation": 0.5}
    assert child_recipe(Recipe(epochs=1), exact=True).epochs == 1


def test_the_nearest_parent_is_taken_then_one_that_the_child_can_be_then_the_more_accurate(tmp_path: Path) -> None:
    held = evaluator(tmp_path)
    weights = {one: FAMILY.module(one, seed=0).state_dict() for one in (PARENT, STEPCHILD, GRANDCHILD)}

    def chosen(child: Architecture) -> Architecture:
        found = held._parent(child).kept
        assert found is not None
        return found.architecture

    for one, accuracy in ((PARENT, 0.5), (STEPCHILD, 0.9), (GRANDCHILD, 0.95)):
        held.store.keep(one, weights[one], {"accuracy": accuracy, "lineage_epochs": 3.0})
    assert chosen(network(s1_se=True)) == PARENT  # GRANDCHILD is two steps further away
    assert chosen(CHILD) == PARENT  # as near as GRANDCHILD, which is better but has a gate too many
    both = network(activation="hswish", s1_se=True)
    assert changed(STEPCHILD, both) == 1 < changed(PARENT, both)
    assert chosen(both) == STEPCHILD
    held.store.keep(CHILD, FAMILY.module(CHILD, seed=0).state_dict(), {"accuracy": 0.4, "lineage_epochs": 3.0})
    assert chosen(network(s1_b1_kernel=5, s1_b1_expansion=4)) == CHILD


def test_what_comes_to_life_by_a_step_does_not_count_again() -> None:
    assert changed(network(s1_depth=1), network(s1_depth=2)) == 1


def test_a_training_that_was_cut_off_goes_on_and_a_network_that_is_kept_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluator(tmp_path / "whole")
    expected = [whole.evaluate(one)["accuracy"] for one in (PARENT, CHILD)]
    monkeypatch.setattr(loop, "_CHECKPOINT_EVERY_S", 0.0)
    epochs: list[int] = []
    epoch = loop.Training.epoch

    def stopping(self: loop.Training) -> float:
        epochs.append(self.epochs_done)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return epoch(self)

    monkeypatch.setattr(loop.Training, "epoch", stopping)
    with pytest.raises(KeyboardInterrupt):
        evaluator(tmp_path / "cut").evaluate(PARENT)
    assert evaluator(tmp_path / "cut").store.networks() == []
    found = [evaluator(tmp_path / "cut").evaluate(one)["accuracy"] for one in (PARENT, CHILD)]
    assert found == expected
    assert epochs == [0, 1, 1, 2, 0]
    assert [evaluator(tmp_path / "cut").evaluate(one)["accuracy"] for one in (PARENT, CHILD)] == expected
    assert len(epochs) == 5


@pytest.mark.parametrize("damage", ["remove", "change"])
def test_a_parent_whose_weights_are_lost_is_passed_over_and_counted(tmp_path: Path, damage: str) -> None:
    held = evaluator(tmp_path, recipe=Recipe(epochs=1, batch=24, device="cpu"))
    held.evaluate(PARENT)
    kept = held.store.find(PARENT)
    assert kept is not None
    file = tmp_path / "weights" / f"{kept.weights_sha256}.safetensors"
    if damage == "remove":
        file.unlink()
        message = rf"weights of network {PARENT.id} cannot be read: expected them in .*Remove .*{PARENT.id}\.json"
    else:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(bytes(content))
        message = rf"weights of network {PARENT.id} are damaged: expected the SHA-256 .*Remove that file and"
    with pytest.raises(StudyError, match=message):
        held.store.weights(kept)
    child = held.evaluate(CHILD)
    assert child["parents_lost"] == 1
    assert "parent_distance" not in child


def test_weights_are_kept_once_whole_and_by_what_they_are(tmp_path: Path) -> None:
    store = InheritanceStore(tmp_path, {"space": "made-up"})
    one = store.keep(PARENT, WEIGHTS, {"accuracy": 0.5})
    two = store.keep(CHILD, dict(reversed(WEIGHTS.items())), {"accuracy": 0.6}, parent=PARENT.id)
    (file,) = (tmp_path / "weights").iterdir()
    assert file.stem == one.weights_sha256 == two.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    again = InheritanceStore(tmp_path, {"space": "made-up"})
    assert again.find(CHILD) == two
    assert again.find(STEPCHILD) is None
    assert {kept.architecture for kept in again.networks()} == {PARENT, CHILD}
    assert all(torch.equal(again.weights(two)[name], tensor) for name, tensor in WEIGHTS.items())


def test_weights_of_another_space_recipe_or_data_are_refused(tmp_path: Path) -> None:
    evaluator(tmp_path).store.keep(PARENT, WEIGHTS, {"accuracy": 0.5})
    other = network_family("nasbench201", channels=1, classes=10)
    strangers = InheritedEvaluator(family=other, data=DATA, recipe=RECIPE, seed=0, folder=tmp_path)
    with pytest.raises(RunMismatchError, match=r"weights of other networks \(space: 'mobilenet:tiny' there, 'nasbench"):
        strangers.evaluate(other.space.architecture({choice.name: "none" for choice in other.space.choices}))
    with pytest.raises(RunMismatchError, match=r"seed: 0 there, 1 asked for\): give these settings, or another folder"):
        evaluator(tmp_path, seed=1).evaluate(PARENT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "remove it, and the network is trained anew"),
        (json.dumps({"architecture": {}, "values": {}}), "cannot read .* as a network with its weights"),
    ],
)
def test_a_damaged_entry_is_named(tmp_path: Path, content: str, message: str) -> None:
    held = evaluator(tmp_path)
    held.store.keep(PARENT, WEIGHTS, {"accuracy": 0.5})
    (tmp_path / "networks" / f"{PARENT.id}.json").write_text(content)
    with pytest.raises(StudyError, match=message):
        held.evaluate(PARENT)
    (tmp_path / "about.json").write_text("[")
    with pytest.raises(StudyError, match=r"cannot read .*about\.json"):
        held.evaluate(PARENT)
