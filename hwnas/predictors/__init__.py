"""Costs that are known before anything is trained, and how well they are known."""

from hwnas.predictors.adaptation import AdaptedDevice, DevicePrior, left_out
from hwnas.predictors.adaptation_files import read_architectures, read_measured, template, write_predicted
from hwnas.predictors.adapted import AdaptedPredictor
from hwnas.predictors.bounds import Gate, gates
from hwnas.predictors.breakdown import Part, Prediction, explain
from hwnas.predictors.calibration import Calibration
from hwnas.predictors.counts import KernelCounts
from hwnas.predictors.devices import REFERENCES, NamedDevice, device_name, needs_pool, open_device_named
from hwnas.predictors.evaluation import Accuracy, Estimate, GroupAccuracy, accuracy, compare, fitted_line
from hwnas.predictors.fresh import chosen_networks, random_networks, signature
from hwnas.predictors.judging import Subject, judge
from hwnas.predictors.latency import EnergyPredictor, LatencyPredictor, Networks, row_spread
from hwnas.predictors.measured import SURE, Corrected, MeasuredOrPredicted
from hwnas.predictors.mixed import ByPrecision, LatencyPredictors
from hwnas.predictors.pools import LatencyPool, cleaned, device_model, read_latencies, read_pool
from hwnas.predictors.rows import MISSING, Missing, PartCost, RowEstimates, require_policy
from hwnas.predictors.verdict import About, Evaluation, read_evaluation, write_evaluation

__all__ = [
    "MISSING",
    "REFERENCES",
    "SURE",
    "About",
    "Accuracy",
    "AdaptedDevice",
    "AdaptedPredictor",
    "ByPrecision",
    "Calibration",
    "Corrected",
    "DevicePrior",
    "EnergyPredictor",
    "Estimate",
    "Evaluation",
    "Gate",
    "GroupAccuracy",
    "KernelCounts",
    "LatencyPool",
    "LatencyPredictor",
    "LatencyPredictors",
    "MeasuredOrPredicted",
    "Missing",
    "NamedDevice",
    "Networks",
    "Part",
    "PartCost",
    "Prediction",
    "RowEstimates",
    "Subject",
    "accuracy",
    "chosen_networks",
    "cleaned",
    "compare",
    "device_model",
    "device_name",
    "explain",
    "fitted_line",
    "gates",
    "judge",
    "left_out",
    "needs_pool",
    "open_device_named",
    "random_networks",
    "read_architectures",
    "read_evaluation",
    "read_latencies",
    "read_measured",
    "read_pool",
    "require_policy",
    "row_spread",
    "signature",
    "template",
    "write_evaluation",
    "write_predicted",
]
