"""Whole networks timed side by side, without their kernels: the truth that predictions are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from latency_tables import NetworkRow
from profilers.backends.contract import Backend, symmetric_int8
from profilers.errors import CampaignError
from profilers.guards import checked_fingerprint
from profilers.journal import open_journal
from profilers.lease import device_lease
from profilers.protocol import MeasuringProtocol
from profilers.rounds import CampaignSettings, Progress, Rounds
from profilers.rows import evidence, rows
from profilers.statistics import Sample, combine
from profilers.tasks import Workload, converted, distinct, identity, network_tasks


@dataclass(frozen=True, kw_only=True)
class TimedNetwork:
    """The latency of a network, and what it would have been from half of the rounds.

    Attributes:
        row: As a latency table would hold it, by the same estimator.
        halves_ms: The same estimate from every other round in which the device was calm, and from the rest.
    """

    row: NetworkRow
    halves_ms: tuple[float, float]


def time_networks(
    networks: Sequence[Workload],
    *,
    backend: Backend,
    out: str | Path,
    settings: CampaignSettings | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> dict[str, TimedNetwork]:
    """Measures whole networks in shuffled rounds, so that whatever the machine does hits all of them alike.

    One that was killed goes on where it stopped when called again with the same arguments: what was measured is kept in
    a journal beside ``out`` until all is. Another process that measures on the device is waited for.

    Args:
        networks: What to measure; of one name, once.
        backend: Where they run.
        out: The file that the caller will write the outcome to; the journal lies beside it.
        settings: Precisions and protocol. Of at least two rounds.
        on_progress: Called after every measurement.

    Returns:
        By the name of the network, with its coordinates. What does not fit the device is left out.

    Raises:
        CampaignError: The protocol has a single round, or the journal belongs to other conditions or another process.
        ModelError: A network does not load or run, or cannot be converted.
        DeviceError: The runtime ran something elsewhere, or the device was lost; what was measured is kept.
        PluginError: A third party's backend failed or broke the contract.
        OSError: The journal cannot be written.
    """
    settings = settings or CampaignSettings()
    protocol = settings.protocol
    if protocol.rounds < 2:
        raise CampaignError(f"two halves need at least 2 rounds, the protocol has {protocol.rounds}: give it more")
    symmetric = symmetric_int8(backend)
    in_all = [converted(one, name, symmetric=symmetric) for name in settings.precisions for one in networks]
    wanted = list(distinct(in_all))
    header = {
        "campaign": "hwnas-networks",
        "fingerprint": checked_fingerprint(backend),
        "protocol": protocol.to_json(),
        "networks": identity({"networks": wanted}, method=backend.method),
    }
    with open_journal(Path(out), header) as journal:
        with device_lease(backend):
            Rounds(backend, settings, backend.method, journal, on_progress).in_rounds(network_tasks(wanted))
        found = evidence(journal.entries, protocol, device=backend.device)
        timed = {row.key: row for row in rows(found, protocol) if isinstance(row, NetworkRow)}
        outcome = {
            key: TimedNetwork(row=row, halves_ms=_halves(found.networks[key], protocol)) for key, row in timed.items()
        }
        journal.path.unlink()
    return outcome


def _halves(samples: Sequence[Sample], protocol: MeasuringProtocol) -> tuple[float, float]:
    """Every other round and the rest, of those that were calm; of all where fewer than two were."""
    calm = [sample for sample in samples if sample.calm and sample.clean]
    used = sorted(calm if len(calm) > 1 else samples, key=lambda sample: sample.round)
    one, other = (combine([used[start::2]], protocol).latency_ms for start in (0, 1))
    return one, other
