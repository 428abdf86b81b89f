"""Time of a request for 5 architectures after n evaluations, on one thread, and as a ratio to BoTorch's qNEHVI.

The problem is once-for-all's, as large as they get here. A size is left out for an algorithm whose request took longer
than the limit at the size before.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from shown import guarded
from threadpoolctl import threadpool_limits

from hwnas.bench import BenchProblem, first_designs, open_problem, searcher_of
from hwnas.core import Trial

BASE = "qnehvi"


def seconds(problem: BenchProblem, name: str, trials: list[Trial], repeats: int) -> float:
    found = []
    for seed in range(repeats):
        searcher = searcher_of(name, problem, seed=seed, initial=10)
        start = time.perf_counter()
        searcher.tell(trials)
        searcher.ask(5, pending=[])
        found.append(time.perf_counter() - start)
    return float(np.median(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = "qnehvi,qehvi,grey-ehvi,lamoo+grey-ehvi,lamoo+mutation,nsga2,cmaes,mutation,random"
    parser.add_argument("--problem", default="ofa")
    parser.add_argument("--algorithms", default=names)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 200, 1000, 5000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit-s", type=float, default=60.0)
    arguments = parser.parse_args()
    problem = open_problem(arguments.problem)
    designs = first_designs(problem, max(arguments.sizes), seed=0)
    trials = [
        Trial(number=i, architecture=one, values=problem.evaluator.evaluate(one)) for i, one in enumerate(designs)
    ]
    base: dict[int, float] = {}
    print(f"{problem.name}: seconds of a request (ratio to {BASE}) after " + ", ".join(map(str, arguments.sizes)))
    with threadpool_limits(1):
        for name in arguments.algorithms.split(","):
            last = 0.0
            print(name, end="", flush=True)
            for size in arguments.sizes:
                if last > arguments.limit_s:
                    print(", left out", end="", flush=True)
                    continue
                last = seconds(problem, name, trials[:size], arguments.repeats)
                if name == BASE:
                    base[size] = last
                ratio = f" ({last / base[size]:.3g})" if size in base else ""
                print(f", {last:.4g}{ratio}", end="", flush=True)
            print()


if __name__ == "__main__":
    guarded(main)
