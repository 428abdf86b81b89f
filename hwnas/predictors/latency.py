"""From a latency table to the latency of a network.

The rows are summed along the network's blocks, and their sum ``s`` and number ``k`` are turned into a latency by
``a + b s + c k``: the runtime's profiler adds a little to every kernel, and every call costs something that no kernel
shows. The three numbers are fitted on the whole networks of the same table, by relative errors, robustly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from latency_tables import Coordinates, LatencyTable

_FEWEST_NETWORKS = 8  # below this, three coefficients would follow the noise
_GAUSSIAN = 1.4826  # standard deviation of a normal variable over its median absolute value
_ROUNDS = 10  # of reweighting, with far-off networks and again without them
_FLOOR = 0.1  # no network is predicted faster than this share of its kernels' sum: keeps predictions positive


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How sums of kernels become latencies.

    Attributes:
        offset_ms: Added once a run.
        scale: Factor on the sum of the kernels.
        per_kernel_ms: Added once a kernel; negative where the profiler inflates.
        spread: Standard deviation of the relative error on networks left out of the fit, from the median error, so that
            one network whose measurement was disturbed does not pass for a bad predictor.
        networks: How many networks it was fitted on; 0 for the plain sum.
    """

    offset_ms: float
    scale: float
    per_kernel_ms: float
    spread: float
    networks: int


class LatencyPredictor:
    """Predicts the latency of architectures from a table.

    Args:
        table: The measured rows.
        block_keys: The blocks of an architecture, as the table names them.
        coordinates: Batch and precision of the networks; those that the block keys carry.

    Attributes:
        calibration: The fit, with its leave-one-out error.

    Raises:
        TableMismatchError: The table holds nothing for that batch and precision.
    """

    def __init__(
        self,
        table: LatencyTable,
        block_keys: Callable[[Architecture], Sequence[str]],
        *,
        coordinates: Coordinates | None = None,
    ) -> None:
        self._table = table
        self._block_keys = block_keys
        self._coordinates = coordinates or Coordinates()
        table.require_coordinates(self._coordinates)
        self._costs: dict[str, tuple[float, int]] = {}
        self.calibration = self._calibrate()

    def predict(self, architectures: Sequence[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latency and its standard deviation, both in milliseconds and of shape ``(n,)``.

        Raises:
            MissingRowError: The table lacks a block or a kernel of one of the architectures.
        """
        sums = self._sums([self._block_keys(architecture) for architecture in architectures])
        latency_ms = _apply(self.calibration, sums)
        return latency_ms, latency_ms * self.calibration.spread

    def require_coverage(self, architectures: Sequence[Architecture]) -> None:
        """Checks that every block of some architectures has its rows.

        Raises:
            MissingRowError: One has not.
        """
        for architecture in architectures:
            for key in self._block_keys(architecture):
                self._cost(key)

    def _cost(self, key: str) -> tuple[float, int]:
        if key not in self._costs:
            self._costs[key] = self._table.block_cost(key)
        return self._costs[key]

    def _sums(self, networks: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Sum of kernels in milliseconds and number of kernels, shape ``(n, 2)``."""
        return np.array(
            [np.sum([self._cost(key) for key in keys], axis=0) for keys in networks], dtype=np.float64
        ).reshape(len(networks), 2)

    def _calibrate(self) -> Calibration:
        # a reference may hold blocks of another data shape in a table that was extended later
        held = [
            row
            for row in self._table.networks.values()
            if Coordinates.of(row.key) == self._coordinates
            and row.timing.latency_ms > 0
            and row.blocks
            and all(key in self._table.blocks for key in row.blocks)
        ]
        plain = Calibration(offset_ms=0.0, scale=1.0, per_kernel_ms=0.0, spread=0.0, networks=0)
        sums = self._sums([[key for key, count in row.blocks.items() for _ in range(count)] for row in held])
        truth_ms = np.array([row.timing.latency_ms for row in held])
        if len(held) < _FEWEST_NETWORKS:
            return plain
        errors = np.array([_left_out_error(sums, truth_ms, i) for i in range(len(held))])
        return _fit(sums, truth_ms, spread=_GAUSSIAN * float(np.median(np.abs(errors))))


def _left_out_error(sums: NDArray[np.float64], truth_ms: NDArray[np.float64], left_out: int) -> float:
    kept = np.arange(len(truth_ms)) != left_out
    fit = _fit(sums[kept], truth_ms[kept], spread=0.0)
    return float(_apply(fit, sums[left_out : left_out + 1])[0] / truth_ms[left_out] - 1)


def _fit(sums: NDArray[np.float64], truth_ms: NDArray[np.float64], *, spread: float) -> Calibration:
    """Least squares of relative errors, reweighted after Huber so that a disturbed network does not bend the fit.

    Errors are relative to the fitted value, not to the measured one: a network whose time was recorded far too small
    would otherwise weigh more than all others together. In the last rounds, what is far off does not count at all.
    """
    design = np.column_stack([np.ones(len(sums)), sums])  # (n, 3)
    fitted_ms: NDArray[np.float64] = float(np.median(truth_ms / sums[:, 0])) * sums[:, 0]
    coefficients: NDArray[np.float64] = np.zeros(3)
    for step in range(2 * _ROUNDS):
        errors = np.abs(truth_ms / fitted_ms - 1)
        limit = max(1.5 * float(np.median(errors)), 1e-6)
        weights = np.minimum(1.0, limit / np.maximum(errors, 1e-12))
        if step >= _ROUNDS:
            weights = np.where(errors > 4 * limit, 0.0, weights)
        root = np.sqrt(weights) / fitted_ms
        coefficients = np.asarray(np.linalg.lstsq(design * root[:, None], truth_ms * root, rcond=None)[0], np.float64)
        fitted_ms = np.maximum(design @ coefficients, _FLOOR * sums[:, 0])
    return Calibration(
        offset_ms=float(coefficients[0]),
        scale=float(coefficients[1]),
        per_kernel_ms=float(coefficients[2]),
        spread=spread,
        networks=len(sums),
    )


def _apply(fit: Calibration, sums: NDArray[np.float64]) -> NDArray[np.float64]:
    latency_ms = fit.offset_ms + fit.scale * sums[:, 0] + fit.per_kernel_ms * sums[:, 1]
    return np.maximum(latency_ms, _FLOOR * sums[:, 0])
