"""The check of an exported model's latency: does it take the time that was promised?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hwnas.core import Measurement

LATENCY_TOLERANCE = 0.25  # relative


@dataclass(frozen=True, kw_only=True)
class LatencyCheck:
    """The promise and the truth.

    Attributes:
        predicted_ms: From the table, before the network was built.
        measured_ms: On the device, the exported file itself.
        median_ms: Median of the raw times.
        iqr_ms: Their interquartile range.
        n: Number of raw times.
        uncertainty: Half width of the 95 % interval of ``measured_ms``, relative; ``None`` where it is unknown.
        provider: Execution provider that ran it.
        device_speed: How slow reference networks of the table were in the same minutes, relative to the table.
        ratio: Measured over predicted.
        tolerance: How far the ratio may be from 1, as it is or with the device's present speed taken out.
        passed: Whether it is within.
    """

    predicted_ms: float
    measured_ms: float
    median_ms: float
    iqr_ms: float
    n: int
    uncertainty: float | None
    provider: str
    device_speed: float | None
    ratio: float
    tolerance: float
    passed: bool

    def to_json(self) -> dict[str, Any]:
        """Field by field."""
        return asdict(self)


def check_latency(predicted_ms: float, measured: Measurement, *, tolerance: float) -> LatencyCheck:
    """Compares a prediction with a measurement.

    Args:
        predicted_ms: From the table.
        measured: From the device.
        tolerance: How far their ratio may be from 1.
    """
    ratio = measured.latency_ms / predicted_ms
    today = ratio / measured.device_speed if measured.device_speed else ratio
    return LatencyCheck(
        predicted_ms=predicted_ms,
        measured_ms=measured.latency_ms,
        median_ms=measured.median_ms,
        iqr_ms=measured.iqr_ms,
        n=measured.n,
        uncertainty=measured.uncertainty,
        provider=measured.provider,
        device_speed=measured.device_speed,
        ratio=ratio,
        tolerance=tolerance,
        passed=min(abs(ratio - 1), abs(today - 1)) <= tolerance,
    )


def measurement(measured: Measurement) -> dict[str, Any]:
    """What was measured where nothing was promised."""
    fields = ("median_ms", "iqr_ms", "n", "uncertainty", "provider", "device_speed")
    return {"measured_ms": measured.latency_ms, **{field: getattr(measured, field) for field in fields}}
