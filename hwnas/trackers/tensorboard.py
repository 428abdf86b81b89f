"""TensorBoard: event files in ``tensorboard/`` of the run folder; needs ``pip install "hwnas[tensorboard]"``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwnas.trackers.contract import TrackedRun, TrackedTrial, Tracker


def open_tracker(run: TrackedRun) -> Tracker:
    """The tracker of a run.

    Raises:
        ImportError: TensorBoard is not installed.
        OSError: The folder cannot be written.
    """
    return TensorBoard(run)


class TensorBoard:
    """A curve for every figure, with the trial's number as its step; architectures and settings as text.

    Args:
        run: The search.
    """

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (an extra, and slow to import)

        self._writer = SummaryWriter(str(run.folder / "tensorboard"))
        self._writer.add_text("settings", _code(run.settings))

    def trial(self, trial: TrackedTrial) -> None:
        """Adds a point to each curve."""
        for name, value in trial.values.items():
            self._writer.add_scalar(f"trial/{name}", value, trial.number)
        for name, value in trial.search.items():
            self._writer.add_scalar(f"search/{name}", value, trial.number)
        about = {"id": trial.id, "outcome": trial.outcome, **trial.choices}
        self._writer.add_text("architecture", _code(about), trial.number)
        self._writer.flush()

    def winners(self, figures: Mapping[str, float], files: Sequence[Path]) -> None:
        """Adds the figures, and where the files are."""
        self._writer.add_text("winners", _code({**figures, "files": [str(file) for file in files]}))

    def close(self, *, finished: bool) -> None:
        """Closes the file of events."""
        self._writer.close()


def _code(values: Mapping[str, object]) -> str:
    """JSON as TensorBoard's Markdown shows it."""
    return "".join(f"    {line}\n" for line in json.dumps(dict(values), indent=2).splitlines())
