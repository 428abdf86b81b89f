"""The manifest of a campaign's table: where its figures come from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from operator import attrgetter
from typing import Any

import numpy as np

from latency_tables import BlockRow, Json, KernelRow, Manifest, NetworkRow, Row, split
from profilers.backends.contract import Backend
from profilers.devices.clock_lock import ClockLock
from profilers.guards import guarded
from profilers.kernels import KEY_VERSION
from profilers.protocol import MeasuringProtocol
from profilers.watch import calm_measurements

CAMPAIGN = "hwnas-profile"
"""What the journal of a table calls itself."""

_CALLED = {"name": "runtime", "version": "runtime_version"}  # a backend's attributes, to the manifest's


def origin_of(backend: Backend, *, space: str) -> dict[str, Json]:
    """What a manifest says of the device and its runtime, for the journal: a campaign may end where it cannot be asked.

    Args:
        backend: The device.
        space: Name of what the networks come from.
    """
    names = ("device", "device_name", "name", "version", "provider", "threads")
    told = guarded(backend, lambda: attrgetter(*names)(backend))
    return {_CALLED.get(name, name): value for name, value in zip(names, told, strict=True)} | {"space": space}


def manifest_of(
    header: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    measured: Sequence[Row],
    *,
    clock_lock: ClockLock | None = None,
    unknown: Mapping[str, str],
) -> Manifest:
    """The manifest of a campaign, from its journal.

    Args:
        header: The journal's.
        entries: The journal's.
        measured: The rows they lead to, those of an earlier table included.
        clock_lock: What came of locking the clocks; ``None`` when nobody asked for it.
        unknown: Names of what was not measured, to the reasons.
    """
    protocol = MeasuringProtocol(**header["protocol"])
    calm = calm_measurements(entries, protocol, device=header["origin"]["device"])
    loads = [entry["load_1min"] for entry in entries if entry.get("load_1min") is not None]
    suffixes = {split(row.key)[1:] for row in measured if isinstance(row, BlockRow | NetworkRow)} or {(1, "fp32")}
    seen: dict[str, Json] = {
        "load_1min_median": float(np.median(loads)) if loads else None,
        **calm.to_json(),
        "clock_lock": None if clock_lock is None else clock_lock.to_json(),
        "operators": _operators(entries),
        "unmeasured": {entry["name"]: entry["reason"] for entry in entries if entry["kind"] == "failed"},
    }
    return Manifest(
        **header["origin"],
        precisions=tuple(sorted({precision for _, precision in suffixes})),
        batches=tuple(sorted({batch for batch, _ in suffixes})),
        protocol={**protocol.to_json(), "key_version": KEY_VERSION, "method": header["method"]},
        fingerprint=dict(header["fingerprint"]),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        conditions=seen,
        unknown={**unknown, **_memory_unknown(measured)},
    )


def _memory_unknown(measured: Sequence[Row]) -> dict[str, str]:
    """Why rows lack their memory."""
    reason = "the runtime does not tell; a block timed as a whole has no figure of its own"
    kinds = {KernelRow: "kernels.memory_mib", NetworkRow: "networks.memory_mib"}
    lacking = {
        kinds[type(row)] for row in measured if isinstance(row, KernelRow | NetworkRow) and row.memory_mib is None
    }
    return dict.fromkeys(sorted(lacking), reason)


def _operators(entries: Sequence[Mapping[str, Any]]) -> dict[str, Json]:
    """How many kernels of each operator and arithmetic the networks became, by the precision asked for.

    It is the proof that an int8 network really computed in integers.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        if entry["kind"] == "structure":
            counts[split(entry["name"])[2]].update(entry["operators"])
    return {precision: dict(sorted(found.items())) for precision, found in counts.items()}


def extended(first: Manifest, later: Manifest) -> Manifest:
    """The manifest of a table that a later campaign added to: it keeps both campaigns' protocols and conditions."""
    held = first.conditions.get("extensions")
    extension: dict[str, Json] = {
        "created": later.created,
        "space": later.space,
        "protocol": dict(later.protocol),
        "conditions": dict(later.conditions),
    }
    return replace(
        first,
        precisions=tuple(sorted({*first.precisions, *later.precisions})),
        batches=tuple(sorted({*first.batches, *later.batches})),
        conditions={**first.conditions, "extensions": [*(held if isinstance(held, list) else []), extension]},
        unknown={**first.unknown, **later.unknown},
    )
