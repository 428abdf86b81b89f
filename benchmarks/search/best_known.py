"""The best known hypervolumes of problems that are too large to list: a long evolution on the models themselves.

Values are cheap there, so hundreds of thousands of mutants and crossovers of the front are tried. The figures go into
``hwnas/bench/models.py``; a larger one found later replaces them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from shown import guarded

from hwnas.bench import BenchProblem, open_problem
from hwnas.evaluators import OfaEvaluator
from hwnas.pareto import hypervolume
from hwnas.spaces import ArchitectureCodes, Codes

Array = NDArray[np.float64]
POPULATION = 2048
PROBLEMS = "ofa,accel:zcu102,accel:vck190,accel:a100,accel:rtx3090,accel:tpuv2,accel:tpuv3"


def costs_of(problem: BenchProblem) -> Callable[[Codes], Array]:
    """Both costs of many architectures at once, shape ``(n, 2)``."""
    models = problem.evaluator
    if isinstance(models, OfaEvaluator):
        return lambda codes: np.stack([-models.accuracy(codes), models.latency_ms(codes)], axis=1)
    return lambda codes: np.stack([-models.scaled_accuracy(codes), models.scaled_latency(codes)], axis=1)  # type: ignore[attr-defined]


def living(codes: ArchitectureCodes, genes: Codes) -> Codes:
    """The architectures of genes, of which every choice has one: those of choices that do not exist are taken out."""
    found = genes.copy()
    for column in range(found.shape[1]):
        found[:, column] = np.where(codes.active(found, column), found[:, column], -1)
    return found


def bred(front: Codes, fresh: Codes, rng: np.random.Generator) -> Codes:
    """Children of the front: half of them crossed over, then some genes random."""
    mothers, fathers = (front[rng.integers(len(front), size=len(fresh))] for _ in range(2))
    swapped = (rng.random(fresh.shape) < 0.5) & (rng.random(len(fresh)) < 0.5)[:, None]
    rate = rng.choice([0.5, 1.0, 2.0, 4.0], size=len(fresh))[:, None] / fresh.shape[1]
    return np.where(rng.random(fresh.shape) < rate, fresh, np.where(swapped, fathers, mothers)).astype(np.int8)


def on_front(values: Array) -> NDArray[np.intp]:
    """Positions of the non-dominated of two costs, of equals one."""
    order = np.lexsort((values[:, 1], values[:, 0]))
    second = values[order, 1]
    below = np.concatenate([[np.inf], np.minimum.accumulate(second)[:-1]])
    return np.asarray(order[second < below])


def evolved(problem: BenchProblem, *, seconds: float, seed: int) -> tuple[float, int, int]:
    """The hypervolume found, the size of its front, and how many architectures were tried."""
    rng, codes, costs = np.random.default_rng(seed), ArchitectureCodes(problem.search.space), costs_of(problem)
    options = [len(choice.options) for choice in problem.search.space.choices]
    start = time.monotonic()
    front = rng.integers(options, size=(POPULATION, len(options))).astype(np.int8)
    values, tried = costs(living(codes, front)), POPULATION
    while time.monotonic() - start < seconds:
        fresh = rng.integers(options, size=(POPULATION, len(options))).astype(np.int8)
        children = bred(front, fresh, rng)
        front, values = np.vstack([front, children]), np.vstack([values, costs(living(codes, children))])
        kept = on_front(values)
        front, values, tried = front[kept], values[kept], tried + POPULATION
    return hypervolume(values, problem.search.reference), len(front), tried


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default=PROBLEMS)
    parser.add_argument("--seconds", type=float, default=60.0, help="a seed")
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    for name in arguments.problems.split(","):
        problem = open_problem(name)
        for seed in range(arguments.seeds):
            found, size, tried = evolved(problem, seconds=arguments.seconds, seed=seed)
            print(f"{name}, seed {seed}: {found:.8g}, {size} on the front, {tried:,} tried", flush=True)


if __name__ == "__main__":
    guarded(main)
