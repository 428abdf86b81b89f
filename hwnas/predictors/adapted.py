"""A predictor of latencies for a device that has no table, only a few measured networks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.core import Architecture, DataError, UsageError
from hwnas.predictors.adaptation import AdaptedDevice, Array, left_out
from hwnas.predictors.pool_spaces import PoolSpace
from hwnas.predictors.pools import LatencyPool
from hwnas.predictors.ranking import spearman

FEWEST_MEASURED = 5
SUSPECT = 4.0  # spreads: further from what the others predict, a measurement is worth repeating


class AdaptedPredictor:
    """Predicts latencies on a device from a few networks measured there and a pool of other devices.

    Args:
        pool: Latencies of other devices.
        measured: Architectures and their latencies in ms on the new one, five or more.

    Attributes:
        device: What was learned of the device.
        measured_ms: Latencies of the measured networks, shape ``(k,)``.
        left_out_ms: Each of them as the others predict it: latency and spread, both of shape ``(k,)``.

    Raises:
        DataError: Fewer than five, latencies that are not above 0 or all the same, or architectures that differ in
            something the pool does not tell of.
    """

    def __init__(self, pool: LatencyPool, measured: Mapping[Architecture, float]) -> None:
        self._pool = pool
        self.measured_ms = np.array(list(measured.values()), dtype=np.float64)
        _require_enough(self.measured_ms)
        self._unstated = _shared(pool.about, measured)
        features = pool.about.features(list(measured))
        self.device: AdaptedDevice = pool.prior.adapt(features, self.measured_ms)
        self.left_out_ms = left_out(pool.prior, features, self.measured_ms)

    @property
    def left_out_spearman(self) -> float | None:
        """Rank correlation of the measured latencies with what the other networks predict; ``None`` without order."""
        return spearman(self.left_out_ms[0], self.measured_ms)

    @property
    def left_out_error(self) -> float:
        """Median error of these predictions, relative to the measured latency."""
        return float(np.median(np.abs(self.left_out_ms[0] / self.measured_ms - 1)))

    @property
    def suspects(self) -> list[int]:
        """Which measurements are far from what the others predict, and worth repeating."""
        predicted, spread = self.left_out_ms
        return np.flatnonzero(np.abs(predicted - self.measured_ms) > SUSPECT * spread).tolist()

    def predict(self, architectures: Sequence[Architecture]) -> tuple[Array, Array]:
        """Latency and the standard deviation of a measurement from it, both in ms and of shape ``(n,)``.

        Raises:
            UsageError: An architecture differs from the measured ones in something the pool does not tell of.
        """
        for one in architectures:
            other = {name: one[name] for name in self._unstated if one[name] != self._unstated[name]}
            if other:
                raise UsageError(
                    f"expected architectures of {_words(self._unstated)}, as measured, received {_words(other)}: the "
                    "pool does not tell what that changes. Measure networks of it, and adapt to these"
                )
        return self.device.predict(self._pool.about.features(architectures))

    def candidates(self) -> list[Architecture]:
        """The architectures of the pool that are in the space; what the pool does not tell is as in the measured."""
        return [self._pool.about.space.architecture({**one, **self._unstated}) for one in self._pool.candidates]


def _require_enough(latency_ms: Array) -> None:
    if len(latency_ms) < FEWEST_MEASURED:
        raise DataError(
            f"expected the latencies of at least {FEWEST_MEASURED} networks, received {len(latency_ms)}: measure more; "
            "10 are few, 20 are enough"
        )
    if np.ptp(latency_ms) == 0:
        raise DataError(
            f"all {len(latency_ms)} latencies are {latency_ms[0]:g} ms: expected different ones, from a finer clock"
        )


def _shared(about: PoolSpace, architectures: Collection[Architecture]) -> dict[str, Any]:
    """What the pool does not tell, the same for all."""
    shared = {}
    for name in about.unstated:
        values = sorted({one[name] for one in architectures}, key=str)
        if len(values) > 1:
            raise DataError(
                f"expected measured networks of one {name}, received {', '.join(map(str, values))}: the pool does not "
                f"tell what it changes. Adapt to each {name} by itself"
            )
        shared[name] = values[0]
    return shared


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
