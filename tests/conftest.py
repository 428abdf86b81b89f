"""What several test files share; helpers that are no fixtures are in ``tests.builders``."""

from __future__ import annotations

import pytest

from hwnas.networks import NetworkFamily, network_family


@pytest.fixture(scope="session")
def tiny_family() -> NetworkFamily:
    return network_family("mobilenet:tiny", channels=1, classes=10)
