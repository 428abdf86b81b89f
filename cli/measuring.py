"""The table a command goes by: read, made, or grown on the device that is here; and what measures on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hwnas.commands.options import require_one_of
from hwnas.commands.progress import profile_progress

if TYPE_CHECKING:
    from hwnas.core import Architecture
    from hwnas.networks import NetworkFamily
    from latency_tables import LatencyTable
    from profilers import Backend, CampaignSettings, DeviceEngines, DeviceMeter

MEASURE = "measure"  # the policy for missing rows that no predictor can follow: it needs the device
TABLES = Path("hwnas-tables")  # where tables go that nobody gave a name


def table_for(
    out: Path, family: NetworkFamily, *, device: str, table: str | None, other: bool, grow: bool
) -> tuple[LatencyTable, Backend | None]:
    """The table to search with: the run's own, the one given, or one made now; and what measures on its device.

    With ``grow``, what a given table lacks of the space is measured into it first.
    """
    from latency_tables import read_table, resolve
    from profilers import CampaignSettings, open_device

    recorded = out / "latency_table.jsonl" if (out / "run.json").exists() else None
    source = resolve(table) if table else recorded
    precisions = tuple(family.members) or (family.precision,)
    if source is None:
        backend = open_device(device)
        for precision in precisions:
            require_arithmetic(backend, family, family.covering()[0], precision)
        settings = CampaignSettings(space=family.space.name, precisions=precisions)
        return measured_table(family, backend, default_table(backend, family), settings=settings), backend
    rows = read_table(source)
    if other and not grow:
        return rows, None
    backend = backend_of(rows, device=device)
    for precision in precisions if grow and table else ():
        needed, wanted = family.workloads(), family.at(batch=1, precision=precision)
        known = [rows.blocks.keys() >= set(wanted.block_keys(one.architecture)) for one in needed]
        lacking = [one for one, there in zip(needed, known, strict=True) if not there]
        rows = grown(Path(source), lacking, backend, precision=precision, other=other) if lacking else rows
    return rows, backend


def grown(
    path: Path | None, workloads: Sequence[Any], backend: Backend, *, precision: str, other: bool
) -> LatencyTable:
    """The table with what it lacks of some networks, measured now."""
    import profilers
    from latency_tables import read_manifest, shipped

    if path is None or any(one.path == path for one in shipped()):
        raise typer.BadParameter(
            "a run's table and those that come with hwnas are never changed: name a copy with --table",
            param_hint="--missing measure",
        )
    if other:
        raise typer.BadParameter(
            "rows of another device cannot be measured here: leave --allow-other-device out",
            param_hint="--missing measure",
        )
    manifest = read_manifest(path)
    settings = profilers.CampaignSettings(
        space=manifest.space, precisions=(precision,), method=profilers.method_of(manifest), steps=False
    )
    with profile_progress(path) as on_progress:
        return profilers.profile(workloads, [], backend=backend, out=path, settings=settings, on_progress=on_progress)


def backend_of(table: LatencyTable, *, device: str = "auto", override: str | None = "--allow-other-device") -> Backend:
    """What measures on the device of a table; refuses when that device is not here."""
    from profilers import open_device_of

    backend = open_device_of(table.manifest, device=device)
    table.require_fingerprint(backend.fingerprint(), override=override)
    return backend


def default_table(backend: Backend, family: NetworkFamily) -> Path:
    """One file for each device setting and space, so that a table is made once and found again."""
    from latency_tables import fingerprint_sha256

    setting = fingerprint_sha256(backend.fingerprint())[:8]
    return TABLES / f"{backend.device}-{family.space.name.replace(':', '-')}-{setting}.jsonl"


def measured_table(
    family: NetworkFamily,
    backend: Backend,
    path: Path,
    *,
    settings: CampaignSettings | None = None,
    batches: Sequence[int] = (1,),
) -> LatencyTable:
    """Measures what a space needs into a table, at every batch and precision."""
    import profilers

    at = [family.at(batch=batch, precision="fp32") for batch in batches]
    with profile_progress(path) as on_progress:
        return profilers.profile(
            [workload for one in at for workload in one.workloads()],
            [workload for one in at for workload in one.references()],
            backend=backend,
            out=path,
            settings=settings or profilers.CampaignSettings(space=family.space.name),
            on_progress=on_progress,
        )


def meter_of(family: NetworkFamily, table: LatencyTable, backend: Backend | None) -> DeviceMeter | None:
    """Measures beside a few of the networks that are in a table, spread over their latencies."""
    from profilers import DeviceMeter, Reference

    if backend is None:
        return None
    rows = table.networks
    held = sorted((w for w in family.references() if w.name in rows), key=lambda w: rows[w.name].timing.latency_ms)
    chosen = held[1::4]
    references = {w.name: Reference(model=w.model, latency_ms=rows[w.name].timing.latency_ms) for w in chosen}
    return DeviceMeter(backend=backend, references=references)


def engines_of(backend: Backend | None) -> DeviceEngines | None:
    """What hands over the engines that were measured, where the backend compiles any."""
    from profilers import DeviceEngines
    from profilers.backends import Compiling

    return DeviceEngines(backend=backend) if isinstance(backend, Compiling) else None


def require_policy(missing: str) -> None:
    """Refuses what nobody knows how to do about missing rows."""
    from hwnas.predictors import MISSING

    require_one_of(missing, (*MISSING, MEASURE), option="--missing")


def require_arithmetic(backend: Backend, family: NetworkFamily, architecture: Architecture, precision: str) -> None:
    """Refuses, before anything is trained, a precision that the device computes nothing in.

    Raises:
        MachineError: It does not.
    """
    from hwnas.core import MachineError
    from hwnas.spaces import without_precision
    from profilers.inspection import computes_in

    if precision == "fp32":
        return
    plain = family.at(batch=1, precision="fp32").workload(without_precision(architecture))
    if not computes_in(backend, plain, precision):
        raise MachineError(
            f"{backend.name} on this {backend.device} computes nothing of the network in {precision}: choose another "
            "--precision, or, for another device, give --allow-other-device; nothing is measured then"
        )
