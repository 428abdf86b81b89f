"""How much a node gains for having been visited seldom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class Bonus(Protocol):
    """Grows with the visits of the parent, falls with those of the node."""

    def __call__(self, parent: int, visits: int) -> float:
        """The factor of ``2 Cp`` in the upper confidence bound."""


def ln_bonus(parent: int, visits: int) -> float:
    """``sqrt(2 ln N / n)``: the bound of LaNAS and LaMOO."""
    return math.sqrt(2 * math.log(max(parent, 1)) / max(visits, 1))


def sqrt_bonus(parent: int, visits: int) -> float:
    """``sqrt(2 sqrt(N) / n)``: explores for longer; what the official code of LA-MCTS computes."""
    return math.sqrt(2 * math.sqrt(max(parent, 1)) / max(visits, 1))


class Exploration(Protocol):
    """Chooses ``Cp``."""

    def constant(self, scale: float) -> float:
        """``Cp``, where the values of nodes have some extent."""


@dataclass(frozen=True)
class ShareOfScale:
    """A share of what values extend over, so that it fits objectives of any unit.

    Attributes:
        share: LaMOO and LaNAS name a tenth.
    """

    share: float = 0.1

    def constant(self, scale: float) -> float:
        """``Cp``."""
        return self.share * scale


@dataclass(frozen=True)
class Constant:
    """The same ``Cp`` whatever the values.

    Attributes:
        cp: In the unit of the values.
    """

    cp: float

    def constant(self, scale: float) -> float:
        """``Cp``."""
        del scale
        return self.cp
