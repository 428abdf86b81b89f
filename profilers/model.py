"""Profiling one ONNX model: the whole beside the sum of its kernels, kernel by kernel."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from latency_tables import Coordinates, Json, LatencyTable, NetworkRow
from profilers.backends.contract import Backend, Inspection, Method, symmetric_int8
from profilers.campaign import profile
from profilers.coverage import inspect
from profilers.errors import DeviceMemoryError
from profilers.guards import checked_backend
from profilers.inspection import finest, open_model, title_of
from profilers.precision import arithmetic
from profilers.rounds import CampaignSettings, Progress
from profilers.tasks import OnnxWorkload, converted


@dataclass(frozen=True, kw_only=True)
class KernelShare:
    """One kernel of a model.

    Attributes:
        node: Its name in the runtime's graph.
        key: Canonical key.
        latency_ms: Of one execution; ``None`` where it could not be measured.
        share: Of the sum of all kernels; likewise.
        noise: ``"ok"`` or ``"noisy"``; ``"unmeasured"``.
        provider: What ran it, as the runtime reported.
        arithmetic: What it computed in.
        memory_mib: Bytes it reads and writes, in MiB; ``None`` for unknown.
    """

    node: str
    key: str
    latency_ms: float | None
    share: float | None
    noise: str
    provider: str
    arithmetic: str
    memory_mib: float | None


@dataclass(frozen=True, kw_only=True)
class ModelProfile:
    """What a model costs on a device, and where.

    Attributes:
        model: Name of the file.
        whole: The model as a whole.
        floor_ms: What a call costs that does no work.
        sum_ms: Sum of the kernels, without the floor.
        kernels: From the slowest to the fastest.
        method: How the kernels were measured.
        notes: What else the figures hold for.
    """

    model: str
    whole: NetworkRow
    floor_ms: float
    sum_ms: float
    kernels: tuple[KernelShare, ...]
    method: Method
    notes: tuple[str, ...] = ()

    @property
    def coordinates(self) -> Coordinates:
        """Batch and precision."""
        return Coordinates.of(self.whole.key)

    @property
    def ratio(self) -> float:
        """Kernels and floor over the whole: 1 where the latency is the sum of its parts."""
        return (self.sum_ms + self.floor_ms) / self.whole.timing.latency_ms

    def to_json(self) -> dict[str, Json]:
        """Everything, for a file or another program."""
        timing = {name: value for name, value in asdict(self.whole.timing).items() if value is not None}
        return {
            "model": self.model,
            **timing,
            "load_ms": self.whole.load_ms,
            "first_ms": self.whole.first_ms,
            "memory_mib": self.whole.memory_mib,
            "energy_mj": self.whole.energy_mj,
            "provider": self.whole.provider,
            "method": self.method,
            "precision": self.coordinates.precision,
            "batch": self.coordinates.batch,
            "floor_ms": self.floor_ms,
            "kernels_sum_ms": self.sum_ms,
            "sum_over_whole": round(self.ratio, 4),
            "notes": list(self.notes),
            "kernels": [asdict(kernel) for kernel in self.kernels],
        }


def profile_model(
    path: str | Path,
    *,
    backend: Backend,
    settings: CampaignSettings | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Sequence[float]] | None = None,
    batch: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[ModelProfile, LatencyTable]:
    """Measures an ONNX model as a whole and kernel by kernel, in the same rounds.

    Args:
        path: The model.
        backend: Where it runs.
        settings: How to measure; of its precisions the first counts. A model that is not in fp32 stays as it is.
        shapes: Shapes of inputs with open sizes, by name.
        values: Values of inputs that decide how much is computed, by name: one number for each element, or one for
            all of them.
        batch: Size of an open batch axis (see ``profilers.batches``); by default 1. Of a fixed one, what it must be.
        on_progress: Called after every measurement.

    Returns:
        The profile, and the table of the model's kernels.

    Raises:
        CampaignError: A shape, a value or the batch does not fit the model.
        ModelError: The model does not load or run, or lacks a shape or a value.
        DeviceError: The runtime ran it elsewhere, or the device was lost.
        PluginError: A third party's backend failed.
        OSError: The file cannot be read.
    """
    checked_backend(backend)
    title = title_of(path)
    chosen = settings or CampaignSettings(space=title)
    opened = open_model(path, precision=chosen.precisions[0], shapes=shapes, values=values, batch=batch)
    workload, notes = opened.workload, opened.notes
    method = chosen.method or finest(backend)
    chosen = replace(chosen, space=title, method=method, steps=False, precisions=chosen.precisions[:1])
    table = _table_of(workload, backend, chosen, on_progress)
    (whole,) = table.networks.values()
    measured = converted(workload, chosen.precisions[0], symmetric=symmetric_int8(backend))
    inspection = inspect(backend, measured, method)
    kernels = _shares(inspection, table)
    floor_ms = next(iter(table.floors.values())).timing.latency_ms
    total_ms = sum(kernel.latency_ms or 0.0 for kernel in kernels)
    noted: dict[str, Json] = {"notes": list(notes)} if notes else {}
    return ModelProfile(
        model=title,
        whole=whole,
        floor_ms=floor_ms,
        sum_ms=total_ms,
        kernels=kernels,
        method=method,
        notes=notes,
    ), replace(table, manifest=replace(table.manifest, conditions={**table.manifest.conditions, **noted}))


def _table_of(
    workload: OnnxWorkload,
    backend: Backend,
    settings: CampaignSettings,
    on_progress: Callable[[Progress], None] | None,
) -> LatencyTable:
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        out = Path(folder, "t")
        table = profile([workload], [workload], backend=backend, out=out, settings=settings, on_progress=on_progress)
    if not table.networks:
        unmeasured = table.manifest.conditions["unmeasured"]
        raise DeviceMemoryError(f"{settings.space} could not be measured: {unmeasured}")
    return table


def _shares(inspection: Inspection, table: LatencyTable) -> tuple[KernelShare, ...]:
    """Every node of the model with the row of its kernel, slowest first."""
    nodes = [(use.node, use.key) for use in inspection.uses] or [(key, key) for key in table.kernels]
    total_ms = sum(table.kernels[key].timing.latency_ms for _, key in nodes if key in table.kernels)
    about = {use.key: use for use in inspection.uses}
    shares = []
    for node, key in nodes:
        row = table.kernels.get(key)
        latency_ms = row.timing.latency_ms if row else None
        shares.append(
            KernelShare(
                node=node,
                key=key,
                latency_ms=latency_ms,
                share=None if latency_ms is None or not total_ms else round(latency_ms / total_ms, 6),
                noise=row.timing.noise if row else "unmeasured",
                provider=row.provider if row else about[key].provider,
                arithmetic=row.arithmetic if row else arithmetic(about[key].op_type, about[key].elements),
                memory_mib=row.memory_mib if row else about[key].memory_mib,
            )
        )
    return tuple(sorted(shares, key=lambda share: -(share.latency_ms or 0.0)))
