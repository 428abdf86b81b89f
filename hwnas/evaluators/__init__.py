"""From an architecture to the values that cost something."""

from hwnas.evaluators.accel import ACCEL_DEVICES, ACCEL_FILE, AccelEvaluator, accel_evaluator
from hwnas.evaluators.function import FunctionError, FunctionEvaluator
from hwnas.evaluators.ofa import LATENCY_FILE, PREDICTOR_FILE, OfaEvaluator, ofa_evaluator, ofa_space
from hwnas.evaluators.outcome import Outcome, outcome_of
from hwnas.evaluators.predicted import Judgement, Lessons, PredictorEvaluator, require_teaching
from hwnas.evaluators.proxy import DEFAULT_SCORES, ProxyEvaluator
from hwnas.evaluators.proxy_scores import SCORES
from hwnas.evaluators.sources import ESTIMATES, EVALUATORS, TRAININGS, EvaluatorSource, require_evaluator
from hwnas.evaluators.tabular import (
    MACRO_FILE,
    NASBENCH201_FILE,
    TabularEvaluator,
    macro_table,
    nasbench201_table,
    read_columns,
)
from hwnas.evaluators.trained import TrainedEvaluator, checkpoint_of, training_seed
from hwnas.evaluators.weight_sharing import FewShotEvaluator, SupernetEvaluator
from hwnas.evaluators.wrappers import Cached, Counted, Noisy

__all__ = [
    "ACCEL_DEVICES",
    "ACCEL_FILE",
    "DEFAULT_SCORES",
    "ESTIMATES",
    "EVALUATORS",
    "LATENCY_FILE",
    "MACRO_FILE",
    "NASBENCH201_FILE",
    "PREDICTOR_FILE",
    "SCORES",
    "TRAININGS",
    "AccelEvaluator",
    "Cached",
    "Counted",
    "EvaluatorSource",
    "FewShotEvaluator",
    "FunctionError",
    "FunctionEvaluator",
    "Judgement",
    "Lessons",
    "Noisy",
    "OfaEvaluator",
    "Outcome",
    "PredictorEvaluator",
    "ProxyEvaluator",
    "SupernetEvaluator",
    "TabularEvaluator",
    "TrainedEvaluator",
    "accel_evaluator",
    "checkpoint_of",
    "macro_table",
    "nasbench201_table",
    "ofa_evaluator",
    "ofa_space",
    "outcome_of",
    "read_columns",
    "require_evaluator",
    "require_teaching",
    "training_seed",
]
