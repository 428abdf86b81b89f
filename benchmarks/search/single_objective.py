"""LA-MCTS on Ackley's and Rosenbrock's functions in 20 dimensions, against CMA-ES, TuRBO and random search."""

from __future__ import annotations

import numpy as np
from shown import benched, guarded, options, tests


def main() -> None:
    arguments = options(__doc__, algorithms="la-mcts,la-mcts+turbo,cmaes,turbo,random", seeds=10).parse_args()
    for name in ("ackley20", "rosenbrock"):
        summary = benched(name, arguments)
        best = summary.bench.problem.best
        for one in summary.algorithms:
            left = best * (1 - one.final)
            print(
                f"{name}, {one.name}: smallest value after {arguments.evaluations} evaluations "
                f"{np.median(left):.4g} (median), {left.min():.4g} to {left.max():.4g}"
            )
        print(tests(summary))


if __name__ == "__main__":
    guarded(main)
