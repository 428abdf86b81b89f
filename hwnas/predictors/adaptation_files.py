"""What a user measures on a new device and gets back: CSV files of architectures and latencies."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwnas.core import Architecture, DataError, UsageError
from hwnas.predictors.adaptation import Array
from hwnas.predictors.pool_spaces import PoolSpace
from hwnas.spaces import read_architecture
from latency_tables import write_atomically


def read_measured(path: str | os.PathLike[str], about: PoolSpace) -> dict[Architecture, float]:
    """Measured latencies from a CSV file.

    Args:
        path: A file with the columns ``architecture`` and ``latency_ms``, and any others.
        about: The space.

    Returns:
        Architecture to latency in ms, in the order of the file.

    Raises:
        DataError: Columns are missing, or a line has an architecture that the space does not have or that was there
            before, or no latency above 0; the message names the line.
        OSError: The file cannot be read.
    """
    measured: dict[Architecture, float] = {}
    for line, architecture, row in _lines(path, about, needed=("architecture", "latency_ms")):
        if architecture in measured:
            raise DataError(
                f"{path}, line {line}: {row['architecture']} was measured before in this file: expected each network "
                "once; keep one of its latencies, or their median"
            )
        measured[architecture] = _latency_ms(row["latency_ms"], where=f"{path}, line {line}")
    return measured


def read_architectures(path: str | os.PathLike[str], about: PoolSpace) -> list[Architecture]:
    """Architectures from the column ``architecture`` of a CSV file.

    Raises:
        DataError: The column is missing, the file has no rows, or the space has no such architecture.
        OSError: The file cannot be read.
    """
    found = [architecture for _, architecture, _ in _lines(path, about, needed=("architecture",))]
    if not found:
        raise DataError(f"{path} has no architectures: expected a line for each below the names of the columns")
    return found


def template(architectures: Sequence[Architecture], about: PoolSpace, *, models: Sequence[str] = ()) -> str:
    """A CSV file for ``read_measured`` whose latencies are still to be filled in.

    Args:
        architectures: What is to be measured.
        about: The space.
        models: Files of the networks, if there are any: a column ``model``.
    """
    names = [about.name(one) for one in architectures]
    if models:
        rows = [[name, "", model] for name, model in zip(names, models, strict=True)]
        return _csv(("architecture", "latency_ms", "model"), rows)
    return _csv(("architecture", "latency_ms"), [[name, ""] for name in names])


def write_predicted(
    path: str | os.PathLike[str],
    architectures: Sequence[Architecture],
    predicted_ms: tuple[Array, Array],
    *,
    about: PoolSpace,
) -> Path:
    """Writes predictions as CSV: ``architecture``, ``latency_ms`` and ``spread_ms``, a line a network.

    Args:
        path: Where; an existing file is replaced once all of it is written.
        architectures: Of the networks, ``n`` of them.
        predicted_ms: Latency and spread, both of shape ``(n,)``.
        about: The space.

    Raises:
        OSError: No permission, or no space left; the old file is untouched.
    """
    rows = [
        [about.name(one), f"{latency_ms:.6g}", f"{spread_ms:.3g}"]
        for one, latency_ms, spread_ms in zip(architectures, *predicted_ms, strict=True)
    ]
    return write_atomically(path, _csv(("architecture", "latency_ms", "spread_ms"), rows))


def _lines(
    path: str | os.PathLike[str], about: PoolSpace, *, needed: Sequence[str]
) -> list[tuple[int, Architecture, Mapping[str, str]]]:
    """Number, architecture and fields of each line."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read {path} as a CSV file in UTF-8: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="", skipinitialspace=True)
    lacking = [name for name in needed if name not in (reader.fieldnames or ())]
    if lacking:
        raise DataError(
            f"{path}: expected the columns {', '.join(needed)} named in the first line, received "
            f"{', '.join(map(str, reader.fieldnames or ())) or 'an empty file'}"
        )
    found: list[tuple[int, Architecture, Mapping[str, str]]] = []
    for row in reader:
        try:
            found.append((reader.line_num, read_architecture(about.space, row["architecture"]), row))
        except UsageError as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}") from error
    return found


def _latency_ms(text: str, *, where: str) -> float:
    if not text.strip():
        raise DataError(f"{where}: no latency_ms: measure that network, or take the line out")
    try:
        latency_ms = float(text)
    except ValueError:
        latency_ms = math.nan
    if not (math.isfinite(latency_ms) and latency_ms > 0):
        raise DataError(
            f"{where}: expected a latency_ms above 0, received {text.strip()!r}: measure that network again"
        )
    return latency_ms


def _csv(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return stream.getvalue()
