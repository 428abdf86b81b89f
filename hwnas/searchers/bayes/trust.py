"""The trust region of TuRBO-1, found again from the trials (Eriksson et al., NeurIPS 2019). No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.spaces import Encoding, SearchSpace
from hwnas.spaces.decoding import nearest, step

_PERTURBED = 20  # choices changed at a time, on average, where there are that many


@dataclass(frozen=True, kw_only=True)
class TrustSettings:
    """How a trust region grows and shrinks; the published values.

    Attributes:
        initial: Random architectures that every region begins with.
        length: Side of a new region, in units of the encoding.
        longest: It grows no further.
        shortest: Below it the region is given up, and another begins.
        successes: It doubles after so many improvements in a row.
        failures: It halves after so many trials in a row without one; by default as many as there are choices, and at
            least 4.
    """

    initial: int = 10
    length: float = 0.8
    longest: float = 1.6
    shortest: float = 0.5**7
    successes: int = 3
    failures: int | None = None


@dataclass(frozen=True)
class TrustRegion:
    """Where TuRBO looks.

    Attributes:
        start: Trials before it belong to regions that were given up.
        length: Side.
    """

    start: int
    length: float


def replayed(costs: NDArray[np.float64], *, choices: int, settings: TrustSettings) -> TrustRegion:
    """The region after some trials.

    A trial succeeds when no earlier one of its region is as good in every objective; with one objective, when it is the
    best. Trials are counted one by one, as if asked for one at a time.

    Args:
        costs: In the order of the trials, shape ``(n, m)``, minimised.
        choices: Of the space; how patient to be.
        settings: How the region grows and shrinks.
    """
    patience = settings.failures or max(4, choices)
    start, length, good, bad = 0, settings.length, 0, 0
    front = costs[:0]
    for row, cost in enumerate(costs):
        better = not bool((front <= cost).all(axis=1).any())
        if better:
            front = np.vstack([front[~(cost <= front).all(axis=1)], cost])
        if row - start < settings.initial:
            continue
        good, bad = (good + 1, 0) if better else (0, bad + 1)
        if good == settings.successes:
            length, good = min(2 * length, settings.longest), 0
        elif bad == patience:
            length, bad = length / 2, 0
        if length < settings.shortest:
            start, length, good, bad, front = row + 1, settings.length, 0, 0, costs[:0]
    return TrustRegion(start, length)


def perturbed(
    center: Architecture, n: int, *, space: SearchSpace, sides: NDArray[np.float64], rng: np.random.Generator
) -> list[Architecture]:
    """Architectures around another, the centre itself and repeats among them.

    Some choices of the centre are drawn anew. Ordinal ones stay within half their side, but may always go one option up
    or down. Categorical ones have no distance; at most a share of them, their mean side, changes at a time, as in Wan
    et al. (Think global and act local, ICML 2021). An ordinal choice that only comes to life takes its first option.

    Args:
        center: The best architecture.
        n: How many.
        space: Of the architectures.
        sides: Of the trust region, one a choice, in units of the encoding; shape ``(c,)``.
        rng: Randomness.
    """
    encoding = Encoding(space)
    places = encoding.columns
    points = np.repeat(encoding.encode([center]), n, axis=0)
    changed = _changed(space, n, sides=sides, rng=rng)
    for column, (choice, place) in enumerate(zip(space.choices, places.values(), strict=True)):
        rows = np.flatnonzero(changed[:, column])
        block = rng.random((len(rows), place.stop - place.start))
        if choice.ordinal:
            block = points[rows, place] + max(sides[column], 2 * step(choice)) * (block - 0.5)
        points[rows, place] = block
    return nearest(space, np.clip(points, 0.0, 1.0))


def _changed(space: SearchSpace, n: int, *, sides: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which choices are drawn anew, shape ``(n, c)``; at least one in each row."""
    count = len(space.choices)
    changed = rng.random((n, count)) < min(1.0, _PERTURBED / count)
    changed[np.arange(n), rng.integers(count, size=n)] = True
    categorical = np.array([not choice.ordinal for choice in space.choices])
    if categorical.any():
        most = max(1, round(min(float(sides[categorical].mean()), 1.0) * int(categorical.sum())))
        order = np.argsort(rng.random(changed.shape) + ~(changed & categorical), axis=1)  # the changed ones first
        surplus = np.zeros_like(changed)
        np.put_along_axis(surplus, order[:, most:], values=True, axis=1)
        changed &= ~(surplus & categorical)
    return changed
