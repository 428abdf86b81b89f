"""The study: ask, run, tell, on a record that survives whatever happens."""

from hwnas.study.devices import Devices, open_devices
from hwnas.study.evaluating import EvaluationPlan, plan_evaluation
from hwnas.study.folders import open_run
from hwnas.study.previewing import preview
from hwnas.study.problem import problem_of
from hwnas.study.progress import Found, SearchProgress
from hwnas.study.run import PICKS, Run
from hwnas.study.searching import DEFAULT_TRIALS, search
from hwnas.study.settings import RunSettings

__all__ = [
    "DEFAULT_TRIALS",
    "PICKS",
    "Devices",
    "EvaluationPlan",
    "Found",
    "Run",
    "RunSettings",
    "SearchProgress",
    "open_devices",
    "open_run",
    "plan_evaluation",
    "preview",
    "problem_of",
    "search",
]
