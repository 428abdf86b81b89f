"""LightNAS and DCA-NAS on exact tables: latencies that are hit, limits that are kept, and what is lost by it.

NAS-Bench-201, CIFAR-10 validation error against the latency on three devices; ten targets a device, evenly spaced
between its 5th and 95th percentile. Regret: how much higher the error is than the least of all architectures that keep
to the limit, in points; with ``--likeliest 8,24`` also that of the best of so many, which the trials of a search are.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from hwnas.evaluators import nasbench201_table
from hwnas.relaxed import ConstrainedSettings, CostTensor, fit_constrained, likeliest_first, log_chances

DEVICES = ("pixel3", "titan_rtx_1", "silver_4114")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", default=",".join(DEVICES))
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--likeliest", default="", help="numbers of trials, of which the best counts")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.likeliest.split(",") if count]
    devices = arguments.devices.split(",")
    table = nasbench201_table(["cifar10_valid_acc_200", *(f"{device}_latency_ms" for device in devices)])
    errors = 100 - table.columns["cifar10_valid_acc_200"]
    error = CostTensor.of(table.space, table.architectures, errors)
    rows = {one: row for row, one in enumerate(table.architectures)}
    for name, equality in (("LightNAS", True), ("DCA-NAS", False)):
        settings = replace(ConstrainedSettings(), equality=equality)
        for device in devices:
            latencies = table.columns[f"{device}_latency_ms"]
            cost = CostTensor.of(table.space, table.architectures, latencies)
            low, high = np.quantile(latencies, [0.05, 0.95]).tolist()
            targets = np.linspace(low, high, arguments.targets)
            off, regrets, alone, of_several, start = [], [], [], [], time.monotonic()
            for target in targets:
                keeps = np.abs(latencies / target - 1) <= settings.tolerance if equality else latencies <= target
                for seed in range(arguments.seeds):
                    found = fit_constrained(error, cost, limit=float(target), seed=seed, settings=settings)
                    row = rows[found.architecture]
                    off.append(latencies[row] / target - 1)
                    regrets.append(errors[row] - errors[keeps].min())
                    alone.append(found.likely_cost / target - 1)
                    if counts:
                        some = [one for one, kept in zip(table.architectures, keeps, strict=True) if kept]
                        order = likeliest_first(table.space, some, log_chances(table.space, some, found.chances))
                        likely = errors[keeps][order] - errors[keeps].min()
                        of_several.append([likely[:count].min() for count in counts])
            runs, seconds = len(off), (time.monotonic() - start) / len(off)
            kept = sum(abs(one) <= settings.tolerance if equality else one <= 0 for one in off)
            before = sum(abs(one) <= settings.tolerance if equality else one <= 0 for one in alone)
            print(
                f"{name}, {device}: {kept} of {runs} keep to the limit ({before} by training alone); latency off by "
                f"{100 * np.max(np.abs(off) if equality else np.maximum(off, 0)):.2f} % at the most; regret "
                f"{np.median(regrets):.2f} points (median), {np.max(regrets):.2f} (largest); {seconds:.1f} s each"
            )
            for count, best in zip(counts, np.transpose(of_several), strict=False):
                print(f"  best of the {count} likeliest: {np.median(best):.2f} (median), {np.max(best):.2f} (largest)")


if __name__ == "__main__":
    main()
