"""A campaign: every kernel a space needs, measured in shuffled rounds, one table out."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from latency_tables import BlockRow, KernelRow, LatencyTable, Manifest, NetworkRow, Row, read_table, write_table
from profilers.backends import OnnxRuntimeBackend
from profilers.devices.cpu import describe_cpu
from profilers.devices.fingerprint import device_name
from profilers.errors import CampaignError
from profilers.journal import Journal, open_journal
from profilers.kernels import KEY_VERSION, block_kernels
from profilers.protocol import MeasuringProtocol
from profilers.statistics import Sample, combine, quiet_runs, summarise


class Workload(Protocol):
    """A network to be profiled."""

    @property
    def name(self) -> str:
        """Unique in the campaign."""

    @property
    def model(self) -> bytes:
        """Serialised ONNX model with fixed shapes."""

    @property
    def parts(self) -> Mapping[str, str]:
        """Prefix of a part's tensor names, to the key of the block it is."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a campaign is.

    Attributes:
        done: Measurements finished, those of an earlier process included.
        total: Measurements in all.
        resumed: How many of them an earlier process had finished.
        eta_s: Seconds left at the present pace; ``None`` before the first measurement.
    """

    done: int
    total: int
    resumed: int
    eta_s: float | None


@dataclass(frozen=True)
class _Task:
    kind: str  # "kernels" or "network"
    round: int
    workload: Workload

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.round}/{self.workload.name}"


def profile(
    workloads: Sequence[Workload],
    references: Sequence[Workload],
    *,
    backend: OnnxRuntimeBackend,
    out: str | Path,
    space: str,
    protocol: MeasuringProtocol | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> LatencyTable:
    """Measures the kernels of some networks into a latency table.

    A campaign that was killed goes on where it stopped when called again with the same arguments: what was measured is
    kept in a journal beside ``out``. Into a finished table only what it lacks is measured.

    Args:
        workloads: Networks that together contain every kernel wanted; timed in place, kernel by kernel.
        references: Networks timed as a whole, from which overheads are learned.
        backend: Where they run.
        out: The table's file.
        space: Name of what the workloads come from.
        protocol: How to measure.
        on_progress: Called after every measurement.

    Returns:
        The table, as written to ``out``.

    Raises:
        CampaignError: ``out`` or its journal belongs to other conditions or another process.
        TableFormatError: ``out`` exists and is no sound table.
        ModelError: A workload does not load or run.
        DeviceError: The runtime ran something on another provider.
        OSError: ``out`` cannot be written; what was measured so far is in the journal.
    """
    target, rule = Path(out), protocol or MeasuringProtocol()
    conditions = backend.fingerprint()
    existing = _existing(target, conditions)
    wanted = list(workloads)
    if existing is not None:
        wanted = _lacking(workloads, existing)
        if not wanted:
            return existing
        references = [reference for reference in references if reference.name not in existing.networks]
    header = {
        "campaign": "hwnas-profile",
        "fingerprint": conditions,
        "protocol": rule.to_json(),
        "workloads": _identity(wanted, references),
    }
    with open_journal(target, header) as journal:
        _measure(wanted, references, backend=backend, rule=rule, journal=journal, on_progress=on_progress)
        rows = _rows(journal.entries, rule)
        manifest = existing.manifest if existing else _manifest(backend, conditions, rule, space, journal.entries)
        table = LatencyTable.from_rows(manifest, [*rows, *(existing.rows() if existing else [])])
        write_table(table, target)
        journal.path.unlink()  # a kill just before leaves it behind: the next campaign finds it and says so
    return table


def _existing(target: Path, conditions: Mapping[str, Any]) -> LatencyTable | None:
    if not target.exists():
        return None
    if target.is_dir():
        raise CampaignError(f"{target} is a folder: give --out the name of a file")
    table = read_table(target)
    table.require_fingerprint(conditions, override=None)
    return table


def _lacking(workloads: Sequence[Workload], table: LatencyTable) -> list[Workload]:
    """Enough of the workloads to hold every block that the table lacks."""
    held, wanted = set(table.blocks), []
    for workload in workloads:
        if not held.issuperset(workload.parts.values()):
            wanted.append(workload)
            held.update(workload.parts.values())
    return wanted


def _identity(workloads: Sequence[Workload], references: Sequence[Workload]) -> str:
    """Hash of what is measured: names alone are the same for images of any shape."""
    content = [[[w.name, dict(w.parts)] for w in group] for group in (workloads, references)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _measure(
    workloads: Sequence[Workload],
    references: Sequence[Workload],
    *,
    backend: OnnxRuntimeBackend,
    rule: MeasuringProtocol,
    journal: Journal,
    on_progress: Callable[[Progress], None] | None,
) -> None:
    done = {entry["id"] for entry in journal.entries}
    total = rule.rounds * (len(workloads) + len(references))
    resumed, start = len(done), time.monotonic()
    for round_ in range(rule.rounds):
        tasks = [_Task("kernels", round_, w) for w in workloads] + [_Task("network", round_, w) for w in references]
        for i in np.random.default_rng(round_).permutation(len(tasks)):
            task = tasks[i]
            if task.id in done:
                continue
            journal.append(_run(task, backend, rule))
            done.add(task.id)
            if on_progress is not None:
                pace_s = (time.monotonic() - start) / (len(done) - resumed)
                left_s = pace_s * (total - len(done))
                on_progress(Progress(done=len(done), total=total, resumed=resumed, eta_s=left_s))


def _run(task: _Task, backend: OnnxRuntimeBackend, rule: MeasuringProtocol) -> dict[str, Any]:
    """Measures one network once more; repeats while the machine leaves it no undisturbed run."""
    entry: dict[str, Any] = {}
    for _ in range(rule.attempts):
        entry = _kernels_entry(task, backend, rule) if task.kind == "kernels" else _network_entry(task, backend, rule)
        if entry["clean"]:
            break
    return {"id": task.id, "load_1min": describe_cpu().load_1min, **entry}


def _network_entry(task: _Task, backend: OnnxRuntimeBackend, rule: MeasuringProtocol) -> dict[str, Any]:
    timed = backend.time(task.workload.model, warmup=rule.warmup_runs, runs=rule.timed_runs)
    quiet = quiet_runs(timed.run_ms, timed.preempted, fraction=rule.quiet_fraction)
    sample = summarise(timed.run_ms, timed.preempted, quiet)
    return {
        "network": task.workload.name,
        "round": task.round,
        "clean": sample.clean,
        "sample": astuple(sample),
        "blocks": Counter(task.workload.parts.values()),
    }


def _kernels_entry(task: _Task, backend: OnnxRuntimeBackend, rule: MeasuringProtocol) -> dict[str, Any]:
    runs = backend.profile(task.workload.model, task.workload.parts, warmup=rule.warmup_runs, runs=rule.profiled_runs)
    quiet = quiet_runs(runs.run_ms, runs.preempted, fraction=rule.quiet_fraction)
    by_key: dict[str, list[Any]] = defaultdict(list)
    for use, durations_ms in zip(runs.uses, runs.kernel_ms, strict=True):
        by_key[use.key].append(durations_ms)
    # a kernel that occurs several times in the network: the mean of its occurrences, run by run
    samples = {key: astuple(summarise(np.mean(times, axis=0), runs.preempted, quiet)) for key, times in by_key.items()}
    return {
        "network": task.workload.name,
        "round": task.round,
        "clean": not bool(runs.preempted.all()),
        "provider": runs.provider,
        "kernels": samples,
        "blocks": block_kernels(runs.uses, task.workload.parts),
    }


def _rows(entries: Sequence[Mapping[str, Any]], rule: MeasuringProtocol) -> list[Row]:
    kernels: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    networks: dict[str, list[Sample]] = defaultdict(list)
    variants: dict[str, Counter[str]] = defaultdict(Counter)
    contents: dict[str, Mapping[str, int]] = {}
    providers: dict[str, str] = {}
    for entry in entries:
        if "sample" in entry:
            networks[entry["network"]].append(_sample(entry["sample"]))
            contents[entry["network"]] = entry["blocks"]
            continue
        for key, sample in entry["kernels"].items():
            kernels[key][entry["network"]].append(_sample(sample))
            providers[key] = entry["provider"]
        for block, counts in entry["blocks"]:
            variants[block][json.dumps(counts, sort_keys=True)] += 1
    rows: list[Row] = [
        KernelRow(key=key, timing=combine(list(seen.values()), rule), provider=providers[key])
        for key, seen in kernels.items()
    ]
    # a block that compiled differently next to different neighbours: what it mostly was
    rows += [BlockRow(key=key, kernels=json.loads(seen.most_common(1)[0][0])) for key, seen in variants.items()]
    rows += [
        NetworkRow(key=key, blocks=contents[key], timing=combine([samples], rule)) for key, samples in networks.items()
    ]
    return rows


def _sample(values: Sequence[Any]) -> Sample:
    return Sample(**dict(zip(Sample.__dataclass_fields__, values, strict=True)))


def _manifest(
    backend: OnnxRuntimeBackend,
    conditions: Mapping[str, Any],
    rule: MeasuringProtocol,
    space: str,
    entries: Sequence[Mapping[str, Any]],
) -> Manifest:
    loads = [entry["load_1min"] for entry in entries if entry["load_1min"] is not None]
    return Manifest(
        device=backend.device,
        device_name=device_name(backend.device),
        runtime=backend.name,
        runtime_version=backend.version,
        provider=backend.provider,
        threads=backend.threads,
        precision="fp32",
        batch=1,
        space=space,
        protocol={**rule.to_json(), "key_version": KEY_VERSION},
        fingerprint=dict(conditions),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        conditions={
            "load_1min_median": float(np.median(loads)) if loads else None,
            "round_slowdown": list(_round_slowdown(entries)),
        },
    )


def _round_slowdown(entries: Sequence[Mapping[str, Any]]) -> list[float]:
    """Median slowness of the whole networks in each round, against the quietest round of each."""
    quiet: dict[str, dict[int, float]] = defaultdict(dict)
    for entry in entries:
        if "sample" in entry:
            quiet[entry["network"]][entry["round"]] = _sample(entry["sample"]).quiet_ms
    rounds = sorted({round_ for values in quiet.values() for round_ in values})
    ratios = [
        [values[round_] / min(values.values()) for values in quiet.values() if round_ in values] for round_ in rounds
    ]
    return [round(float(np.median(ratio)), 4) for ratio in ratios]
