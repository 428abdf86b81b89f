"""What a command that takes minutes shows meanwhile: a live line in a terminal, plain lines or JSON elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from hwnas.commands.options import require_one_of
from hwnas.commands.printing import FORMS, form, is_live, note, say, stderr

_LINES, _JSON_LINES = 20, 100  # of a stage that only counts, at the most
_RECENT = 30  # durations that a pace is learned from
_SHUFFLED = 200  # likewise, of measurements that are unlike each other and come in any order


def _chosen(text: str) -> str:
    require_one_of(text, FORMS, option="--progress")
    form.set(text)
    return text


ProgressForm = Annotated[
    str,
    typer.Option(
        "--progress",
        callback=_chosen,
        help="What is shown meanwhile: auto (live in a terminal, lines elsewhere), plain, or json: events as lines of "
        "JSON on the standard error.",
    ),
]


class Measuring(Protocol):
    """How far a campaign of measurements is; what a profiler reports."""

    @property
    def done(self) -> int:
        """Measurements finished."""

    @property
    def total(self) -> int:
        """Measurements in all."""

    @property
    def further(self) -> bool:
        """Whether there may be more of them."""


class Now(Protocol):
    """Shows how far a count is."""

    def __call__(self, done: int, total: int, *, about: str = "", further: bool = False, **figures: Any) -> None:
        """To be called after every unit.

        Args:
            done: Units finished, those of an earlier process included.
            total: Units in all.
            about: What was just done, for people.
            further: Whether there may be more than ``total``: the time left is the least then.
            figures: The same for programs.
        """


@contextmanager
def counted(stage: str, what: str, *, recent: int = _RECENT) -> Iterator[Now]:
    """Shows how far something is that is counted, and when it will be over.

    The first call tells how much an earlier process had done, so the pace is known from the second one on.

    Args:
        stage: Its name for programs.
        what: Its name for people.
        recent: Durations that the pace is learned from.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from hwnas.core import Pace

    pace = Pace(recent=recent)
    before: int | None = None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[left]}"), console=stderr(), disable=not is_live()) as bar:
        task = bar.add_task(what, total=None, left="", visible=False)

        def now(done: int, total: int, *, about: str = "", further: bool = False, **figures: Any) -> None:
            nonlocal before
            if before is None:
                pace.paused()
            else:
                pace.advanced(done - before)
            last, before = before, done
            eta_s = pace.left_s(total - done)
            if form.get() == "json":
                if is_due(done, total, last=last, lines=_JSON_LINES):
                    told = {"eta_s": rounded(eta_s), "further": further} if further else {"eta_s": rounded(eta_s)}
                    note({"stage": stage, "done": done, "total": total, **told, **figures})
            elif is_live():
                shown = f"{what}: {about}" if about else what
                in_words = left(eta_s, at_least=further)
                bar.update(task, completed=done, total=total, left=in_words, description=shown, visible=True)
            elif is_due(done, total, last=last, lines=_LINES):
                say(", ".join(filter(None, [f"{what}: {done}/{total}", left(eta_s, at_least=further)])))

        yield now


@contextmanager
def profile_progress(path: Path) -> Iterator[Callable[[Measuring], None]]:
    """Shows how far the measurements for a table are; gives what is to be called after each."""
    with counted("profile", f"profiling {path.name}", recent=_SHUFFLED) as now:
        yield lambda progress: now(progress.done, progress.total, further=progress.further)


def is_due(done: int, total: int, *, last: int | None, lines: int) -> bool:
    """Whether a line is to be printed, so that there are not many more than so many in all."""
    return last is None or done >= total or done * lines // max(total, 1) != last * lines // max(total, 1)


def left(eta_s: float | None, *, at_least: bool = False) -> str:
    """Time left as people say it; empty where nobody knows."""
    if eta_s is None or (at_least and eta_s == 0):
        return ""
    if at_least:
        return f"at least {left(eta_s)}"
    if eta_s < 120:
        return f"{eta_s:.0f} s left"
    minutes = round(eta_s / 60)
    return f"{minutes} min left" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min left"


def rounded(eta_s: float | None) -> float | None:
    """Seconds as programs are told them."""
    return None if eta_s is None else round(eta_s, 3)
