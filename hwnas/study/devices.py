"""The devices of a search that finds a front for each of several."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hwnas.core import Architecture, Predictor, UsageError
from hwnas.networks import NetworkFamily
from hwnas.predictors import REFERENCES, Missing, NamedDevice, open_device_named, read_pool


@dataclass(frozen=True, kw_only=True)
class Devices:
    """Devices beside that of a run's table, and how devices are described.

    Attributes:
        references: Networks by whose latencies a device is described; none where there is but the table's.
        learned: To learn from.
        unseen: To find a front for, from their description alone.
    """

    references: tuple[Architecture, ...] = ()
    learned: tuple[NamedDevice, ...] = ()
    unseen: tuple[NamedDevice, ...] = ()

    @property
    def all(self) -> tuple[NamedDevice, ...]:
        """Both."""
        return (*self.learned, *self.unseen)

    @cached_property
    def latencies(self) -> Mapping[str, Predictor]:
        """What says how long a network takes, by the device's name."""
        return {one.name: one.latency for one in self.all}

    @property
    def sha256(self) -> str:
        """Hash of what is known of all of them; empty where there are none."""
        told = "".join(f"{one.name} {one.sha256}\n" for one in self.all)
        return hashlib.sha256(told.encode()).hexdigest() if told else ""


def open_devices(
    family: NetworkFamily, learned: Sequence[str] = (), *, unseen: Sequence[str] = (), missing: Missing = "error"
) -> Devices:
    """Devices by name, each with the latencies that describe it.

    Args:
        family: The space and its networks.
        learned: Devices to learn from, as ``hwnas.predictors.open_device_named`` takes them.
        unseen: Devices to find a front for without learning from them, likewise.
        missing: What to do where a table lacks a row.

    Raises:
        UsageError: No pool of the space, no such device, one twice, or one that lacks latencies of reference networks.
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks the pool.
        DataError: A file cannot be read.
        MissingRowError: A table lacks kernels of the space.
    """
    if not (learned or unseen):
        return Devices()
    pool = read_pool(family.space.name)
    references = tuple(pool.choose(REFERENCES))

    def opened(names: Sequence[str]) -> tuple[NamedDevice, ...]:
        return tuple(
            open_device_named(name, pool=pool, references=references, networks=family, missing=missing)
            for name in names
        )

    found = Devices(references=references, learned=opened(learned), unseen=opened(unseen))
    twice = [name for name, count in Counter(one.name for one in found.all).items() if count > 1]
    if twice:
        raise UsageError(
            f"device {twice[0]!r} is named twice: give each once, as one to learn from or as an unseen one"
        )
    return found
