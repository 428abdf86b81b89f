"""What a search by predictions learns from: the trials of an earlier run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from hwnas.core import UsageError
from hwnas.evaluators import Lessons, require_teaching
from hwnas.study.folders import open_run
from hwnas.study.settings import RunSettings
from hwnas.training import Recipe

PREDICTOR = "predictor"


def require_lessons(evaluator: str, learn_from: str | Path | None) -> None:
    """Checks that predictions, and nothing else, come with a run to learn from.

    Raises:
        UsageError: One is there without the other.
    """
    if evaluator == PREDICTOR and learn_from is None:
        raise UsageError(
            "the evaluator predictor learns from the trials of an earlier run: name its folder with --learn-from"
        )
    if evaluator != PREDICTOR and learn_from is not None:
        raise UsageError(
            f"--learn-from is for --evaluator predictor; the evaluator {evaluator} does not learn from trials"
        )


def lessons(evaluator: str, learn_from: str | Path | None, *, space: str, data_sha256: str, recipe: Recipe) -> Lessons:
    """The trials that a search by predictions learns from; none for other evaluators.

    Args:
        evaluator: Of the search.
        learn_from: Folder of the earlier run.
        space: Name of the space that is searched.
        data_sha256: Hash of the data.
        recipe: By which winners will be trained, and the trials have to have been.

    Returns:
        Of those that were trained to their end the architectures, and what they came to.

    Raises:
        UsageError: As ``require_lessons``; or the run is of another space, other data or another recipe, did not train
            its candidates, or has too little to teach.
        StudyError: The run is damaged.
        MachineError: Its record cannot be read.
    """
    require_lessons(evaluator, learn_from)
    if learn_from is None:
        return ()
    run = open_run(learn_from)
    try:
        trials = run.trials()
    finally:
        run.record.close()
    _require_alike(run.settings, folder=run.folder, space=space, data_sha256=data_sha256, recipe=recipe)
    architectures, accuracies = require_teaching(trials)
    return tuple(zip(architectures, accuracies.tolist(), strict=True))


def lessons_sha256(learned: Lessons) -> str:
    """Hash of what is learned from; empty for nothing."""
    told = sorted((architecture.id, accuracy) for architecture, accuracy in learned)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest() if told else ""


def _require_alike(settings: RunSettings, *, folder: Path, space: str, data_sha256: str, recipe: Recipe) -> None:
    same = {
        "--space": (settings.space, space),
        "the data (SHA-256)": (settings.data_sha256, data_sha256),
        "the recipe": (settings.recipe.how(), recipe.how()),
        "--precision of the earlier run": (",".join(settings.precisions), "fp32"),
        "--evaluator of the earlier run": (settings.evaluator, "trained"),
    }
    for name, (there, here) in same.items():
        if there != here:
            raise UsageError(
                f"cannot learn from {folder}: {name}: expected {_told(here, there)}, received {_told(there, here)}"
            )


def _told(value: object, other: object) -> object:
    """A setting; of a recipe only what differs."""
    if isinstance(value, dict) and isinstance(other, dict):
        return ", ".join(f"{key} {value[key]}" for key in value if value[key] != other[key])
    return value
