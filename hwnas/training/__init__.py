"""Data and training."""

from hwnas.training.data import ImageData, Split
from hwnas.training.loop import Recipe, TrainingDivergedError, accuracy, logits, prepared, train
from hwnas.training.sources import load_data

__all__ = [
    "ImageData",
    "Recipe",
    "Split",
    "TrainingDivergedError",
    "accuracy",
    "load_data",
    "logits",
    "prepared",
    "train",
]
