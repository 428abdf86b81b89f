"""Branin-Currin and VehicleSafety: the logarithm of the hypervolume still missing after 100 evaluations."""

from __future__ import annotations

from shown import benched, guarded, options, table, tests


def main() -> None:
    arguments = options(__doc__, algorithms="random,qehvi,lamoo+qehvi", evaluations=100).parse_args()
    for name in ("branin-currin", "vehicle-safety"):
        summary = benched(name, arguments)
        print(table(summary, at=(25, 50)))
        for one in summary.algorithms:
            gaps = one.log_gaps(summary.bench.problem.best)[:, -1]
            print(f"{one.name}: log10 of the missing hypervolume {gaps.mean():.3f} (deviation {gaps.std():.3f})")
        print(tests(summary))


if __name__ == "__main__":
    guarded(main)
