"""How many architectures a second get their costs, on one core: as codes, and as architectures from dictionaries.

Latencies are made up, since only the composition is timed: a table of the covering networks' blocks, a kernel each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import hwnas
from hwnas.networks import NetworkCosts, NetworkFamily
from hwnas.predictors import LatencyPredictor
from hwnas.spaces import ArchitectureCodes
from latency_tables import BlockRow, KernelRow, LatencyTable, Manifest, NetworkRow, Timing

REPEATS = 7


def timing(latency_ms: float) -> Timing:
    return Timing(latency_ms=latency_ms, min_ms=latency_ms, median_ms=latency_ms, iqr_ms=0.0, n=1, noise="ok")


def made_up_table(family: NetworkFamily) -> LatencyTable:
    rng = np.random.default_rng(0)
    keys = sorted({key for architecture in family.design.covering() for key in family.block_keys(architecture)})
    kernels = [
        KernelRow(key=f"K{i}", timing=timing(float(rng.uniform(0.01, 1))), provider="") for i in range(len(keys))
    ]
    blocks = [BlockRow(key=key, kernels={f"K{i}": 1}) for i, key in enumerate(keys)]
    networks = []
    for workload in family.references():
        held = list(workload.parts.values())
        blocks_of = {key: held.count(key) for key in held}
        networks.append(NetworkRow(key=workload.name, blocks=blocks_of, timing=timing(float(rng.uniform(1, 10)))))
    manifest = Manifest(
        device="cpu",
        device_name="made up",
        runtime="none",
        runtime_version="",
        provider="",
        threads=1,
        precisions=("fp32",),
        batches=(1,),
        space=family.space.name,
        protocol={},
        fingerprint={},
        created="2026-01-01T00:00:00+00:00",
    )
    return LatencyTable.from_rows(manifest, [*kernels, *blocks, *networks])


def rate(n: int, work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return n / float(np.median(seconds))


def judged(space: str, n: int) -> str:
    family = hwnas.network_family(space)
    predictor, costs = LatencyPredictor.of(made_up_table(family), family), NetworkCosts(family)
    codes = ArchitectureCodes(family.space)
    drawn = codes.sample(np.random.default_rng(1), n)
    first = codes.enumerate() if family.space.size < 1e6 else drawn
    start = time.perf_counter()
    predictor.predict_codes(first)
    seconds = time.perf_counter() - start
    few = codes.decode(drawn[:20_000])
    encoded = rate(n, lambda: predictor.predict_codes(drawn))
    together = rate(n, lambda: (predictor.predict_codes(drawn), costs.values(drawn)))
    objects = rate(len(few), lambda: predictor.predict(few))
    return (
        f"{space}: latency and spread of {encoded:,.0f} architectures/s from codes, with all other costs "
        f"{together:,.0f}/s, from architecture objects {objects:,.0f}/s (medians of {REPEATS}); "
        f"{len(first):,} architectures whose prices are looked up for the first time take {seconds:.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", nargs="+", default=["nasbench201", "mobilenet:small", "mobilenet:ofa"])
    parser.add_argument("--architectures", type=int, default=200_000)
    arguments = parser.parse_args()
    for space in arguments.space:
        print(judged(space, arguments.architectures))


if __name__ == "__main__":
    main()
