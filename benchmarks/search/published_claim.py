"""The claim of LaMOO's authors: fewer evaluations with qEHVI in LaMOO's regions than with qEHVI alone.

Equal settings, every objective a black box, NAS-Bench-201; the ratio of median evaluations at each level.
"""

from __future__ import annotations

from shown import benched, guarded, options, ratio, table, tests


def main() -> None:
    parser = options(__doc__, algorithms="qehvi,lamoo+qehvi")
    arguments = parser.parse_args()
    summary = benched("nasbench201", arguments, black_box=True)
    print(table(summary, at=(50, 100, 150)))
    print(tests(summary))
    alone, inside = summary.algorithms[:2]
    for position, level in enumerate(summary.bench.problem.levels):
        told = ratio(alone, inside, position, budget=arguments.evaluations)
        print(f"evaluations of {alone.name} over those of {inside.name} to {100 * level:g} %: {told}")


if __name__ == "__main__":
    guarded(main)
