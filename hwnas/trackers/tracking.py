"""Several trackers of one search at once; none of them can stop it."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hwnas.core import MachineError, Trial, unknown
from hwnas.study import Run, SearchProgress, open_run
from hwnas.study.progress import Found
from hwnas.trackers.contract import TrackedRun, TrackedTrial, Tracker
from latency_tables import write_atomically

TRACKERS = ("tensorboard", "mlflow", "wandb")  # modules of this room, packages and extras are called alike


def require_trackers(names: Sequence[str]) -> tuple[str, ...]:
    """Checks names of trackers, and that what they need is installed.

    Returns:
        The names, each once.

    Raises:
        UsageError: No such tracker.
        MachineError: Its package is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise unknown("tracker", name, TRACKERS)
        if find_spec(name) is None:
            raise MachineError(f'the tracker {name} is not installed: pip install "hwnas[{name}]"')
    return tuple(dict.fromkeys(names))


class Tracking:
    """Tells trackers of a search: to be called with its progress, and with its winners in the end.

    A tracker that raises anything is said so of once, and left out from then on.

    Args:
        names: As of ``require_trackers``; none does nothing.
        folder: The run folder, which is there when the first progress is told.
        say: Where failures of trackers go.
    """

    def __init__(self, names: Sequence[str], *, folder: Path, say: Callable[[str], None]) -> None:
        self._names, self._folder, self._say = tuple(names), folder, say
        self._open: dict[str, Tracker] | None = None

    def __call__(self, progress: SearchProgress) -> None:
        """Tells of the trial that just ended, if one did."""
        found = progress.found
        if found is not None and found.trial is not None:
            told = tracked(found.trial, found)
            self._each(lambda tracker: tracker.trial(told))

    def winners(self, run: Run, cards: Mapping[str, Mapping[str, Any] | None], files: Sequence[Path]) -> None:
        """Tells what the search led to, and closes the trackers.

        Args:
            run: The run.
            cards: The card of each winner by its role; ``None`` for one that was not exported.
            files: Further files to keep; those that are not there are left out.
        """
        figures = winner_figures(cards)
        models = [run.folder / "models" / f"{role}.onnx" for role, card in cards.items() if card is not None]
        kept = [file for file in [*files, *models] if file.is_file()]
        self._each(lambda tracker: tracker.winners(figures, kept))
        self.close(finished=True)

    def close(self, *, finished: bool = False) -> None:
        """Closes the trackers; they are told nothing more."""
        if self._open:
            self._each(lambda tracker: tracker.close(finished=finished))
        self._open = {}

    def _each(self, tell: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._opened().items()):
            try:
                tell(tracker)
            except Exception as error:  # whatever a library of others raises
                self._lose(name, error)

    def _opened(self) -> dict[str, Tracker]:
        """The trackers that work, opened when there is something to tell them."""
        if self._open is None:
            self._open = {}
            for name in self._names:
                try:
                    opened = import_module(f"hwnas.trackers.{name}").open_tracker(_tracked_run(self._folder))
                    self._open[name] = opened
                except Exception as error:  # likewise
                    self._lose(name, error)
        return self._open

    def _lose(self, name: str, error: Exception) -> None:
        if self._open is not None:
            self._open.pop(name, None)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        self._say(f"The tracker {name} failed and is left out from here on; the search goes on. {reason}")


def tracked(trial: Trial, found: Found) -> TrackedTrial:
    """A trial as trackers are told of it.

    Args:
        trial: It.
        found: How the search stood after it.
    """
    values = {name: float(value) for name, value in trial.values.items() if math.isfinite(value)}
    return TrackedTrial(
        number=trial.number,
        id=trial.architecture.id,
        outcome="failed" if trial.failed is not None else "stopped" if trial.stopped is not None else "finished",
        choices=dict(trial.architecture),
        values=values,
        search={"hypervolume": found.hypervolume, "front_size": float(found.front_size)},
    )


def winner_figures(cards: Mapping[str, Mapping[str, Any] | None]) -> dict[str, float]:
    """What was found out about the winners, as numbers by ``role/what``."""
    figures: dict[str, float] = {}
    for role, card in cards.items():
        if card is None:
            continue
        held = {f"accuracy/{part}": value for part, value in card["accuracy"].items()}
        held |= {name: card["latency"].get(name) for name in ("predicted_ms", "measured_ms")}
        held |= {"trial": card["trial"], "passed": float(card["passed"])}
        figures |= {f"{role}/{name}": float(value) for name, value in held.items() if value is not None}
    return figures


def _tracked_run(folder: Path) -> TrackedRun:
    run = open_run(folder)
    settings = run.settings.to_json()
    flat = {name: str(value) for name, value in settings.items() if name != "recipe"}
    flat |= {f"recipe.{name}": str(value) for name, value in settings["recipe"].items()}
    kept = folder / "tracked.json"
    if not kept.exists():
        write_atomically(kept, json.dumps({"id": secrets.token_hex(8)}) + "\n")
    known = str(json.loads(kept.read_text(encoding="utf-8"))["id"])
    return TrackedRun(name=folder.resolve().name, folder=folder, id=known, settings=flat)
