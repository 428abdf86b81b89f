"""OFA²: one evolutionary run for all budgets, against a run for each, at equally many predicted networks.

The once-for-all space with its accuracy predictor and Samsung Note10 table. One NSGA-II trades predicted accuracy
against latency; the other side spends the same number of networks on ten budgets, each an evolution (regularised) of
the accuracy alone within a latency. Then the best network within each of the ten is taken from either, and the
hypervolume of all. Neither is told the latencies of networks before it proposes them, but for the limits.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from trials import trials_of

from hwnas.bench.models import ofa
from hwnas.bench.problem import BenchProblem
from hwnas.core import Architecture
from hwnas.pareto import hypervolume, non_dominated
from hwnas.searchers import SearchProblem, make_searcher

BUDGETS_MS = (20, 24, 28, 32, 36, 40, 44, 48, 52, 56)
BATCH, INITIAL = 20, 20

Array = NDArray[np.float64]


def within(problem: SearchProblem, limit_ms: float) -> SearchProblem:
    """Accuracy alone, within a latency."""
    known = problem.known

    def feasible(architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
        if known is None or not architectures:
            return np.zeros(len(architectures), dtype=np.bool_)
        return np.asarray(known(architectures)[:, 0] <= limit_ms)

    return replace(problem, objectives=problem.objectives[:1], reference=problem.reference[:1], feasible=feasible)


def searched(bench: BenchProblem, problem: SearchProblem, name: str, *, networks: int, seed: int) -> Array:
    """Costs of all networks that a run looked at: negative accuracy and latency, shape ``(n, 2)``."""
    searcher = make_searcher(name, problem, seed=seed, initial=INITIAL)
    trials = trials_of(searcher, bench.evaluator.evaluate, n=networks, batch=BATCH)
    return np.array([(-trial.values["accuracy"], trial.values["latency_ms"]) for trial in trials])


def bests(costs: Array) -> Array:
    """Highest accuracy within each budget; that of the reference where nothing is."""
    return np.array([-costs[costs[:, 1] <= budget][:, 0].min(initial=-76.0) for budget in BUDGETS_MS])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    bench = ofa()
    blind = replace(bench.search, known=None)
    each = arguments.networks // len(BUDGETS_MS)
    found: dict[str, list[Array]] = {"one run": [], "a run for each": []}
    volumes: dict[str, list[float]] = {name: [] for name in found}
    for seed in range(arguments.seeds):
        once = searched(bench, blind, "nsga2", networks=arguments.networks, seed=seed)
        limited = [replace(within(bench.search, budget), known=None) for budget in BUDGETS_MS]
        apart = np.vstack([searched(bench, one, "regularized-evolution", networks=each, seed=seed) for one in limited])
        for name, costs in (("one run", once), ("a run for each", apart)):
            inside = costs[(costs < bench.search.reference).all(axis=1)]
            found[name].append(bests(costs))
            volumes[name].append(100 * hypervolume(inside[non_dominated(inside)], bench.search.reference) / bench.best)
        print(f"seed {seed}: " + "; ".join(f"{name} {one[-1]:.2f} %" for name, one in volumes.items()), flush=True)
    print(
        f"\n{'within':>8}" + "".join(f"{name:>18}" for name in found) + f"   (predicted top-1, {arguments.seeds} seeds)"
    )
    for place, budget in enumerate(BUDGETS_MS):
        means = [np.mean([one[place] for one in rows]) for rows in found.values()]
        print(f"{budget:>5} ms" + "".join(f"{mean:>18.2f}" for mean in means))
    for name, one in volumes.items():
        print(f"{name}: {np.mean(one):.2f} ± {np.std(one) / np.sqrt(len(one)):.2f} % of the best known hypervolume")
    ahead = int((np.array(volumes["one run"]) > np.array(volumes["a run for each"])).sum())
    chance = binomtest(ahead, arguments.seeds).pvalue
    print(f"one run over a run for each: {ahead} to {arguments.seeds - ahead}, p = {chance:.2g}")


if __name__ == "__main__":
    main()
