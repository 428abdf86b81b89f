"""The vocabulary everything else speaks: architectures, objectives, trials, interfaces and errors."""

from hwnas.core.architecture import Architecture, Value
from hwnas.core.data_folder import in_data_folder, named_data_folder
from hwnas.core.errors import (
    DataError,
    HwnasError,
    InfeasibleError,
    MachineError,
    RunMismatchError,
    StudyError,
    UsageError,
    VerificationError,
    differing,
    unknown,
)
from hwnas.core.objective import Objective
from hwnas.core.pace import Pace
from hwnas.core.protocols import (
    Evaluator,
    Finding,
    GradualEvaluator,
    LatencyMeter,
    Measurement,
    Predictor,
    Searcher,
    TellingEvaluator,
    TellingGradualEvaluator,
)
from hwnas.core.remarks import without_remarks
from hwnas.core.trial import Proposal, Trial, cost_matrix

__all__ = [
    "Architecture",
    "DataError",
    "Evaluator",
    "Finding",
    "GradualEvaluator",
    "HwnasError",
    "InfeasibleError",
    "LatencyMeter",
    "MachineError",
    "Measurement",
    "Objective",
    "Pace",
    "Predictor",
    "Proposal",
    "RunMismatchError",
    "Searcher",
    "StudyError",
    "TellingEvaluator",
    "TellingGradualEvaluator",
    "Trial",
    "UsageError",
    "Value",
    "VerificationError",
    "cost_matrix",
    "differing",
    "in_data_folder",
    "named_data_folder",
    "unknown",
    "without_remarks",
]
