"""What a partition is learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.float64]
Costs = NDArray[np.float64]
Labels = NDArray[np.int64]
Members = NDArray[np.intp]


@dataclass(frozen=True)
class Samples:
    """Evaluated architectures.

    Attributes:
        codes: Encoded architectures, shape ``(n, d)``.
        costs: Their costs, shape ``(n, m)``, minimised.
        merits: How good each is as one number, shape ``(n,)``, larger is better.
    """

    codes: Codes
    costs: Costs
    merits: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.codes)

    def of(self, members: Members) -> Samples:
        """Some of them."""
        return Samples(self.codes[members], self.costs[members], self.merits[members])
