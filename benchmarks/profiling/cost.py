"""What a table costs: seconds a kernel and seconds for whole spaces, against timing 200 whole networks of each.

Both sides use the same protocol and the same number of rounds. What a table then predicts is checked on fresh networks
that were not in it; 200 networks timed whole predict nothing but themselves.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import hwnas
import profilers

FOLDER = Path("runs/benchmarks/cost")


def seconds_for(
    name: str, workloads: Sequence[profilers.Workload], references: Sequence[profilers.Workload], *, steps: bool
) -> tuple[float, int, int]:
    """Builds a table from nothing: seconds, kernels and networks."""
    path = FOLDER / f"{name}.jsonl"
    for old in (path, path.with_name(f"{path.name}.partial")):
        old.unlink(missing_ok=True)
    start = time.perf_counter()
    settings = profilers.CampaignSettings(space=name, steps=steps)
    device = profilers.open_device("cpu")
    table = profilers.profile(workloads, references, backend=device, out=path, settings=settings)
    return time.perf_counter() - start, len(table.kernels), len(table.networks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", nargs="+", default=["mobilenet", "nasbench201", "mobilenet:ofa"])
    parser.add_argument("--networks", type=int, default=200, help="whole networks to time for comparison; 0 for none")
    arguments = parser.parse_args()
    for space in arguments.space:
        family = hwnas.network_family(space)
        name = space.replace(":", "-")
        workloads = list(family.workloads())
        seconds, kernels, _ = seconds_for(name, workloads, [], steps=False)
        print(
            f"{space}: {kernels} kernels from {len(workloads)} networks in {seconds:.0f} s, "
            f"{seconds / kernels:.3f} s each"
        )
        if arguments.networks:
            rng = np.random.default_rng(7)
            drawn = {a.id: a for a in (family.space.sample(rng) for _ in range(2 * arguments.networks))}
            networks = [family.workload(one) for one in list(drawn.values())[: arguments.networks]]
            whole, _, count = seconds_for(f"{name}-networks", [], networks, steps=False)
            print(f"{space}: {count} whole networks in {whole:.0f} s; the table costs {seconds / whole:.2f} of that")


if __name__ == "__main__":
    main()
