"""A prediction taken apart: what each part costs, how that is known, and what the law of the device adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from hwnas.predictors.latency import LatencyPredictor
from hwnas.predictors.rows import How, PartCost
from latency_tables import Json


@dataclass(frozen=True, kw_only=True)
class Part:
    """A kernel or block of a network.

    Attributes:
        key: Its key.
        count: How often it occurs.
        latency_ms: Of one execution.
        share: Of all parts, with its count.
        spread: Relative standard deviation; 0 for a row of the table.
        how: ``"exact"``, ``"step"`` or ``"regressed"``.
    """

    key: str
    count: int
    latency_ms: float
    share: float
    spread: float
    how: How


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The latency of a network, and what it is made of.

    Attributes:
        latency_ms: Of a run.
        spread_ms: Its standard deviation.
        parts_ms: Sum of the parts.
        calls_ms: What the law adds for a run and for each kernel.
        correction_ms: What it adds to the sum of the parts otherwise, the residual model included.
        parts: From the costliest to the cheapest.
        networks: Networks that the law was fitted on; 0 for the plain sum.
    """

    latency_ms: float
    spread_ms: float
    parts_ms: float
    calls_ms: float
    correction_ms: float
    parts: tuple[Part, ...]
    networks: int

    def to_json(self) -> dict[str, Json]:
        """Everything, for a file or another program."""
        return asdict(self) | {"parts": [asdict(part) for part in self.parts]}


def explain(predictor: LatencyPredictor, estimates: Iterable[PartCost]) -> Prediction:
    """Predicts a network and takes the prediction apart.

    Args:
        predictor: Whose law counts.
        estimates: The network's kernels or blocks, as ``predictor.rows`` gives them, each as often as it occurs.
    """
    counts = Counter(estimates)
    latency_ms, spread_ms = predictor.predict_network(counts)
    parts_ms = sum(one.latency_ms * n for one, n in counts.items())
    law = predictor.calibration
    calls_ms = law.offset_ms + law.per_kernel_ms * sum(one.kernels * n for one, n in counts.items())
    parts = [
        Part(
            key=one.key,
            count=n,
            latency_ms=one.latency_ms,
            share=n * one.latency_ms / parts_ms if parts_ms else 0.0,
            spread=one.spread,
            how=one.how,
        )
        for one, n in counts.items()
    ]
    return Prediction(
        latency_ms=latency_ms,
        spread_ms=spread_ms,
        parts_ms=parts_ms,
        calls_ms=calls_ms,
        correction_ms=latency_ms - parts_ms - calls_ms,
        parts=tuple(sorted(parts, key=lambda part: -part.share)),
        networks=law.networks,
    )
