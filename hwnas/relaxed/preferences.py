"""What is wanted more: weights of objectives, not negative, with a sum of 1."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hwnas.core import UsageError

Array = NDArray[np.float64]

_SUM = 1e-6


def drawn_preferences(n: int, *, objectives: int, rng: np.random.Generator) -> Array:
    """Uniform over the simplex, shape ``(n, objectives)``."""
    return rng.dirichlet(np.ones(objectives), size=n)


def rays(n: int, *, objectives: int) -> Array:
    """Preferences spread evenly over the simplex, its corners among them (Das and Dennis, 1998).

    Args:
        n: How many; for more than two objectives the smallest such lattice that has as many.
        objectives: Two or more.

    Returns:
        Shape ``(m, objectives)``, with ``m`` at least ``n``.

    Raises:
        UsageError: Fewer preferences than objectives, or fewer than two objectives.
    """
    if objectives < 2 or n < objectives:
        raise UsageError(f"expected two objectives or more and as many preferences, received {objectives} and {n}")
    parts = 1
    while len(found := _lattice(parts, objectives)) < n:
        parts += 1
    return found


def widest_first(preferences: Array) -> Array:
    """Preferences in another order: the corners of the simplex, and then what is farthest from all before it.

    Args:
        preferences: Shape ``(n, objectives)``.

    Returns:
        The same shape.
    """
    order = [int(place) for place in np.flatnonzero(preferences.max(axis=1) == 1)] or [0]
    apart = np.linalg.norm(preferences[:, None] - preferences[None], axis=2)
    while len(order) < len(preferences):
        nearest = apart[:, order].min(axis=1)
        nearest[order] = -1
        order.append(int(np.argmax(nearest)))
    return preferences[order]


def _lattice(parts: int, objectives: int) -> Array:
    """All ways to share out a number of parts, as shares."""
    bars = combinations(range(parts + objectives - 1), objectives - 1)
    ends = np.array([(-1, *bar, parts + objectives - 1) for bar in bars])
    return (np.diff(ends, axis=1) - 1) / parts


def required_preference(preference: Array, *, objectives: int) -> Array:
    """A preference that is one.

    Args:
        preference: Shape ``(objectives,)`` or ``(n, objectives)``.
        objectives: How many there are.

    Raises:
        UsageError: It has another length, a negative share, or a sum other than 1.
    """
    given = np.asarray(preference, dtype=np.float64)
    shares = f"expected {objectives} shares of at least 0 with a sum of 1"
    if given.shape[-1:] != (objectives,):
        raise UsageError(f"{shares}, received {given.shape[-1] if given.ndim else 1} of them")
    if not np.isfinite(given).all() or (given < 0).any() or (np.abs(given.sum(-1) - 1) > _SUM).any():
        raise UsageError(f"{shares}, received {np.array2string(given, precision=4, threshold=12)}")
    return given
