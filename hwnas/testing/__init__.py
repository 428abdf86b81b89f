"""What searchers and evaluators must do, as tests: subclass a suite in your own tests and say how to make yours.

Every test is a plain method that raises ``AssertionError``; pytest collects them, and nothing else is needed to run
them.
"""

from hwnas.testing.evaluators import EvaluatorConformance
from hwnas.testing.searchers import (
    ACCURACY,
    CATEGORICAL,
    COST,
    SPACE,
    InnerConformance,
    SearcherConformance,
    accuracy_of,
    evaluated,
    made_up_problem,
    size_cost,
)

__all__ = [
    "ACCURACY",
    "CATEGORICAL",
    "COST",
    "SPACE",
    "EvaluatorConformance",
    "InnerConformance",
    "SearcherConformance",
    "accuracy_of",
    "evaluated",
    "made_up_problem",
    "size_cost",
]
