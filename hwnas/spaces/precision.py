"""The precision of a network as one more choice of its space, which changes nothing about what is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, UsageError
from hwnas.spaces.features import Features
from hwnas.spaces.space import Choice, SearchSpace

PRECISION = "precision"  # what the choice is called
PLAIN = "fp32"  # of an architecture without it


def with_precision(space: SearchSpace, precisions: Sequence[str]) -> SearchSpace:
    """A space of the same networks, each in any of some precisions.

    The choice is the last one, so that codes without their last column are those of the space as it was. Networks that
    were the same are the same in each precision, and those of two precisions are two.

    Args:
        space: Without such a choice.
        precisions: What may be chosen.

    Raises:
        UsageError: Nothing to choose from, or the space has a choice of that name.
    """
    if not precisions or PRECISION in space.by_name:
        raise UsageError(
            f"expected a space without a choice {PRECISION!r} and one precision or more, received space {space.name} "
            f"and {list(precisions)}"
        )
    choice = Choice(name=PRECISION, options=tuple(dict.fromkeys(precisions)), ordinal=False)
    return replace(
        space,
        choices=(*space.choices, choice),
        form=space.form and _Form(space.form),
        features=space.features and _WithPrecision(space.features, choice),
    )


def precision_of(architecture: Architecture) -> str:
    """The precision that an architecture chose; fp32 where it has no such choice."""
    return str(architecture.get(PRECISION, PLAIN))


def without_precision(architecture: Architecture) -> Architecture:
    """The network itself, whatever it is computed in."""
    if PRECISION not in architecture:
        return architecture
    return Architecture({name: value for name, value in architecture.items() if name != PRECISION})


@dataclass(frozen=True)
class _Form:
    """One architecture for all that are the same network in the same precision."""

    plain: Callable[[Architecture], Architecture]

    def __call__(self, architecture: Architecture) -> Architecture:
        return Architecture({**self.plain(without_precision(architecture)), PRECISION: architecture[PRECISION]})


@dataclass(frozen=True)
class _WithPrecision:
    """Features of the network, and a column for each precision."""

    plain: Features
    choice: Choice

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Those of the network, and the precision as one more."""
        held = self.plain.groups
        first = sum(map(len, held))
        return (*held, tuple(range(first, first + len(self.choice.options))))

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Shape ``(n, f)``."""
        chosen = np.array([self.choice.positions[one[PRECISION]] for one in architectures], dtype=np.intp)
        own = np.eye(len(self.choice.options))[chosen]  # (n, precisions)
        return np.hstack([self.plain([without_precision(one) for one in architectures]), own])
