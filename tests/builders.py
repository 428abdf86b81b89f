"""Made-up tables for tests: quick to make, the same every time, and with every row a search can ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from hwnas.networks import Block, NetworkFamily
from latency_tables import BlockRow, KernelRow, LatencyTable, Manifest, NetworkRow, Row, Timing, keyed

PROVIDER = "CPUExecutionProvider"
COPY = "Copy(made up)"  # a second kernel that some blocks share

Device = Callable[[float, int], float]


def additive_device(offset_ms: float = 0.0, scale: float = 1.0, per_kernel_ms: float = 0.0) -> Device:
    """A device on which a network takes ``a + b * sum + c * count``, exactly."""
    return lambda sum_ms, kernels: offset_ms + scale * sum_ms + per_kernel_ms * kernels


def made_up_timing(latency_ms: float, *, noise: str = "ok") -> Timing:
    return Timing(
        latency_ms=latency_ms,
        min_ms=0.9 * latency_ms,
        median_ms=1.1 * latency_ms,
        iqr_ms=0.05 * latency_ms,
        n=30,
        noise=noise,  # type: ignore[arg-type]
    )


def made_up_manifest(**changes: Any) -> Manifest:
    manifest = Manifest(
        device="cpu",
        device_name="Fake CPU",
        runtime="onnxruntime",
        runtime_version="1.22.0",
        provider=PROVIDER,
        threads=1,
        precisions=("fp32",),
        batches=(1,),
        space="mobilenet:tiny",
        protocol={"name": "made-up/1", "rounds": 3},
        fingerprint={"cpu": "Fake CPU", "isa": ["avx2", "fma"], "threads": 1},
        created="2025-01-02T03:04:05+00:00",
        conditions={"load_1min_median": 0.25},
    )
    return replace(manifest, **changes)


def made_up_table(
    family: NetworkFamily, *, device: Device | None = None, networks: int = 24, seed: int = 0
) -> LatencyTable:
    """A table that covers a family: a kernel a block, and a shared second one in every third block.

    Args:
        family: Whose blocks to cover.
        device: Latency of a whole network from the sum and the number of its kernels; by default the sum.
        networks: How many whole networks to hold.
        seed: Of the latencies and of the networks.
    """
    rng = np.random.default_rng(seed)
    blocks = {block.key: block for a in family.design.covering() for block in family.blocks(a)}
    rows: list[Row] = [KernelRow(key=COPY, timing=made_up_timing(0.003), provider=PROVIDER)]
    for index, (key, block) in enumerate(sorted(blocks.items())):
        kernel = f"Work({key})"
        rows.append(KernelRow(key=kernel, timing=made_up_timing(_plausible_ms(block, rng)), provider=PROVIDER))
        rows.append(BlockRow(key=key, kernels={kernel: 1} | ({COPY: 1 + index % 2} if index % 3 == 0 else {})))
    table = LatencyTable.from_rows(made_up_manifest(space=family.space.name), rows)
    names = {a.id: family.block_keys(a) for a in (family.space.sample(rng) for _ in range(networks))}
    return with_networks(table, names.items(), device=device)


def with_networks(
    table: LatencyTable, networks: Iterable[tuple[str, Iterable[str]]], *, device: Device | None = None
) -> LatencyTable:
    """The table with whole networks, timed by a device; each is given by its name and its blocks' keys."""
    timed = device or additive_device()
    rows = table.rows()
    for name, keys in networks:
        blocks = Counter(keys)
        costs = [(count, *table.block_cost(key)) for key, count in blocks.items()]
        latency_ms = timed(sum(n * cost for n, cost, _ in costs), sum(n * kernels for n, _, kernels in costs))
        rows.append(NetworkRow(key=name, blocks=blocks, timing=made_up_timing(latency_ms)))
    return LatencyTable.from_rows(table.manifest, rows)


def _plausible_ms(block: Block, rng: np.random.Generator) -> float:
    return float((0.002 + 2e-7 * block.macs) * rng.uniform(0.9, 1.1))


def with_int8(table: LatencyTable, *, factor: Callable[[int], float] = lambda _: 0.8) -> LatencyTable:
    """The table with the same blocks and networks in int8 beside those it holds, of which each kernel has its own.

    Args:
        table: Of fp32.
        factor: Latency of a kernel in int8 over that in fp32, by the kernel's number.
    """
    own = {key: f"Int8{key}" for key in table.kernels}
    rows = list(table.rows())
    for number, (key, row) in enumerate(table.kernels.items()):
        timing = made_up_timing(factor(number) * row.timing.latency_ms)
        rows.append(KernelRow(key=own[key], timing=timing, provider=PROVIDER))
    for key, block in table.blocks.items():
        kernels = {own[kernel]: count for kernel, count in block.kernels.items()}
        rows.append(BlockRow(key=keyed(key, precision="int8"), kernels=kernels))
    manifest = replace(table.manifest, precisions=("fp32", "int8"))
    both = LatencyTable.from_rows(manifest, rows)
    names = {
        keyed(name, precision="int8"): [keyed(key, precision="int8") for key in Counter(row.blocks).elements()]
        for name, row in table.networks.items()
    }
    return with_networks(both, names.items())
