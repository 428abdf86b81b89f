"""From an architecture to the values that cost something."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwnas.evaluators.accel import ACCEL_DEVICES, ACCEL_FILE, AccelEvaluator, accel_evaluator
    from hwnas.evaluators.function import FunctionError, FunctionEvaluator
    from hwnas.evaluators.inheritance import InheritanceStore, Kept
    from hwnas.evaluators.inherited import InheritedEvaluator
    from hwnas.evaluators.mixed import MixedEvaluator
    from hwnas.evaluators.ofa import LATENCY_FILE, PREDICTOR_FILE, OfaEvaluator, ofa_evaluator, ofa_space
    from hwnas.evaluators.outcome import COURSE, PARENT, Outcome, outcome_of
    from hwnas.evaluators.predicted import Judgement, Lessons, PredictorEvaluator, require_teaching
    from hwnas.evaluators.proxy import DEFAULT_SCORES, PlacedProxy, ProxyEvaluator
    from hwnas.evaluators.proxy_scores import SCORES
    from hwnas.evaluators.sources import (
        ESTIMATES,
        EVALUATORS,
        SHARING,
        TRAININGS,
        WEIGHTS,
        EvaluatorSource,
        require_evaluator,
        require_judge,
    )
    from hwnas.evaluators.tabular import (
        MACRO_FILE,
        NASBENCH201_FILE,
        TabularEvaluator,
        macro_table,
        nasbench201_table,
        published_accuracies,
        read_columns,
    )
    from hwnas.evaluators.trained import TrainedEvaluator, checkpoint_of, training_seed
    from hwnas.evaluators.weight_sharing import FewShotEvaluator, SupernetEvaluator
    from hwnas.evaluators.wrappers import Cached, Counted, Noisy

# name -> module; imported on first use, so that a worker that evaluates without torch begins without torch
_MODULES = {
    "ACCEL_DEVICES": "accel",
    "ACCEL_FILE": "accel",
    "COURSE": "outcome",
    "DEFAULT_SCORES": "proxy",
    "ESTIMATES": "sources",
    "EVALUATORS": "sources",
    "LATENCY_FILE": "ofa",
    "MACRO_FILE": "tabular",
    "NASBENCH201_FILE": "tabular",
    "PARENT": "outcome",
    "PREDICTOR_FILE": "ofa",
    "SCORES": "proxy_scores",
    "SHARING": "sources",
    "TRAININGS": "sources",
    "WEIGHTS": "sources",
    "AccelEvaluator": "accel",
    "Cached": "wrappers",
    "Counted": "wrappers",
    "EvaluatorSource": "sources",
    "FewShotEvaluator": "weight_sharing",
    "FunctionError": "function",
    "FunctionEvaluator": "function",
    "InheritanceStore": "inheritance",
    "InheritedEvaluator": "inherited",
    "Judgement": "predicted",
    "Kept": "inheritance",
    "Lessons": "predicted",
    "MixedEvaluator": "mixed",
    "Noisy": "wrappers",
    "OfaEvaluator": "ofa",
    "Outcome": "outcome",
    "PlacedProxy": "proxy",
    "PredictorEvaluator": "predicted",
    "ProxyEvaluator": "proxy",
    "SupernetEvaluator": "weight_sharing",
    "TabularEvaluator": "tabular",
    "TrainedEvaluator": "trained",
    "accel_evaluator": "accel",
    "checkpoint_of": "trained",
    "macro_table": "tabular",
    "nasbench201_table": "tabular",
    "ofa_evaluator": "ofa",
    "ofa_space": "ofa",
    "outcome_of": "outcome",
    "published_accuracies": "tabular",
    "read_columns": "tabular",
    "require_evaluator": "sources",
    "require_judge": "sources",
    "require_teaching": "predicted",
    "training_seed": "trained",
}

__all__ = [
    "ACCEL_DEVICES",
    "ACCEL_FILE",
    "COURSE",
    "DEFAULT_SCORES",
    "ESTIMATES",
    "EVALUATORS",
    "LATENCY_FILE",
    "MACRO_FILE",
    "NASBENCH201_FILE",
    "PARENT",
    "PREDICTOR_FILE",
    "SCORES",
    "SHARING",
    "TRAININGS",
    "WEIGHTS",
    "AccelEvaluator",
    "Cached",
    "Counted",
    "EvaluatorSource",
    "FewShotEvaluator",
    "FunctionError",
    "FunctionEvaluator",
    "InheritanceStore",
    "InheritedEvaluator",
    "Judgement",
    "Kept",
    "Lessons",
    "MixedEvaluator",
    "Noisy",
    "OfaEvaluator",
    "Outcome",
    "PlacedProxy",
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
    "published_accuracies",
    "read_columns",
    "require_evaluator",
    "require_judge",
    "require_teaching",
    "training_seed",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
