"""``hwnas bench``: search algorithms compared on published benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.commands.options import AsJson, words_of
from hwnas.commands.printing import grid, ms, render
from hwnas.commands.progress import ProgressForm, counted

if TYPE_CHECKING:
    from hwnas.bench import BenchSummary


def bench(  # noqa: PLR0913, PLR0917  (each parameter is an option of the command)
    problem: Annotated[str, typer.Argument(help="nasbench201, ofa, macro, accel, branin-currin, …: see --list.")] = "",
    algorithms: Annotated[
        list[str] | None, typer.Option(help="Names with commas: lamoo,mutation,lamoo+random. By default lamoo.")
    ] = None,
    inner: Annotated[
        list[str] | None,
        typer.Option(help="Inner searchers: algorithms named without one are run with each of these."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of every algorithm, with the seeds 0, 1, ….")] = 20,
    evaluations: Annotated[int, typer.Option(help="Architectures evaluated in a run.")] = 200,
    batch: Annotated[int, typer.Option(help="Architectures proposed at a time.")] = 5,
    initial: Annotated[int, typer.Option(help="Random first designs, the same for all algorithms.")] = 10,
    black_box: Annotated[
        bool, typer.Option("--black-box", help="Hide the costs that are known exactly from the searchers.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="The folder; the same command goes on with it. By default under runs/bench.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes, each with one thread.")] = 1,
    list_problems: Annotated[bool, typer.Option("--list", help="List the problems and end.")] = False,
    progress: ProgressForm = "auto",
    as_json: AsJson = False,
) -> None:
    """Compare search algorithms on a published benchmark: curves, evaluations to a level, sign tests, times."""
    from hwnas.bench import PROBLEMS, BenchSettings, summarize, to_json, write_figures
    from hwnas.bench import bench as run_bench
    from hwnas.reports import bench_page

    if list_problems:
        render({"problems": list(PROBLEMS)}, "\n".join(PROBLEMS), as_json=as_json)
        return
    if not problem:
        raise typer.BadParameter("expected a problem; `hwnas bench --list` names them", param_hint="PROBLEM")
    settings = BenchSettings(
        problem=problem, evaluations=evaluations, batch=batch, initial=initial, black_box=black_box
    )
    names = _with_inner(words_of(algorithms) or ["lamoo"], words_of(inner))
    folder = out or Path("runs", "bench", problem.replace(":", "-") + ("-black-box" if black_box else ""))
    with counted("bench", problem) as now:
        done = run_bench(
            settings,
            algorithms=names,
            seeds=seeds,
            out=folder,
            jobs=jobs,
            on_progress=lambda run: now(
                run.done, run.total, about=f"{run.algorithm}, seed {run.seed}", algorithm=run.algorithm, seed=run.seed
            ),
        )
    summary = summarize(done)
    write_figures(summary, folder)
    page = bench_page(summary, folder / "bench.html")
    render({**to_json(summary), "page": str(page)}, lambda: _bench_parts(summary, page), as_json=as_json)


def _with_inner(algorithms: Sequence[str], inner: Sequence[str]) -> list[str]:
    """Names of algorithms, those without an inner searcher with each of some."""
    return [f"{name}+{one}" if one and "+" not in name else name for name in algorithms for one in (inner or [""])]


def _bench_parts(summary: BenchSummary, page: Path) -> list[Any]:
    problem, budget = summary.bench.problem, summary.bench.settings.evaluations
    lines = []
    for one in sorted(summary.algorithms, key=lambda one: -float(one.mean[-1])):
        medians = [one.median_to(i) for i in range(len(problem.levels))]
        lines.append(
            [
                one.name,
                f"{100 * one.mean[-1]:.2f} ± {100 * one.standard_error[-1]:.2f} %",
                *(f">{budget}" if median == float("inf") else f"{median:.0f}" for median in medians),
                ms(one.ask_ms()),
            ]
        )
    title = f"{problem.name}: share of the {problem.best_is} hypervolume, and median evaluations to a level"
    columns = ["algorithm", f"at {budget}", *(f"{100 * level:g} %" for level in problem.levels), "request, ms"]
    tests = [
        f"{test.better} over {test.worse} {test.measure}: {test.wins} to {test.losses}, p = {test.p:.2g}"
        for test in summary.tests
    ]
    return [grid(title, columns, lines), *tests, f"{page}"]
