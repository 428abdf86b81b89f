"""``hwnas report``: what a run found, as a page; also while it is being found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.commands.options import AsJson
from hwnas.commands.printing import form as form_of
from hwnas.commands.printing import note, render, say
from hwnas.commands.progress import ProgressForm

if TYPE_CHECKING:
    from hwnas.reports import Watched

_EVERY_S = 10.0


def report(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    out: Annotated[Path | None, typer.Option(help="The page; by default report.html in the run folder.")] = None,
    figures: Annotated[
        Path | None, typer.Option(help="A folder for the figures as files, each as SVG and PNG.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write it again as the search goes on, until that ends or Ctrl-C.")
    ] = False,
    every: Annotated[
        float | None, typer.Option(min=1.0, help="With --watch: seconds between two looks at least, by default 10.")
    ] = None,
    progress: ProgressForm = "auto",
    as_json: AsJson = False,
) -> None:
    """Write the report of a run: one page that works offline."""
    import hwnas
    from hwnas.reports import watch as watch_run

    if every is not None and not watch:
        raise typer.BadParameter("it is how often --watch looks: give that, too", param_hint="--every")
    page = out or run / "report.html"
    if watch:
        try:
            watch_run(run, _tell, out=out, figures=figures, every_s=every or _EVERY_S)
        except KeyboardInterrupt:  # the way to end it, and no fault
            say(f"Stopped watching; {page} is as of the last look.")
    else:
        page = hwnas.report(hwnas.open_run(run), out=out, figures=figures)
    found = {"report": str(page), **({} if figures is None else {"figures": str(figures)})}
    render(found, "\n".join(found.values()), as_json=as_json)


def _tell(watched: Watched) -> None:
    if form_of.get() == "json":
        note({"stage": "report", "done": watched.ended, "total": watched.trials, "finished": watched.finished})
    else:
        end = ", finished" if watched.finished else ""
        say(f"{watched.page}: {watched.ended} of {watched.trials} trials{end}")
