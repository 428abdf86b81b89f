"""All systems that search by trials, and what they are compared with, on one problem of four objectives.

NAS-Bench-201, CIFAR-100 validation accuracy and the latency on three devices: share of the true hypervolume after so
many evaluations, first designs among them and the same for all, and seconds that the system itself takes for a run.
MODNAS makes no trials: it has seen all accuracies when it proposes, and stands beside with its networks in their order.
Runs are kept, and the same command goes on with them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hwnas.bench import BenchProblem, BenchProgress, BenchSettings, bench, summarize
from hwnas.core import Architecture, HwnasError
from hwnas.evaluators import nasbench201_table
from hwnas.pareto import hypervolume
from hwnas.relaxed import CostTensor, DeviceTask, Modnas, described_device, rays, widest_first

DEVICES = ("pixel3", "titan_rtx_1", "silver_4114")
PROBLEM = f"nasbench201:{'+'.join(DEVICES)}"
AT = (50, 100, 200, 400)
SYSTEMS = {
    "lamoo+grey-ehvi": "LaMOO, exact costs",
    "lamoo+mutation": "LaMOO, mutation",
    "la-mcts": "LA-MCTS (GPUNet's)",
    "lanas": "LaNAS",
    "plalam": "PlaLaM",
    "alphax": "AlphaX",
    "lemonade": "LEMONADE",
    "tnd-nas": "TND-NAS",
    "grey-ehvi": "expected improvement, exact costs",
    "nsga2": "NSGA-II (OFA²'s)",
    "regularized-evolution": "regularised evolution",
    "local-search": "local search",
    "mutation": "mutation of the front",
    "cmaes": "CMA-ES",
    "random": "random",
}
REFERENCES, RAYS, WORST_ERROR = 10, 64, 90.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", default=",".join(SYSTEMS), help="with commas between them")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/systems/all"))
    arguments = parser.parse_args()
    settings = BenchSettings(problem=PROBLEM, evaluations=AT[-1])

    def on_progress(progress: BenchProgress) -> None:
        print(f"{progress.done} of {progress.total} runs", end="\r", file=sys.stderr)

    done = bench(
        settings,
        algorithms=arguments.algorithms.split(","),
        seeds=arguments.seeds,
        out=arguments.out,
        jobs=arguments.jobs,
        on_progress=on_progress,
    )
    print(f"| {arguments.seeds} seeds | `--algorithm` | {' | '.join(f'@{n}' for n in AT)} | seconds |")
    print("| --- " * (len(AT) + 3) + "|")
    for one in sorted(summarize(done).algorithms, key=lambda one: -float(one.mean[-1])):
        shares = [f"{100 * one.mean[n - 1]:.2f}" for n in AT]
        shares[-1] += f" ± {100 * one.standard_error[-1]:.2f}"
        seconds = float(np.median([sum(a.seconds for a in run.asks) for run in done.runs if run.algorithm == one.name]))
        print(row(SYSTEMS.get(one.name, one.name), f"`{one.name}`", shares, seconds))
    print(modnas(done.problem, seeds=arguments.seeds))


def row(system: str, algorithm: str, shares: Sequence[str], seconds: float) -> str:
    return f"| {system} | {algorithm} | {' | '.join(shares)} | {seconds:.3g} |"


def modnas(problem: BenchProblem, *, seeds: int) -> str:
    """Its row, after as many of its networks for the three devices."""
    table = nasbench201_table(["cifar100_valid_acc_200", *(f"{device}_latency_ms" for device in DEVICES)])
    space, networks = table.space, table.architectures
    references = np.random.default_rng(0).choice(len(networks), REFERENCES, replace=False)
    error = CostTensor.of(space, networks, 100 - table.columns["cifar100_valid_acc_200"])
    latencies = {device: table.columns[f"{device}_latency_ms"] for device in DEVICES}
    tasks = [
        DeviceTask(
            name=device,
            costs=(CostTensor.of(space, networks, latency_ms),),
            description=described_device(latency_ms[references]),
        )
        for device, latency_ms in latencies.items()
    ]
    shares, seconds, counts = [], [], []
    for seed in range(seeds):
        start = time.monotonic()
        policy = Modnas(error, tasks, seed=seed, worth_having=WORST_ERROR)
        policy.fit()
        proposed = [policy.propose(task.description, widest_first(rays(RAYS, objectives=2))) for task in tasks]
        seconds.append(time.monotonic() - start)
        found = list(dict.fromkeys(one for same in zip(*proposed, strict=True) for one in same))
        counts.append(len(found))
        shares.append([share(problem, found[:n]) for n in AT])
    mean = np.mean(shares, axis=0)
    told = [f"{100 * mean[i]:.2f}" if max(counts) > (0, *AT)[i] else "" for i in range(len(AT))]
    about = f"MODNAS, {min(counts)} to {max(counts)} networks, all accuracies known"
    return row(about, "`modnas`", told, float(np.median(seconds)))


def share(problem: BenchProblem, found: Sequence[Architecture]) -> float:
    values = [problem.evaluator.evaluate(one) for one in found]
    costs = np.array([[goal.to_cost(one[goal.name]) for goal in problem.search.objectives] for one in values])
    return hypervolume(costs, problem.search.reference) / problem.best


if __name__ == "__main__":
    try:
        main()
    except HwnasError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
