"""Recipes: checked, recorded field by field, and named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.core import UsageError
from hwnas.training import PRESETS, Recipe, preset, preset_name

RECIPES = st.builds(
    Recipe,
    epochs=st.integers(1, 500),
    batch=st.integers(1, 4096),
    optimizer=st.sampled_from(["adamw", "sgd"]),
    learning_rate=st.floats(1e-6, 10),
    momentum=st.floats(0.2, 0.99),
    schedule=st.sampled_from(["one-cycle", "cosine"]),
    warmup=st.floats(0, 0.9),
    weight_decay=st.floats(0, 1),
    decay=st.sampled_from(["all", "weights"]),
    label_smoothing=st.floats(0, 0.5),
    clip_norm=st.floats(0, 10),
    crop_padding=st.floats(0, 0.5),
    flip=st.sampled_from(["never", "colour", "always"]),
    mixup=st.floats(0.1, 2),
    cutmix=st.floats(0, 2),
    mix_probability=st.floats(0.1, 1),
    ema_decay=st.floats(0, 0.9999),
    recalibration_images=st.integers(0, 5000),
    distillation=st.floats(0.1, 1),
    temperature=st.floats(0.5, 10),
    precision=st.sampled_from(["fp32", "bf16", "fp16"]),
    channels_last=st.sampled_from(["auto", True, False]),
    device=st.sampled_from(["auto", "cpu", "gpu"]),
    threads=st.integers(1, 8),
)


@given(recipe=RECIPES)
def test_a_recipe_is_recorded_field_by_field_and_read_again(recipe: Recipe) -> None:
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@given(recipe=RECIPES)
def test_what_differs_from_the_defaults_makes_the_recipe_again(recipe: Recipe) -> None:
    changes: dict[str, Any] = dict(recipe.changes())
    assert Recipe(**changes) == recipe
    assert all(value != getattr(Recipe(), name) for name, value in changes.items())


def test_a_record_of_before_there_were_other_recipes_is_todays_default() -> None:
    old = {
        "epochs": 6, "batch": 64, "learning_rate": 0.008, "weight_decay": 0.02, "label_smoothing": 0.05, "threads": 1,
    }  # fmt: skip
    assert Recipe.from_json(old) == Recipe(channels_last=False)
    assert replace(Recipe.from_json(old), channels_last="auto") == Recipe() == preset("default")


@given(recipe=RECIPES, order=st.sampled_from(["auto", True, False]), device=st.sampled_from(["auto", "cpu", "gpu"]))
def test_where_a_network_is_trained_says_nothing_of_how(recipe: Recipe, order: Any, device: Any) -> None:
    assert replace(recipe, channels_last=order, device=device).how() == recipe.how()
    assert replace(recipe, epochs=recipe.epochs + 1).how() != recipe.how()


def test_equal_recipes_are_recorded_alike_however_their_numbers_were_written() -> None:
    one, other = Recipe(learning_rate=1, epochs=2.0), Recipe(learning_rate=1.0, epochs=2)  # type: ignore[arg-type]
    assert one == other
    assert json.dumps(one.to_json()) == json.dumps(other.to_json())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs: expected a whole number from 1 to 1e+06, received 0"),
        ({"epochs": 1.5}, "epochs: expected a whole number from 1 to 1e+06, received 1.5"),
        ({"epochs": True}, "epochs: expected a whole number"),
        ({"epochs": float("inf")}, "epochs: expected a whole number"),
        ({"batch": 0}, "batch: expected a whole number from 1, received 0"),
        ({"optimizer": "adam"}, "optimizer: expected one of adamw, sgd, received 'adam'"),
        ({"learning_rate": 0}, "learning_rate: expected a number above 0, received 0"),
        ({"learning_rate": "fast"}, "learning_rate: expected a number above 0, received 'fast'"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a number above 0, received nan"),
        ({"learning_rate": float("inf")}, "learning_rate: expected a number above 0, received inf"),
        ({"momentum": 1}, "momentum: expected a number above 0 and below 1, received 1"),
        ({"momentum": 0.05}, "momentum: expected at least 0.1 under one-cycle, which lowers it, received 0.05"),
        ({"schedule": "linear"}, "schedule: expected one of one-cycle, cosine, received 'linear'"),
        ({"warmup": 1}, "warmup: expected a number from 0 and below 1, received 1"),
        ({"weight_decay": -0.1}, "weight_decay: expected a number from 0, received -0.1"),
        ({"decay": "none"}, "decay: expected one of all, weights, received 'none'"),
        ({"label_smoothing": 1}, "label_smoothing: expected a number from 0 and below 1, received 1"),
        ({"clip_norm": -1}, "clip_norm: expected a number from 0, received -1"),
        ({"crop_padding": 4}, "crop_padding: expected a number from 0 to 0.5, received 4"),
        ({"flip": True}, "flip: expected one of never, colour, always, received True"),
        ({"mixup": -1}, "mixup: expected a number from 0 to 100, received -1"),
        ({"cutmix": 1000}, "cutmix: expected a number from 0 to 100, received 1000"),
        ({"mixup": 1, "mix_probability": 0}, "mix_probability: expected a number above 0 to 1, received 0"),
        ({"mix_probability": 0.5}, "mix_probability: expected 1 where neither mixup nor cutmix is on, received 0.5"),
        ({"ema_decay": 1}, "ema_decay: expected a number from 0 and below 1, received 1"),
        ({"recalibration_images": -1}, "recalibration_images: expected a whole number from 0, received -1"),
        ({"distillation": 1.5}, "distillation: expected a number from 0 to 1, received 1.5"),
        ({"distillation": 1, "temperature": 0}, "temperature: expected a number above 0, received 0"),
        ({"temperature": 4}, "temperature: expected 1 where distillation is 0, received 4"),
        ({"precision": "int8"}, "precision: expected one of fp32, bf16, fp16, received 'int8'"),
        ({"channels_last": 1}, "channels_last: expected true, false or auto, received 1"),
        ({"device": "cuda"}, "device: expected one of auto, cpu, gpu, received 'cuda'"),
        ({"threads": 0}, "threads: expected a whole number from 1 to 1024, received 0"),
    ],
)
def test_a_value_that_cannot_be_meant_or_would_do_nothing_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^recipe: {re.escape(message)}"):
        Recipe(**changes)


# --- presets


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_is_known_by_its_name_whatever_its_epochs_and_device(name: str) -> None:
    assert preset(name) == PRESETS[name]
    changed = preset(name, epochs=77, device="cpu")
    assert (changed.epochs, changed.device) == (77, "cpu")
    assert preset_name(changed, but=("epochs", "device")) == name
    assert preset_name(changed) is None


def test_a_recipe_of_ones_own_has_no_name() -> None:
    assert preset_name(Recipe(batch=63), but=("epochs", "device")) is None


def test_the_recipe_of_nasbench201_is_the_published_one() -> None:
    recipe = preset("nasbench201")
    assert (recipe.optimizer, recipe.momentum, recipe.weight_decay, recipe.decay) == ("sgd", 0.9, 5e-4, "all")
    assert (recipe.learning_rate, recipe.schedule, recipe.warmup) == (0.1, "cosine", 0)
    assert (recipe.epochs, recipe.batch, recipe.label_smoothing) == (200, 256, 0)
    assert (round(recipe.crop_padding * 32), recipe.flip) == (4, "colour")


def test_names_nobody_knows_are_refused_with_the_likeliest_meant() -> None:
    with pytest.raises(UsageError, match=r"unknown recipe 'nasbench': .*Did you mean 'nasbench201'"):
        preset("nasbench")
    with pytest.raises(UsageError, match=r"unknown recipe setting 'epoch': .*Did you mean 'epochs'"):
        preset("default", epoch=3)
    with pytest.raises(UsageError, match="recipe: epochs: expected a whole number"):
        preset("default", epochs="many")
