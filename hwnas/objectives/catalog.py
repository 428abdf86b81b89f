"""The objectives there are, and what is known of them before anything is trained."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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


_LATENCY = COSTS["latency"]
AT = "@"  # between a cost and the device that it is of, where that is not the device of the run's table


def objectives(targets: Sequence[str]) -> tuple[Objective, ...]:
    """Accuracy and the targets, in the order given and each once.

    Args:
        targets: Names of costs, those of ``COSTS``, and ``latency@DEVICE`` for the latency on another device.

    Raises:
        UsageError: No such target.
    """
    return (ACCURACY, *map(_target, dict.fromkeys(targets)))


def _target(name: str) -> Objective:
    cost, at, device = name.partition(AT)
    if name in COSTS:
        return COSTS[name]
    if at and device and COSTS.get(cost) is _LATENCY:
        return latency_on(device)
    raise unknown("target", name, (*COSTS, f"latency{AT}DEVICE"))


def latency_on(device: str) -> Objective:
    """The latency on a device other than that of the run's table; its name is ``latency_ms@DEVICE``."""
    return replace(_LATENCY, name=f"{_LATENCY.name}{AT}{device}")


def is_latency(cost: str) -> bool:
    """Whether a cost is the latency, on whatever device."""
    return cost == _LATENCY.name or device_of_cost(cost) is not None


def device_of_cost(name: str) -> str | None:
    """The device in the name of a cost; ``None`` for one on the device of the run's table, or on none."""
    cost, _, device = name.partition(AT)
    return device if device and cost == _LATENCY.name else None


def require_devices(costs: Iterable[str], known: Collection[str]) -> None:
    """Checks that the latency is known wherever it is traded or limited.

    Args:
        costs: Their names.
        known: Names of the devices beside that of the run's table.

    Raises:
        UsageError: It is asked for on a device that nobody named.
    """
    for device in filter(None, map(device_of_cost, costs)):
        if device not in known:
            named = f"; named are {', '.join(known)}" if known else ""
            raise UsageError(
                f"nothing says how long networks take on {device}: expected its latency table, --devices "
                f"{device}=TABLE.jsonl{named}"
            )


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
            UsageError: The energy is asked for and the table does not tell it, or the latency on an unknown device.
        """
        names = list(names)
        require_devices(names, self.elsewhere)
        if self.energy is None and COSTS["energy"].name in names:
            raise UsageError(
                "the latency table holds the energy of too few networks to predict it: make a table with "
                "`hwnas profile --energy` on a device that can tell its energy (`hwnas doctor` says which can)"
            )

    @cached_property
    def _by_definition(self) -> NetworkCosts:
        return NetworkCosts(self.family)
