"""Pools: latencies of the same networks on several devices, read from the tables that ``HWNAS_DATA`` leads to."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, DataError, UsageError, in_data_folder, unknown
from hwnas.predictors.adaptation import Array, DevicePrior
from hwnas.predictors.pool_spaces import POOL_SPACES, PoolSpace
from latency_tables import MissingExtraError

_LATENCY = "_latency_ms"
_FEWEST_DEVICES = 3
_NOTHING = 0.05  # of the device's median: below that, nothing was computed


@dataclass(frozen=True, kw_only=True, eq=False)
class LatencyPool:
    """Latencies of the same architectures on several devices.

    Attributes:
        about: The space, and what the pool tells of it.
        devices: Names, such as ``"2080ti_32"``: what comes after the last ``_``, if it is a number of up to three
            digits, is the batch.
        architectures: Of the table's rows; ordinal values may lie between the space's options.
        latency_ms: As the table has them, shape ``(d, n)``.
    """

    about: PoolSpace
    devices: tuple[str, ...]
    architectures: tuple[Architecture, ...]
    latency_ms: Array

    @cached_property
    def features(self) -> Array:
        """Of the architectures, shape ``(n, p)``."""
        return self.about.features(self.architectures)

    @cached_property
    def candidates(self) -> tuple[Architecture, ...]:
        """Those of the architectures that belong to the space, and so can be built and measured."""
        options = self.about.space.by_name
        return tuple(one for one in self.architectures if all(one[name] in options[name].options for name in one))

    @cached_property
    def prior(self) -> DevicePrior:
        """What the devices say of a new one; where branches can be dead, each also as if the runtime removed them."""
        known = cleaned(self.latency_ms)
        twins = [self.about.pruned(self.features, known)] if self.about.pruned else []
        return DevicePrior.learn(self.features, np.vstack([known, *twins]))

    def prior_without(self, devices: Collection[str]) -> DevicePrior:
        """The prior of the other devices alone."""
        kept = np.array([device not in devices for device in self.devices])
        return self.prior.of(np.tile(kept, len(self.prior.coefficients) // len(kept)))

    def choose(self, n: int) -> list[Architecture]:
        """The architectures worth measuring on a new device, the most informative first.

        Raises:
            UsageError: The pool has fewer.
        """
        chosen = self.prior.choose(self.about.features(self.candidates), n)
        return [self.candidates[row] for row in chosen]


def read_pool(space: str) -> LatencyPool:
    """The pool of a space, from the folder that the environment variable ``HWNAS_DATA`` names.

    Raises:
        UsageError: There is no pool for that space.
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks the file.
        MissingExtraError: pyarrow is not installed.
        DataError: The file cannot be read, or lacks columns.
    """
    if space not in POOL_SPACES:
        raise unknown("space with a pool of latencies", space, POOL_SPACES)
    about = POOL_SPACES[space]
    devices, latency_ms, columns = read_latencies(about.file, columns=about.columns)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    try:
        architectures = tuple(about.architecture(row) for row in rows)
    except (UsageError, ValueError, IndexError) as error:
        raise DataError(f"{about.file} has an architecture that cannot be read: {error}") from error
    return LatencyPool(about=about, devices=devices, architectures=architectures, latency_ms=latency_ms)


def read_latencies(file: str, *, columns: Sequence[str]) -> tuple[tuple[str, ...], Array, dict[str, list[Any]]]:
    """Latencies of several devices from a Parquet file in the folder of ``HWNAS_DATA``.

    Args:
        file: Its name. Latencies are the columns ``<device>_latency_ms``.
        columns: Further columns to read.

    Returns:
        Names of the devices, their latencies of shape ``(d, n)``, and the further columns by name.

    Raises:
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks the file.
        MissingExtraError: pyarrow is not installed.
        DataError: The file cannot be read, lacks columns, or has fewer than three devices.
    """
    path = in_data_folder(file, purpose="a pool of latencies", about="see docs/adaptation.md")
    try:
        import pyarrow as pa  # noqa: PLC0415  (an extra, and slow to import)
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(package="pyarrow", extra="parquet", purpose="reading a pool of latencies") from error
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot read {path} as a Parquet file: {error}") from error
    names = table.column_names
    devices = tuple(name.removesuffix(_LATENCY) for name in names if name.endswith(_LATENCY))
    if not set(columns) <= set(names) or len(devices) < _FEWEST_DEVICES:
        raise DataError(
            f"{path}: expected the columns {', '.join(columns)} and <device>{_LATENCY} of at least {_FEWEST_DEVICES} "
            f"devices, received {', '.join(names)}"
        )
    try:
        latency_ms = np.array([table[device + _LATENCY].to_numpy() for device in devices], dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: expected numbers in the columns <device>{_LATENCY}: {error}") from error
    return devices, latency_ms, {name: table[name].to_pylist() for name in columns}


def device_model(device: str) -> str:
    """A device's name without the batch: ``"2080ti"`` of ``"2080ti_32"``; ``"gold_6240"`` stays as it is."""
    return re.sub(r"_\d{1,3}$", "", device)


def cleaned(latency_ms: Array) -> Array:
    """Latencies to learn from: NaN in place of what is not finite, not above 0, or under 5 % of the device's median.

    The last are networks of constants, which some runtimes fold away: no price of an operation shows in them.

    Args:
        latency_ms: Shape ``(d, n)``.
    """
    known: NDArray[np.bool_] = np.isfinite(latency_ms) & (latency_ms > 0)
    medians = [np.median(row[ok]) if ok.any() else np.nan for row, ok in zip(latency_ms, known, strict=True)]
    return np.where(known & (latency_ms >= _NOTHING * np.array(medians)[:, None]), latency_ms, np.nan)
