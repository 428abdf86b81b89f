"""A campaign: every kernel that some networks need, measured in shuffled rounds, one table out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from latency_tables import LatencyTable, read_table, require_writable, write_table
from profilers.backends.contract import Backend, symmetric_int8
from profilers.errors import CampaignError
from profilers.guards import checked_backend, checked_fingerprint
from profilers.journal import open_journal
from profilers.kernels import KEY_VERSION
from profilers.lease import device_lease
from profilers.manifests import CAMPAIGN, extended, manifest_of, origin_of
from profilers.rounds import CampaignSettings, Progress, Rounds
from profilers.rows import evidence, rows
from profilers.tasks import (
    Workload,
    converted,
    distinct,
    identity,
)

__all__ = ["CampaignSettings", "Progress", "profile"]


def profile(
    workloads: Sequence[Workload],
    references: Sequence[Workload],
    *,
    backend: Backend,
    out: str | Path,
    settings: CampaignSettings | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> LatencyTable:
    """Measures the kernels of some networks into a latency table.

    A campaign that was killed goes on where it stopped when called again with the same arguments: what was measured is
    kept in a journal beside ``out``. Into a finished table only what it lacks is measured. While another process
    measures on the device, this one waits.

    Args:
        workloads: Networks that together contain every kernel wanted.
        references: Networks timed as a whole, from which overheads are learned.
        backend: Where they run.
        out: The table's file.
        settings: What else to measure, and how; by default latencies in fp32, and steps.
        on_progress: Called after every measurement.

    Returns:
        The table, as written to ``out``.

    Raises:
        CampaignError: ``out`` or its journal belongs to other conditions or another process.
        TableFormatError: ``out`` exists and is no sound table.
        TableMismatchError: ``out`` was made under other conditions.
        ModelError: A workload does not load or run, or cannot be converted.
        DeviceError: The runtime ran something elsewhere, or the device was lost; what was measured is kept.
        PluginError: A third party's backend failed or broke the contract.
        OSError: ``out`` cannot be written; what was measured so far is in the journal.
    """
    checked_backend(backend)
    target, settings = Path(out), settings or CampaignSettings()
    conditions = checked_fingerprint(backend)
    method = settings.method or backend.method
    existing = _existing(target, conditions, settings.protocol.name, method)
    groups = _wanted(workloads, references, settings, existing, symmetric=symmetric_int8(backend))
    if existing is not None and not any(groups.values()):
        return existing
    require_writable(target)
    header: dict[str, Any] = {
        "campaign": CAMPAIGN,
        "origin": origin_of(backend, space=settings.space),
        "fingerprint": conditions,
        "protocol": settings.protocol.to_json(),
        "method": method,
        "extras": {"steps": settings.steps, "energy": settings.energy},
        "workloads": identity(groups, method=method),
    }
    with open_journal(target, header, finished=existing is not None) as journal:
        run = Rounds(backend, settings, method, journal, on_progress, held=existing.kernels if existing else ())
        with device_lease(backend):
            run.measure(groups["workloads"], groups["references"])
        found = evidence(journal.entries, settings.protocol, device=backend.device)
        measured = rows(found, settings.protocol)
        manifest = manifest_of(
            header,
            journal.entries,
            [*measured, *(existing.rows() if existing else [])],
            clock_lock=settings.clock_lock,
            unknown=run.unknown,
        )
        if existing is not None:
            manifest = extended(existing.manifest, manifest)
        table = LatencyTable.from_rows(manifest, [*measured, *(existing.rows() if existing else [])])
        write_table(table, target)
        journal.path.unlink()
    return table


def _existing(target: Path, conditions: Mapping[str, Any], protocol: str, method: str) -> LatencyTable | None:
    if not target.exists():
        return None
    if not target.is_file():
        kind = "a folder" if target.is_dir() else "no regular file"
        raise CampaignError(f"{target} is {kind}: give --out the name of a file")
    table = read_table(target)
    table.require_fingerprint(conditions, override=None)
    made_by = (table.manifest.protocol.get("name"), table.manifest.protocol.get("method"))
    if made_by != (protocol, method):
        raise CampaignError(
            f"{target} was measured by {' '.join(map(str, made_by))}, this would be {protocol} {method}: figures of "
            "two methods do not belong in one table. Name another file."
        )
    held = table.manifest.protocol.get("key_version")
    if held != KEY_VERSION:
        raise CampaignError(
            f"{target} names its kernels by version {held} of the rules, which are now at version {KEY_VERSION}: "
            "the rows would not fit together. Name another file."
        )
    return table


def _wanted(
    workloads: Sequence[Workload],
    references: Sequence[Workload],
    settings: CampaignSettings,
    existing: LatencyTable | None,
    *,
    symmetric: bool,
) -> dict[str, list[Workload]]:
    """The workloads in every precision, without what a finished table holds already."""
    all_of, timed = (
        [converted(one, precision, symmetric=symmetric) for precision in settings.precisions for one in group]
        for group in (workloads, references)
    )
    if existing is not None:
        all_of = _lacking(all_of, existing)
        timed = [one for one in timed if one.name not in existing.networks]
    return {"workloads": list(distinct(all_of)), "references": list(distinct(timed))}


def _lacking(workloads: Sequence[Workload], table: LatencyTable) -> list[Workload]:
    """Enough of the workloads to hold every block that the table lacks."""
    held, wanted = set(table.blocks), []
    for workload in workloads:
        if not held.issuperset(workload.parts.values()):
            wanted.append(workload)
            held.update(workload.parts.values())
    return wanted
