"""Costs that are known before anything is trained, and how well they are known."""

from hwnas.predictors.bounds import Gate, gates
from hwnas.predictors.evaluation import Accuracy, Estimate, GroupAccuracy, accuracy, compare, fitted_line
from hwnas.predictors.fresh import chosen_networks, random_networks, signature
from hwnas.predictors.judging import Subject, judge
from hwnas.predictors.latency import Calibration, LatencyPredictor
from hwnas.predictors.verdict import About, Evaluation, read_evaluation, write_evaluation

__all__ = [
    "About",
    "Accuracy",
    "Calibration",
    "Estimate",
    "Evaluation",
    "Gate",
    "GroupAccuracy",
    "LatencyPredictor",
    "Subject",
    "accuracy",
    "chosen_networks",
    "compare",
    "fitted_line",
    "gates",
    "judge",
    "random_networks",
    "read_evaluation",
    "signature",
    "write_evaluation",
]
