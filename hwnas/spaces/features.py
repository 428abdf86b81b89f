"""Features: what tells architectures apart better than their choices do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture


class Features(Protocol):
    """Numbers that describe architectures, equal for those that are the same network.

    Who learns from them may leave the choices aside, so they are to tell apart what differs.
    """

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Columns that belong together, and matter as much as one another; every column stands in one group."""

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Features of architectures, shape ``(n, f)``."""
