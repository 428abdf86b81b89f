"""What the scripts of this folder share: their options, a benchmark in its own folder, and its figures as text."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from hwnas.bench import AlgorithmSummary, BenchProgress, BenchSettings, BenchSummary, bench, summarize, write_figures
from hwnas.core import HwnasError
from hwnas.reports import bench_page

RUNS = Path("runs/benchmarks/search")


def options(about: str | None, *, seeds: int = 20, evaluations: int = 200, algorithms: str) -> argparse.ArgumentParser:
    """The options that all scripts have."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", default=algorithms, help="names with commas, as `hwnas bench` takes them")
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--evaluations", type=int, default=evaluations)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=RUNS, help="where runs are kept; the same command goes on with them"
    )
    return parser


def benched(problem: str, arguments: argparse.Namespace, **settings: object) -> BenchSummary:
    """Runs a benchmark, or goes on with it, and writes its figures and its page.

    Args:
        problem: Its name.
        arguments: Of the script.
        settings: Further ones of ``BenchSettings``.
    """
    folder = arguments.out / (problem.replace(":", "-") + "".join(f"-{name}" for name in settings if settings[name]))

    def on_progress(progress: BenchProgress) -> None:
        print(f"{problem}: {progress.done} of {progress.total} runs", end="\r", file=sys.stderr)

    done = bench(
        BenchSettings(problem=problem, evaluations=arguments.evaluations, **settings),  # type: ignore[arg-type]
        algorithms=arguments.algorithms.split(","),
        seeds=arguments.seeds,
        out=folder,
        jobs=arguments.jobs,
        on_progress=on_progress,
    )
    summary = summarize(done)
    write_figures(summary, folder)
    bench_page(summary, folder / "bench.html")
    return summary


def count(median: float, budget: int) -> str:
    """A median number of evaluations, or that the budget was too small."""
    return f">{budget}" if math.isinf(median) else f"{median:.0f}"


def table(summary: BenchSummary, *, at: tuple[int, ...]) -> str:
    """Mean share of the best hypervolume after some evaluations, and median evaluations to the levels."""
    problem, budget = summary.bench.problem, summary.bench.settings.evaluations
    at = tuple(n for n in at if n < budget)
    heads = [*(f"@{n}" for n in at), f"@{budget}", "+-", *(f"{100 * level:g} %" for level in problem.levels), "ms"]
    lines = [f"{'algorithm':24}" + "".join(f"{head:>9}" for head in heads)]
    for one in summary.algorithms:
        cells = [f"{100 * one.mean[n - 1]:.2f}" for n in at]
        cells += [f"{100 * one.mean[-1]:.2f}", f"{100 * one.standard_error[-1]:.2f}"]
        cells += [count(one.median_to(i), budget) for i in range(len(problem.levels))]
        lines.append(f"{one.name:24}" + "".join(f"{cell:>9}" for cell in [*cells, f"{one.ask_ms():.1f}"]))
    seeds = len(summary.algorithms[0].shares)
    title = f"{problem.name}: mean % of the {problem.best_is} hypervolume {problem.best:.6g}, {seeds} seeds"
    return "\n".join([f"{title}; median evaluations to a level; median ms of a request", *lines])


def tests(summary: BenchSummary) -> str:
    """Every sign test in a line."""
    return "\n".join(
        f"{test.better} over {test.worse}, {test.measure}: {test.wins} to {test.losses}, p = {test.p:.2g}"
        for test in summary.tests
    )


def ratio(slow: AlgorithmSummary, fast: AlgorithmSummary, level: int, *, budget: int) -> str:
    """Median evaluations of one over those of another to a level; a bound where one did not get there."""
    many, few = slow.median_to(level), fast.median_to(level)
    if math.isinf(few):
        return "not reached"
    return f"{'>' if math.isinf(many) else ''}{min(many, budget) / few:.2f}"


def guarded(main: object) -> None:
    """Ends with the message of an error, and its status."""
    try:
        main()  # type: ignore[operator]
    except HwnasError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
