"""TND-NAS on a table: regret under a latency limit, beside regularised evolution, with and without shrinking.

NAS-Bench-201, CIFAR-10 validation accuracy under five limits on the latency of each of two devices (quantiles 0.1 to
0.9 of all architectures), which hold exactly. Regret: points of accuracy below the best architecture within the limit,
after so many samples; nothing is proposed twice.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from trials import trials_of

from hwnas.core import Architecture, Objective, Searcher
from hwnas.evaluators import TabularEvaluator, nasbench201_table
from hwnas.searchers import SearchProblem, make_searcher
from hwnas.searchers.plain import PlainSearcher
from hwnas.searchers.policy_gradient import PolicyGradientInner, PolicySettings

DEVICES = ("pixel3", "titan_rtx_1")
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
ACCURACY = "cifar10_valid_acc_200"
INITIAL = 10

Make = Callable[[SearchProblem, int], Searcher]


def named(name: str) -> Make:
    return lambda problem, seed: make_searcher(name, problem, seed=seed, initial=INITIAL)


def without_shrinking(problem: SearchProblem, seed: int) -> Searcher:
    inner = PolicyGradientInner(settings=PolicySettings(stage=0))
    return PlainSearcher(problem, inner, seed=seed, initial=INITIAL)


MAKERS: dict[str, Make] = {
    "tnd-nas": named("tnd-nas"),
    "tnd-nas, no shrinking": without_shrinking,
    "regularized-evolution": named("regularized-evolution"),
    "random": named("random"),
}


def limited(table: TabularEvaluator, column: str, limit: float) -> SearchProblem:
    """Accuracy alone, within a limit."""

    def feasible(architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
        return table.values(column, architectures) <= limit

    goal = Objective(name=ACCURACY, unit="%", direction="maximize", known="trained")
    return SearchProblem(space=table.space, objectives=(goal,), reference=np.zeros(1), feasible=feasible)


def best_found(make: Make, problem: SearchProblem, table: TabularEvaluator, *, samples: int, seed: int) -> float:
    """The highest accuracy after some samples."""
    trials = trials_of(make(problem, seed), table.evaluate, n=samples, batch=5)
    return max(trial.values[ACCURACY] for trial in trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    table = nasbench201_table([ACCURACY, *(f"{device}_latency_ms" for device in DEVICES)])
    regrets: dict[str, list[float]] = {name: [] for name in MAKERS}
    for device in DEVICES:
        column = f"{device}_latency_ms"
        for quantile in QUANTILES:
            limit = float(np.quantile(table.columns[column], quantile))
            best = table.columns[ACCURACY][table.columns[column] <= limit].max()
            problem, cells = limited(table, column, limit), []
            for name, make in MAKERS.items():
                found = [
                    best - best_found(make, problem, table, samples=arguments.samples, seed=seed)
                    for seed in range(arguments.seeds)
                ]
                regrets[name] += found
                cells.append(f"{name} {np.mean(found):.3f}")
            print(f"{device}, {limit:.4g} ms: mean regret {'; '.join(cells)}", flush=True)
    for name, found in regrets.items():
        print(f"{name}: mean regret {np.mean(found):.3f}, median {np.median(found):.3f}, of {len(found)} runs")
    ours = np.array(regrets["tnd-nas"])
    for name in list(MAKERS)[1:]:
        better, worse = int((ours < regrets[name]).sum()), int((ours > regrets[name]).sum())
        chance = binomtest(better, better + worse).pvalue if better + worse else 1.0
        print(f"tnd-nas over {name}: {better} to {worse}, p = {chance:.2g}")


if __name__ == "__main__":
    main()
