"""Measuring one network again, beside references that tell how fast the device is today."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np

from profilers.backends.contract import Backend, RunPlan
from profilers.guards import checked_backend, checked_times, guarded
from profilers.lease import device_lease
from profilers.models import settled
from profilers.protocol import MeasuringProtocol
from profilers.statistics import Sample, combine, quiet_runs, summarise


@dataclass(frozen=True, kw_only=True)
class MeasuredLatency:
    """The latency of a network on a device.

    Attributes:
        latency_ms: By the same estimator as the rows of a table.
        min_ms: Smallest raw time.
        median_ms: Median of the raw times.
        iqr_ms: Interquartile range of the raw times.
        n: Number of raw times.
        noise: ``"ok"``, or ``"noisy"`` when the rounds do not agree within the protocol's limit.
        uncertainty: Half width of the 95 % interval, relative; ``None`` of a single round.
        provider: Execution provider that ran it.
        device_speed: Latency of the references now over their latency in the table, the median; above 1 the device is
            slower today. ``None`` without references.
    """

    latency_ms: float
    min_ms: float
    median_ms: float
    iqr_ms: float
    n: int
    noise: str
    uncertainty: float | None
    provider: str
    device_speed: float | None


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A network whose latency is in the table.

    Attributes:
        model: Serialised ONNX model.
        latency_ms: Its latency in the table.
    """

    model: bytes
    latency_ms: float


@dataclass(frozen=True, kw_only=True)
class DeviceMeter:
    """Measures models one at a time, interleaved with the references, in rounds that are spread over time.

    Attributes:
        backend: Where models run.
        references: Networks of the table; a handful is enough.
        protocol: How to measure.
        rounds: Passes; more than for a table, since there is only one network to spend time on.
        most_rounds: Passes at the most, made while the machine is so restless that quiet rounds disagree.
        pause_s: Time between passes, so that they do not all fall into one slow spell.
    """

    backend: Backend
    references: Mapping[str, Reference] = field(default_factory=dict)
    protocol: MeasuringProtocol = field(default_factory=MeasuringProtocol)
    rounds: int = 6
    most_rounds: int = 20
    pause_s: float = 0.25

    def lease(self) -> AbstractContextManager[None]:
        """The device for this process alone; for who has something to stop before it is measured."""
        return device_lease(self.backend)

    def __call__(self, model: bytes) -> MeasuredLatency:
        """Measures one serialised ONNX model, after whatever other process measures on the device.

        With one image a run where the model leaves that open.

        Raises:
            ModelError: The model cannot be loaded or run.
            DeviceError: The runtime put it on another provider, or the device was lost.
            PluginError: A third party's backend failed or broke the contract.
        """
        checked_backend(self.backend)
        with self.lease():
            return self._measured(settled(model))

    def _measured(self, model: bytes) -> MeasuredLatency:
        samples: list[Sample] = []
        now: dict[str, list[Sample]] = {name: [] for name in self.references}
        for round_ in range(self.most_rounds):
            if round_ >= self.rounds and not self._restless([samples, *now.values()]):
                break
            if round_:
                time.sleep(self.pause_s)
            samples.append(self._sample(model, round_))
            for name, reference in self.references.items():
                now[name].append(self._sample(reference.model, round_))
        timing = combine([samples], self.protocol)
        ratios = [
            combine([seen], self.protocol).latency_ms / self.references[name].latency_ms for name, seen in now.items()
        ]
        return MeasuredLatency(
            latency_ms=timing.latency_ms,
            min_ms=timing.min_ms,
            median_ms=timing.median_ms,
            iqr_ms=timing.iqr_ms,
            n=timing.n,
            noise=timing.noise,
            uncertainty=timing.uncertainty,
            provider=self.backend.provider,
            device_speed=float(np.median(ratios)) if ratios else None,
        )

    def _restless(self, seen: Sequence[Sequence[Sample]]) -> bool:
        return any(combine([samples], self.protocol).noise == "noisy" for samples in seen)

    def _sample(self, model: bytes, round_: int) -> Sample:
        rule = self.protocol
        plan = RunPlan(
            warmup_runs=rule.warmup_runs,
            runs=rule.timed_runs,
            least_runs=min(rule.least_runs, rule.timed_runs),
            budget_ms=rule.budget_ms,
            seed=round_,
        )
        timed = checked_times(self.backend, guarded(self.backend, lambda: self.backend.time(model, plan)))
        quiet = quiet_runs(timed.run_ms, timed.preempted, fraction=rule.quiet_fraction)
        return summarise(timed.run_ms, timed.preempted, quiet, round_=round_)
