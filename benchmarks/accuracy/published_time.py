"""Time to the front where a training takes hours: every candidate trained, against shared weights and trained winners.

Everything is looked up: the accuracies, training times and latencies of NAS-Bench-201 on CIFAR-10 (200 epochs; all
15,625 cells), and the estimates that one supernet and five gave of each of them (Zhao et al., 2021). Seed by seed, the
same searcher goes by the published accuracies, each at the price of its training; and by the estimates, after which
winners are trained: as `hwnas search` chooses them, or as many in the order of their estimates, the front first. Beside
them stands an estimate that costs nothing: a network's place among all by its parameters.

What it takes to train a supernet is not published with them. So printed are the hours of trainings alone, and what a
supernet with all its judgements may cost for the whole to take a third of the time, in hours and in mean trainings of
the space. It needs `nasbench201.parquet` and `nasbench201_supernet_estimates.parquet` in the folder that HWNAS_DATA
names, and some minutes.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Objective, Trial
from hwnas.evaluators import TabularEvaluator, nasbench201_table, read_columns
from hwnas.pareto import hypervolume, levels
from hwnas.searchers import SearchProblem, make_searcher
from hwnas.study.winners import MOST, Contest

Values = NDArray[np.float64]

ESTIMATES = "nasbench201_supernet_estimates.parquet"
ACCURACY, SECONDS = "cifar10_valid_acc_200", "cifar10_train_seconds_200"
GUESSES = {"one supernet": "one_shot_acc", "five supernets": "few_shot_acc", "parameters": "places"}
LESS = 3.0  # times less, as is aimed at


@dataclass(frozen=True, kw_only=True)
class Course:
    """What was trained, in this order.

    Attributes:
        hours: Of trainings, after each, shape ``(n,)``.
        hypervolume: Likewise, as a share of the best possible.
    """

    hours: Values
    hypervolume: Values

    def until(self, level: float) -> float | None:
        """Hours until a level; ``None`` where it is not reached."""
        there = np.flatnonzero(self.hypervolume >= level * (1 - 1e-12))
        return float(self.hours[there[0]]) if len(there) else None


@dataclass(frozen=True, kw_only=True)
class Published:
    """The benchmark as a problem of two costs.

    Attributes:
        table: With all columns.
        latency: Which latency is traded.
    """

    table: TabularEvaluator
    latency: str

    def costs(self, rows: Sequence[int] | slice) -> Values:
        """Negative accuracy in percent, and latency in milliseconds, of rows; shape ``(n, 2)``."""
        return np.column_stack([-self.table.columns[ACCURACY][rows], self.table.columns[self.latency][rows]])

    @property
    def reference(self) -> Values:
        """Accuracy of chance, and the largest latency."""
        return np.array([-10.0, self.table.columns[self.latency].max()])

    def course(self, rows: Sequence[int]) -> Course:
        """Of trainings in an order."""
        best = hypervolume(self.costs(slice(None)), self.reference)
        found = [hypervolume(self.costs(rows[: n + 1]), self.reference) / best for n in range(len(rows))]
        hours = np.cumsum(self.table.columns[SECONDS][list(rows)]) / 3600
        return Course(hours=hours, hypervolume=np.array(found))

    def searched(self, algorithm: str, column: str, *, trials: int, seed: int) -> list[int]:
        """Rows that a searcher proposes, one after another, going by a column to be maximised and the latency."""
        table, place = self.table, {one: row for row, one in enumerate(self.table.architectures)}
        goals = (
            Objective(name=column, unit="", direction="maximize", known="trained"),
            Objective(name=self.latency, unit="ms", direction="minimize", known="tabulated"),
        )
        worst = np.array([-table.columns[column].min(), self.reference[1]])
        problem = SearchProblem(
            space=table.space,
            objectives=goals,
            reference=worst,
            known=lambda found: table.values(self.latency, found)[:, None],
        )
        searcher = make_searcher(algorithm, problem, seed=seed)
        rows, done = list[int](), list[Trial]()
        for number in range(trials):
            (proposal,) = searcher.ask(1, pending=[])
            values = {name: table.evaluate(proposal.architecture)[name] for name in (column, self.latency)}
            done.append(Trial(number=number, architecture=proposal.architecture, values=values))
            searcher.tell(done)
            rows.append(place[proposal.architecture])
        return rows

    def in_order(self, column: str, rows: Sequence[int]) -> list[int]:
        """As many of some rows as can be winners, in the order of their levels as they were estimated."""
        estimated = np.column_stack([-self.table.columns[column][list(rows)], self.costs(rows)[:, 1]])
        return [rows[int(place)] for place in np.argsort(levels(estimated), kind="stable")[:MOST]]

    def winners(self, column: str, rows: Sequence[int]) -> list[int]:
        """Which of some rows are trained, in this order."""
        columns, kept = self.table.columns, list(rows)
        contest = Contest(
            space=self.table.space,
            architectures=[self.table.architectures[row] for row in rows],
            costs=np.column_stack([-columns[column][kept], columns[self.latency][kept]]),
            sizes=np.column_stack([columns[name][kept] for name in ("params_m", "flops_m")]),
            paid=0,
            reference=self.reference,
        )
        told: dict[int, float] = {}
        while len(told) < MOST and (best := contest.best(told)) is not None:
            told[best] = float(-columns[ACCURACY][rows[best]])
        return [rows[place] for place in told]


def read(latency: str) -> Published:
    """The benchmark and the estimates of each of its cells."""
    table = nasbench201_table(["arch_index", ACCURACY, SECONDS, latency, "params_m", "flops_m"])
    read_in = read_columns(ESTIMATES, ["arch_index", "one_shot_acc", "few_shot_acc"])
    order = {index: place for place, index in enumerate(read_in["arch_index"])}
    places = [order[int(index)] for index in table.columns["arch_index"]]
    found = {name: np.array(read_in[name], dtype=np.float64)[places] for name in ("one_shot_acc", "few_shot_acc")}
    params = table.columns["params_m"]
    found["places"] = 100 * (np.argsort(np.argsort(params, kind="stable")) + 0.5) / len(params)
    return Published(table=table.with_columns(found), latency=latency)


def told(name: str, full: Sequence[Course], other: Sequence[Course], mean_h: float) -> str:
    """One kind of estimate against full training, medians over seeds."""
    level = [min(one.hypervolume[-1], two.hypervolume[-1]) for one, two in zip(full, other, strict=True)]
    hours = [[one.until(at) or 0.0 for one, at in zip(kind, level, strict=True)] for kind in (full, other)]
    spare = [long / LESS - short for long, short in zip(*hours, strict=True)]
    cells = [
        f"{statistics.median(len(one.hours) for one in other):.0f}",
        f"{100 * statistics.median(one.hypervolume[-1] for one in other):.2f}",
        f"{100 * statistics.median(level):.2f}",
        *(f"{statistics.median(of):.0f}" for of in hours),
        f"{statistics.median(long / short for long, short in zip(*hours, strict=True)):.1f}",
        f"{statistics.median(spare):.0f} ({statistics.median(spare) / mean_h:.0f})",
    ]
    return f"{name:16}" + "".join(f"{cell:>12}" for cell in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", default="lamoo")
    parser.add_argument("--latency", default="pixel3_latency_ms", help="a column of the benchmark")
    parser.add_argument("--trials", type=int, default=200, help="that are all trained")
    parser.add_argument("--estimated", type=int, default=500, help="that are judged by shared weights")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    problem = read(arguments.latency)
    seeds = range(arguments.seeds)
    mean_h = float(problem.table.columns[SECONDS].mean()) / 3600
    full = [
        problem.course(problem.searched(arguments.algorithm, ACCURACY, trials=arguments.trials, seed=seed))
        for seed in seeds
    ]
    spent_h, share = (
        statistics.median(ends) for ends in zip(*((c.hours[-1], c.hypervolume[-1]) for c in full), strict=True)
    )
    print(
        f"{arguments.algorithm}, {arguments.latency}, medians of {arguments.seeds} seeds; a training takes "
        f"{mean_h:.2f} h on average; all of {arguments.trials} trained: {spent_h:.0f} h, "
        f"{100 * share:.2f} % of the best hypervolume"
    )
    heads = ("trained", "% at end", "% of both", "h, all", "h, winners", "ratio", "left, h (n)")
    print(f"{'estimates':16}" + "".join(f"{head:>12}" for head in heads))
    for name, column in GUESSES.items():
        pools = [problem.searched(arguments.algorithm, column, trials=arguments.estimated, seed=seed) for seed in seeds]
        chosen = [problem.course(problem.winners(column, rows)) for rows in pools]
        ordered = [problem.course(problem.in_order(column, rows)) for rows in pools]
        print(told(name, full, chosen, mean_h))
        print(told("  in their order", full, ordered, mean_h), flush=True)


if __name__ == "__main__":
    main()
