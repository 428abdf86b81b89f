"""Devices by name: of a pool, of a latency table, or of a few networks that were timed there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwnas.core import Architecture, Predictor, UsageError, unknown
from hwnas.predictors.adaptation import Array
from hwnas.predictors.adaptation_files import read_measured
from hwnas.predictors.adapted import AdaptedPredictor
from hwnas.predictors.mixed import Family, LatencyPredictors
from hwnas.predictors.pools import LatencyPool
from hwnas.predictors.rows import Missing
from latency_tables import UnknownTableError, read_table, resolve, table_sha256

REFERENCES = 10  # networks by whose latencies a device is described
_ADAPTED = 40  # networks that predictions for a device are adapted to, at the most


@dataclass(frozen=True, kw_only=True)
class NamedDevice:
    """A device, as far as it is known.

    Attributes:
        name: What its column is called.
        source: How it was asked for.
        latency: Of any network, in milliseconds.
        reference_ms: Of the reference networks, shape ``(REFERENCES,)``.
        sha256: Hash of what is known.
    """

    name: str
    source: str
    latency: Predictor
    reference_ms: Array
    sha256: str


def device_name(source: str) -> str:
    """What the column of a device is called that was asked for by a name or a file."""
    return Path(source).name.removesuffix(".csv").removesuffix(".jsonl")


@dataclass(frozen=True)
class Lookup:
    """Latencies of which some are known, or all.

    Attributes:
        known_ms: By architecture.
        otherwise: Predicts what is not known; ``None`` where everything is.
    """

    known_ms: Mapping[Architecture, float]
    otherwise: Predictor | None

    def predict(self, architectures: Sequence[Architecture]) -> tuple[Array, Array]:
        """Latency and its standard deviation, none where it is known; in milliseconds, both of shape ``(n,)``."""
        if self.otherwise is None:
            return np.array([self.known_ms[one] for one in architectures]), np.zeros(len(architectures))
        latency_ms, spread_ms = self.otherwise.predict(architectures)
        for place, one in enumerate(architectures):
            if one in self.known_ms:
                latency_ms[place], spread_ms[place] = self.known_ms[one], 0.0
        return latency_ms, spread_ms


def open_device_named(
    source: str, *, pool: LatencyPool, references: Sequence[Architecture], networks: Family, missing: Missing = "error"
) -> NamedDevice:
    """A device by name.

    Args:
        source: ``"pixel3"``, one of the pool; a latency table's file or the name of a shipped one; or a CSV file of
            networks that were timed on a device without either, as ``hwnas predictor choose`` begins it. What is not
            known of the first and the last is predicted from the pool.
        pool: Of the space.
        references: What describes a device.
        networks: The space, at one batch and precision.
        missing: What to do where a table lacks a row.

    Raises:
        UsageError: There is no such device, or it lacks latencies of reference networks.
        DataError: A file of timed networks cannot be read.
        MissingRowError: A table lacks kernels of the space.
        TableMismatchError: It holds nothing for the batch or the precision.
    """
    if source.endswith(".csv"):
        return _timed(source, read_measured(source, pool.about), pool, references)
    if source in pool.devices and not Path(source).is_file():
        row = pool.latency_ms[pool.devices.index(source)]
        known = {one: float(ms) for one, ms in zip(pool.architectures, row, strict=True) if np.isfinite(ms) and ms > 0}
        return _timed(source, known, pool, references)
    try:
        path = resolve(source)
    except UnknownTableError as error:
        others = ("TABLE.jsonl", "MEASURED.csv")
        raise unknown("device", source, (*pool.devices, *error.shipped, *others)) from error
    table = read_table(path)
    latency = LatencyPredictors.of(table, networks, missing=missing).latency
    return NamedDevice(
        name=device_name(source),
        source=source,
        latency=latency,
        reference_ms=latency.predict(references)[0],
        sha256=table_sha256(table),
    )


def _timed(
    source: str, known_ms: Mapping[Architecture, float], pool: LatencyPool, references: Sequence[Architecture]
) -> NamedDevice:
    """A device of which some networks are known, the reference networks among them; perhaps all."""
    lacking = [pool.about.name(one) for one in references if one not in known_ms]
    if lacking:
        raise UsageError(
            f"a device is described by the latencies of {len(references)} reference networks, of which {source} lacks "
            f"{len(lacking)}: {', '.join(lacking)}. Time them there: `hwnas predictor choose --space "
            f"{pool.about.space.name} -n {len(references)} --out FOLDER` writes the networks and a file to fill in"
        )
    # the reference networks say most, and each further one makes adapting slower
    some = {one: known_ms[one] for one in [*references, *known_ms][:_ADAPTED]}
    whole = len(known_ms) == pool.about.space.size
    told = sorted((one.id, ms) for one, ms in known_ms.items())
    return NamedDevice(
        name=device_name(source),
        source=source,
        latency=Lookup(known_ms, None if whole else AdaptedPredictor(pool, some)),
        reference_ms=np.array([known_ms[one] for one in references]),
        sha256=hashlib.sha256(repr(told).encode()).hexdigest(),
    )
