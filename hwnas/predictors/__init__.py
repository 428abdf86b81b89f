"""Costs that are known before anything is trained, and how well they are known."""

from hwnas.predictors.bounds import Gate, gates
from hwnas.predictors.breakdown import Part, Prediction, explain
from hwnas.predictors.calibration import Calibration
from hwnas.predictors.counts import KernelCounts
from hwnas.predictors.evaluation import Accuracy, Estimate, GroupAccuracy, accuracy, compare, fitted_line
from hwnas.predictors.fresh import chosen_networks, random_networks, signature
from hwnas.predictors.judging import Subject, judge
from hwnas.predictors.latency import EnergyPredictor, LatencyPredictor, Networks, row_spread
from hwnas.predictors.measured import SURE, MeasuredOrPredicted, Optimistic
from hwnas.predictors.rows import MISSING, Missing, PartCost, RowEstimates, require_policy
from hwnas.predictors.verdict import About, Evaluation, read_evaluation, write_evaluation

__all__ = [
    "MISSING",
    "SURE",
    "About",
    "Accuracy",
    "Calibration",
    "EnergyPredictor",
    "Estimate",
    "Evaluation",
    "Gate",
    "GroupAccuracy",
    "KernelCounts",
    "LatencyPredictor",
    "MeasuredOrPredicted",
    "Missing",
    "Networks",
    "Optimistic",
    "Part",
    "PartCost",
    "Prediction",
    "RowEstimates",
    "Subject",
    "accuracy",
    "chosen_networks",
    "compare",
    "explain",
    "fitted_line",
    "gates",
    "judge",
    "random_networks",
    "read_evaluation",
    "require_policy",
    "row_spread",
    "signature",
    "write_evaluation",
]
