"""Predictions with measurements in their place where there are some."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Predictor

SURE = 1.96  # half width of a 95 % interval in standard deviations
_WITHOUT_ERROR = 2  # as if so many predictions had come true before any was measured

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
class Corrected:
    """What is expected of a latency: a prediction, moved by how far off those were that have been measured since.

    A device may be slower now than when its table was made, or a table worse for the networks at a limit than for those
    that it was calibrated by.

    Attributes:
        latencies: Measured or predicted. What was measured stays as it is.
        errors: Logarithms of measured over predicted; may grow.
    """

    latencies: MeasuredOrPredicted
    errors: Sequence[float]

    def predict(self, architectures: Sequence[Architecture]) -> Latencies:
        """Latency and its standard deviation, both in milliseconds and of shape ``(n,)``."""
        latency_ms, spread_ms = self.latencies.predict(architectures)
        factor = math.exp(math.fsum(self.errors) / (len(self.errors) + _WITHOUT_ERROR))
        known = np.array([a.id in self.latencies.measured for a in architectures], dtype=np.bool_)
        return np.where(known, latency_ms, factor * latency_ms), np.where(known, spread_ms, factor * spread_ms)
