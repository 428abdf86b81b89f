"""LaMOO's own problem: the table of proposers, and the targets.

Searchers are told the FLOPs, which are known; qEHVI, with and without LaMOO's regions, sees a black box, as published.
"""

from __future__ import annotations

from copy import copy

from shown import benched, guarded, options, ratio, table, tests

ALGORITHMS = "random,mutation,lamoo+random,lamoo+mutation,nsga2,regularized-evolution,grey-ehvi,lamoo+grey-ehvi"
BLACK_BOX = "qehvi,lamoo+qehvi"
TARGETS = {1: 65, 2: 110}  # level: evaluations at most; and 99.6 % at 200


def main() -> None:
    parser = options(__doc__, algorithms=ALGORITHMS)
    parser.add_argument("--black-box", default=BLACK_BOX, help="algorithms that are not told the FLOPs; may be empty")
    parser.add_argument("--target", default="lamoo+grey-ehvi", help="whose figures the targets are held against")
    arguments = parser.parse_args()
    known = benched("nasbench201", arguments)
    print(table(known, at=(50, 100, 150)))
    print(tests(known))
    blind = None
    if arguments.black_box:
        unknown = copy(arguments)
        unknown.algorithms = arguments.black_box
        blind = benched("nasbench201", unknown, black_box=True)
        print(table(blind, at=(50, 100, 150)))
        print(tests(blind))
    if arguments.target in arguments.algorithms.split(","):
        ours = known.named(arguments.target)
        for level, most in TARGETS.items():
            share = known.bench.problem.levels[level]
            print(f"{ours.name}: to {100 * share:g} % after {ours.median_to(level):.0f} evaluations, target {most}")
        print(f"{ours.name}: {100 * ours.mean[-1]:.2f} % at the end, target 99.6 % at 200")
        if blind is not None:
            base = blind.algorithms[0]
            told = [ratio(base, ours, level, budget=arguments.evaluations) for level in TARGETS]
            print(f"evaluations of {base.name} over those of {ours.name} to 98 and 99 %: {told}, target 2.5")


if __name__ == "__main__":
    guarded(main)
