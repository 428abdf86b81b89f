"""A table from the journal of a campaign that cannot go on: its device is gone, and what it told is kept."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from latency_tables import BlockRow, FloorRow, Json, KernelRow, LatencyTable, NetworkRow, Row, StepRow
from profilers.errors import CampaignError
from profilers.journal import read_journal
from profilers.manifests import CAMPAIGN, manifest_of
from profilers.protocol import MeasuringProtocol
from profilers.rounds import NO_ENERGY_ASKED, NO_ENERGY_OF_KERNELS
from profilers.rows import evidence, rows

_ENDED = "the campaign ended before it was measured"


def recover(journal: str | Path) -> LatencyTable:
    """The table of what an unfinished campaign has measured; the journal stays, and its campaign can still go on.

    Rows are judged as those of a finished campaign are: fewer rounds make them uncertain, and one alone ``noisy``.
    Kernels that were never measured stand under ``unmeasured`` in the manifest, and blocks that need them are left out.

    Args:
        journal: The file ``TABLE.partial`` beside the table that was not finished.

    Raises:
        CampaignError: It is no journal of a table, is damaged, holds no measured kernel, or a process is at work on it.
        OSError: It cannot be read.
    """
    header, entries = read_journal(Path(journal))
    if header.get("campaign") != CAMPAIGN or "origin" not in header:
        raise CampaignError(
            f"{journal} is no journal of a latency table, or one of an older version: expected what an unfinished "
            "`hwnas profile` leaves"
        )
    try:
        return _recovered(journal, header, entries)
    except CampaignError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CampaignError(f"{journal} is damaged, or of another version: nothing can be recovered from it") from error


def _recovered(journal: str | Path, header: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> LatencyTable:
    protocol = MeasuringProtocol(**header["protocol"])
    found = rows(evidence(entries, protocol, device=header["origin"]["device"]), protocol)
    measured = [_doubted(row) for row in found]
    kernels = {row.key for row in measured if isinstance(row, KernelRow)}
    if not kernels:
        raise CampaignError(f"no kernel was measured in {journal} yet: there is nothing to make a table of")
    whole_round = any(entry["round"] > 0 for entry in entries)
    kept = [row for row in measured if _is_whole(row, kernels, whole_round=whole_round)]
    manifest = manifest_of(header, entries, kept, unknown=_unknown(header["extras"], kept))
    needed = {key for entry in entries if entry["kind"] == "structure" for key in entry["about"]}
    unmeasured: Any = manifest.conditions["unmeasured"]
    conditions: dict[str, Json] = {
        **manifest.conditions,
        "unmeasured": {**dict.fromkeys(sorted(needed - kernels), _ENDED), **unmeasured},
        "recovered": True,
    }
    return LatencyTable.from_rows(replace(manifest, conditions=conditions), kept)


def _doubted(row: Row) -> Row:
    """A row of a single round says nothing of how far it can be trusted."""
    if isinstance(row, KernelRow | NetworkRow | FloorRow) and row.timing.uncertainty is None:
        return replace(row, timing=replace(row.timing, noise="noisy"))
    return row


def _is_whole(row: Row, kernels: Container[str], *, whole_round: bool) -> bool:
    """Not a block without one of its kernels, nor a step that was read from some of its widths."""
    if isinstance(row, BlockRow):
        return all(key in kernels for key in row.kernels)
    return whole_round or not isinstance(row, StepRow)


def _unknown(extras: Mapping[str, bool], kept: Sequence[Row]) -> dict[str, str]:
    """Why energies and steps are missing, as far as the journal tells."""
    unknown = {} if extras["energy"] else {"energy_mj": NO_ENERGY_ASKED}
    if extras["energy"]:
        unknown["kernels.energy_mj"] = NO_ENERGY_OF_KERNELS
        if any(isinstance(row, NetworkRow) and row.energy_mj is None for row in kept):
            unknown["networks.energy_mj"] = _ENDED
    if extras["steps"] and not any(isinstance(row, StepRow) for row in kept):
        unknown["steps"] = "none was found, or the campaign ended before all of a kernel's widths were measured"
    return unknown
