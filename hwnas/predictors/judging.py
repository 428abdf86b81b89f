"""From measured networks to an evaluation of the predictor and of its baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Predictor, UsageError
from hwnas.predictors.evaluation import FEWEST, Estimate, compare, fitted_line
from hwnas.predictors.verdict import About, Evaluation, MeasuredNetwork, SessionCheck
from latency_tables import LatencyTable, NetworkRow

_FEWEST_CALIBRATION = 8  # below this the predictor is not calibrated, and a baseline's line follows the noise

Values = NDArray[np.float64]


class Measured(Protocol):
    """A network that was measured, as any measuring package may return it."""

    @property
    def row(self) -> NetworkRow:
        """Its row as a latency table would hold it."""

    @property
    def halves_ms(self) -> tuple[float, float]:
        """Its latency from either half of the measuring rounds."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is evaluated.

    Attributes:
        table: The latency table.
        predictor: Makes a predictor of a table.
        sizes: ``flops_m`` and ``params_m`` of architectures, each of shape ``(n,)``.
        calibration: The networks that a table of this space is calibrated on, by the names of their rows; a table may
            hold others, or none.
    """

    table: LatencyTable
    predictor: Callable[[LatencyTable], Predictor]
    sizes: Callable[[Sequence[Architecture]], Mapping[str, Values]]
    calibration: Mapping[str, Architecture]


def judge(
    subject: Subject,
    groups: Mapping[str, Mapping[str, Architecture]],
    *,
    measured: Mapping[str, Measured],
    about: About,
) -> Evaluation:
    """Compares what was predicted of some networks with what was measured.

    There are four estimates. ``table`` is the predictor as it stands. ``session`` has the table's kernels, calibrated
    on the calibration networks as they were measured in this session, so that a device that is slower today as a whole
    does not count. ``flops`` and ``params`` are lines fitted to the same calibration networks of this session, which
    gives the baselines the better of the two.

    Args:
        subject: What is judged.
        groups: Architectures by the name they were measured under, by the name of the group.
        measured: By the name of the network, the calibration networks included; what is not there did not fit the
            device.
        about: Where the figures come from.

    Raises:
        UsageError: Too few networks were measured, or a time is no latency.
        MissingRowError: The table lacks a kernel.
    """
    again = {name: measured[name] for name in subject.calibration if name in measured}
    if len(again) < _FEWEST_CALIBRATION:
        raise UsageError(
            f"expected at least {_FEWEST_CALIBRATION} networks to calibrate on, received {len(again)}: the device "
            "could not hold the others; evaluate on a space of smaller networks"
        )
    networks: list[MeasuredNetwork] = []
    accuracies = {}
    for group, wanted in groups.items():
        found = {name: architecture for name, architecture in wanted.items() if name in measured}
        if len(found) < FEWEST:
            raise UsageError(
                f"expected at least {FEWEST} networks in the group {group!r}, received {len(found)}: ask for more "
                "with --networks, or evaluate on a larger space"
            )
        architectures, times = list(found.values()), [measured[name] for name in found]
        truth_ms = _latencies(times)
        halves_ms = np.array([one.halves_ms for one in times])  # (n, 2)
        estimates = _estimates(subject, again, architectures)
        accuracies[group] = compare(truth_ms, estimates, halves_ms=(halves_ms[:, 0], halves_ms[:, 1]))
        networks += _records(group, architectures, times, estimates, subject.sizes(architectures))
    unmeasured = {one.id for wanted in groups.values() for name, one in wanted.items() if name not in measured}
    return Evaluation(
        about=about,
        session=_session(subject.table, again),
        groups=accuracies,
        networks=tuple(networks),
        unmeasured=tuple(sorted(unmeasured)),
    )


def _estimates(
    subject: Subject, again: Mapping[str, Measured], architectures: Sequence[Architecture]
) -> dict[str, Estimate]:
    rows = {name: again[name].row for name in sorted(again)}
    tables = {"table": subject.table, "session": replace(subject.table, networks=rows)}
    estimates = {name: _stated(subject.predictor(table), architectures) for name, table in tables.items()}
    known = subject.sizes([subject.calibration[name] for name in again])
    wanted, truth_ms = subject.sizes(architectures), _latencies(list(again.values()))
    for name in ("flops", "params"):
        quantity = f"{name}_m"
        line_ms = fitted_line(known[quantity], truth_ms, at=wanted[quantity])
        estimates[name] = Estimate(predicted_ms=line_ms)
    return estimates


def _stated(predictor: Predictor, architectures: Sequence[Architecture]) -> Estimate:
    predicted_ms, spread_ms = predictor.predict(architectures)
    return Estimate(predicted_ms=predicted_ms, spread_ms=spread_ms if spread_ms.any() else None)


def _session(table: LatencyTable, again: Mapping[str, Measured]) -> SessionCheck:
    """How the calibration networks moved since the table was made."""
    held = [name for name in again if name in table.networks]
    if len(held) < FEWEST:
        return SessionCheck(
            networks=len(again), in_table=len(held), device_speed=None, noise_median=None, noise_p95=None
        )
    before_ms = np.array([table.networks[name].timing.latency_ms for name in held])
    ratio = _latencies([again[name] for name in held]) / before_ms
    speed = float(np.median(ratio))
    moved = np.abs(ratio / speed - 1)
    return SessionCheck(
        networks=len(again),
        in_table=len(held),
        device_speed=speed,
        noise_median=float(np.median(moved)),
        noise_p95=float(np.quantile(moved, 0.95)),
    )


def _latencies(times: Sequence[Measured]) -> Values:
    return np.array([one.row.timing.latency_ms for one in times], dtype=np.float64)


def _records(
    group: str,
    architectures: Sequence[Architecture],
    times: Sequence[Measured],
    estimates: Mapping[str, Estimate],
    sizes: Mapping[str, Values],
) -> list[MeasuredNetwork]:
    return [
        MeasuredNetwork(
            id=architecture.id,
            group=group,
            flops_m=float(sizes["flops_m"][i]),
            params_m=float(sizes["params_m"][i]),
            truth_ms=one.row.timing.latency_ms,
            halves_ms=one.halves_ms,
            noise=one.row.timing.noise,
            predicted_ms={name: float(estimate.predicted_ms[i]) for name, estimate in estimates.items()},
            spread_ms={
                name: float(estimate.spread_ms[i])
                for name, estimate in estimates.items()
                if estimate.spread_ms is not None
            },
        )
        for i, (architecture, one) in enumerate(zip(architectures, times, strict=True))
    ]
