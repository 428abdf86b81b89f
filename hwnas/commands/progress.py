"""What a command that takes minutes shows meanwhile: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hwnas.commands.printing import say, stderr

if TYPE_CHECKING:
    from rich.live import Live

    from hwnas.study import SearchProgress


class Measuring(Protocol):
    """How far a campaign of measurements is; what a profiler reports."""

    @property
    def done(self) -> int:
        """Measurements finished."""

    @property
    def total(self) -> int:
        """Measurements in all."""

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the present pace; ``None`` before the first measurement."""


@contextmanager
def profile_progress(path: Path) -> Iterator[Callable[[Measuring], None]]:
    """Shows how far the measurements for a table are; gives what is to be called after each."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[left]}"), console=stderr()) as bar:
        task = bar.add_task(f"profiling {path.name}", total=None, left="", visible=False)

        def show(progress: Measuring) -> None:
            left = f"{progress.eta_s:.0f} s left" if progress.eta_s is not None else ""
            bar.update(task, completed=progress.done, total=progress.total, left=left, visible=True)
            if not bar.console.is_terminal and progress.done % max(1, progress.total // 20) == 0:
                say(f"profiling {path.name}: {progress.done}/{progress.total}, {left}")

        yield show


@contextmanager
def search_progress() -> Iterator[Callable[[SearchProgress], None]]:
    """Shows how far a search is and what it has found; gives what is to be called after each trial."""
    from rich.live import Live
    from rich.table import Table

    with Live(console=stderr(), refresh_per_second=4) as live:

        def show(progress: SearchProgress) -> None:
            if progress.stage is not None:
                _show_stage(live, progress)
                return
            if progress.trial is None and progress.done == progress.total:
                say(f"This search is finished: {progress.done} of {progress.total} trials; nothing is left to train.")
                return
            best = ", ".join(f"{name} {value:.4g}" for name, value in progress.best.items())
            left = f"{progress.eta_s:.0f} s left" if progress.eta_s is not None else ""
            line = {
                "trials": f"{progress.done}/{progress.total}",
                "front": str(progress.front_size),
                "hypervolume": f"{progress.hypervolume:.5g}",
                "best": best,
                "stopped early": f"{progress.stopped} ({progress.epochs_saved} epochs saved)"
                if progress.stopped
                else "",
                "time": left,
            }
            if not live.console.is_terminal:
                say("search: " + ", ".join(f"{name} {text}" for name, text in line.items() if text))
                return
            table = Table(*line)
            table.add_row(*line.values())
            live.update(table)

        yield show


def _show_stage(live: Live, progress: SearchProgress) -> None:
    """What goes on beside the trials: a live line, or elsewhere twenty lines at the most."""
    text = f"{progress.stage}: {progress.done}/{progress.total}"
    if live.console.is_terminal:
        live.update(text)
    elif progress.done == progress.total or progress.done % max(1, progress.total // 20) == 0:
        say(f"search: {text}")


@contextmanager
def spinner(what: str) -> Iterator[Callable[[str], None]]:
    """Shows that something of several steps goes on; gives what is to be called with the name of each."""
    console = stderr()
    if not console.is_terminal:
        say(what)
        yield lambda step: None
        return
    with console.status(what) as status:
        yield lambda step: status.update(f"{what}: {step}")
