"""What ``hwnas search`` and ``hwnas export`` show while they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwnas.commands.printing import form, is_live, note, say, stderr
from hwnas.commands.progress import is_due, left, rounded

if TYPE_CHECKING:
    from hwnas.exports import ExportStep
    from hwnas.study import SearchProgress
    from hwnas.study.progress import Found

_LINES = 20
_ROLES = 3  # winners, at the most
_EXPORT = "export"


@contextmanager
def search_progress(
    *, trains: bool, also: Callable[[SearchProgress], None] = lambda _: None
) -> Iterator[Callable[[SearchProgress], None]]:
    """Shows how far a search is and what it has found; gives what is to be called after each trial.

    Args:
        trains: Whether a trial is a training, so that it tells how long the winners will take, which are exported after
            the search.
        also: What else is told.
    """
    from rich.live import Live

    with Live(console=stderr(), refresh_per_second=4) if is_live() else nullcontext() as live:
        last = 0

        def show(told: SearchProgress) -> None:
            nonlocal last
            also(told)
            progress = _with_export(told, trains=trains)
            if form.get() == "json":
                note(_event(progress))
            elif told.found is None:
                if live is not None:
                    live.update(_words(progress))
                elif is_due(progress.done, progress.total, last=last, lines=_LINES):
                    say(f"search: {_words(progress)}")
                last = progress.done
            elif told.found.trial is None and told.done == told.total:
                say(f"This search is finished: {told.done} of {told.total} trials; nothing is left to train.")
            elif live is not None:
                live.update(_table(_line(progress)))
            else:
                say("search: " + ", ".join(f"{name} {text}" for name, text in _line(progress).items() if text))

        yield show


def _with_export(progress: SearchProgress, *, trains: bool) -> SearchProgress:
    """The progress to the end of the command: the winners are still to be trained fully and exported."""
    from hwnas.exports import FULL_TRAINING
    from hwnas.study.progress import WINNERS

    known = progress.eta_s is not None and progress.unit_s is not None
    if not known or not (trains or progress.stage == WINNERS) or progress.ahead:
        return replace(progress, ahead=(*progress.ahead, _EXPORT))
    roles = min(_ROLES, progress.found.front_size) if progress.found else _ROLES
    export_s = roles * FULL_TRAINING * (progress.unit_s or 0.0)
    return replace(progress, eta_s=(progress.eta_s or 0.0) + export_s)


def _event(progress: SearchProgress) -> dict[str, Any]:
    """The progress for programs."""
    event: dict[str, Any] = {
        "stage": progress.stage,
        "done": progress.done,
        "total": progress.total,
        "eta_s": rounded(progress.eta_s),
        "ahead": list(progress.ahead),
    }
    if progress.found is not None:
        found = progress.found
        if found.taken_over:
            event["taken_over"] = found.taken_over
        if found.stopped:
            event |= {"stopped": found.stopped, "epochs_saved": found.epochs_saved}
        event |= {"front_size": found.front_size, "hypervolume": found.hypervolume, "best": dict(found.best)}
    return event


def _words(progress: SearchProgress) -> str:
    """A stage beside the trials."""
    return ", ".join(filter(None, [f"{progress.stage}: {progress.done}/{progress.total}", _left(progress)]))


def _left(progress: SearchProgress) -> str:
    """The time left, and what comes after it; nothing where nobody knows."""
    if progress.eta_s is None:
        return ""
    return ", then ".join([left(progress.eta_s), *filter(None, [" and ".join(progress.ahead)])])


def _line(progress: SearchProgress) -> dict[str, str]:
    """The trials, column by column."""
    found = progress.found
    best = {} if found is None else found.best
    return {
        "trials": f"{progress.done}/{progress.total}",
        **({"taken over": str(found.taken_over)} if found is not None and found.taken_over else {}),
        "front": "" if found is None else str(found.front_size),
        "hypervolume": "" if found is None else f"{found.hypervolume:.5g}",
        "best": ", ".join(f"{name} {value:.4g}" for name, value in best.items()),
        "stopped early": "" if found is None or not found.stopped else _stopped(found),
        "time": _left(progress),
    }


def _stopped(found: Found) -> str:
    return f"{found.stopped} ({found.epochs_saved} epochs saved)"


def _table(line: Mapping[str, str]) -> Any:
    from rich.table import Table

    table = Table(*line)
    table.add_row(*line.values())
    return table


@contextmanager
def export_progress(networks: Mapping[str, str]) -> Iterator[Callable[[str, ExportStep], None]]:
    """Shows how far exports are; gives what is to be called with the pick and each step of its export.

    Args:
        networks: What is to be exported, in this order: the pick, and the architecture's id. One that has several roles
            is trained once.
    """
    with stderr().status("exporting") if is_live() else nullcontext() as status:
        clock = _ExportClock(networks)

        def show(pick: str, step: ExportStep) -> None:
            fresh = clock.told(pick, step)
            eta_s = clock.left_s(step)
            if form.get() == "json":
                event = {"stage": _EXPORT, "done": clock.over, "total": len(networks), "eta_s": rounded(eta_s)}
                note({**event, "pick": pick, "step": step.name, "epoch": step.epoch, "epochs": step.epochs})
            elif status is not None:
                status.update(f"exporting {pick}: {step}{', ' if eta_s is not None else ''}{left(eta_s)}")
            elif fresh:
                say(f"exporting {pick}")

        yield show


class _ExportClock:
    """Times the two parts of an export: epochs of training, and what comes after them."""

    def __init__(self, networks: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        from hwnas.core import Pace

        self._networks, self._trained, self._pick = networks, set[str](), ""
        self._epochs, self._handing = Pace(clock=clock), Pace(clock=clock)
        self._in_training, self._epoch = False, 0
        self.over = 0

    def told(self, pick: str, step: ExportStep) -> bool:
        """Takes a step; whether it is the first one of a pick."""
        fresh = pick != self._pick
        if fresh and self._pick:
            self._handing.advanced()  # from the end of the training to here
        self._pick, self.over = pick, list(self._networks).index(pick)  # a role that was copied is over as well
        if step.name == "training":
            if self._in_training and step.epoch > 1:
                self._epochs.advanced(step.epoch - self._epoch)
            else:  # where a training begins: one that was cut off goes on
                self._epochs.paused()
            self._in_training, self._epoch = step.epoch > 0, step.epoch
        else:
            self._in_training = False
            self._trained.add(self._networks[pick])
        if step.name == "training" or fresh:
            self._handing.paused()
        return fresh

    def left_s(self, step: ExportStep) -> float | None:
        """Seconds left of all exports; ``None`` while nobody knows how long an epoch takes."""
        ahead = set(list(self._networks.values())[self.over :]) - self._trained
        epochs = len(ahead) * step.epochs - (step.epoch if self._networks[self._pick] in ahead else 0)
        training_s = self._epochs.left_s(epochs) if epochs else 0.0
        handing_s = self._handing.left_s(len(self._networks) - self.over) or 0.0
        return None if training_s is None else training_s + handing_s
