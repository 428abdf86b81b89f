"""How densely points lie, so that what is rare can be preferred."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]

_LARGEST = 0.95  # quantile at which preferences are cut off: at the ends 1/p grows without bound
_FAR = 1e6  # deviations beyond which nothing is any farther, and squares would overflow
_RARE = 1e-9  # density below which all is as rare; in the midst of the points it is near 1


@dataclass(frozen=True)
class Density:
    """A kernel density estimate with a Gaussian kernel, of Scott's width (Scott, 1992).

    Attributes:
        points: Standardised, shape ``(n, m)``.
        centre: What was taken off them, shape ``(m,)``.
        scale: What they were divided by then, shape ``(m,)``.
        logarithmic: Of which columns the logarithm came first, shape ``(m,)``.
    """

    points: Costs
    centre: Costs
    scale: Costs
    logarithmic: NDArray[np.bool_]

    @classmethod
    def of(cls, costs: Costs) -> Density:
        """The density of some points.

        Args:
            costs: Shape ``(n, m)``, one point at least. Of columns that are positive throughout, the logarithm is
                taken: costs of networks differ by factors.
        """
        logarithmic = np.asarray((costs > 0).all(axis=0))
        values = _scaled(costs, logarithmic)
        deviation = values.std(axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
        centre = values.mean(axis=0)
        return cls((values - centre) / scale, centre, scale, logarithmic)

    def at(self, costs: Costs) -> NDArray[np.float64]:
        """The density at some points, up to a factor that is the same for all; shape ``(k,)``.

        Args:
            costs: Shape ``(k, m)``.
        """
        count, dimensions = self.points.shape
        width = count ** (-1 / (dimensions + 4))
        values = (_scaled(costs, self.logarithmic) - self.centre) / self.scale
        gaps = np.clip(values[:, None, :] - self.points[None], -_FAR, _FAR)
        squares = (gaps**2).sum(axis=2)
        return np.asarray(np.exp(-0.5 * squares / width**2).mean(axis=1))

    def chances(self, costs: Costs) -> NDArray[np.float64]:
        """Chances in inverse proportion to the density, those of the rarest cut off; shape ``(k,)``, sum 1.

        Args:
            costs: Shape ``(k, m)``.
        """
        preference = 1 / np.maximum(self.at(costs), _RARE)
        preference = np.minimum(preference, np.quantile(preference, _LARGEST))
        return np.asarray(preference / preference.sum())


def _scaled(costs: Costs, logarithmic: NDArray[np.bool_]) -> Costs:
    positive = np.maximum(costs, np.finfo(np.float64).tiny)
    return np.where(logarithmic, np.log(positive), costs)
