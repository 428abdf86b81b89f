"""How much of a space a table covers: computed on networks it has never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from latency_tables import Json, LatencyTable, Manifest
from profilers.backends.contract import Backend, InPlace, Inspection, Isolating, Method, ProfiledRuns, RunPlan
from profilers.guards import checked_inspection, checked_profile, guarded
from profilers.tasks import BLOCK_PREFIX, Workload


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What some networks need, and what of it a table lacks.

    Attributes:
        networks: Networks looked at.
        kernels: Distinct kernels they became.
        missing: Those without a row.
        complete: Networks of which no kernel is missing.
    """

    networks: int
    kernels: int
    missing: tuple[str, ...]
    complete: int

    def to_json(self) -> dict[str, Json]:
        """For a file or another program."""
        return {
            "networks": self.networks,
            "kernels": self.kernels,
            "missing": list(self.missing),
            "complete_networks": self.complete,
        }


def coverage(table: LatencyTable, workloads: Sequence[Workload], *, backend: Backend) -> Coverage:
    """Lets the runtime compile networks and looks up every kernel they became.

    Args:
        table: What is judged.
        workloads: Networks of the space, drawn afresh, in the precision they are asked about.
        backend: The table's.

    Raises:
        ModelError: A network does not load.
        DeviceError: It ran elsewhere.
    """
    method = method_of(table.manifest) or backend.method
    needed = [_kernels(backend, workload, method) for workload in workloads]
    every = {key for keys in needed for key in keys}
    return Coverage(
        networks=len(needed),
        kernels=len(every),
        missing=tuple(sorted(every - set(table.kernels))),
        complete=sum(keys <= set(table.kernels) for keys in needed),
    )


def method_of(manifest: Manifest) -> Method | None:
    """How the kernels of a table were measured; ``None`` where its protocol does not tell."""
    return _METHODS.get(str(manifest.protocol.get("method")))


_METHODS: dict[str, Method] = {"in-place": "in-place", "isolated": "isolated", "blocks": "blocks"}


def _kernels(backend: Backend, workload: Workload, method: Method) -> set[str]:
    if method == "blocks":
        return {f"{BLOCK_PREFIX}{block}" for block in workload.parts.values()}
    return {use.key for use in inspect(backend, workload, method).uses}


def inspect(backend: Backend, workload: Workload, method: Method) -> Inspection:
    """The kernels that a network became, node by node; none where the backend times blocks."""
    if method == "isolated" and isinstance(backend, Isolating):
        found = guarded(backend, lambda: backend.isolate(workload.model, workload.parts)[0])
        return checked_inspection(backend, found, workload.parts)
    if method == "in-place" and isinstance(backend, InPlace):
        once = RunPlan(warmup_runs=0, runs=1)
        runs: ProfiledRuns = guarded(backend, partial(backend.profile, workload.model, workload.parts, once))
        return checked_profile(backend, runs, workload.parts).inspection
    return Inspection(uses=())
