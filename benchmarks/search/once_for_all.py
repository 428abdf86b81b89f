"""The once-for-all space, 10^20 networks: accuracy predictor against the Note10 table, 500 evaluations.

Told is how many evaluations the first algorithm needs to the final median hypervolume of the best of the others.
"""

from __future__ import annotations

import numpy as np
from shown import benched, guarded, options, table, tests


def main() -> None:
    parser = options(__doc__, algorithms="lamoo+grey-ehvi,lamoo+mutation,mutation,nsga2,qnehvi", evaluations=500)
    arguments = parser.parse_args()
    summary = benched("ofa", arguments)
    print(table(summary, at=(100, 200, 300)))
    print(tests(summary))
    ours, *others = summary.algorithms
    if others:
        best = max(others, key=lambda one: float(np.median(one.final)))
        goal = float(np.median(best.final))
        there = np.flatnonzero(ours.quantile(0.5) >= goal)
        needed = f"{there[0] + 1}, {arguments.evaluations / (there[0] + 1):.2f} times fewer" if len(there) else "none"
        print(f"{ours.name} reaches the final median of {best.name}, {100 * goal:.2f} %, after evaluations: {needed}")


if __name__ == "__main__":
    guarded(main)
