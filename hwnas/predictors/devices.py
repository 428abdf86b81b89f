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
from hwnas.predictors.pool_spaces import POOL_SPACES
from hwnas.predictors.pools import LatencyPool
from hwnas.predictors.rows import Missing
from latency_tables import MissingRowError, UnknownTableError, read_table, resolve, table_sha256

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
    """What the column of a device is called: its own name, or that of the file; ``NAME=FILE`` gives it another one."""
    return _named(source)[0]


def _named(source: str) -> tuple[str, str]:
    """The name of a device, and what it was asked for by."""
    name, given, what = source.partition("=")
    if given and name and what and not Path(source).is_file():
        return name, what
    return Path(source).name.removesuffix(".csv").removesuffix(".jsonl"), source


def needs_pool(sources: Sequence[str], *, space: str) -> bool:
    """Whether devices of a space are known from its pool of latencies alone.

    Args:
        sources: How they were asked for, as of ``open_device_named``.
        space: The name of the space; where it has no pool, only files of timed networks need one.
    """
    asked = [_named(source)[1] for source in sources]
    return any(what.endswith(".csv") or (space in POOL_SPACES and not _is_table(what)) for what in asked)


def _is_table(what: str) -> bool:
    try:
        resolve(what)
    except UnknownTableError:
        return False
    return True


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
    source: str,
    *,
    pool: LatencyPool | None,
    references: Sequence[Architecture] = (),
    networks: Family,
    missing: Missing = "error",
) -> NamedDevice:
    """A device by name.

    Args:
        source: ``"pixel3"``, one of the pool; a latency table's file or the name of a shipped one; or a CSV file of
            networks that were timed on a device without either, as ``hwnas predictor choose`` begins it. What is not
            known of the first and the last is predicted from the pool. ``NAME=`` before it gives it another name.
        pool: Of the space; ``None`` where a latency table is all that can be named.
        references: What describes a device.
        networks: The space, at one batch and precision.
        missing: What to do where a table lacks a row.

    Raises:
        UsageError: There is no such device, or it lacks latencies of reference networks.
        DataError: A file of timed networks cannot be read.
        MissingRowError: A table lacks kernels of the space.
        TableMismatchError: It holds nothing for the batch or the precision.
    """
    what = _named(source)[1]
    if pool is not None and what.endswith(".csv"):
        return _timed(source, read_measured(what, pool.about), pool, references)
    if pool is not None and what in pool.devices and not Path(what).is_file():
        row = pool.latency_ms[pool.devices.index(what)]
        known = {one: float(ms) for one, ms in zip(pool.architectures, row, strict=True) if np.isfinite(ms) and ms > 0}
        return _timed(source, known, pool, references)
    try:
        path = resolve(what)
    except UnknownTableError as error:
        others = ("TABLE.jsonl", "MEASURED.csv") if pool else ("TABLE.jsonl",)
        raise unknown("device", what, (*(pool.devices if pool else ()), *error.shipped, *others)) from error
    table = read_table(path)
    predictors, name = LatencyPredictors.of(table, networks, missing=missing), device_name(source)
    try:
        predictors.require_coverage(networks.covering())
    except MissingRowError as error:
        cure = f"That is {what}, the table of {name}: measure what is missing there with `hwnas profile`"
        raise error.with_cure(f"{cure}, for the same space, data and precisions, or give --missing regress") from error
    return NamedDevice(
        name=name,
        source=source,
        latency=predictors.latency,
        reference_ms=predictors.latency.predict(references)[0],
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
