"""Data and training."""

from hwnas.training.data import ImageData, Split, load_data
from hwnas.training.loop import Recipe, TrainingDivergedError, accuracy, logits, prepared, train

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
