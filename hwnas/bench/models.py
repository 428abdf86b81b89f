"""Problems whose values come from models: spaces too large for a table, whose best hypervolume is the best known.

The best known hypervolumes were found by ``benchmarks/search/best_known.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.bench.problem import BenchProblem, one_column
from hwnas.bench.tables import REFERENCE, SHIFT, standard_objectives
from hwnas.core import Architecture, Objective
from hwnas.evaluators import (
    ACCEL_FILE,
    LATENCY_FILE,
    PREDICTOR_FILE,
    AccelEvaluator,
    accel_evaluator,
    ofa_evaluator,
)
from hwnas.searchers import SearchProblem
from hwnas.spaces import ArchitectureCodes, Codes

Array = NDArray[np.float64]

_OFA_REFERENCE = (76.0, 60.0)  # percent, milliseconds: beyond all but the worst hundredth of random networks
_OFA_BEST = 336.87948
_ACCEL_BEST: Mapping[str, float] = {
    "zcu102": 18.647538,
    "vck190": 19.693426,
    "a100": 20.585809,
    "rtx3090": 20.507946,
    "tpuv2": 20.487701,
    "tpuv3": 19.988092,
}


def ofa() -> BenchProblem:
    """Predicted ImageNet accuracy (percent) and Note10 latency (milliseconds) of 10^20 once-for-all networks."""
    evaluator = ofa_evaluator()
    codes = ArchitectureCodes(evaluator.space)
    least, most_ms = _OFA_REFERENCE
    return BenchProblem(
        name="ofa",
        title="predicted ImageNet accuracy and Samsung Note10 latency of once-for-all networks",
        search=SearchProblem(
            space=evaluator.space,
            objectives=(
                Objective(name="accuracy", unit="%", direction="maximize", known="trained"),
                Objective(name="latency_ms", unit="ms", direction="minimize", known="tabulated"),
            ),
            reference=np.array([-least, most_ms]),
            known=one_column(lambda architectures: evaluator.latency_ms(codes.encode(architectures))),
        ),
        evaluator=evaluator,
        best=_OFA_BEST,
        best_is="best known",
        files=(PREDICTOR_FILE, LATENCY_FILE),
    )


@dataclass(frozen=True, kw_only=True)
class StandardisedModels:
    """Accuracy and latency on the scale of the networks in the table, as in the problems of NAS-Bench-201.

    Attributes:
        models: What is standardised.
        accuracy: Mean and deviation of the modelled accuracy over the networks that were trained, percent.
        latency_ms: The same of the latency, milliseconds.
    """

    models: AccelEvaluator
    accuracy: tuple[float, float]
    latency_ms: tuple[float, float]

    @classmethod
    def of(cls, models: AccelEvaluator) -> StandardisedModels:
        """On the scale of the networks the models were fitted to."""
        top1, latency_ms = (model.predict(models.trained) for model in (models.accuracy, models.latency))
        return cls(
            models=models,
            accuracy=(float(top1.mean()), float(top1.std())),
            latency_ms=(float(latency_ms.mean()), float(latency_ms.std())),
        )

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """Standardised values, and those they are of."""
        codes = ArchitectureCodes(self.models.space).encode([architecture])
        found = self.models.evaluate(architecture)
        return {
            "accuracy": float(self.scaled_accuracy(codes)[0]),
            "latency": float(self.scaled_latency(codes)[0]),
            "val_top1": found["accuracy"],
            "latency_ms": found["latency_ms"],
        }

    def scaled_accuracy(self, codes: Codes) -> Array:
        """Standardised accuracy less 2, shape ``(n,)``, of codes of shape ``(n, c)``."""
        mean, deviation = self.accuracy
        return (self.models.accuracy.predict(codes) - mean) / deviation - SHIFT

    def scaled_latency(self, codes: Codes) -> Array:
        """Standardised latency plus 2, shape ``(n,)``, of codes of shape ``(n, c)``."""
        mean, deviation = self.latency_ms
        return (self.models.latency.predict(codes) - mean) / deviation + SHIFT


def accel(device: str) -> BenchProblem:
    """Modelled ImageNet accuracy and latency on an accelerator, standardised over the networks that were trained.

    Args:
        device: One of ``hwnas.evaluators.ACCEL_DEVICES``.

    Raises:
        UsageError: No such device.
    """
    models = accel_evaluator(device)
    scaled, codes = StandardisedModels.of(models), ArchitectureCodes(models.space)
    return BenchProblem(
        name=f"accel:{device}",
        title=f"ImageNet accuracy and latency on {device}, models of Accel-NASBench",
        search=SearchProblem(
            space=models.space,
            objectives=standard_objectives("latency"),
            reference=REFERENCE,
            known=one_column(lambda architectures: scaled.scaled_latency(codes.encode(architectures))),
        ),
        evaluator=scaled,
        best=_ACCEL_BEST[device],
        best_is="best known",
        files=(ACCEL_FILE,),
    )
