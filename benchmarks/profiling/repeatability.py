"""The same table built twice in one session: how far do its rows differ?

Prints the median and the 95th percentile of the relative difference (larger over smaller, less one) for kernels and for
whole networks, the share of rows that either table flags as noisy, and the same without the flagged ones.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import hwnas
import profilers
from latency_tables import LatencyTable

FOLDER = Path("runs/benchmarks/repeatability")


def build(space: str, name: str, arguments: argparse.Namespace) -> LatencyTable:
    """Profiles a space from nothing."""
    family = hwnas.network_family(space)
    path = FOLDER / f"{space.replace(':', '-')}-{name}.jsonl"
    for old in (path, path.with_name(f"{path.name}.partial")):
        old.unlink(missing_ok=True)
    settings = profilers.CampaignSettings(space=space, method=arguments.method, steps=False)
    start = time.perf_counter()
    device = profilers.open_device(arguments.device)
    table = profilers.profile(family.workloads(), family.references(), backend=device, out=path, settings=settings)
    seconds = time.perf_counter() - start
    restless = table.manifest.conditions["restless_share"]
    print(f"{space} {name}: {len(table.kernels)} kernels, {seconds:.0f} s, restless measurements {restless:.1%}")
    return table


def compare(first: LatencyTable, second: LatencyTable, kind: str) -> None:
    """Prints how far two tables agree, as they are and with the device's speed, as the sentinel tells it, taken out."""
    speed = float(str(second.manifest.conditions["sentinel_ms"])) / float(str(first.manifest.conditions["sentinel_ms"]))
    rows, others = getattr(first, kind), getattr(second, kind)
    keys = sorted(set(rows) & set(others))
    a, b = (np.array([found[key].timing.latency_ms for key in keys]) for found in (rows, others))
    flagged = np.array([rows[key].timing.noise != "ok" or others[key].timing.noise != "ok" for key in keys])
    difference = np.maximum(a, b) / np.minimum(a, b) - 1
    calm = difference[~flagged]
    print(
        f"  {kind:8s} {len(keys):5d} rows  median {np.median(difference):6.2%}  "
        f"95th percentile {np.quantile(difference, 0.95):6.2%}  flagged {flagged.mean():5.1%}  "
        f"without flagged: {np.median(calm):6.2%}, {np.quantile(calm, 0.95):6.2%}"
    )
    level = np.maximum(a * speed, b) / np.minimum(a * speed, b) - 1
    print(
        f"  {'':8s} the device was {speed - 1:+.2%} slower the second time; that taken out: "
        f"median {np.median(level):6.2%}  95th percentile {np.quantile(level, 0.95):6.2%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", nargs="+", default=["mobilenet", "nasbench201"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--method", choices=profilers.METHODS)
    arguments = parser.parse_args()
    for space in arguments.space:
        first, second = (build(space, name, arguments) for name in ("first", "second"))
        for kind in ("kernels", "networks"):
            compare(first, second, kind)


if __name__ == "__main__":
    main()
