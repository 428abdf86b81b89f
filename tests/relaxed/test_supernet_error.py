"""Shared weights as the error of a policy: asked about one architecture at a time, with its neighbours for a slope."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hwnas.core import UsageError
from hwnas.networks import NetworkFamily, network_family
from hwnas.relaxed import CostTensor, DeviceTask, Modnas, ModnasSettings, SupernetError, rays
from hwnas.spaces import nasbench201_space
from hwnas.supernets import Supernet
from hwnas.training import ImageData, Split, load_data

KEPT = ("skip_connect", "nor_conv_1x1")


@pytest.fixture(scope="module")
def data() -> ImageData:
    whole = load_data("digits")
    part = Split(whole.validation.images[:8], whole.validation.labels[:8])
    return replace(whole, validation=part)


@pytest.fixture(scope="module")
def family() -> NetworkFamily:
    """The cells of two operations on one edge, and of one on all others."""
    whole = network_family("nasbench201", channels=1, classes=10)
    names = [choice.name for choice in whole.space.choices]
    kept = {name: KEPT if name in names[:2] else KEPT[:1] for name in names}
    return replace(whole, space=whole.space.restrict(kept))


@pytest.fixture(scope="module")
def wrong(family: NetworkFamily, data: ImageData) -> SupernetError:
    return SupernetError(Supernet(family, seed=0), family.space, data, images=8)


def certain(space: object, places: list[int], sizes: list[int]) -> list[torch.Tensor]:
    del space
    return [
        torch.nn.functional.one_hot(torch.tensor([place]), size).float().requires_grad_()
        for place, size in zip(places, sizes, strict=True)
    ]


SIZES = [2, 2, 1, 1, 1, 1]


def test_a_draw_has_the_loss_of_its_architecture_and_the_slope_of_its_neighbours(wrong: SupernetError) -> None:
    choices = certain(wrong.space, [0, 1, 0, 0, 0, 0], SIZES)
    found = wrong.scaled(None)(choices)
    guessing = float(np.log(10))
    own, near = wrong.loss((0, 1, 0, 0, 0, 0)), wrong.loss((1, 1, 0, 0, 0, 0))
    assert found.tolist() == pytest.approx([own / guessing])
    slopes = torch.autograd.grad(found.sum(), choices)
    assert slopes[0].tolist()[0] == pytest.approx([0.0, (near - own) / guessing], abs=1e-6)
    assert slopes[2].tolist() == [[0.0]]


def test_every_architecture_is_run_once(family: NetworkFamily, data: ImageData) -> None:
    asked = SupernetError(Supernet(family, seed=1), family.space, data, images=8)
    for _ in range(2):
        asked.scaled(None)(certain(asked.space, [0, 0, 0, 0, 0, 0], SIZES))
    assert asked.asked == 3  # itself and two neighbours


def test_a_policy_is_learned_from_shared_weights(family: NetworkFamily, wrong: SupernetError) -> None:
    networks = list(family.space.enumerate())
    count = np.array([sum(value == KEPT[1] for value in dict(one).values()) for one in networks], dtype=float)
    task = DeviceTask(
        name="made up", costs=(CostTensor.of(family.space, networks, 1 + count),), description=np.zeros(1)
    )
    modnas = Modnas(wrong, [task], seed=0, settings=ModnasSettings(steps=60, learning_rate=1e-2, estimator="reinmax"))
    modnas.fit()
    (fastest,) = modnas.propose(np.zeros(1), rays(2, objectives=2)[:1])
    assert count[networks.index(fastest)] == 0
    with pytest.raises(UsageError, match="worth_having is for a table of errors"):
        Modnas(wrong, [task], seed=0, settings=ModnasSettings(estimator="reinmax"), worth_having=90.0)


def test_a_supernet_of_another_space_is_refused(family: NetworkFamily, data: ImageData) -> None:
    tiny = network_family("mobilenet:tiny", channels=1, classes=10)
    with pytest.raises(UsageError, match="expected a supernet of space nasbench201, received one of mobilenet:tiny"):
        SupernetError(Supernet(tiny, seed=0), nasbench201_space(), data)
    with pytest.raises(UsageError, match="expected data of 3 channels and 10 classes, which the supernet is for"):
        SupernetError(
            Supernet(network_family("nasbench201", channels=3, classes=10), seed=0), nasbench201_space(), data
        )
    with pytest.raises(UsageError, match="expected 1 image or more, received 0"):
        SupernetError(Supernet(family, seed=0), family.space, data, images=0)
    with pytest.raises(UsageError, match="expected a space of independent choices"):
        SupernetError(Supernet(tiny, seed=0), tiny.space, data)
