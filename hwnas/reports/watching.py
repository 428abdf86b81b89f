"""The report of a search that still runs, written anew as it grows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hwnas.core import MachineError
from hwnas.reports.html import report
from hwnas.study import Run, open_run

_PATIENCE = 3.0  # a page that took so long to write is written again after so many times that at the earliest


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A page that was just written.

    Attributes:
        page: Where it is.
        ended: Trials that had ended.
        trials: Trials that the search is to make.
        finished: Whether the search is over, and the page the last one.
    """

    page: Path
    ended: int
    trials: int
    finished: bool


def watch(
    folder: Path,
    tell: Callable[[Watched], None],
    *,
    out: Path | None = None,
    figures: Path | None = None,
    every_s: float = 10.0,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Writes the report of a run whenever it has changed, until its search is over.

    While the search runs, the page loads itself anew in the browser.

    Args:
        folder: The run folder.
        tell: Told of every page written.
        out: As of ``report``.
        figures: As of ``report``.
        every_s: Seconds between two looks, at least.
        pause: Waits so many seconds; an exception it raises ends the watching.

    Returns:
        The page.

    Raises:
        UsageError: There is no run.
        StudyError: Its record cannot be read.
        OSError: The page cannot be written.
    """
    seen: tuple[object, ...] = ()
    while True:
        begun_s = time.monotonic()
        run = open_run(folder)
        try:
            finished = run.is_finished()
            now = (*_state(run), finished)
            if now != seen:
                refresh_s = None if finished else max(1, round(every_s))
                page = report(run, out=out, figures=figures, refresh_s=refresh_s)
                tell(Watched(page=page, ended=now[0], trials=run.settings.trials, finished=finished))
                seen = now
            if finished:
                return page
        except MachineError:
            if not seen:  # a record that is locked at this moment is readable later; one that never was is a fault
                raise
        finally:
            if "record" in run.__dict__:
                run.record.close()
        pause(max(every_s, _PATIENCE * (time.monotonic() - begun_s)))


def _state(run: Run) -> tuple[int, int, int, tuple[tuple[str, int], ...]]:
    """What a page depends on: trials ended and begun, the budget, and the files that stand beside the record."""
    files = [*(run.folder / "models").glob("*.json"), *run.folder.glob("*.json*")]
    changed = tuple(sorted((file.name, file.stat().st_mtime_ns) for file in files))
    return len(run.record.finished()), len(run.record.unfinished()), run.settings.trials, changed
