"""The devices of a search beside that of its table."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hwnas.core import Architecture, Predictor, UsageError
from hwnas.networks import NetworkFamily
from hwnas.predictors import REFERENCES, Missing, NamedDevice, device_name, needs_pool, open_device_named, read_pool


@dataclass(frozen=True, kw_only=True)
class Devices:
    """Devices beside that of a run's table, and how devices are described.

    Attributes:
        references: Networks by whose latencies a device is described; none where nothing learns from descriptions.
        learned: Whose latencies a search goes by.
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
    family: NetworkFamily,
    learned: Sequence[str] = (),
    *,
    unseen: Sequence[str] = (),
    described: bool = True,
    missing: Missing = "error",
) -> Devices:
    """Devices by name.

    Args:
        family: The space and its networks.
        learned: Devices by whose latencies to search: latency tables; and of a space with a pool of devices, names of
            the pool and files of timed networks, as ``hwnas.predictors.open_device_named`` takes them.
        unseen: Devices to find a front for without learning from them, likewise.
        described: Whether something learns from descriptions of devices: each then needs the latencies of some
            reference networks, which a pool says.
        missing: What to do where a table lacks a row.

    Raises:
        UsageError: No pool of the space where one is needed, no such device, one twice, one whose name is none for
            files, or one that lacks latencies of reference networks.
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks the pool.
        DataError: A file cannot be read.
        MissingRowError: A table lacks kernels of the space.
        TableMismatchError: A table holds nothing for the batch or the precision.
    """
    if not (learned or unseen):
        return Devices()
    slashed = [name for name in map(device_name, (*learned, *unseen)) if "/" in name or "\\" in name]
    if slashed:
        raise UsageError(f"expected a device's name without a slash, as files are named by it, received {slashed[0]!r}")
    described = described or needs_pool((*learned, *unseen), space=family.space.name)
    pool = read_pool(family.space.name) if described else None
    references = tuple(pool.choose(REFERENCES)) if pool else ()

    def opened(names: Sequence[str]) -> tuple[NamedDevice, ...]:
        return tuple(
            open_device_named(name, pool=pool, references=references, networks=family, missing=missing)
            for name in names
        )

    found = Devices(references=references, learned=opened(learned), unseen=opened(unseen))
    twice = [name for name, count in Counter(one.name for one in found.all).items() if count > 1]
    if twice:
        raise UsageError(
            f"device {twice[0]!r} is named twice: give each once, as one to learn from or as an unseen one. NAME=TABLE "
            "gives a table another name than its file's"
        )
    return found
