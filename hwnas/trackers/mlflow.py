"""MLflow: a run with a child for each trial; needs ``pip install "hwnas[mlflow]"``.

It goes where ``MLFLOW_TRACKING_URI`` says, else into ``mlflow.db`` of the run folder; the experiment is the one that
``MLFLOW_EXPERIMENT_NAME`` names, else ``hwnas``.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwnas.core import without_remarks
from hwnas.trackers.contract import TrackedRun, TrackedTrial, Tracker

_ID = "hwnas.run"  # tag by which a run that goes on is found again
_REFUSED = re.compile(r"[^\w\-. :/]", re.ASCII)  # in names, by MLflow


def open_tracker(run: TrackedRun) -> Tracker:
    """The tracker of a run.

    Raises:
        ImportError: MLflow is not installed.
        Exception: Whatever MLflow raises where it cannot write.
    """
    with without_remarks(logging.INFO):
        return Mlflow(run)


class Mlflow:
    """The search as a run: its figures as metrics with the trial's number as their step, each trial as a child.

    Args:
        run: The search.
    """

    def __init__(self, run: TrackedRun) -> None:
        from mlflow.tracking import MlflowClient  # noqa: PLC0415  (an extra, and slow to import)

        folder = run.folder.resolve()
        where = os.environ.get("MLFLOW_TRACKING_URI")
        self._client: Any = MlflowClient(tracking_uri=where or f"sqlite:///{folder / 'mlflow.db'}")
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "hwnas")
        found = self._client.get_experiment_by_name(name)
        files = None if where else (folder / "mlflow-files").as_uri()
        self._experiment = found.experiment_id if found else self._client.create_experiment(name, files)
        self._run = self._begun(run)

    def trial(self, trial: TrackedTrial) -> None:
        """Adds a child with the architecture as its parameters."""
        tags = {"mlflow.parentRunId": self._run, "hwnas.architecture": trial.id, "hwnas.outcome": trial.outcome}
        with without_remarks(logging.INFO):
            child = self._client.create_run(self._experiment, tags=tags, run_name=f"trial-{trial.number}").info.run_id
            self._log(child, trial.values, trial.number, about=trial.choices)
            self._client.set_terminated(child, "FAILED" if trial.outcome == "failed" else "FINISHED")
            self._log(self._run, {**trial.values, **trial.search}, trial.number)

    def winners(self, figures: Mapping[str, float], files: Sequence[Path]) -> None:
        """Adds the figures, and the files as artifacts."""
        with without_remarks(logging.INFO):
            self._log(self._run, figures, 0)
            for file in files:
                self._client.log_artifact(self._run, str(file))

    def close(self, *, finished: bool) -> None:
        """Ends the run."""
        with without_remarks(logging.INFO):
            self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")

    def _begun(self, run: TrackedRun) -> str:
        """The run as MLflow knows it, from before where the search goes on."""
        held = self._client.search_runs([self._experiment], filter_string=f"tags.`{_ID}` = '{run.id}'", max_results=1)
        if held:
            known: str = held[0].info.run_id
            self._client.update_run(known, status="RUNNING")
            return known
        made: str = self._client.create_run(self._experiment, tags={_ID: run.id}, run_name=run.name).info.run_id
        self._log(made, {}, 0, about=run.settings)
        return made

    def _log(
        self, run: str, figures: Mapping[str, float], step: int, *, about: Mapping[str, Any] | None = None
    ) -> None:
        from mlflow.entities import Metric, Param  # noqa: PLC0415  (an extra)

        now = int(1000 * time.time())
        metrics = [Metric(_accepted(name), value, now, step) for name, value in figures.items()]
        params = [Param(_accepted(name), str(value)) for name, value in (about or {}).items()]
        self._client.log_batch(run, metrics=metrics, params=params)


def _accepted(name: str) -> str:
    """A name as MLflow takes it, ``latency_ms/jetson`` of ``latency_ms@jetson``."""
    return _REFUSED.sub("_", name.replace("@", "/"))
