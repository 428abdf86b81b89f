"""Expected values of random architectures, exact: a table contracted choice by choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwnas.core import Architecture, UsageError
from hwnas.relaxed.costs import Scaled
from hwnas.spaces import Choice, SearchSpace

MOST_ARCHITECTURES = 1_000_000
"""A table is held and contracted whole."""
_LEAST_EXTENT = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class CostTensor:
    """A value of every architecture of a small space, as a tensor with an axis for each choice.

    Attributes:
        space: The space; no choice depends on another.
        values: Shape ``(o_1, ..., o_k)``, an axis for each choice with a place for each option.
    """

    space: SearchSpace
    values: Tensor

    @property
    def multilinear(self) -> bool:
        """Means over independent choices are exact."""
        return True

    def scaled(self, kept: Tensor | None) -> Scaled:
        """From 0 to 1 over what is kept; the rest may lie beyond."""
        some = self.values if kept is None else self.values[kept]
        low, high = some.min(), some.max()
        values = (self.values - low) / (high - low).clamp_min(_LEAST_EXTENT)
        return lambda choices: expected(values, choices)

    @classmethod
    def of(cls, space: SearchSpace, architectures: Sequence[Architecture], values: NDArray[np.float64]) -> CostTensor:
        """Arranges a table.

        Args:
            space: The space.
            architectures: Each of it once.
            values: Their values, shape ``(n,)``.

        Raises:
            UsageError: A choice depends on another or is continuous, the space is too large, an architecture is
                missing or of another space, there are not as many values, or one is not finite.
        """
        sizes = option_counts(space)
        if len(architectures) != space.size or len(set(architectures)) != space.size:
            raise UsageError(
                f"expected each of the {space.size:,.0f} architectures of {space.name} once, received "
                f"{len(architectures):,} with {len(set(architectures)):,} different ones"
            )
        if np.shape(values) != (len(architectures),):
            raise UsageError(f"expected {len(architectures):,} values, received shape {np.shape(values)}")
        if not np.isfinite(values).all():
            raise UsageError(f"expected finite values, received {int((~np.isfinite(values)).sum())} that are not")
        try:
            places = np.array([positions(space, one) for one in architectures])
        except KeyError as error:
            raise UsageError(f"expected architectures of space {space.name}, received one with {error}") from error
        arranged = np.empty(sizes)
        arranged[tuple(places.T)] = values
        return cls(space=space, values=torch.as_tensor(arranged, dtype=torch.float32))


def option_counts(space: SearchSpace) -> tuple[int, ...]:
    """Options of each choice.

    Raises:
        UsageError: A choice depends on another or is continuous, or there are more than ``MOST_ARCHITECTURES``.
    """
    for choice in space.choices:
        if not isinstance(choice, Choice) or choice.parent is not None:
            raise UsageError(
                f"choice {choice.name!r} of space {space.name} is continuous or depends on another: expected a space "
                "of independent choices, such as nasbench201"
            )
    if space.size > MOST_ARCHITECTURES:
        raise UsageError(
            f"space {space.name} has {space.size:.3g} architectures: expected {MOST_ARCHITECTURES:,} at the most, of "
            "which a table can be held whole"
        )
    return tuple(len(choice.options) for choice in space.choices if isinstance(choice, Choice))


def positions(space: SearchSpace, architecture: Architecture) -> list[int]:
    """The place of each choice's option in an architecture."""
    return [choice.positions[architecture[choice.name]] for choice in space.choices if isinstance(choice, Choice)]


def architecture_at(space: SearchSpace, places: Sequence[int]) -> Architecture:
    """The architecture with the options at these places."""
    choices = [choice for choice in space.choices if isinstance(choice, Choice)]
    return Architecture({one.name: one.options[place] for one, place in zip(choices, places, strict=True)})


def expected(values: Tensor, probabilities: Sequence[Tensor]) -> Tensor:
    """The mean of a table over random architectures whose choices are independent.

    Args:
        values: Shape ``(o_1, ..., o_k)``, or ``(b, o_1, ..., o_k)`` for a table of each row's own.
        probabilities: Of each choice's options, shape ``(b, o_i)``.

    Returns:
        Shape ``(b,)``; differentiable in the probabilities.
    """
    left = values if values.dim() == len(probabilities) + 1 else values.unsqueeze(0)
    for chances in reversed(probabilities):
        rows, options = left.shape[0], left.shape[-1]
        # One table for all rows is broadcast at its first contraction.
        left = (left.reshape(rows, -1, options) @ chances.unsqueeze(-1)).reshape(len(chances), *left.shape[1:-1])
    return left
