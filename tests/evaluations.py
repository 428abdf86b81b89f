"""Made-up evaluations for tests: a device whose law is known, and a session in which it is a little slower."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.networks import NetworkFamily
from hwnas.predictors import Evaluation
from hwnas.study import EvaluationPlan, plan_evaluation
from latency_tables import BlockRow, KernelRow, LatencyTable, NetworkRow, Row
from tests.builders import (
    COPY,
    PROVIDER,
    Device,
    additive_device,
    made_up_manifest,
    made_up_timing,
    with_networks,
)

LAW = additive_device(0.01, 0.8, 0.0005)
WHEN = "2026-01-02T03:04:05+00:00"


@dataclass(frozen=True, kw_only=True)
class MadeUpTimes:
    """FAKE of what a profiler returns of a network."""

    row: NetworkRow
    halves_ms: tuple[float, float]


def calibrated_table(family: NetworkFamily, *, device: Device = LAW) -> LatencyTable:
    """A made-up table of any space at any batch and precision, with the space's own calibration networks."""
    references = family.references()
    seen = [*family.design.covering(), *(one.architecture for one in references)]
    rng = np.random.default_rng(0)
    rows: list[Row] = [KernelRow(key=COPY, timing=made_up_timing(0.003), provider=PROVIDER)]
    for index, key in enumerate(sorted({key for one in seen for key in family.block_keys(one)})):
        latency_ms = float(rng.uniform(0.002, 0.02))
        rows.append(KernelRow(key=f"Work({key})", timing=made_up_timing(latency_ms), provider=PROVIDER))
        rows.append(BlockRow(key=key, kernels={f"Work({key})": 1} | ({COPY: 1 + index % 2} if index % 3 == 0 else {})))
    table = LatencyTable.from_rows(made_up_manifest(space=family.space.name), rows)
    names = {one.name: family.block_keys(one.architecture) for one in references}
    return with_networks(table, names.items(), device=device)


def made_up_session(
    plan: EvaluationPlan,
    *,
    device: Device = LAW,
    slower: float = 1.0,
    disturbed: Callable[[int], float] = lambda index: 1.0,
    half: float = 1.0,
) -> dict[str, MadeUpTimes]:
    """Times of everything that a plan asks for.

    Args:
        plan: What to measure.
        device: The law of the device.
        slower: How much slower it is in this session.
        disturbed: Factor on the time of each network, by its place in the plan.
        half: Second half of the rounds over the first.
    """
    table, timed = plan.subject.table, {}
    for index, workload in enumerate(plan.workloads()):
        keys = plan.family.block_keys(workload.architecture)
        costs = [table.block_cost(key) for key in keys]
        latency_ms = device(sum(ms for ms, _ in costs), sum(count for _, count in costs))
        latency_ms *= slower * disturbed(index)
        name = plan.family.workload(workload.architecture).name
        row = NetworkRow(key=name, blocks=Counter(keys), timing=made_up_timing(latency_ms))
        timed[name] = MadeUpTimes(row=row, halves_ms=(latency_ms, half * latency_ms))
    return timed


def made_up_evaluation(family: NetworkFamily, *, networks: int = 12, **session: Any) -> Evaluation:
    """An evaluation of a calibrated table; keywords are those of ``made_up_session``."""
    plan = plan_evaluation(calibrated_table(family), family, table_name="made-up.jsonl", networks=networks)
    return plan.judge(made_up_session(plan, **session), when=WHEN, protocol={"name": "made-up/1", "rounds": 8})
