"""What limits leave of a space, before a search is begun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hwnas.networks import NetworkFamily
from hwnas.objectives import COSTS, Feasibility, KnownCosts, Limits, latency_on
from hwnas.predictors import LatencyPredictors, Missing, require_policy
from hwnas.study.devices import Devices
from latency_tables import LatencyTable, read_table


def preview(
    family: NetworkFamily,
    *,
    table: LatencyTable | str | Path,
    limits: Mapping[str, float] | None = None,
    also: Sequence[str] | None = None,
    missing: Missing = "error",
    devices: Devices | None = None,
) -> Feasibility:
    """Says what limits leave of a space; nothing is trained, and nothing is written.

    Args:
        family: The space and its networks, for the channels and classes of the data.
        table: The device's latency table, or its file.
        limits: Upper bounds by cost name (``latency_ms``, ``params_m``, ``memory_mib`` and so on) in that unit; lower
            ones by the same after ``min_`` (``min_latency_ms``); on one of ``devices`` before ``@DEVICE``.
        also: Names of costs to tell the reach of though they are not limited; by default all that are known.
        missing: As of ``search``.
        devices: Likewise.

    Raises:
        UsageError: The energy is limited and the table does not tell it, or a device is that nobody named.
        MissingRowError: The table lacks kernels of the space.
    """
    rows = table if isinstance(table, LatencyTable) else read_table(table)
    several = devices or Devices()
    costs = known_costs(rows, family, missing=require_policy(missing), devices=several)
    bounds = Limits(dict(limits or {}), costs)
    costs.require_known(bound.cost for bound in bounds.bounds)
    every = [cost.name for target, cost in COSTS.items() if target != "energy" or costs.energy is not None]
    every += [latency_on(name).name for name in several.latencies]
    return bounds.preview(family.space, also=every if also is None else also)


def known_costs(table: LatencyTable, family: NetworkFamily, *, missing: Missing, devices: Devices) -> KnownCosts:
    """What is known of a space without any training.

    Raises:
        MissingRowError: The table lacks kernels of the space; the message says how to measure them.
        TableMismatchError: It holds nothing for the family's batch, or for one of its precisions.
    """
    predictors = LatencyPredictors.of(table, family, missing=missing)
    predictors.require_coverage(family.covering())
    return KnownCosts(family, predictors.latency, energy=predictors.energy, elsewhere=devices.latencies)
