"""Median samples until the best architecture of NAS-Bench-201 by CIFAR-10 validation accuracy is found."""

from __future__ import annotations

from shown import benched, count, guarded, options, tests


def main() -> None:
    names = "random,mutation,regularized-evolution,local-search,mcts,lanas,alphax"
    arguments = options(__doc__, algorithms=names, evaluations=3000).parse_args()
    summary = benched("nasbench201-accuracy", arguments, stop_at=1.0)
    budget = arguments.evaluations
    for one in summary.algorithms:
        last = len(summary.bench.problem.levels) - 1
        print(
            f"{one.name}: median {count(one.median_to(last), budget)} samples to the best, found by "
            f"{one.reached(last)} of {len(one.shares)} runs; to 99.9 % of it {count(one.median_to(last - 1), budget)}"
        )
    print(tests(summary))


if __name__ == "__main__":
    guarded(main)
