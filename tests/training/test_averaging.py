"""Averaged weights and recalibrated statistics, against figures worked out by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hwnas.training import HeldImages, Recipe, WeightAverage, logits, prepared, recalibrate
from hwnas.training.schedules import ema_decay
from tests.training.trainings import SIZE, few_digits, network, same, state

CPU_DEVICE = torch.device("cpu")


@given(decay=st.floats(0.01, 0.9999), updates=st.integers(1, 30), values=st.lists(st.floats(-1e3, 1e3), min_size=1))
def test_the_average_of_constant_weights_is_the_constant(decay: float, updates: int, values: list[float]) -> None:
    module = nn.Linear(len(values), 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([values]))
    average = WeightAverage(module, Recipe(ema_decay=decay))
    for update in range(updates):
        average.update(module, updates=update)
    assert same(average.values, state(module))


@given(decay=st.floats(0.01, 0.99), values=st.lists(st.floats(-10, 10), min_size=2, max_size=20))
def test_the_average_follows_its_recursion_and_stays_between_the_extremes(decay: float, values: list[float]) -> None:
    module = nn.Linear(1, 1)
    recipe = Recipe(ema_decay=decay)
    nn.init.constant_(module.weight, expected := values[0])
    average = WeightAverage(module, recipe)
    for update, value in enumerate(values[1:]):
        nn.init.constant_(module.weight, value)
        average.update(module, updates=update)
        share = ema_decay(recipe, update)
        expected = share * expected + (1 - share) * value
    assert float(average.values["weight"]) == pytest.approx(expected, abs=1e-4)
    assert min(values) - 1e-5 <= float(average.values["weight"]) <= max(values) + 1e-5


def test_statistics_are_averaged_too_and_counts_are_taken_over() -> None:
    module = nn.BatchNorm1d(2)
    average = WeightAverage(module, Recipe(ema_decay=0.5))
    module.running_mean += 10.0
    module.num_batches_tracked += 7
    average.update(module, updates=100)
    assert average.values["running_mean"].tolist() == [5, 5]
    assert int(average.values["num_batches_tracked"]) == 7


def test_recalibrated_statistics_are_those_of_the_training_images() -> None:
    data = few_digits()
    module = nn.Sequential(nn.BatchNorm2d(1, momentum=0.3), nn.Flatten(), nn.Linear(SIZE * SIZE, 10))
    before = state(module)
    held = HeldImages(data.train.images, data, size=SIZE, device=CPU_DEVICE)
    recalibrate(module, held, count=10**6, batch=50)  # two batches of half of the images
    images = prepared(data.train.images, data, size=SIZE)
    norm = module[0]
    assert isinstance(norm, nn.BatchNorm2d)
    assert float(norm.running_mean) == pytest.approx(float(images.mean()), abs=1e-5)  # type: ignore[arg-type]
    assert float(norm.running_var) == pytest.approx(float(images.var()), rel=0.02)  # type: ignore[arg-type]
    assert norm.momentum == 0.3
    assert not norm.training
    assert not module.training
    assert all(torch.equal(before[name], module.state_dict()[name]) for name in before if "running" not in name
               and "tracked" not in name)  # fmt: skip


def test_recalibration_takes_the_same_images_every_time_and_no_global_random_number() -> None:
    data, found = few_digits(), []
    held = HeldImages(data.train.images, data, size=SIZE, device=CPU_DEVICE)
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        module = network()
        recalibrate(module, held, count=40, batch=16)
        recalibrate(module, held, count=40, batch=16)  # what was there before does not matter
        assert torch.equal(torch.get_rng_state(), before)
        found.append(state(module))
    once = network()
    recalibrate(once, held, count=40, batch=16)
    assert same(*found)
    assert same(found[0], state(once))
    assert not same(found[0], state(network()))


def test_a_network_without_normalisation_is_left_as_it_is() -> None:
    data = few_digits()
    module = nn.Sequential(nn.Flatten(), nn.Linear(SIZE * SIZE, 10))
    before = state(module)
    recalibrate(module, HeldImages(data.train.images, data, size=SIZE, device=CPU_DEVICE), count=10, batch=4)
    assert same(before, state(module))
    assert logits(module, prepared(data.test.images[:3], data, size=SIZE)).shape == (3, 10)
