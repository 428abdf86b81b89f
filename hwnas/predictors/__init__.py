"""Costs that are known before anything is trained."""

from hwnas.predictors.breakdown import Part, Prediction, explain
from hwnas.predictors.calibration import Calibration
from hwnas.predictors.latency import EnergyPredictor, LatencyPredictor, Networks, row_spread
from hwnas.predictors.measured import SURE, MeasuredOrPredicted, Optimistic
from hwnas.predictors.rows import MISSING, Estimate, Missing, RowEstimates, require_policy

__all__ = [
    "MISSING",
    "SURE",
    "Calibration",
    "EnergyPredictor",
    "Estimate",
    "LatencyPredictor",
    "MeasuredOrPredicted",
    "Missing",
    "Networks",
    "Optimistic",
    "Part",
    "Prediction",
    "RowEstimates",
    "explain",
    "require_policy",
    "row_spread",
]
