"""The covariance of a Gaussian process over architectures: a sum of radial parts, each over its own columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Columns = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """``a exp(-1/2 sum_g w_g |x_g - z_g|^2)``: groups of columns, each with one weight that is learned.

    A categorical choice is a group of indicators, where the squared distance of two different options is 2, so a part
    over the choices is the Hamming kernel with automatic relevance determination, and takes ordinal and continuous
    choices beside them.

    Attributes:
        groups: Columns that share a weight.
        amplitude: Prior of ``log a``: mean and standard deviation.
        weight: Prior of ``log w`` of every group: mean and standard deviation.
    """

    groups: tuple[Columns, ...]
    amplitude: tuple[float, float]
    weight: tuple[float, float]


class Kernel:
    """A sum of parts. Its parameters are, part by part, ``log a`` and then ``log w`` of every group.

    Args:
        parts: At least one.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)

    @property
    def prior(self) -> tuple[Matrix, Matrix]:
        """Mean and standard deviation of the normal prior of every parameter, each of shape ``(p,)``."""
        rows = [row for part in self.parts for row in (part.amplitude, *([part.weight] * len(part.groups)))]
        table = np.array(rows, dtype=np.float64)
        return table[:, 0], table[:, 1]

    def matrix(self, parameters: Matrix, left: Matrix, right: Matrix) -> Matrix:
        """Covariances between rows, shape ``(n, m)`` for ``left`` of shape ``(n, d)`` and ``right`` of ``(m, d)``."""
        total = np.zeros((len(left), len(right)))
        for part, amplitude, weights in self._split(parameters):
            total += _radial(part, amplitude, weights, left=left, right=right)
        return total

    def variance(self, parameters: Matrix) -> float:
        """Prior variance of every point."""
        return float(sum(np.exp(amplitude) for _, amplitude, _ in self._split(parameters)))

    def gradient(self, parameters: Matrix, rows: Matrix, sensitivity: Matrix) -> Matrix:
        """Slopes of a function of the covariance matrix of some rows, shape ``(p,)``.

        Args:
            parameters: Where.
            rows: Shape ``(n, d)``.
            sensitivity: Slope of the function by each entry of the matrix, symmetric, shape ``(n, n)``.
        """
        slopes: list[float] = []
        for part, amplitude, weights in self._split(parameters):
            share = sensitivity * _radial(part, amplitude, weights, left=rows, right=rows)
            slopes.append(float(share.sum()))
            weight_of = share.sum(axis=1)
            for group, weight in zip(part.groups, weights, strict=True):
                columns = rows[:, group]
                # sum_ij share_ij |x_i - x_j|^2 without a matrix of distances a group
                spread = 2 * float(weight_of @ (columns**2).sum(axis=1)) - 2 * float(
                    (columns * (share @ columns)).sum()
                )
                slopes.append(-0.5 * float(np.exp(weight)) * spread)
        return np.array(slopes)

    def _split(self, parameters: Matrix) -> list[tuple[Part, float, Matrix]]:
        found: list[tuple[Part, float, Matrix]] = []
        start = 0
        for part in self.parts:
            stop = start + 1 + len(part.groups)
            found.append((part, float(parameters[start]), parameters[start + 1 : stop]))
            start = stop
        return found


def _radial(part: Part, amplitude: float, weights: Matrix, *, left: Matrix, right: Matrix) -> Matrix:
    columns = [column for group in part.groups for column in group]
    scales = np.exp(0.5 * np.repeat(weights, [len(group) for group in part.groups]))
    a, b = left[:, columns] * scales, right[:, columns] * scales
    distance = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * (a @ b.T)
    return np.asarray(np.exp(amplitude - 0.5 * np.maximum(distance, 0.0)))
