"""The objectives there are, and what is known of them before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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


def latency_on(device: str) -> Objective:
    """The latency on a device other than that of the run's table; its name is ``latency_ms@DEVICE``."""
    return replace(COSTS["latency"], name=f"{COSTS['latency'].name}@{device}")


@dataclass(frozen=True)
class KnownCosts:
    """Every cost that needs no training, for any number of architectures.

    Attributes:
        family: Says what an architecture's network is.
        latency: Says how long it takes.
        energy: Says what energy it takes; ``None`` where the table does not tell.
        elsewhere: Says how long it takes on other devices, by their names.
    """

    family: NetworkFamily
    latency: Predictor
    energy: Predictor | None = None
    elsewhere: Mapping[str, Predictor] = field(default_factory=dict)

    def values(self, architectures: Sequence[Architecture]) -> dict[str, NDArray[np.float64]]:
        """Costs by name, each of shape ``(n,)``.

        Returns:
            ``latency_ms`` in milliseconds, ``macs_m``, ``flops_m`` and ``params_m`` in millions, ``weights_mib``,
            ``activations_mib`` and their sum ``memory_mib`` in MiB, and where they are known ``energy_mj`` in
            millijoules and ``latency_ms@DEVICE``.

        Raises:
            MissingRowError: The latency table lacks a block.
            UsageError: An architecture is none of the space.
        """
        found = {"latency_ms": self.latency.predict(architectures)[0]}
        if self.energy is not None:
            found["energy_mj"] = self.energy.predict(architectures)[0]
        found |= {latency_on(name).name: one.predict(architectures)[0] for name, one in self.elsewhere.items()}
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
