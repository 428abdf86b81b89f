"""The objectives there are, and what is known of them before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Objective, Predictor, unknown
from hwnas.networks import NetworkFamily, flops_m, params_m

ACCURACY = Objective(name="accuracy", unit="", direction="maximize", known="trained")

COSTS: Mapping[str, Objective] = {
    "latency": Objective(name="latency_ms", unit="ms", direction="minimize", known="tabulated"),
    "flops": Objective(name="flops_m", unit="M", direction="minimize", known="modelled"),
    "params": Objective(name="params_m", unit="M", direction="minimize", known="modelled"),
}


def objectives(targets: Sequence[str]) -> tuple[Objective, ...]:
    """Accuracy and the targets, in the order given and each once.

    Args:
        targets: Names of costs: ``latency``, ``flops``, ``params``.

    Raises:
        UsageError: No such target.
    """
    for name in targets:
        if name not in COSTS:
            raise unknown("target", name, COSTS)
    return (ACCURACY, *(COSTS[name] for name in dict.fromkeys(targets)))


@dataclass(frozen=True)
class KnownCosts:
    """Every cost that needs no training, for any number of architectures.

    Attributes:
        family: Says what an architecture's network is.
        latency: Says how long it takes.
    """

    family: NetworkFamily
    latency: Predictor

    def values(self, architectures: Sequence[Architecture]) -> dict[str, NDArray[np.float64]]:
        """Cost name (``latency_ms``, ``flops_m``, ``params_m``) to values of shape ``(n,)``.

        Raises:
            MissingRowError: The latency table lacks a block.
        """
        blocks = [self.family.blocks(architecture) for architecture in architectures]
        return {
            "latency_ms": self.latency.predict(architectures)[0],
            "flops_m": np.array([flops_m(network) for network in blocks], dtype=np.float64),
            "params_m": np.array([params_m(network) for network in blocks], dtype=np.float64),
        }
