"""What all tests of networks share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def _small(one_thread: None) -> None:
    """All networks here are small."""
