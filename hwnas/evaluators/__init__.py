"""From an architecture to the values that cost something."""

from hwnas.evaluators.accel import ACCEL_DEVICES, ACCEL_FILE, AccelEvaluator, accel_evaluator
from hwnas.evaluators.ofa import LATENCY_FILE, PREDICTOR_FILE, OfaEvaluator, ofa_evaluator, ofa_space
from hwnas.evaluators.outcome import Outcome, outcome_of
from hwnas.evaluators.tabular import (
    MACRO_FILE,
    NASBENCH201_FILE,
    TabularEvaluator,
    macro_table,
    nasbench201_table,
    read_columns,
)
from hwnas.evaluators.trained import TrainedEvaluator, TrainedSource, training_seed

__all__ = [
    "ACCEL_DEVICES",
    "ACCEL_FILE",
    "LATENCY_FILE",
    "MACRO_FILE",
    "NASBENCH201_FILE",
    "PREDICTOR_FILE",
    "AccelEvaluator",
    "OfaEvaluator",
    "Outcome",
    "TabularEvaluator",
    "TrainedEvaluator",
    "TrainedSource",
    "accel_evaluator",
    "macro_table",
    "nasbench201_table",
    "ofa_evaluator",
    "ofa_space",
    "outcome_of",
    "read_columns",
    "training_seed",
]
