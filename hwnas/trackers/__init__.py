"""Searches as experiment trackers show them: TensorBoard, MLflow and Weights & Biases.

Contents:
    contract: what a tracker is, and what it is told.
    tracking: several trackers at once, none of which can stop a search.
    tensorboard: curves and text in event files.
    mlflow: a run with a child for each trial.
    wandb: a run that is kept offline.

The package that a tracker needs is imported when it is opened.
"""

from hwnas.trackers.contract import TrackedRun, TrackedTrial, Tracker
from hwnas.trackers.tracking import TRACKERS, Tracking, require_trackers

__all__ = ["TRACKERS", "TrackedRun", "TrackedTrial", "Tracker", "Tracking", "require_trackers"]
