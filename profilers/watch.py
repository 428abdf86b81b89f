"""Whether the device is itself: a sentinel network timed all along, its clocks and what throttles them.

An idle guest is not a quiet host. A machine can be slower by half for seconds while nothing on it shows why; only a
known piece of work, timed before and after every measurement, tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from latency_tables import Json
from profilers.backends.contract import Backend, RunPlan
from profilers.devices.clocks import ClockWatch
from profilers.guards import checked_times
from profilers.models import sentinel_model
from profilers.protocol import MeasuringProtocol
from profilers.statistics import quiet_runs

if TYPE_CHECKING:
    from typing_extensions import Self

_USUAL = 0.10  # the sentinel's usual best: its 10th percentile, since the very best may be one lucky reading


@dataclass(frozen=True, kw_only=True)
class Calm:
    """Which measurements of a campaign were taken on a calm device.

    Attributes:
        ids: Their names.
        usual_ms: The sentinel's usual best, in milliseconds; ``None`` without readings.
        slowdown: Sentinel over its usual best, the worse of before and after, by measurement.
        pace: Sentinel over its usual best, the mean of before and after, by measurement; never further from 1 than the
            protocol's limit, since beyond it a reading says more about itself than about the device.
        clock_mhz: Median clock; ``None`` where the device does not tell.
        clock_drift: Largest relative distance of a clock from the median; likewise.
        throttled: Measurements during which the device throttled.
        restless_share: Share of the measurements that were not taken on a calm device; ``None`` without any.
    """

    ids: frozenset[str]
    usual_ms: float | None
    slowdown: Mapping[str, float]
    pace: Mapping[str, float]
    clock_mhz: float | None
    clock_drift: float | None
    throttled: int
    restless_share: float | None

    def to_json(self) -> dict[str, Json]:
        """What a manifest keeps of it: the trace as quantiles."""
        values = sorted(self.slowdown.values())
        shares = {"median": 0.5, "p90": 0.9, "max": 1.0}
        trace: dict[str, Json] = {name: round(float(np.quantile(values, q)), 4) for name, q in shares.items() if values}
        return {
            "sentinel_ms": self.usual_ms,
            "sentinel_slowdown": trace,
            "restless_share": self.restless_share,
            "clock_mhz": self.clock_mhz,
            "clock_drift": self.clock_drift,
            "throttled_measurements": self.throttled,
        }


class Watch:
    """Reads the sentinel and the clocks of a device.

    Args:
        backend: The device.
        protocol: Runs of the sentinel.
    """

    def __init__(self, backend: Backend, protocol: MeasuringProtocol) -> None:
        self._backend, self._protocol = backend, protocol
        self._model = sentinel_model(backend.device)
        self._clocks = ClockWatch(backend.device)
        self._last_ms: float | None = None

    def __enter__(self) -> Self:
        return self

    def begin(self) -> None:
        """Reads the sentinel before the first measurement.

        Raises:
            DeviceError: The device was lost.
            ModelError: It does not run the sentinel.
        """
        self._last_ms = self._sentinel_ms()

    def __exit__(self, *_: object) -> None:
        self._clocks.close()

    def read(self) -> dict[str, Any]:
        """The sentinel before and after what has just been measured, and the clocks, for the journal.

        Raises:
            DeviceError: The device was lost.
            ModelError: It does not run the sentinel.
        """
        before, self._last_ms = self._last_ms, self._sentinel_ms()
        clocks = self._clocks.read()
        return {"sentinel_ms": [before, self._last_ms], "clock_mhz": clocks.clock_mhz, "throttled": clocks.throttled}

    def _sentinel_ms(self) -> float:
        plan = RunPlan(warmup_runs=3, runs=self._protocol.sentinel_runs, budget_ms=self._protocol.budget_ms)
        timed = checked_times(self._backend, self._backend.time(self._model, plan))
        return float(timed.run_ms[quiet_runs(timed.run_ms, timed.preempted, fraction=0.25)].mean())


def calm_measurements(entries: Sequence[Mapping[str, Any]], protocol: MeasuringProtocol, *, device: str) -> Calm:
    """Judges the measurements of a campaign by what was read beside them.

    Args:
        entries: The journal's.
        protocol: Its limits.
        device: On a GPU the clock must stay near its median, too. A CPU's figure is the mean over its cores, idle ones
            included, and says little about the core that worked: there the sentinel decides.
    """
    watched = [entry for entry in entries if entry.get("watch")]
    readings = [ms for entry in watched for ms in entry["watch"]["sentinel_ms"] if ms]
    usual_ms = float(np.quantile(readings, _USUAL)) if readings else None
    beside = {
        entry["id"]: [ms / usual_ms for ms in entry["watch"]["sentinel_ms"] if ms and usual_ms] for entry in watched
    }
    slowdown = {name: max(ratios, default=1.0) for name, ratios in beside.items()}
    most = 1 + protocol.slow_limit
    pace = {name: min(max(sum(ratios) / len(ratios), 1 / most), most) for name, ratios in beside.items() if ratios}
    clocks = [entry["watch"]["clock_mhz"] for entry in watched if entry["watch"]["clock_mhz"]]
    usual_mhz = float(np.median(clocks)) if clocks else None
    throttled = {entry["id"] for entry in watched if entry["watch"]["throttled"]}
    drifts = {
        entry["id"]: abs(entry["watch"]["clock_mhz"] / usual_mhz - 1)
        for entry in watched
        if usual_mhz and entry["watch"]["clock_mhz"]
    }
    restless = {id_ for id_, factor in slowdown.items() if factor > 1 + protocol.slow_limit} | throttled
    if device == "gpu":
        restless |= {id_ for id_, drift in drifts.items() if drift > protocol.clock_limit}
    return Calm(
        ids=frozenset(entry["id"] for entry in entries if entry["id"] not in restless),
        usual_ms=None if usual_ms is None else round(usual_ms, 6),
        slowdown=slowdown,
        pace=pace,
        clock_mhz=usual_mhz,
        clock_drift=round(max(drifts.values()), 4) if drifts else None,
        throttled=len(throttled),
        restless_share=round(len(restless) / len(watched), 4) if watched else None,
    )
