"""The rows of a latency table and the manifest that says where they come from.

A table is made of kernels (what the runtime executes after fusion), of blocks (which kernels a part of a network turns
into on that device) and of whole networks measured in the same campaign, from which a predictor learns the overheads
that no single kernel shows. Beside them stand the floor of a call and the steps in which kernels grow with their width.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SCHEMA = "hwnas-latency-table"
SCHEMA_VERSION = 2
PERCENTILE = re.compile(r"p[0-9]{1,2}(\.[0-9]{1,2})?")  # names of percentiles, such as "p90" and "p99.9"

Noise = Literal["ok", "noisy"]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def percentile_names(percentiles: Iterable[str]) -> list[str]:
    """Names such as ``"p99.9"`` in the order of what they name."""
    return sorted(percentiles, key=lambda name: (float(name[1:]), name))


def fingerprint_sha256(fingerprint: Mapping[str, Json]) -> str:
    """Hash of a fingerprint, the short name of a device setting."""
    text = json.dumps(dict(fingerprint), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _amount(name: str, value: float | None) -> float:
    if value is None or not 0 <= value <= sys.float_info.max:
        raise ValueError(f"expected a finite {name} of at least 0, received {value}")
    return float(value) + 0.0  # 1 and 1.0 are one amount, and one line in a file; -0.0 is nothing, too


def _as_amounts(record: Any, *names: str, unknown: tuple[str, ...] = ()) -> None:
    """Checks fields of a frozen record and makes floats of them; those in ``unknown`` may be ``None``."""
    for name in (*names, *unknown):
        value = getattr(record, name)
        if value is not None or name in names:
            object.__setattr__(record, name, _amount(name, value))


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Summary of the times behind one row, as the manifest's protocol takes them. All times in milliseconds.

    Attributes:
        latency_ms: The estimate to compose with (see the manifest's protocol for how it is made).
        min_ms: Smallest time.
        median_ms: Median of the times.
        iqr_ms: Interquartile range of the times.
        n: Number of times, preempted ones left out.
        noise: ``"noisy"`` when the figure should not be trusted: it stayed wider than the protocol's limit.
        uncertainty: Half width of the 95 % confidence interval of ``latency_ms``, relative to it; ``None`` where there
            were too few rounds to tell.
        percentiles_ms: Percentiles by name, such as ``"p90"``; only those that ``n`` supports.
    """

    latency_ms: float
    min_ms: float
    median_ms: float
    iqr_ms: float
    n: int
    noise: Noise
    uncertainty: float | None = None
    percentiles_ms: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _as_amounts(self, "latency_ms", "min_ms", "median_ms", "iqr_ms", unknown=("uncertainty",))
        for name in self.percentiles_ms:
            if not PERCENTILE.fullmatch(name):
                raise ValueError(f"expected percentiles by names such as 'p90', received {name!r}")
        found = {name: _amount(name, value) for name, value in self.percentiles_ms.items()}
        object.__setattr__(self, "percentiles_ms", found)


@dataclass(frozen=True, kw_only=True)
class KernelRow:
    """One kernel as the runtime executes it.

    Attributes:
        key: Canonical key: operator, attributes, shapes and types.
        timing: Its times.
        provider: The execution provider that ran it, as reported by the runtime itself.
        arithmetic: What it computed in, from the types the runtime reported: ``"fp32"``, ``"int8"``, …
        memory_mib: Bytes it reads and writes (inputs, weights, outputs), in MiB; ``None`` for unknown.
        energy_mj: Energy of one execution in millijoules; ``None`` for unknown.
    """

    key: str
    timing: Timing
    provider: str
    arithmetic: str = "unknown"
    memory_mib: float | None = None
    energy_mj: float | None = None

    def __post_init__(self) -> None:
        _as_amounts(self, unknown=("memory_mib", "energy_mj"))


@dataclass(frozen=True, kw_only=True)
class BlockRow:
    """What one block of a network turns into on this device.

    Attributes:
        key: The block as the search space names it, with its coordinates.
        kernels: Kernel key to how often it occurs in the block.
    """

    key: str
    kernels: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class NetworkRow:
    """A whole network, measured in the same campaign as the kernels.

    Attributes:
        key: The network's name in the campaign, with its coordinates.
        blocks: Block key to how often it occurs.
        timing: Its times, without any profiler running.
        provider: The execution provider that ran it.
        load_ms: Time to load and optimise the model; ``None`` for unknown.
        first_ms: Time of the first run after loading; ``None`` for unknown.
        memory_mib: Weights plus the largest sum of tensors alive at once, in MiB; ``None`` for unknown.
        energy_mj: Energy of one run in millijoules; ``None`` for unknown.
    """

    key: str
    blocks: Mapping[str, int]
    timing: Timing
    provider: str = "unknown"
    load_ms: float | None = None
    first_ms: float | None = None
    memory_mib: float | None = None
    energy_mj: float | None = None

    def __post_init__(self) -> None:
        _as_amounts(self, unknown=("load_ms", "first_ms", "memory_mib", "energy_mj"))


@dataclass(frozen=True, kw_only=True)
class FloorRow:
    """What a call of the runtime costs before any work is done, kept apart from the kernels.

    Attributes:
        key: What was called.
        timing: Its times.
        provider: The execution provider that ran it.
    """

    key: str
    timing: Timing
    provider: str = "unknown"


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """The step in which a kind of kernel grows with its channels: within a step all widths cost the same.

    Attributes:
        key: Kind of kernel and which of its axes was varied; see ``latency_tables.steps``.
        step: Channels a step; 1 where the latency grows channel by channel.
        widths: Channels probed.
        latency_ms: Latency at each of them, in milliseconds.
    """

    key: str
    step: int
    widths: tuple[int, ...]
    latency_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "latency_ms", tuple(_amount("latency_ms", value) for value in self.latency_ms))
        if not 1 <= len(self.widths) == len(self.latency_ms):
            raise ValueError(
                f"expected a latency for each of some widths, received {len(self.latency_ms)} and {len(self.widths)}"
            )


Row = KernelRow | BlockRow | NetworkRow | FloorRow | StepRow


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Where the figures of a table come from.

    Attributes:
        device: ``"cpu"`` or ``"gpu"``.
        device_name: The model name the device gives itself.
        runtime: The runtime's name, for example ``"onnxruntime"``.
        runtime_version: Its version.
        provider: The execution provider that ran every row.
        threads: Intra-operator threads.
        precisions: Arithmetic types that rows exist for, for example ``("fp32", "int8")``.
        batches: Images a run that rows exist for.
        space: What the kernels were collected from.
        protocol: The measuring protocol, field by field.
        fingerprint: Everything known to change a latency, field by field.
        created: When the campaign began, ISO 8601 in UTC.
        conditions: What was seen while measuring (load, clocks, sentinel trace), for people to read.
        unknown: Quantities that rows hold no value for, with the reason.
    """

    device: str
    device_name: str
    runtime: str
    runtime_version: str
    provider: str
    threads: int
    precisions: tuple[str, ...]
    batches: tuple[int, ...]
    space: str
    protocol: Mapping[str, Json]
    fingerprint: Mapping[str, Json]
    created: str
    conditions: Mapping[str, Json] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """The first line of the file as a dictionary."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            **asdict(self),
            "precisions": list(self.precisions),
            "batches": list(self.batches),
        }
