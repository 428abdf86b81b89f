"""What a policy is trained against: tables, learned networks, shared weights, all asked in one way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from hwnas.spaces import SearchSpace

Scaled = Callable[[Sequence[Tensor]], Tensor]
"""From choices, shape ``(b, o_i)`` each, to values, shape ``(b,)``: 0 for the best, 1 for the worst worth having."""


class RelaxedCost(Protocol):
    """A cost of architectures, differentiable in their choices."""

    @property
    def space(self) -> SearchSpace:
        """The space; no choice depends on another."""

    @property
    def multilinear(self) -> bool:
        """Whether its value at the probabilities of independent choices is the mean over their architectures."""

    def scaled(self, kept: Tensor | None) -> Scaled:
        """The cost from 0 to 1.

        Args:
            kept: Architectures whose values are between 0 and 1, an axis a choice; ``None`` for all that it knows of.
        """
