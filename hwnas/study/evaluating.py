"""Which networks an evaluation of a predictor measures, and what becomes of their times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Predictor, UsageError
from hwnas.networks import NetworkCosts, NetworkFamily, Workload
from hwnas.predictors import (
    About,
    Evaluation,
    LatencyPredictor,
    Subject,
    chosen_networks,
    judge,
    random_networks,
    signature,
)
from hwnas.predictors.evaluation import FEWEST
from hwnas.predictors.judging import Measured
from hwnas.spaces import ArchitectureCodes, precision_of, without_precision
from hwnas.study.run import Run
from latency_tables import Coordinates, LatencyTable, table_sha256

_CHOSEN = 32  # networks that an optimiser chooses, at the most; no more than there are random ones


@dataclass(frozen=True, kw_only=True)
class EvaluationPlan:
    """What is to be measured, and everything that is needed to judge it afterwards.

    Attributes:
        subject: What is judged.
        family: The networks, at the batch and precision of the evaluation.
        groups: Architectures by the name of their rows, by the name of the group: ``"random"`` and ``"front"``.
        front: What chose the networks of the front, in words.
        table_name: What the table is called.
        seed: Of everything drawn.
    """

    subject: Subject
    family: NetworkFamily
    groups: Mapping[str, Mapping[str, Architecture]]
    front: str
    table_name: str
    seed: int

    def workloads(self) -> list[Workload]:
        """What to measure in one session, in fp32 for whoever converts it: the calibration networks, and the groups."""
        plain = replace(self.family, precision="fp32")
        return [
            plain.workload(architecture)
            for held in (self.subject.calibration, *self.groups.values())
            for architecture in held.values()
        ]

    def judge(self, measured: Mapping[str, Measured], *, when: str, protocol: Mapping[str, Any]) -> Evaluation:
        """The outcome.

        Args:
            measured: By the name of the network's row, the calibration networks included.
            when: When the measuring began, ISO 8601 in UTC.
            protocol: How it was measured, field by field.

        Raises:
            UsageError: Too few networks were measured.
        """
        family, manifest = self.family, self.subject.table.manifest
        about = About(
            space=family.space.name,
            shape=str(family.shape),
            batch=family.batch,
            precision=family.precision,
            seed=self.seed,
            front=self.front,
            table=self.table_name,
            table_sha256=table_sha256(self.subject.table),
            table_created=manifest.created,
            device=manifest.device,
            device_name=manifest.device_name,
            runtime=manifest.runtime,
            runtime_version=manifest.runtime_version,
            provider=manifest.provider,
            threads=manifest.threads,
            measured=when,
            protocol=protocol,
        )
        return judge(self.subject, self.groups, measured=measured, about=about)


def plan_evaluation(
    table: LatencyTable,
    family: NetworkFamily,
    *,
    table_name: str,
    run: Run | None = None,
    networks: int = 100,
    seed: int = 0,
) -> EvaluationPlan:
    """Draws the networks to judge a table's predictions by.

    Args:
        table: The table.
        family: The networks, at a batch and precision that the table holds.
        table_name: What the table is called.
        run: Whose front is measured; without one, networks that have the most multiply-accumulates for their predicted
            latency.
        networks: How many random ones.
        seed: The same seed draws the same networks.

    Raises:
        UsageError: The space has too few networks that are new to the table, or the front is too small.
        TableMismatchError: The table holds nothing for that batch and precision.
        MissingRowError: The table lacks a block of the space.
    """
    table.require_coordinates(Coordinates(batch=family.batch, precision=family.precision))
    subject = _subject(table, family)
    predictor = LatencyPredictor.of(table, family)
    rng = np.random.default_rng(seed)
    held = {signature(Counter(row.blocks).elements()) for row in table.networks.values()}
    held |= {signature(family.block_keys(one)) for one in subject.calibration.values()}
    if run is None:
        front = _chosen(family, predictor, n=min(networks, _CHOSEN), taken=held, rng=rng)
        origin = "networks with the most multiply-accumulates for their predicted latency, found by mutation"
    else:
        chosen = [trial.architecture for trial in run.front()]
        alike = [one for one in chosen if not run.family.members or precision_of(one) == family.precision]
        front = [without_precision(one) for one in alike]
        origin = f"the front of {run.folder}, found by {run.settings.algorithm}"
    if len(front) < FEWEST:
        raise UsageError(
            f"expected a front of at least {FEWEST} networks, received {len(front)} ({origin}): let the search go on, "
            "or evaluate without --run, on a larger space"
        )
    held |= {signature(family.block_keys(one)) for one in front}
    drawn = random_networks(family.space, family.block_keys, n=networks, taken=held, rng=rng)
    predictor.predict([*front, *drawn])  # what the table lacks is found out before an hour of measuring
    groups = {name: _named(family, found) for name, found in (("random", drawn), ("front", front))}
    return EvaluationPlan(subject=subject, family=family, groups=groups, front=origin, table_name=table_name, seed=seed)


def _subject(table: LatencyTable, family: NetworkFamily) -> Subject:
    return Subject(
        table=table,
        predictor=lambda of: LatencyPredictor.of(of, family),
        sizes=lambda architectures: _sizes(family, architectures),
        calibration=_named(family, [workload.architecture for workload in family.references()]),
    )


def _named(family: NetworkFamily, architectures: Sequence[Architecture]) -> dict[str, Architecture]:
    return {family.workload(architecture).name: architecture for architecture in architectures}


def _sizes(family: NetworkFamily, architectures: Sequence[Architecture]) -> dict[str, NDArray[np.float64]]:
    known = NetworkCosts(family).values(ArchitectureCodes(family.space).encode(architectures))
    return {name: known[name] for name in ("flops_m", "params_m")}


def _chosen(
    family: NetworkFamily, predictor: Predictor, *, n: int, taken: set[Hashable], rng: np.random.Generator
) -> list[Architecture]:
    """Networks that an optimiser of work against predicted latency chooses."""

    def costs(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        work = _sizes(family, architectures)["flops_m"]
        return np.column_stack([predictor.predict(architectures)[0], -work])  # (n, 2)

    return chosen_networks(family.space, family.block_keys, costs, n=n, taken=taken, rng=rng)
