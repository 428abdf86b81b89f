"""From a latency table to the latency of a network.

The rows are summed along the network's blocks, and the law of the device (``hwnas.predictors.calibration``) turns the
sums into a latency. A row that the table lacks is an error unless a policy says how to estimate it; then the estimate's
spread is part of the prediction's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, UsageError
from hwnas.predictors.calibration import FIGURES, Calibration, calibrate
from hwnas.predictors.measured import SURE
from hwnas.predictors.rows import Missing, PartCost, RowEstimates
from hwnas.spaces import ArchitectureCodes, Codes, SearchSpace, Share, ShareTable
from latency_tables import Coordinates, LatencyTable, NetworkRow

if TYPE_CHECKING:
    from typing_extensions import Self

_DOUBTFUL = 0.1  # relative standard deviation given to a row that is flagged as noisy


class Networks(Protocol):
    """What a predictor asks of a network family."""

    @property
    def space(self) -> SearchSpace:
        """The search space."""

    @property
    def coordinates(self) -> Coordinates:
        """Batch and precision."""

    @property
    def key_shares(self) -> Sequence[Share[tuple[str, ...]]]:
        """Keys of a network's blocks, in shares that each depend on a few choices."""

    def block_keys(self, architecture: Architecture) -> Sequence[str]:
        """Keys of a network's blocks."""


