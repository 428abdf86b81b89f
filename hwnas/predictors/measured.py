"""Predictions with measurements in their place where there are some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Predictor

SURE = 1.96  # half width of a 95 % interval in standard deviations

Latencies = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class MeasuredOrPredicted:
    """What was measured of an architecture, and what is predicted of all others.

    Attributes:
        predictor: For those that were not measured.
        measured: Architecture's id to latency and standard deviation in milliseconds; may grow.
    """

    predictor: Predictor
    measured: Mapping[str, tuple[float, float]]

    def predict(self, architectures: Sequence[Architecture]) -> Latencies:
        """Latency and its standard deviation, both in milliseconds and of shape ``(n,)``."""
        latency_ms, spread_ms = self.predictor.predict(architectures)
        for i, architecture in enumerate(architectures if self.measured else ()):
            if architecture.id in self.measured:
                latency_ms[i], spread_ms[i] = self.measured[architecture.id]
        return latency_ms, spread_ms


@dataclass(frozen=True)
class Optimistic:
    """The least that a latency may be: the lower end of its 95 % interval, and of what was measured the figure itself.

    Attributes:
        latencies: Measured or predicted.
    """

    latencies: MeasuredOrPredicted

    def predict(self, architectures: Sequence[Architecture]) -> Latencies:
        """Latency and its standard deviation, both in milliseconds and of shape ``(n,)``."""
        latency_ms, spread_ms = self.latencies.predict(architectures)
        known = np.array([a.id in self.latencies.measured for a in architectures], dtype=np.bool_)
        return np.where(known, latency_ms, latency_ms - SURE * spread_ms), spread_ms
