"""A busy neighbour on the same cores while a table is made: is it noticed, and how wrong is what is not flagged?

A table is made on the machine as it is, then another while other processes work in bursts on all cores this process may
use. Rows of the second are held against the first: those flagged, and the error of those that are not. Beside them
stand the figures of a profiler without this protocol: the mean of as many runs in one block, warm-up included.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from multiprocessing.synchronize import Event

import numpy as np

import hwnas
import profilers
from latency_tables import LatencyTable
from profilers.backends import RunPlan

FOLDER = "runs/benchmarks/honesty"


def neighbour(stop: Event, seed: int, busy_s: float, idle_s: float) -> None:
    """Multiplies matrices in bursts until told to stop."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((256, 256))
    while not stop.is_set():
        until = time.perf_counter() + rng.exponential(busy_s)
        while time.perf_counter() < until and not stop.is_set():
            values = np.tanh(values @ values / 256)
        stop.wait(rng.exponential(idle_s))


def build(name: str, space: str) -> tuple[LatencyTable, dict[str, float], float]:
    """A table from nothing, plain means of its networks beside it, and the seconds it took."""
    family = hwnas.network_family(space)
    device = profilers.open_device("cpu")
    path = f"{FOLDER}/{name}.jsonl"
    for old in (path, f"{path}.partial"):
        if os.path.exists(old):  # noqa: PTH110
            os.unlink(old)  # noqa: PTH108
    start = time.perf_counter()
    settings = profilers.CampaignSettings(space=space, steps=False)
    table = profilers.profile(family.workloads(), family.references(), backend=device, out=path, settings=settings)
    seconds = time.perf_counter() - start
    plan = RunPlan(warmup_runs=0, runs=60)
    means = {w.name: float(np.mean(device.time(w.model, plan).run_ms)) for w in family.references()}
    return table, means, seconds


def judge(kind: str, quiet: LatencyTable, noisy: LatencyTable) -> None:
    """Prints what was flagged under noise, and the error of the rest."""
    rows, truth = getattr(noisy, kind), getattr(quiet, kind)
    keys = sorted(set(rows) & set(truth))
    error = np.array([abs(rows[key].timing.latency_ms / truth[key].timing.latency_ms - 1) for key in keys])
    flagged = np.array([rows[key].timing.noise != "ok" for key in keys])
    line = f"  {kind:8s} {len(keys)} rows, flagged {flagged.mean():.1%}"
    for name, chosen in (("not flagged", ~flagged), ("flagged", flagged)):
        if chosen.any():
            median, high = np.median(error[chosen]), np.quantile(error[chosen], 0.95)
            line += f"; error of those {name}: median {median:.2%}, 95th percentile {high:.2%}"
    print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="mobilenet")
    parser.add_argument("--busy-s", type=float, default=2.0, help="mean length of a burst")
    parser.add_argument("--idle-s", type=float, default=2.0, help="mean time between bursts")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quiet, quiet_means, seconds = build("quiet", arguments.space)
    print(f"alone: {seconds:.0f} s, restless measurements {quiet.manifest.conditions['restless_share']:.1%}")
    stop = multiprocessing.Event()
    bursts = (arguments.busy_s, arguments.idle_s)
    neighbours = [multiprocessing.Process(target=neighbour, args=(stop, seed, *bursts)) for seed in range(cores)]
    for process in neighbours:
        process.start()
    try:
        noisy, noisy_means, seconds = build("noisy", arguments.space)
    finally:
        stop.set()
        for process in neighbours:
            process.join()
    restless = noisy.manifest.conditions["restless_share"]
    print(f"with {cores} busy neighbours: {seconds:.0f} s, restless measurements {restless:.1%}")
    judge("kernels", quiet, noisy)
    judge("networks", quiet, noisy)
    plain = np.array([abs(noisy_means[name] / quiet_means[name] - 1) for name in quiet_means])
    print(
        f"  plain means of networks: error median {np.median(plain):.1%}, "
        f"95th percentile {np.quantile(plain, 0.95):.1%}"
    )


if __name__ == "__main__":
    main()