class LatencyPredictor:
    """Predicts the latency of architectures from a table.

    Args:
        table: The measured rows.
        block_keys: The blocks of an architecture, as the table names them.
        coordinates: Batch and precision of the networks; those that the block keys carry.
        missing: What to do where the table lacks a row: ``"error"``, ``"step"`` or ``"regress"``; see ``RowEstimates``.

    Attributes:
        calibration: The law of the device, with its error on networks left out of the fit.
        rows: The rows and estimates that predictions are made of.

    Raises:
        TableMismatchError: The table holds nothing for that batch and precision.
    """

    def __init__(
        self,
        table: LatencyTable,
        block_keys: Callable[[Architecture], Sequence[str]],
        *,
        coordinates: Coordinates | None = None,
        missing: Missing = "error",
    ) -> None:
        self._table, self._block_keys = table, block_keys
        self._coordinates = coordinates or Coordinates()
        table.require_coordinates(self._coordinates)
        self.rows = RowEstimates(table, missing=missing)
        self._composition: ShareTable[tuple[str, ...]] | None = None
        self._codes: Callable[[Sequence[Architecture]], Codes] | None = None
        self.calibration = self._calibrated(lambda row: row.timing.latency_ms, scale=1.0)

    @classmethod
    def of(cls, table: LatencyTable, networks: Networks, *, missing: Missing = "error") -> Self:
        """The predictor of a network family, which also takes architectures as codes, any number at once.

        Raises:
            TableMismatchError: The table holds nothing for the family's batch and precision.
        """
        found = cls(table, networks.block_keys, coordinates=networks.coordinates, missing=missing)
        found._composition = ShareTable(
            networks.space, networks.key_shares, price=found._figures_of, width=len(FIGURES)
        )
        found._codes = ArchitectureCodes(networks.space).encode
        return found

    @cached_property
    def energy(self) -> EnergyPredictor | None:
        """The energy of networks; ``None`` where the table holds that of too few to learn from."""
        fit = self._calibrated(lambda row: row.energy_mj or 0.0, scale=None)
        return EnergyPredictor(fit, self._figures) if fit.networks else None

    def predict(self, architectures: Sequence[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latency and its standard deviation, both in milliseconds and of shape ``(n,)``.

        Raises:
            MissingRowError: The table lacks a block or a kernel of one of the architectures, and the policy for missing
                rows has no estimate of it.
        """
        return self._predicted(self._figures(architectures))

    def _figures(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        if self._composition is not None and self._codes is not None:
            return self._composition.sums(self._codes(architectures))
        figures = [self._figures_of(self._block_keys(architecture)) for architecture in architectures]
        return np.array(figures, dtype=np.float64).reshape(len(figures), len(FIGURES))

    def predict_codes(self, codes: Codes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same for architectures as codes of shape ``(n, c)``; see ``hwnas.spaces.ArchitectureCodes``.

        Raises:
            MissingRowError: As ``predict`` does.
            UsageError: The predictor was not made by ``of``.
        """
        if self._composition is None:
            raise UsageError("this predictor knows blocks, not choices: make it with LatencyPredictor.of")
        return self._predicted(self._composition.sums(codes))

    def predict_network(self, estimates: Mapping[PartCost, int]) -> tuple[float, float]:
        """Latency and standard deviation in milliseconds of a network of any kernels.

        Args:
            estimates: Its kernels or blocks, as ``rows`` gives them, and how often each occurs.
        """
        figures = sum((self._repeated(one, count) for one, count in estimates.items()), np.zeros(len(FIGURES)))
        latency_ms, spread_ms = self._predicted(figures[None])
        return float(latency_ms[0]), float(spread_ms[0])

    def require_coverage(self, architectures: Sequence[Architecture]) -> None:
        """Checks that every block of some architectures can be predicted.

        Raises:
            MissingRowError: One cannot.
        """
        for architecture in architectures:
            for key in self._block_keys(architecture):
                self.rows.block(key)

    def _predicted(self, figures: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        latency_ms = self.calibration.apply(figures)
        return latency_ms, self.calibration.spreads(figures, latency_ms)

    def _figures_of(self, keys: Sequence[str]) -> NDArray[np.float64]:
        """Sums over blocks, shape ``(8,)``."""
        return np.sum([self.rows.block(key).figures for key in keys], axis=0) if keys else np.zeros(len(FIGURES))

    def _repeated(self, one: PartCost, count: int) -> NDArray[np.float64]:
        figures = count * one.figures
        figures[FIGURES.index("variance_ms2")] *= count  # the same error each time
        return figures

    def _calibrated(self, truth: Callable[[NetworkRow], float], *, scale: float | None) -> Calibration:
        # a reference may hold blocks of another data shape in a table that was extended later
        held = [
            row
            for row in self._table.networks.values()
            if Coordinates.of(row.key) == self._coordinates
            and truth(row) > 0
            and row.blocks
            and all(key in self._table.blocks for key in row.blocks)
        ]
        figures = [self._figures_of([key for key, count in row.blocks.items() for _ in range(count)]) for row in held]
        floors = [row.timing.latency_ms for row in self._table.floors.values()]
        return calibrate(
            np.array(figures, dtype=np.float64).reshape(len(held), len(FIGURES)),
            np.array([truth(row) for row in held]),
            row_spread=np.array([row_spread(row) for row in held]),
            offset=min(floors, default=0.0) if scale else 0.0,
            scale=scale,
        )


@dataclass(frozen=True)
class EnergyPredictor:
    """Energy from the same sums as the latency, by a law of its own.

    Attributes:
        calibration: The law, in millijoules where that of the latency has milliseconds.
        figures: From architectures to sums of shape ``(n, 8)``.
    """

    calibration: Calibration
    figures: Callable[[Sequence[Architecture]], NDArray[np.float64]]

    def predict(self, architectures: Sequence[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy of a run and its standard deviation, both in millijoules and of shape ``(n,)``.

        Raises:
            MissingRowError: As the latency's predictor does.
        """
        sums = self.figures(architectures)
        energy_mj = self.calibration.apply(sums)
        return energy_mj, self.calibration.spreads(sums, energy_mj)


def row_spread(row: NetworkRow) -> float:
    """Relative standard deviation of a measured network; 0 where its row does not tell."""
    known = (row.timing.uncertainty or 0.0) / SURE
    return max(known, _DOUBTFUL) if row.timing.noise == "noisy" else known
