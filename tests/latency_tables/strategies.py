"""Tables, rows and damage for the tests of this package."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import strategies as st

from latency_tables import (
    BlockRow,
    FloorRow,
    KernelRow,
    LatencyTable,
    Manifest,
    NetworkRow,
    StepRow,
    Timing,
)

texts = st.text(max_size=12) | st.sampled_from(
    ["\u2028", "\u2029", "\u0085", "\n", "\r\n", "\x00", '"', "\\", "", "\x1c"]
)
times = st.floats(min_value=0, max_value=1e11)
amounts = st.none() | times
timings = st.builds(
    Timing,
    latency_ms=times,
    min_ms=times,
    median_ms=times,
    iqr_ms=times,
    n=st.integers(0, 10**6),
    noise=st.sampled_from(["ok", "noisy"]),
    uncertainty=amounts,
    percentiles_ms=st.dictionaries(st.sampled_from(["p50", "p90", "p99", "p99.9"]), times, max_size=3),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(texts, json_values, max_size=3)
manifests = st.builds(
    Manifest,
    **dict.fromkeys(("device", "device_name", "runtime", "runtime_version", "provider", "space", "created"), texts),
    threads=st.integers(1, 512),
    precisions=st.lists(texts, min_size=1, max_size=3).map(tuple),
    batches=st.lists(st.integers(1, 512), min_size=1, max_size=3).map(tuple),
    protocol=json_objects,
    fingerprint=json_objects,
    conditions=json_objects,
    unknown=st.dictionaries(texts, texts, max_size=3),
)
counts = st.dictionaries(texts, st.integers(1, 99), max_size=4)


def _step_row(key: str, step: int, times_by_width: dict[int, float]) -> StepRow:
    return StepRow(key=key, step=step, widths=tuple(times_by_width), latency_ms=tuple(times_by_width.values()))


step_rows = st.builds(
    _step_row, texts, st.integers(1, 64), st.dictionaries(st.integers(1, 512), times, min_size=1, max_size=4)
)
rows = (
    st.builds(
        KernelRow, key=texts, timing=timings, provider=texts, arithmetic=texts, memory_mib=amounts, energy_mj=amounts
    )
    | st.builds(BlockRow, key=texts, kernels=counts)
    | st.builds(
        NetworkRow,
        key=texts,
        blocks=counts,
        timing=timings,
        provider=texts,
        **dict.fromkeys(("load_ms", "first_ms", "memory_mib", "energy_mj"), amounts),
    )
    | st.builds(FloorRow, key=texts, timing=timings, provider=texts)
    | step_rows
)
tables = st.builds(LatencyTable.from_rows, manifests, st.lists(rows, max_size=6))


def sealed(lines: list[Any]) -> bytes:
    """Lines with a checksum that fits them, as somebody who knows the format could write them."""
    body = "".join((line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n" for line in lines)
    end = {"kind": "end", "rows": len(lines) - 1, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    return (body + json.dumps(end) + "\n").encode()
