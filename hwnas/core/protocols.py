"""The few interfaces that the rooms of the house meet at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hwnas.core.architecture import Architecture
from hwnas.core.trial import Proposal, Trial


@runtime_checkable
class Searcher(Protocol):
    """Proposes architectures.

    What ``ask`` returns is a function of the trials told, of ``pending`` and of the seed alone, so a run that was cut
    off goes on exactly where it stopped, and nothing has to be pickled.
    """

    def tell(self, trials: Sequence[Trial]) -> None:
        """Replaces what is known: all finished trials so far, in the order of their numbers."""

    def ask(self, n: int, *, pending: Sequence[Architecture]) -> list[Proposal]:
        """Proposes up to ``n`` new architectures; fewer only when the space has no more to give.

        Args:
            n: How many.
            pending: Architectures under evaluation at this moment, not to be proposed again.
        """


@runtime_checkable
class Evaluator(Protocol):
    """Finds the expensive values of an architecture."""

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """Values by name, always the same for the same architecture and settings."""


@runtime_checkable
class GradualEvaluator(Evaluator, Protocol):
    """Finds values in the course of a training, which then goes on from there."""

    def evaluate_at(self, architecture: Architecture, *, epochs: int) -> Mapping[str, float]:
        """Values by name after so many epochs, always the same for the same architecture, epochs and settings."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What an evaluator can tell of an architecture.

    Attributes:
        values: By name, as of ``Evaluator.evaluate``.
        notes: What else the record is to keep, by name, in JSON's terms; a few hundred bytes.
    """

    values: Mapping[str, float]
    notes: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class TellingEvaluator(Evaluator, Protocol):
    """Tells more of an evaluation than its values."""

    def find(self, architecture: Architecture) -> Finding:
        """What ``evaluate`` gives, and what is to be noted of it."""


@runtime_checkable
class TellingGradualEvaluator(GradualEvaluator, Protocol):
    """Tells more of a training that halts than its values."""

    def find_at(self, architecture: Architecture, *, epochs: int) -> Finding:
        """What ``evaluate_at`` gives, and what is to be noted of it."""


@runtime_checkable
class Predictor(Protocol):
    """Knows a cost of any architecture before it exists."""

    def predict(self, architectures: Sequence[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Value and spread, both of shape ``(n,)`` and in the predictor's unit."""


class Measurement(Protocol):
    """A latency measured on a device, as any measuring package may return it."""

    @property
    def latency_ms(self) -> float:
        """The estimate that the measuring protocol makes of the raw times."""

    @property
    def min_ms(self) -> float:
        """Smallest raw time."""

    @property
    def median_ms(self) -> float:
        """Median of the raw times."""

    @property
    def iqr_ms(self) -> float:
        """Interquartile range of the raw times."""

    @property
    def n(self) -> int:
        """Number of raw times."""

    @property
    def noise(self) -> str:
        """``"ok"``, or ``"noisy"`` when the estimate should not be trusted."""

    @property
    def uncertainty(self) -> float | None:
        """Half width of the 95 % interval of the estimate, relative to it; ``None`` where it is unknown."""

    @property
    def provider(self) -> str:
        """Execution provider that ran the model."""

    @property
    def device_speed(self) -> float | None:
        """Latency of reference networks now over their latency in the table: above 1, the device is slower today.

        ``None`` where no reference was measured.
        """


class LatencyMeter(Protocol):
    """Runs a model on the device the table is of. Lives outside ``hwnas``, which never touches a device's clock.

    One more is optional, and not part of the protocol: ``lease()``, a context in which no other process measures on the
    device. What disturbs a measurement is stopped inside of it, and so not while the device is waited for.
    """

    def __call__(self, model: bytes) -> Measurement:
        """Measures one serialised ONNX model."""
