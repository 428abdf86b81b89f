"""From the journal of a campaign to the rows of a table."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from latency_tables import BlockRow, FloorRow, KernelRow, NetworkRow, Row, StepRow, Timing
from profilers.protocol import MeasuringProtocol
from profilers.statistics import Sample, Times, combine, detect_step, figure
from profilers.tasks import Task
from profilers.watch import calm_measurements

STEP_CANDIDATES = (32, 16, 8, 4, 2, 1)

_SAMPLE_FIELDS = [entry.name for entry in fields(Sample) if entry.name not in {"round", "calm"}]


def sample_to_json(sample: Sample) -> list[Any]:
    """A sample as the journal keeps it."""
    return [getattr(sample, name) for name in _SAMPLE_FIELDS]


@dataclass
class Evidence:
    """What a journal says, sorted by the things it is about.

    Attributes:
        kernels: Key to network to its samples.
        networks: Name to samples.
        floors: Likewise.
        steps: Kind and width to samples.
        raw_ms: Run times of networks and floors, one by one.
        about: Kernel key to provider, arithmetic and memory.
        copies: Kernel key to how often it stood in the model that was timed.
        variants: Block key to how often each composition of kernels was seen.
        blocks: Network name to its blocks.
        loads: Network name to load and first times.
        memory_mib: Network name to memory.
        energy_mj: Kind and name to energy.
    """

    kernels: dict[str, dict[str, list[Sample]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    networks: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    floors: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    steps: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    raw_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    about: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    copies: dict[str, int] = field(default_factory=dict)
    variants: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    blocks: dict[str, Mapping[str, int]] = field(default_factory=dict)
    providers: dict[str, str] = field(default_factory=dict)
    loads: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    memory_mib: dict[str, float | None] = field(default_factory=dict)
    energy_mj: dict[str, float] = field(default_factory=dict)


def evidence(entries: Sequence[Mapping[str, Any]], protocol: MeasuringProtocol, *, device: str) -> Evidence:
    """Sorts the entries of a journal.

    Samples taken on a restless device are marked as such. By how much a calm device was slower or faster than usual is
    taken out of all times: its sentinel, timed before and after, was so by as much.
    """
    seen = calm_measurements(entries, protocol, device=device)
    found = Evidence()
    for entry in entries:
        calm = entry["id"] in seen.ids
        _READERS[entry["kind"]](found, entry, _Moment(calm, seen.pace.get(entry["id"], 1.0) if calm else 1.0))
    return found


@dataclass(frozen=True)
class _Moment:
    """How the device was while something was measured.

    Attributes:
        calm: Whether it was itself.
        pace: How much slower than usual it was.
    """

    calm: bool
    pace: float


def _kernels(found: Evidence, entry: Mapping[str, Any], moment: _Moment) -> None:
    for key, values in entry["kernels"].items():
        found.kernels[key][entry["name"]].append(_sample(values, entry, moment))


def _kernel(found: Evidence, entry: Mapping[str, Any], moment: _Moment) -> None:
    found.kernels[entry["name"]][""].append(_sample(entry["sample"], entry, moment))
    found.copies[entry["name"]] = entry["copies"]


def _network(found: Evidence, entry: Mapping[str, Any], moment: _Moment) -> None:
    found.networks[entry["name"]].append(_sample(entry["sample"], entry, moment))
    found.raw_ms[entry["name"]] += [time_ms / moment.pace for time_ms in entry["raw_ms"]]
    found.blocks[entry["name"]] = entry["blocks"]
    found.providers[entry["name"]] = entry["provider"]
    if entry["load_ms"] is not None and entry["first_ms"] is not None:
        found.loads[entry["name"]].append((entry["load_ms"], entry["first_ms"]))


def _floor(found: Evidence, entry: Mapping[str, Any], moment: _Moment) -> None:
    found.floors[entry["name"]].append(_sample(entry["sample"], entry, moment))
    found.raw_ms[entry["name"]] += [time_ms / moment.pace for time_ms in entry["raw_ms"]]
    found.providers[entry["name"]] = entry["provider"]


def _step(found: Evidence, entry: Mapping[str, Any], moment: _Moment) -> None:
    found.steps[entry["name"]].append(_sample(entry["sample"], entry, moment))


def _structure(found: Evidence, entry: Mapping[str, Any], moment: _Moment) -> None:
    found.about |= entry["about"]
    found.memory_mib[entry["name"]] = entry["memory_mib"]
    for block, counts in entry["blocks"]:
        found.variants[block][json.dumps(counts, sort_keys=True)] += 1


def _energy(found: Evidence, entry: Mapping[str, Any], moment: _Moment) -> None:
    found.energy_mj[entry["name"]] = entry["energy_mj"]


def _failed(found: Evidence, entry: Mapping[str, Any], moment: _Moment) -> None:
    """Nothing was measured; the manifest names it."""


_READERS = {
    "kernels": _kernels,
    "kernel": _kernel,
    "network": _network,
    "floor": _floor,
    "step": _step,
    "structure": _structure,
    "energy": _energy,
    "failed": _failed,
}


def _sample(values: Sequence[Any], entry: Mapping[str, Any], moment: _Moment) -> Sample:
    """A sample at the usual pace of the device."""
    raw = Sample(**dict(zip(_SAMPLE_FIELDS, values, strict=True)), round=entry["round"], calm=moment.calm)
    times = {name: getattr(raw, name) / moment.pace for name in _SAMPLE_FIELDS if name.endswith("_ms")}
    return replace(raw, **times)


def rows(found: Evidence, protocol: MeasuringProtocol) -> list[Row]:
    """Every row there is evidence for."""
    kernels = list(_kernel_rows(found, protocol))
    timed = {row.key for row in kernels}
    return [
        *kernels,
        *(BlockRow(key=key, kernels=_composition(seen, timed)) for key, seen in found.variants.items()),
        *_network_rows(found, protocol),
        *_floor_rows(found, protocol),
        *_step_rows(found, protocol),
    ]


def _composition(seen: Counter[str], timed: Container[str]) -> dict[str, int]:
    """Of a block that compiled differently next to different neighbours: what it mostly was, of what was timed."""
    variants: list[dict[str, int]] = [json.loads(text) for text, _ in seen.most_common()]
    return next((one for one in variants if all(key in timed for key in one)), variants[0])


def _floor_rows(found: Evidence, protocol: MeasuringProtocol) -> list[FloorRow]:
    return [
        FloorRow(key=key, timing=combine([seen], protocol, raw_ms=_raw(found, key)), provider=found.providers[key])
        for key, seen in found.floors.items()
    ]


def _floor_ms(found: Evidence, protocol: MeasuringProtocol) -> float:
    return min((row.timing.latency_ms for row in _floor_rows(found, protocol)), default=0.0)


def _kernel_timing(found: Evidence, key: str, protocol: MeasuringProtocol, *, floor_ms: float) -> Timing:
    timing = combine(list(found.kernels[key].values()), protocol)
    if key not in found.copies:  # what is timed in place pays for no call of its own
        return timing
    return _of_one(timing, found.copies[key], floor_ms, protocol)


def _kernel_rows(found: Evidence, protocol: MeasuringProtocol) -> Iterable[KernelRow]:
    floor_ms = _floor_ms(found, protocol)
    for key in found.kernels:
        about = found.about.get(key, {})
        yield KernelRow(
            key=key,
            timing=_kernel_timing(found, key, protocol, floor_ms=floor_ms),
            provider=about.get("provider", "unknown"),
            arithmetic=about.get("arithmetic", "unknown"),
            memory_mib=about.get("memory_mib"),
            energy_mj=found.energy_mj.get(key),
        )


def _of_one(timing: Timing, copies: int, floor_ms: float, protocol: MeasuringProtocol) -> Timing:
    """From several copies under one call to one kernel: the price of the call taken off, the rest shared out."""

    def share(time_ms: float) -> float:
        return figure(max(time_ms - floor_ms, _LEAST * time_ms) / copies)

    latency_ms = share(timing.latency_ms)
    uncertainty = timing.uncertainty
    if uncertainty is not None:  # what it was sure of in milliseconds it stays
        uncertainty = float(f"{uncertainty * timing.latency_ms / (latency_ms * copies):.3g}")
    wide = uncertainty is not None and uncertainty > protocol.noise_limit
    return replace(
        timing,
        latency_ms=latency_ms,
        min_ms=share(timing.min_ms),
        median_ms=share(timing.median_ms),
        iqr_ms=figure(timing.iqr_ms / copies),
        uncertainty=uncertainty,
        noise="noisy" if wide else timing.noise,
    )


_LEAST = 0.02  # of its time with the call: a kernel that seems to cost less than nothing costs at least this


def _network_rows(found: Evidence, protocol: MeasuringProtocol) -> Iterable[Row]:
    for key, samples in found.networks.items():
        loads = found.loads.get(key)
        yield NetworkRow(
            key=key,
            blocks=found.blocks[key],
            timing=combine([samples], protocol, raw_ms=_raw(found, key)),
            provider=found.providers[key],
            load_ms=figure(np.median([load for load, _ in loads])) if loads else None,
            first_ms=figure(np.median([first for _, first in loads])) if loads else None,
            memory_mib=found.memory_mib.get(key),
            energy_mj=found.energy_mj.get(key),
        )


def _step_rows(found: Evidence, protocol: MeasuringProtocol) -> Iterable[Row]:
    kinds: dict[str, dict[int, float]] = defaultdict(dict)
    for name, samples in found.steps.items():
        kind, _, width = name.rpartition(" ")
        kinds[kind][int(width)] = combine([samples], protocol).latency_ms
    for kind, times in kinds.items():
        widths = sorted(times)
        latency_ms = [times[width] for width in widths]
        step = detect_step(widths, latency_ms, candidates=STEP_CANDIDATES)
        if step is not None:
            yield StepRow(key=kind, step=step, widths=tuple(widths), latency_ms=tuple(latency_ms))


def _raw(found: Evidence, key: str) -> Times:
    return np.asarray(found.raw_ms[key])


def uncertain(found: Evidence, protocol: MeasuringProtocol, tasks: Sequence[Task]) -> list[Task]:
    """The tasks whose repetition would help a row that is not yet certain.

    A kernel that occurs in many networks is measured again in the few where it was measured least.
    """
    floor_ms = _floor_ms(found, protocol)
    kernels = {
        key: seen
        for key, seen in found.kernels.items()
        if _open(_kernel_timing(found, key, protocol, floor_ms=floor_ms), protocol.target)
    }
    wanted: set[str] = set()
    for seen in kernels.values():
        ordered = sorted(seen, key=lambda name: (len(seen[name]), name))
        wanted.update(ordered[:_AGAIN])
    repeated = []
    for task in tasks:
        lists = {"network": found.networks, "floor": found.floors, "step": found.steps}.get(task.kind)
        if task.kind == "kernels":
            again = task.name in wanted
        elif task.kind == "kernel":
            again = task.name in kernels
        else:
            target = protocol.network_target if task.kind == "network" else protocol.target
            again = lists is not None and task.name in lists and _open(combine([lists[task.name]], protocol), target)
        if again:
            repeated.append(task)
    return repeated


_AGAIN = 2  # networks in which an uncertain kernel is measured again


def _open(timing: Timing, target: float) -> bool:
    return timing.noise == "noisy" or (timing.uncertainty is not None and timing.uncertainty > target)
