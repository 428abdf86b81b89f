"""What all tests of supernets share."""

from __future__ import annotations

import pytest

from hwnas.networks import NetworkFamily, network_family
from hwnas.training import ImageData, Split, load_data
from tests.supernets.small import narrow


@pytest.fixture(autouse=True, scope="module")
def _small(one_thread: None) -> None:
    """All networks here are small."""


@pytest.fixture(scope="session")
def few() -> ImageData:
    """48 digits to learn from, 60 to be judged on."""
    digits = load_data("digits")
    learned = Split(digits.train.images[:48], digits.train.labels[:48])
    judged = Split(digits.validation.images[:60], digits.validation.labels[:60])
    return ImageData(name="few", class_names=digits.class_names, train=learned, validation=judged, test=judged)


@pytest.fixture(scope="session")
def tiny() -> NetworkFamily:
    return network_family("mobilenet:tiny", channels=1, classes=10)


@pytest.fixture(scope="session")
def smallest(tiny: NetworkFamily) -> NetworkFamily:
    """The part of the tiny family that is quickest to train: images of 8 pixels, width 1."""
    return narrow(tiny)


@pytest.fixture(scope="session")
def cells() -> NetworkFamily:
    return network_family("nasbench201", channels=1, classes=10)
