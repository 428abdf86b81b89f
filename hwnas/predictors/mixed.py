"""Predictions for networks that each chose a precision: the rows and the law of that precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Predictor
from hwnas.predictors.latency import LatencyPredictor, Networks
from hwnas.predictors.rows import Missing
from hwnas.spaces import precision_of, without_precision
from latency_tables import LatencyTable

Figures = tuple[NDArray[np.float64], NDArray[np.float64]]


class Family(Networks, Protocol):
    """Networks of one precision, or of several."""

    @property
    def precision(self) -> str:
        """The one precision."""

    @property
    def members(self) -> Mapping[str, Networks]:
        """The networks at each precision that they may choose; empty where there is one precision."""

    def covering(self) -> Sequence[Architecture]:
        """Architectures that together contain every block of the space."""


@dataclass(frozen=True)
class ByPrecision:
    """Asks for each architecture the predictor of its precision.

    Attributes:
        members: Precision to its predictor, which knows architectures without the choice.
    """

    members: Mapping[str, Predictor]

    def predict(self, architectures: Sequence[Architecture]) -> Figures:
        """Value and spread, both of shape ``(n,)``, in the unit of the predictors.

        Raises:
            MissingRowError: As the predictors do.
        """
        value, spread = np.zeros(len(architectures)), np.zeros(len(architectures))
        chosen = np.array([precision_of(one) for one in architectures], dtype=np.str_)
        for name, member in self.members.items():
            rows = np.flatnonzero(chosen == name)
            if len(rows):
                value[rows], spread[rows] = member.predict([without_precision(architectures[i]) for i in rows.tolist()])
        return value, spread


@dataclass(frozen=True)
class LatencyPredictors:
    """The predictors of a family's networks, one for each precision that there is.

    Attributes:
        by_precision: At least one.
        mixed: Whether architectures name their precision.
    """

    by_precision: Mapping[str, LatencyPredictor]
    mixed: bool

    @classmethod
    def of(cls, table: LatencyTable, networks: Family, *, missing: Missing = "error") -> LatencyPredictors:
        """The predictors of a family.

        Raises:
            TableMismatchError: The table holds nothing for the family's batch, or for one of its precisions.
        """
        members = networks.members or {networks.precision: networks}
        held = {name: LatencyPredictor.of(table, one, missing=missing) for name, one in members.items()}
        return cls(held, mixed=bool(networks.members))

    def for_(self, architecture: Architecture) -> LatencyPredictor:
        """The predictor of an architecture's precision, for its blocks and kernels."""
        return self.by_precision[precision_of(architecture)] if self.mixed else self._only

    @cached_property
    def latency(self) -> Predictor:
        """Latency in milliseconds."""
        return ByPrecision(self.by_precision) if self.mixed else self._only

    @cached_property
    def energy(self) -> Predictor | None:
        """Energy in millijoules; ``None`` where the table does not tell it at every precision."""
        if not self.mixed:
            return self._only.energy
        found = {name: one.energy for name, one in self.by_precision.items()}
        known = {name: one for name, one in found.items() if one is not None}
        return ByPrecision(known) if len(known) == len(found) else None

    def require_coverage(self, architectures: Sequence[Architecture]) -> None:
        """Checks that every block of some architectures can be predicted.

        Raises:
            MissingRowError: One cannot.
        """
        for architecture in architectures:
            self.for_(architecture).require_coverage([without_precision(architecture)])

    @property
    def _only(self) -> LatencyPredictor:
        (only,) = self.by_precision.values()
        return only
