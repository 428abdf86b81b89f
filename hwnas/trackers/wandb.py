"""Weights & Biases, offline: files in ``wandb/`` of the run folder; needs ``pip install "hwnas[wandb]"``.

``wandb sync`` uploads them. ``WANDB_MODE=online`` does so at once, and ``WANDB_PROJECT`` names another project than
``hwnas``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwnas.trackers.contract import TrackedRun, TrackedTrial, Tracker


def open_tracker(run: TrackedRun) -> Tracker:
    """The tracker of a run.

    Raises:
        ImportError: The package is not installed.
        Exception: Whatever it raises where it cannot write.
    """
    return WeightsAndBiases(run)


class WeightsAndBiases:
    """The search as a run, with the trial's number as the step of every figure.

    Args:
        run: The search.
    """

    def __init__(self, run: TrackedRun) -> None:
        import wandb  # noqa: PLC0415  (an extra, and slow to import)

        self._folder = run.folder
        library: Any = wandb  # whose types differ from release to release
        self._run = library.init(
            project=os.environ.get("WANDB_PROJECT", "hwnas"),
            dir=str(run.folder),
            mode=os.environ.get("WANDB_MODE", "offline"),
            id=run.id,
            name=run.name,
            resume="allow",
            config=dict(run.settings),
            reinit="create_new",
            settings=library.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )
        self._run.define_metric("trial")
        self._run.define_metric("*", step_metric="trial")

    def trial(self, trial: TrackedTrial) -> None:
        """Adds a row: figures, and choices under ``choice/``."""
        choices = {f"choice/{name}": value for name, value in trial.choices.items()}
        about = {"trial": trial.number, "architecture": trial.id, "outcome": trial.outcome}
        self._run.log({**about, **trial.values, **{f"search/{k}": v for k, v in trial.search.items()}, **choices})

    def winners(self, figures: Mapping[str, float], files: Sequence[Path]) -> None:
        """Puts the figures into the summary, and keeps the files."""
        for name, value in figures.items():
            self._run.summary[name] = value
        for file in files:
            self._run.save(str(file), base_path=str(self._folder), policy="now")

    def close(self, *, finished: bool) -> None:
        """Ends the run."""
        self._run.finish(exit_code=0 if finished else 1)
