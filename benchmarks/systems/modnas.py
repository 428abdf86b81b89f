"""MODNAS: hypervolume of 24 preferences on devices it has never seen, as a share of the best there is.

NAS-Bench-201, CIFAR-10: the validation error is learned from, the hypervolume is that of test errors and latencies,
both scaled to what architectures of less than 90 % error span, against the reference point (1, 1). Ten reference
networks, drawn once, describe a device. What is exact is replaced one at a time:

- ``exact``: errors and latencies from tables, their expectations exact.
- ``reinmax``, ``gumbel``: the same tables, asked about drawn architectures, through which gradients pass.
- ``latency-reinmax``, ``latency-gumbel``: latencies from a network of architecture and device, learned from 300 random
  networks on each device learned from.
- ``supernet``, ``few-shot``: the errors are those by one supernet and by five, as published; latencies are exact.

``modnas_supernet.py`` has a supernet of its own.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.evaluators import TabularEvaluator, nasbench201_table
from hwnas.evaluators.tabular import numbers, read_columns
from hwnas.pareto import hypervolume, non_dominated
from hwnas.predictors.ranking import spearman
from hwnas.relaxed import (
    ESTIMATORS,
    CostTensor,
    DeviceTask,
    Estimator,
    LearnedLatency,
    Modnas,
    ModnasSettings,
    RelaxedCost,
    TimedDevice,
    described_device,
    rays,
)
from hwnas.spaces import from_string

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
TIMED = 300
ESTIMATES = "nasbench201_supernet_estimates.parquet"
ESTIMATED = {"supernet": "one_shot_acc", "few-shot": "few_shot_acc"}
VARIANTS = ("exact", "reinmax", "gumbel", "latency-reinmax", "latency-gumbel", *ESTIMATED)

Array = NDArray[np.float64]


class Problem:
    """Errors and latencies of all architectures, and what describes a device."""

    def __init__(self) -> None:
        columns = [f"{device}_latency_ms" for device in (*LEARNED, *UNSEEN)]
        self.table: TabularEvaluator = nasbench201_table(["cifar10_valid_acc_200", "cifar10_test_acc_200", *columns])
        self.networks = self.table.architectures
        self.rows = {one: row for row, one in enumerate(self.networks)}
        self.references = np.random.default_rng(0).choice(len(self.networks), REFERENCES, replace=False)

    def tensor(self, values: Array) -> CostTensor:
        """A column as a table."""
        return CostTensor.of(self.table.space, self.networks, values)

    def latency_ms(self, device: str) -> Array:
        """Of all architectures."""
        return self.table.columns[f"{device}_latency_ms"]

    def described(self, device: str) -> Array:
        """By the reference networks."""
        return described_device(self.latency_ms(device)[self.references])

    def error(self, variant: str) -> CostTensor:
        """Validation errors, or those that shared weights have."""
        if variant not in ESTIMATED:
            return self.tensor(100 - self.table.columns["cifar10_valid_acc_200"])
        column = ESTIMATED[variant]
        read = read_columns(ESTIMATES, ["arch_str", column])
        rows = [self.rows[from_string(str(text))] for text in read["arch_str"]]
        errors = np.full(len(rows), np.nan)
        errors[rows] = 100 - numbers(ESTIMATES, read, [column])[column]
        return self.tensor(errors)

    def tasks(self, variant: str, *, seed: int) -> list[DeviceTask]:
        """The devices to learn from; where latencies are learned first, says how well networks are ordered then."""
        if not variant.startswith("latency-"):
            costs: dict[str, RelaxedCost] = {device: self.tensor(self.latency_ms(device)) for device in LEARNED}
        else:
            learned = self._learned(seed)
            costs = {device: learned.on(self.described(device)) for device in LEARNED}
        return [
            DeviceTask(name=device, costs=(cost,), description=self.described(device)) for device, cost in costs.items()
        ]

    def share(self, device: str, found: list[Architecture]) -> float:
        """Hypervolume of some architectures over that of all, in percent."""
        errors, latencies = 100 - self.table.columns["cifar10_test_acc_200"], self.latency_ms(device)
        kept = errors < WORST_ERROR
        spans = [(column[kept].min(), np.ptp(column[kept])) for column in (errors, latencies)]
        scaled = np.column_stack([(c - low) / wide for c, (low, wide) in zip((errors, latencies), spans, strict=True)])
        return 100 * volume(scaled[[self.rows[one] for one in found]]) / volume(scaled)

    def _learned(self, seed: int) -> LearnedLatency:
        rng = np.random.default_rng(seed)
        timed = []
        for device in LEARNED:
            rows = rng.choice(len(self.networks), TIMED, replace=False)
            some, latency_ms = [self.networks[row] for row in rows], self.latency_ms(device)[rows]
            timed.append(TimedDevice(architectures=some, latency_ms=latency_ms, description=self.described(device)))
        learned = LearnedLatency(self.table.space, timed, seed=seed)
        choices = learned.encoded(self.networks)
        orders = {}
        for device in (*LEARNED, *UNSEEN):
            predicted = learned.on(self.described(device)).scaled(None)(choices).numpy()
            orders[device] = spearman(predicted, self.latency_ms(device)) or 0.0
        known, new = (np.mean([orders[one] for one in some]) for some in (LEARNED, UNSEEN))
        print(f"learned latency, seed {seed}: Spearman {known:.3f} on devices learned from, {new:.3f} on others")
        return learned


def volume(costs: Array) -> float:
    return hypervolume(costs[non_dominated(costs)], np.ones(costs.shape[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", default=",".join(VARIANTS), help="with commas between them")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=ModnasSettings().steps)
    parser.add_argument("--rays", type=int, default=24)
    arguments = parser.parse_args()
    problem, devices = Problem(), (*LEARNED, *UNSEEN)
    wanted = rays(arguments.rays, objectives=2)
    chance = np.zeros((arguments.seeds, len(devices)))
    for seed in range(arguments.seeds):
        rng = np.random.default_rng(seed)
        for place, device in enumerate(devices):
            drawn = [problem.networks[i] for i in rng.choice(len(problem.networks), len(wanted), replace=False)]
            chance[seed, place] = problem.share(device, drawn)
    print(told("random", chance, f"{len(wanted)} random architectures"), flush=True)
    for variant in arguments.variants.split(","):
        drawn_by: Estimator = next((one for one in ESTIMATORS if variant.endswith(one)), "expectation")
        settings = replace(ModnasSettings(), steps=arguments.steps, estimator=drawn_by)
        ours = np.zeros((arguments.seeds, len(devices)))
        distinct, minutes = [], []
        for seed in range(arguments.seeds):
            error, tasks = problem.error(variant), problem.tasks(variant, seed=seed)
            start = time.monotonic()
            modnas = Modnas(error, tasks, seed=seed, settings=settings, worth_having=WORST_ERROR)
            modnas.fit()
            minutes.append((time.monotonic() - start) / 60)
            for place, device in enumerate(devices):
                found = modnas.propose(problem.described(device), wanted)
                ours[seed, place] = problem.share(device, found)
                distinct.append(len(set(found)))
        about = f"{np.mean(distinct):.1f} of {len(wanted)} differ, {np.mean(minutes):.1f} minutes a training"
        print(told(variant, ours, about), flush=True)
        if variant == "exact":
            for place, device in enumerate(devices):
                cells = [f"{one[:, place].mean():.2f} ± {one[:, place].std():.2f}" for one in (ours, chance)]
                print(f"    {device:16}{cells[0]:>16}{cells[1]:>16}{'' if device in LEARNED else '  unseen'}")


def told(name: str, shares: Array, about: str) -> str:
    """Mean share on both kinds of devices, in percent, and how far its seeds are apart."""
    parts = [shares[:, : len(LEARNED)].mean(1), shares[:, len(LEARNED) :].mean(1)]
    known, new = (f"{part.mean():.2f} ± {part.std():.2f}" for part in parts)
    return f"{name:16} {known} % on devices learned from, {new} % on others; {about}"


if __name__ == "__main__":
    main()
