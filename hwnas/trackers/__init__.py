"""Searches as experiment trackers show them: TensorBoard, MLflow and Weights & Biases.

Contents:
    contract: what a tracker is, and what it is told.
    tracking: several trackers at once, none of which can stop a search.
    tensorboard, mlflow, wandb: one tracker each; the package it needs is imported when it is opened.
"""

from hwnas.trackers.contract import TrackedRun, TrackedTrial, Tracker
from hwnas.trackers.tracking import TRACKERS, Tracking, require_trackers

__all__ = ["TRACKERS", "TrackedRun", "TrackedTrial", "Tracker", "Tracking", "require_trackers"]
