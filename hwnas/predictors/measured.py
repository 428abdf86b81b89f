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
    """What a latency may be at best: the least of its 95 % interval, and of what was measured the figure itself.

    Attributes:
        latencies: Measured or predicted.
        floor_ms: What it has to be at least: less of the interval than that counts for nothing.
    """

    latencies: MeasuredOrPredicted
    floor_ms: float = 0.0

    def predict(self, architectures: Sequence[Architecture]) -> Latencies:
        """Latency and its standard deviation, both in milliseconds and of shape ``(n,)``."""
        latency_ms, spread_ms = self.latencies.predict(architectures)
        known = np.array([a.id in self.latencies.measured for a in architectures], dtype=np.bool_)
        width_ms = np.where(known, 0.0, SURE * spread_ms)
        return np.clip(self.floor_ms, latency_ms - width_ms, latency_ms + width_ms), spread_ms
