"""A monotone warp of one cost, so that a Gaussian process fits it: fine near the best, coarse far from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Values = NDArray[np.float64]

_LEAST_SCALE = 1e-9  # below it costs are all the same, and are left as they are
_FARTHEST = 50.0  # warped values beyond this are of no use, and their exponential would overflow


@dataclass(frozen=True)
class Warp:
    """``z = (asinh((y - center) / width) - shift) / scale``: a line within a width of the center, a logarithm beyond.

    Costs are often bad by orders of magnitude: networks that do not learn. What decides is the resolution near the
    best.
    The order of costs stays, so dominance does, and improvement is still counted in the cost's own unit.

    Attributes:
        center: Where the warp is finest, in the cost's unit; the best cost known.
        width: Where the line becomes a logarithm, in the cost's unit; large for no warp.
        shift: Mean of the warped costs before they are standardised.
        scale: Their standard deviation; 1 where all are the same.
    """

    center: float
    width: float
    shift: float
    scale: float

    @classmethod
    def of(cls, costs: Values, width: float) -> Warp:
        """The warp of a width that standardises some costs, shape ``(n,)``."""
        center = float(costs.min())
        raw = np.arcsinh((costs - center) / width)
        scale = float(raw.std())
        return cls(center, width, float(raw.mean()), scale if scale > _LEAST_SCALE else 1.0)

    def forward(self, costs: Values) -> Values:
        """Warped costs, of the same shape."""
        return np.asarray((np.arcsinh((costs - self.center) / self.width) - self.shift) / self.scale)

    def backward(self, warped: Values) -> Values:
        """The inverse of ``forward``."""
        raw = np.clip(warped * self.scale + self.shift, -_FARTHEST, _FARTHEST)
        return np.asarray(self.center + self.width * np.sinh(raw))

    def log_slope(self, costs: Values) -> float:
        """Sum of the logs of the warp's slope, by which densities of warped costs compare across warps."""
        slopes = self.scale * np.hypot(costs - self.center, self.width)
        return float(-np.log(slopes).sum())

    def improvement(self, bounds: Values, *, means: Values, deviations: Values) -> Values:
        """Expected amount by which a cost lies below each of some bounds: ``E[max(bound - y, 0)]``.

        The warped cost is normal, so the cost is the difference of two lognormal variables, and the expectation has a
        closed form.

        Args:
            bounds: Shape ``(h,)``, in the cost's unit; minus infinity gives 0.
            means: Of warped costs, shape ``(n,)``.
            deviations: Standard deviations of warped costs, above 0, shape ``(n,)``.

        Returns:
            Shape ``(n, h)``, in the cost's unit.
        """
        mean = np.clip(means * self.scale + self.shift, -_FARTHEST, _FARTHEST)[:, None]
        spread = np.minimum(deviations * self.scale, np.sqrt(_FARTHEST))[:, None]
        finite = np.isfinite(bounds)
        above = np.where(finite, bounds - self.center, 0.0)
        reach = (np.arcsinh(above / self.width) - mean) / spread
        half = spread**2 / 2
        risen = np.exp(mean + half) * ndtr(reach - spread) - np.exp(half - mean) * ndtr(reach + spread)
        return np.where(finite, np.maximum(above * ndtr(reach) - 0.5 * self.width * risen, 0.0), 0.0)
