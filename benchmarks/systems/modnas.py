"""MODNAS on exact tables: hypervolume of 24 preferences on devices it has never seen, as a share of the best there is.

NAS-Bench-201, CIFAR-10: the validation error is learned from, the hypervolume is that of test errors and latencies,
both scaled to what architectures of less than 90 % error span, against the reference point (1, 1). Ten reference
networks, drawn once, describe a device.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.evaluators import TabularEvaluator, nasbench201_table
from hwnas.pareto import hypervolume, non_dominated
from hwnas.relaxed import CostTensor, DeviceTask, Modnas, ModnasSettings, described_device, rays

LEARNED = (
    *("1080ti_1", "1080ti_32", "1080ti_256", "titanx_1", "titanx_32", "titanx_256", "silver_4114", "silver_4210r"),
    *("gold_6240", "samsung_a50", "samsung_s7", "pixel3", "essential_ph_1"),
)
UNSEEN = (
    *("2080ti_1", "2080ti_32", "2080ti_256", "titan_rtx_1", "titan_rtx_32", "titanxp_1", "titanxp_32", "titanxp_256"),
    "eyeriss",
)
WORST_ERROR = 90.0
REFERENCES = 10

Array = NDArray[np.float64]


def share(table: TabularEvaluator, device: str, found: list[Architecture]) -> float:
    """Hypervolume of some architectures over that of all, in percent."""
    errors, latencies = 100 - table.columns["cifar10_test_acc_200"], table.columns[f"{device}_latency_ms"]
    kept = errors < WORST_ERROR
    spans = [(column[kept].min(), np.ptp(column[kept])) for column in (errors, latencies)]
    scaled = np.column_stack([(c - low) / wide for c, (low, wide) in zip((errors, latencies), spans, strict=True)])
    rows = {one: row for row, one in enumerate(table.architectures)}
    some = scaled[[rows[one] for one in found]]
    return 100 * volume(some) / volume(scaled)


def volume(costs: Array) -> float:
    return hypervolume(costs[non_dominated(costs)], np.ones(costs.shape[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=ModnasSettings().steps)
    parser.add_argument("--rays", type=int, default=24)
    arguments = parser.parse_args()
    columns = [f"{device}_latency_ms" for device in (*LEARNED, *UNSEEN)]
    table = nasbench201_table(["cifar10_valid_acc_200", "cifar10_test_acc_200", *columns])
    space, networks = table.space, table.architectures
    references = np.random.default_rng(0).choice(len(networks), REFERENCES, replace=False)
    error = CostTensor.of(space, networks, 100 - table.columns["cifar10_valid_acc_200"])

    def described(device: str) -> Array:
        return described_device(table.columns[f"{device}_latency_ms"][references])

    def task(device: str) -> DeviceTask:
        latencies = table.columns[f"{device}_latency_ms"]
        return DeviceTask(
            name=device, costs=(CostTensor.of(space, networks, latencies),), description=described(device)
        )

    tasks = [task(device) for device in LEARNED]
    wanted = rays(arguments.rays, objectives=2)
    devices = (*LEARNED, *UNSEEN)
    ours, chance = np.zeros((2, arguments.seeds, len(devices)))
    distinct, minutes = [], []
    for seed in range(arguments.seeds):
        start = time.monotonic()
        settings = replace(ModnasSettings(), steps=arguments.steps)
        modnas = Modnas(error, tasks, seed=seed, settings=settings, worth_having=WORST_ERROR)
        modnas.fit()
        minutes.append((time.monotonic() - start) / 60)
        rng = np.random.default_rng(seed)
        for place, device in enumerate(devices):
            found = modnas.propose(described(device), wanted)
            ours[seed, place] = share(table, device, found)
            distinct.append(len(set(found)))
            drawn = [networks[i] for i in rng.choice(len(networks), len(wanted), replace=False)]
            chance[seed, place] = share(table, device, drawn)
        seen, unseen = ours[seed, : len(LEARNED)].mean(), ours[seed, len(LEARNED) :].mean()
        print(f"seed {seed}: {seen:.2f} % on devices learned from, {unseen:.2f} % on others, {minutes[-1]:.1f} min")
    print(f"\n{'device':16}{'modnas':>16}{'random':>16}   (% of the largest hypervolume, {arguments.seeds} seeds)")
    for place, device in enumerate(devices):
        cells = [f"{one[:, place].mean():.2f} ± {one[:, place].std():.2f}" for one in (ours, chance)]
        print(f"{device:16}{cells[0]:>16}{cells[1]:>16}{'' if device in LEARNED else '  unseen'}")
    for name, some in (("learned from", slice(len(LEARNED))), ("unseen", slice(len(LEARNED), None))):
        by_chance = chance[:, some].mean()
        print(f"{name}: modnas {ours[:, some].mean():.2f} %, {len(wanted)} random architectures {by_chance:.2f} %")
    print(f"{np.mean(distinct):.1f} of {len(wanted)} architectures differ; {np.mean(minutes):.1f} minutes a training")


if __name__ == "__main__":
    main()
