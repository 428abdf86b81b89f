"""The covariance of a Gaussian process over architectures: a sum of parts, each over its own columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Columns = tuple[int, ...]
Prior = tuple[float, float]  # of the log of a hyperparameter: mean and standard deviation


class Part(Protocol):
    """One summand of a kernel. Its parameters are logs."""

    @property
    def priors(self) -> tuple[Prior, ...]:
        """Of every parameter, ``p`` of them."""

    def matrix(self, parameters: Matrix, left: Matrix, right: Matrix) -> Matrix:
        """Covariances, shape ``(n, m)`` for rows of shape ``(n, d)`` and ``(m, d)``."""

    def variance(self, parameters: Matrix, rows: Matrix) -> Matrix:
        """Prior variance of each row, shape ``(n,)``."""

    def gradient(self, parameters: Matrix, rows: Matrix, sensitivity: Matrix) -> list[float]:
        """Slopes by every parameter; see ``Kernel.gradient``."""


@dataclass(frozen=True, kw_only=True)
class RadialPart:
    """``a exp(-1/2 sum_g w_g |x_g - z_g|^2)``: groups of columns, each with one weight that is learned.

    A categorical choice is a group of indicators, where the squared distance of two different options is 2, so a part
    over the choices is the Hamming kernel with automatic relevance determination, and takes ordinal and continuous
    choices beside them. Its parameters are ``log a`` and then ``log w`` of every group.

    Attributes:
        groups: Columns that share a weight.
        amplitude: Prior of ``log a``.
        weight: Prior of ``log w`` of every group.
    """

    groups: tuple[Columns, ...]
    amplitude: Prior
    weight: Prior

    @property
    def priors(self) -> tuple[Prior, ...]:
        """Of the amplitude and of every weight."""
        return (self.amplitude, *([self.weight] * len(self.groups)))

    def matrix(self, parameters: Matrix, left: Matrix, right: Matrix) -> Matrix:
        """Covariances, shape ``(n, m)``."""
        columns = [column for group in self.groups for column in group]
        scales = np.exp(0.5 * _spread(parameters[1:], self.groups))
        a, b = left[:, columns] * scales, right[:, columns] * scales
        distance = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * (a @ b.T)
        return np.asarray(np.exp(parameters[0] - 0.5 * np.maximum(distance, 0.0)))

    def variance(self, parameters: Matrix, rows: Matrix) -> Matrix:
        """The amplitude, for every row; shape ``(n,)``."""
        return np.full(len(rows), np.exp(parameters[0]))

    def gradient(self, parameters: Matrix, rows: Matrix, sensitivity: Matrix) -> list[float]:
        """Slopes by the amplitude and by every weight."""
        share = sensitivity * self.matrix(parameters, rows, rows)
        weight_of = share.sum(axis=1)
        slopes = [float(share.sum())]
        for group, weight in zip(self.groups, parameters[1:], strict=True):
            columns = rows[:, group]
            # sum_ij share_ij |x_i - x_j|^2 without a matrix of distances a group
            spread = 2 * float(weight_of @ (columns**2).sum(axis=1)) - 2 * float((columns * (share @ columns)).sum())
            slopes.append(-0.5 * float(np.exp(weight)) * spread)
        return slopes


@dataclass(frozen=True, kw_only=True)
class LinearPart:
    """``sum_g w_g x_g . z_g``: each group of columns acts by itself, in a line, and goes on doing so out of reach.

    Its parameters are ``log w`` of every group.

    Attributes:
        groups: Columns that share a weight.
        weight: Prior of ``log w`` of every group.
    """

    groups: tuple[Columns, ...]
    weight: Prior

    @property
    def priors(self) -> tuple[Prior, ...]:
        """Of every weight."""
        return (self.weight,) * len(self.groups)

    def matrix(self, parameters: Matrix, left: Matrix, right: Matrix) -> Matrix:
        """Covariances, shape ``(n, m)``."""
        columns = [column for group in self.groups for column in group]
        return np.asarray((left[:, columns] * np.exp(_spread(parameters, self.groups))) @ right[:, columns].T)

    def variance(self, parameters: Matrix, rows: Matrix) -> Matrix:
        """What it comes to for each row, shape ``(n,)``."""
        columns = [column for group in self.groups for column in group]
        return np.asarray(rows[:, columns] ** 2 @ np.exp(_spread(parameters, self.groups)))

    def gradient(self, parameters: Matrix, rows: Matrix, sensitivity: Matrix) -> list[float]:
        """Slopes by every weight."""
        columns = [column for group in self.groups for column in group]
        each = (rows[:, columns] * (sensitivity @ rows[:, columns])).sum(axis=0)
        starts = np.cumsum([0, *(len(group) for group in self.groups)])[:-1]
        return [float(slope) for slope in np.exp(parameters) * np.add.reduceat(each, starts)]


class Kernel:
    """A sum of parts. Its parameters are theirs, part by part.

    Args:
        parts: At least one.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)

    @property
    def prior(self) -> tuple[Matrix, Matrix]:
        """Mean and standard deviation of the normal prior of every parameter, each of shape ``(p,)``."""
        table = np.array([prior for part in self.parts for prior in part.priors], dtype=np.float64)
        return table[:, 0], table[:, 1]

    def matrix(self, parameters: Matrix, left: Matrix, right: Matrix) -> Matrix:
        """Covariances between rows, shape ``(n, m)`` for ``left`` of shape ``(n, d)`` and ``right`` of ``(m, d)``."""
        total = np.zeros((len(left), len(right)))
        for part, own in self._split(parameters):
            total += part.matrix(own, left, right)
        return total

    def variance(self, parameters: Matrix, rows: Matrix) -> Matrix:
        """Prior variance of each row, shape ``(n,)`` for ``rows`` of shape ``(n, d)``."""
        return np.asarray(sum(part.variance(own, rows) for part, own in self._split(parameters)))

    def gradient(self, parameters: Matrix, rows: Matrix, sensitivity: Matrix) -> Matrix:
        """Slopes of a function of the covariance matrix of some rows, shape ``(p,)``.

        Args:
            parameters: Where.
            rows: Shape ``(n, d)``.
            sensitivity: Slope of the function by each entry of the matrix, symmetric, shape ``(n, n)``.
        """
        return np.array([s for part, own in self._split(parameters) for s in part.gradient(own, rows, sensitivity)])

    def _split(self, parameters: Matrix) -> list[tuple[Part, Matrix]]:
        found: list[tuple[Part, Matrix]] = []
        start = 0
        for part in self.parts:
            stop = start + len(part.priors)
            found.append((part, parameters[start:stop]))
            start = stop
        return found


def _spread(weights: Matrix, groups: Sequence[Columns]) -> Matrix:
    """The weight of every column, shape ``(c,)``."""
    return np.repeat(weights, [len(group) for group in groups])
