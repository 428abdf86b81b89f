"""``hwnas compare``: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.commands.options import AsJson
from hwnas.commands.printing import grid, many, render

if TYPE_CHECKING:
    from hwnas.reports import Comparison


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN…", help="Two run folders or more.")],
    out: Annotated[Path | None, typer.Option(help="The page; by default compare.html in the first folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put runs side by side: hypervolume with one reference point, fronts, medians, and tests over seeds."""
    import hwnas
    from hwnas.reports import compare as compare_runs
    from hwnas.reports import comparison_page

    comparison = compare_runs([hwnas.open_run(folder) for folder in runs])
    page = comparison_page(comparison, out or runs[0] / "compare.html")
    render({**comparison.to_json(), "page": str(page)}, lambda: _parts(comparison, page), as_json=as_json)


def _parts(comparison: Comparison, page: Path) -> list[Any]:
    budget, names = comparison.budget, [goal.name for goal in comparison.objectives]
    rows = [
        [
            run.name,
            run.group,
            run.seed,
            run.trials,
            f"{run.at(budget):.4g}",
            f"{100 * run.share:.0f} %",
            *(f"{run.best[name]:.4g}" if name in run.best else "" for name in names),
        ]
        for run in sorted(comparison.runs, key=lambda run: -run.at(budget))
    ]
    columns = ["name", "settings", "seed", "trials", f"at {budget}", "joint front", *(f"best {n}" for n in names)]
    tests = [
        f"{test.better} over {test.worse}: {test.test}, {many(test.runs, 'run')}, p = {test.p:.2g}"
        for test in comparison.tests
    ]
    remarks = [f"Mind that {remark}." for remark in comparison.remarks]
    return [grid("Hypervolume with a common reference point", columns, rows), *tests, *remarks, f"{page}"]
