"""Measuring when unsure: networks whose prediction leaves open what a search has to know.

A prediction comes with a spread. Where its 95 % interval lies across a limit, nobody knows whether the network may be
trained; where it lies across the front, nobody knows whether it belongs there. Such networks are measured on the
device, and what was measured takes the prediction's place. Every measurement becomes a row of ``measured.jsonl`` in the
run folder, a latency table that ``hwnas table merge`` joins with the one the run began with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from hwnas.conversion import model_in
from hwnas.core import Architecture, LatencyMeter, Trial
from hwnas.networks import Workload
from hwnas.objectives import COSTS, Bound
from hwnas.predictors import SURE
from hwnas.spaces import precision_of
from hwnas.study.precisions import FLOAT
from hwnas.study.run import Run
from hwnas.study.standing import Standing
from latency_tables import NetworkRow, Timing

LATENCY = COSTS["latency"].name
_RANGES = 8  # images of noise for the ranges of int8, on which no time depends


@dataclass(frozen=True)
class Doubts:
    """Decides what is measured, and measures it.

    Attributes:
        run: The run.
        meter: The device.
        quiet: A context in which nothing else of this search computes on this machine.
    """

    run: Run
    meter: LatencyMeter
    quiet: Callable[[], AbstractContextManager[None]] = nullcontext

    def settle_limit(self, architecture: Architecture) -> None:
        """Measures a network that may break a limit on the latency; those expected to are not even proposed."""
        self.settle(architecture, [bound for bound in self.run.settings.bounds if bound.cost == LATENCY])

    def settle(self, architecture: Architecture, bounds: Sequence[Bound]) -> None:
        """Measures a network of which the prediction does not say for sure that it keeps all of some bounds.

        Args:
            architecture: The network; one that was measured is not measured again.
            bounds: On its latency.
        """
        if not bounds or architecture.id in self.run.measured.latencies:
            return
        for latencies in (self.run.latency, self.run.expected):
            latency_ms, spread_ms = latencies.predict([architecture])
            worst = ({LATENCY: latency_ms + bound.sign * SURE * spread_ms} for bound in bounds)
            if not all(bound.kept(values)[0] for bound, values in zip(bounds, worst, strict=True)):
                self._measure(architecture)
                return

    def settle_front(
        self, architecture: Architecture, values: dict[str, float], standing: Standing
    ) -> dict[str, float]:
        """Measures a network of which it depends on the latency's error whether it is on the front.

        Args:
            architecture: Just evaluated.
            values: What came of it.
            standing: The trials before it.

        Returns:
            The values, with the measured latency where there is one.
        """
        if LATENCY not in {goal.name for goal in self.run.objectives} or architecture.id in self.run.measured.latencies:
            return values
        latency_ms, spread_ms = self._predicted(architecture)
        ends = [
            Trial(
                number=-1, architecture=architecture, values={**values, LATENCY: latency_ms + sign * SURE * spread_ms}
            )
            for sign in (-1, 1)
        ]
        if standing.admits(ends[0]) == standing.admits(ends[1]):
            return values
        self._measure(architecture)
        return {**values, LATENCY: self._predicted(architecture)[0]}

    def _predicted(self, architecture: Architecture) -> tuple[float, float]:
        latency_ms, spread_ms = self.run.latency.predict([architecture])
        return float(latency_ms[0]), float(spread_ms[0])

    def _lease(self) -> AbstractContextManager[None]:
        """The device for this process alone, where the meter can see to that."""
        lease: Callable[[], AbstractContextManager[None]] = getattr(self.meter, "lease", nullcontext)
        return lease()

    def _model(self, architecture: Architecture, workload: Workload) -> bytes:
        """The network with random weights, as it would be deployed: no kernel's time depends on their values."""
        precision = precision_of(architecture)
        if precision == FLOAT:
            return workload.model
        family, settings = self.run.family, self.run.settings
        size = family.resolution(architecture)
        images = np.random.default_rng(0).standard_normal((_RANGES, settings.channels, size, size), dtype=np.float32)
        module = family.module(architecture, seed=0).eval()
        return model_in(module, precision, images, symmetric=settings.symmetric_int8)

    def _measure(self, architecture: Architecture) -> None:
        workload, predicted_ms = self.run.family.workload(architecture), self._predicted(architecture)[0]
        model = self._model(architecture, workload)
        with self._lease(), self.quiet():  # workers are not stopped while another process has the device
            found = self.meter(model)
        speed = found.device_speed or 1.0  # the table's figures are those of the device as it was then
        self.run.measured.add(
            NetworkRow(
                key=workload.name,
                blocks=dict(Counter(workload.parts.values())),
                timing=Timing(
                    latency_ms=found.latency_ms / speed,
                    min_ms=found.min_ms / speed,
                    median_ms=found.median_ms / speed,
                    iqr_ms=found.iqr_ms / speed,
                    n=found.n,
                    noise="noisy" if found.noise == "noisy" else "ok",
                    uncertainty=found.uncertainty,
                ),
                provider=found.provider,
            ),
            predicted_ms=predicted_ms,
        )
