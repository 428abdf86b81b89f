"""The objectives there are, and what is known of them before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Objective, Predictor, UsageError, unknown
from hwnas.networks import NetworkCosts, NetworkFamily
from hwnas.spaces import ArchitectureCodes

ACCURACY = Objective(name="accuracy", unit="", direction="maximize", known="trained")

COSTS: Mapping[str, Objective] = {
    "latency": Objective(name="latency_ms", unit="ms", direction="minimize", known="tabulated"),
    "flops": Objective(name="flops_m", unit="M", direction="minimize", known="modelled"),
    "macs": Objective(name="macs_m", unit="M", direction="minimize", known="modelled"),
    "params": Objective(name="params_m", unit="M", direction="minimize", known="modelled"),
    "memory": Objective(name="memory_mib", unit="MiB", direction="minimize", known="modelled"),
    "energy": Objective(name="energy_mj", unit="mJ", direction="minimize", known="tabulated"),
}


def objectives(targets: Sequence[str]) -> tuple[Objective, ...]:
    """Accuracy and the targets, in the order given and each once.

    Args:
        targets: Names of costs, those of ``COSTS``.

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
        energy: Says what energy it takes; ``None`` where the table does not tell.
    """

    family: NetworkFamily
    latency: Predictor
    energy: Predictor | None = None

    def values(self, architectures: Sequence[Architecture]) -> dict[str, NDArray[np.float64]]:
        """Costs by name, each of shape ``(n,)``.

        Returns:
            ``latency_ms`` in milliseconds, ``macs_m``, ``flops_m`` and ``params_m`` in millions, ``weights_mib``,
            ``activations_mib`` and their sum ``memory_mib`` in MiB, and where it is known ``energy_mj`` in millijoules.

        Raises:
            MissingRowError: The latency table lacks a block.
            UsageError: An architecture is none of the space.
        """
        found = {"latency_ms": self.latency.predict(architectures)[0]}
        if self.energy is not None:
            found["energy_mj"] = self.energy.predict(architectures)[0]
        return found | self._by_definition.values(ArchitectureCodes(self.family.space).encode(architectures))

    def require_known(self, names: Iterable[str]) -> None:
        """Checks that some costs are known.

        Args:
            names: Of costs, such as ``"energy_mj"``.

        Raises:
            UsageError: The energy is asked for and the table does not tell it.
        """
        if self.energy is None and COSTS["energy"].name in names:
            raise UsageError(
                "the latency table holds the energy of too few networks to predict it: make a table with "
                "`hwnas profile --energy` on a device that can tell its energy (`hwnas doctor` says which can)"
            )

    @cached_property
    def _by_definition(self) -> NetworkCosts:
        return NetworkCosts(self.family)
