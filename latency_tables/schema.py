"""The rows of a latency table and the manifest that says where they come from.

A table is made of kernels (what the runtime executes after fusion), of blocks (which kernels a part of a network turns
into on that device) and of whole networks measured in the same campaign, from which a predictor learns the overheads
that no single kernel shows.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

SCHEMA = "hwnas-latency-table"
SCHEMA_VERSION = 1

Noise = Literal["ok", "noisy"]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def fingerprint_sha256(fingerprint: Mapping[str, Json]) -> str:
    """Hash of a fingerprint, the short name of a device setting."""
    text = json.dumps(dict(fingerprint), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Summary of the raw times behind one row. All times in milliseconds.

    Attributes:
        latency_ms: The estimate to compose with (see the manifest's protocol for how it is made).
        min_ms: Smallest raw time.
        median_ms: Median of the raw times.
        iqr_ms: Interquartile range of the raw times.
        n: Number of raw times, preempted ones left out.
        noise: Whether the rounds agreed within the protocol's limit.
    """

    latency_ms: float
    min_ms: float
    median_ms: float
    iqr_ms: float
    n: int
    noise: Noise

    def __post_init__(self) -> None:
        for name in ("latency_ms", "min_ms", "median_ms", "iqr_ms"):
            time_ms = getattr(self, name)
            if not 0 <= time_ms <= sys.float_info.max:
                raise ValueError(f"expected a finite {name} of at least 0, received {time_ms}")
            object.__setattr__(self, name, float(time_ms) + 0.0)  # 1 and 1.0 are one time, and one line in a file


@dataclass(frozen=True, kw_only=True)
class KernelRow:
    """One kernel as the runtime executes it.

    Attributes:
        key: Canonical key: operator, attributes, shapes and types.
        timing: Its times.
        provider: The execution provider that ran it, as reported by the runtime itself.
    """

    key: str
    timing: Timing
    provider: str


@dataclass(frozen=True, kw_only=True)
class BlockRow:
    """What one block of a network turns into on this device.

    Attributes:
        key: The block as the search space names it.
        kernels: Kernel key to how often it occurs in the block.
    """

    key: str
    kernels: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class NetworkRow:
    """A whole network, measured in the same campaign as the kernels.

    Attributes:
        key: The network's name in the campaign.
        blocks: Block key to how often it occurs.
        timing: Its times, without any profiler running.
    """

    key: str
    blocks: Mapping[str, int]
    timing: Timing


Row = KernelRow | BlockRow | NetworkRow


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
        precision: Arithmetic type, for example ``"fp32"``.
        batch: Images a run.
        space: What the kernels were collected from.
        protocol: The measuring protocol, field by field.
        fingerprint: Everything known to change a latency, field by field.
        created: When the campaign began, ISO 8601 in UTC.
        conditions: What was seen while measuring (load, sentinel trace), for people to read.
    """

    device: str
    device_name: str
    runtime: str
    runtime_version: str
    provider: str
    threads: int
    precision: str
    batch: int
    space: str
    protocol: Mapping[str, Json]
    fingerprint: Mapping[str, Json]
    created: str
    conditions: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """The first line of the file as a dictionary."""
        return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **asdict(self)}
