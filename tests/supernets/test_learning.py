"""Training of supernets: the seed decides, an interruption changes nothing, and each network gets its turn."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import RunMismatchError, StudyError, UsageError
from hwnas.networks import NetworkFamily
from hwnas.spaces import Choice, SearchSpace, mobilenet_space, nasbench201_space
from hwnas.supernets import Learning, Supernet, SupernetRecipe, learn, recalibrate
from hwnas.supernets.paths import has_order, networks_of_a_step
from hwnas.training import ImageData, TrainingDivergedError, accuracy, load_data
from tests.spaces.test_space import spaces
from tests.supernets.small import QUICK, same, state

Weights = dict[str, torch.Tensor]


def lesson(family: NetworkFamily, data: ImageData, *, steps: int = 6, seed: int = 0) -> Learning:
    return Learning(space=family.space, data=data, recipe=QUICK, steps=steps, seed=seed)


def learned(family: NetworkFamily, learning: Learning, checkpoint: Path | None = None) -> Weights:
    supernet = Supernet(family, seed=0)
    learn(supernet, learning, checkpoint=checkpoint)
    return state(supernet)


class StoppedError(Exception):
    """Stands for whatever ends a process."""


def stop_after(steps: int) -> object:
    def on_epoch(done: int) -> None:
        if done >= steps:
            raise StoppedError

    return on_epoch


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(smallest: NetworkFamily, few: ImageData) -> None:
    first, again, other = (learned(smallest, lesson(smallest, few, steps=2, seed=seed)) for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)


def test_a_training_that_was_cut_off_goes_on_bit_by_bit_as_if_it_had_not_been(
    smallest: NetworkFamily, few: ImageData, tmp_path: Path
) -> None:
    """Three epochs of two steps, and a last one of one."""
    learning, file = lesson(smallest, few, steps=7), tmp_path / "supernet.safetensors"
    epochs: list[int] = []
    whole = learned(smallest, learning)
    for stop in (2, 4, 6):
        with pytest.raises(StoppedError):
            learn(Supernet(smallest, seed=0), learning, checkpoint=file, on_epoch=stop_after(stop))  # type: ignore[arg-type]
    supernet = Supernet(smallest, seed=99)  # whatever it begins with
    learn(supernet, learning, checkpoint=file, on_epoch=epochs.append)
    assert epochs == [7]
    assert same(state(supernet), whole)
    assert not supernet.training
    finished = file.read_bytes()
    learn(supernet, learning, checkpoint=file, on_epoch=epochs.append)
    assert epochs == [7]  # only read
    assert file.read_bytes() == finished
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_a_file_of_other_settings_is_refused_with_what_differs(
    smallest: NetworkFamily, few: ImageData, tmp_path: Path
) -> None:
    file = tmp_path / "supernet.safetensors"
    learned(smallest, lesson(smallest, few, steps=1), file)
    with pytest.raises(
        RunMismatchError, match=r"other settings \(seed: 0 there, 5 asked for\): give these, or"
    ) as error:
        learned(smallest, lesson(smallest, few, steps=1, seed=5), file)
    assert error.value.differences == {"seed": (0, 5)}
    other = replace(few, train=few.validation)
    with pytest.raises(RunMismatchError, match="data_sha256"):
        learned(smallest, lesson(smallest, other, steps=1), file)


def test_a_damaged_file_is_an_error_that_says_what_to_do(
    smallest: NetworkFamily, few: ImageData, tmp_path: Path
) -> None:
    file = tmp_path / "supernet.safetensors"
    learned(smallest, lesson(smallest, few, steps=1), file)
    for content in (b"", b"nonsense", file.read_bytes()[:-100]):
        file.write_bytes(content)
        with pytest.raises(StudyError, match=rf"{re.escape(str(file))} is damaged .*: remove it, and the supernet is"):
            learned(smallest, lesson(smallest, few, steps=1), file)


def test_networks_of_a_trained_supernet_tell_digits_apart(smallest: NetworkFamily) -> None:
    digits, recipe = load_data("digits"), replace(QUICK, batch=32)
    supernet = Supernet(smallest, seed=0)
    learning = Learning(space=smallest.space, data=digits, recipe=recipe, steps=45, seed=0)
    learn(supernet, learning)
    for position in (0, -1):
        values = {choice.name: choice.options[position] for choice in smallest.space.choices}
        module = supernet.materialize(smallest.space.architecture(values))
        recalibrate(module, digits, size=8, images=256)
        assert accuracy(module, digits.validation, digits, size=8) > 0.3


def test_cells_learn_too_an_operation_of_each_edge_at_a_time(cells: NetworkFamily, few: ImageData) -> None:
    part = replace(cells, space=cells.space.restrict({"edge_0_1": ["nor_conv_3x3"], "edge_0_2": ["none"]}))
    recipe = replace(QUICK, batch=2)
    before = state(Supernet(part, seed=0))
    supernet = Supernet(part, seed=0)
    learn(supernet, Learning(space=part.space, data=few, recipe=recipe, steps=1, seed=0))
    moved = {name for name, value in state(supernet).items() if not torch.equal(value, before[name])}
    places = {name.split("/")[1] for name in moved if name.count("/") > 1}
    assert "0_2" not in places
    assert not any("0_1/conv1x1" in name for name in moved)
    assert any("0_1/conv3x3" in name for name in moved)


def test_a_loss_that_is_no_number_is_an_error(smallest: NetworkFamily, few: ImageData) -> None:
    supernet = Supernet(smallest, seed=0)
    with torch.no_grad():
        next(supernet.parameters()).fill_(float("nan"))
    with pytest.raises(
        TrainingDivergedError, match=r"loss of the supernet became nan in step 1: lower the learning rate"
    ):
        learn(supernet, lesson(smallest, few))


# --- which networks learn


@given(spaces(), st.integers(0, 99), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_the_networks_of_a_step_are_of_the_space(space: SearchSpace, seed: int, random_paths: int) -> None:
    drawn = networks_of_a_step(space, np.random.default_rng(seed), random_paths=random_paths)
    assert drawn
    assert all(space.architecture(dict(one)) == one for one in drawn)
    if has_order(space):
        assert len(drawn) == 2 + random_paths


def test_in_a_space_with_order_the_largest_network_comes_first_and_then_the_smallest() -> None:
    space = mobilenet_space("tiny")
    seen = set()
    for seed in range(20):
        large, small, *_ = networks_of_a_step(space, np.random.default_rng(seed), random_paths=1)
        ordinal = [choice for choice in space.choices if choice.ordinal]
        assert all(large[choice.name] == choice.options[-1] for choice in ordinal)
        assert all(small[choice.name] == choice.options[0] for choice in ordinal if choice.name in small)
        seen |= {large["activation"], small["activation"]}
    assert seen == {"relu", "hswish"}  # what has no order is drawn


def test_in_a_space_without_order_every_option_of_every_choice_gets_its_turn() -> None:
    space = nasbench201_space()
    drawn = networks_of_a_step(space, np.random.default_rng(0), random_paths=9)
    assert len(drawn) == 5
    for choice in space.choices:
        assert Counter(one[choice.name] for one in drawn) == Counter(choice.options)
    uneven = SearchSpace(
        "uneven",
        (
            Choice(name="a", options=("x", "y", "z"), ordinal=False),
            Choice(name="b", options=("p", "q"), ordinal=False),
            Choice(name="c", options=(1,)),
        ),
    )
    drawn = networks_of_a_step(uneven, np.random.default_rng(0), random_paths=0)
    assert {one["a"] for one in drawn} == {"x", "y", "z"}
    assert sorted(Counter(one["b"] for one in drawn).values()) == [1, 2]


# --- recipes


def test_the_learning_rate_rises_to_its_largest_and_falls_to_almost_nothing() -> None:
    recipe = SupernetRecipe(learning_rate=0.5)
    rates = [recipe.rate(step, total=50) for step in range(50)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.5)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 < min(rates) <= rates[-1] < 0.01
    assert recipe.rate(0, total=1) == 0.5


@pytest.mark.parametrize(
    ("setting", "least"), [("epochs", 1), ("batch", 2), ("random_paths", 0), ("calibration_images", 2)]
)
def test_a_recipe_that_cannot_be_is_refused(setting: str, least: int) -> None:
    with pytest.raises(UsageError, match=f"expected {setting} of {least} or more, received {least - 1}"):
        SupernetRecipe(**{setting: least - 1})
    recipe = SupernetRecipe(**{setting: least})
    assert SupernetRecipe(**recipe.to_json()) == recipe  # type: ignore[arg-type]
