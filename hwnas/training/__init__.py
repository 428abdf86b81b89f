"""Data and training."""

from hwnas.training.arrays import Split
from hwnas.training.averaging import WeightAverage, recalibrate
from hwnas.training.checkpoints import CheckpointError, TrainingState, read_checkpoint, write_checkpoint
from hwnas.training.course import Course, Epoch, course_in, without_course
from hwnas.training.data import ImageData, require_classification
from hwnas.training.devices import device_of
from hwnas.training.judging import HeldImages, accuracy, judged, logits, prepared
from hwnas.training.loop import train, train_to
from hwnas.training.losses import Teacher, require_teacher
from hwnas.training.presets import PRESETS, preset, preset_name
from hwnas.training.recipe import TRAINING_DEVICES, Recipe
from hwnas.training.sources import load_data
from hwnas.training.stepping import TrainingDivergedError
from hwnas.training.tasks import CLASSIFICATION, Classification, Task
from hwnas.training.training import Training

__all__ = [
    "CLASSIFICATION",
    "PRESETS",
    "TRAINING_DEVICES",
    "CheckpointError",
    "Classification",
    "Course",
    "Epoch",
    "HeldImages",
    "ImageData",
    "Recipe",
    "Split",
    "Task",
    "Teacher",
    "Training",
    "TrainingDivergedError",
    "TrainingState",
    "WeightAverage",
    "accuracy",
    "course_in",
    "device_of",
    "judged",
    "load_data",
    "logits",
    "prepared",
    "preset",
    "preset_name",
    "read_checkpoint",
    "recalibrate",
    "require_classification",
    "require_teacher",
    "train",
    "train_to",
    "without_course",
    "write_checkpoint",
]
