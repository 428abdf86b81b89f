"""Reading and writing tables: JSON Lines, checked from the first byte to the last.

First line: the manifest. Then a line a row. Last line: the number of rows and the SHA-256 of everything before it, so
that a truncated or hand-edited file is refused instead of believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast

from latency_tables.errors import TableFormatError
from latency_tables.schema import SCHEMA, SCHEMA_VERSION, BlockRow, Json, KernelRow, Manifest, NetworkRow, Row, Timing
from latency_tables.table import LatencyTable

_TIMES = ("latency_ms", "min_ms", "median_ms", "iqr_ms")
_REMEASURE = "Make the table anew with `hwnas profile`."


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=False, separators=(", ", ": "), ensure_ascii=False, allow_nan=False) + "\n"


def row_to_json(row: Row) -> dict[str, Any]:
    """One row as the dictionary that stands on its line."""
    if isinstance(row, KernelRow):
        return {"kind": "kernel", "key": row.key, **asdict(row.timing), "provider": row.provider}
    if isinstance(row, BlockRow):
        return {"kind": "block", "key": row.key, "kernels": dict(sorted(row.kernels.items()))}
    return {"kind": "network", "key": row.key, **asdict(row.timing), "blocks": dict(sorted(row.blocks.items()))}


def dumps(table: LatencyTable) -> str:
    """The table as text, checksum line included."""
    body = _line(table.manifest.to_json()) + "".join(_line(row_to_json(row)) for row in table.rows())
    return body + _line({"kind": "end", "rows": len(table.rows()), "sha256": hashlib.sha256(body.encode()).hexdigest()})


def write_table(table: LatencyTable, path: str | os.PathLike[str]) -> Path:
    """Writes a table so that the file is either the old one or the whole new one, never half of it.

    Args:
        table: What to write.
        path: Where; an existing file is replaced, missing folders are made.

    Returns:
        The path written.

    Raises:
        OSError: No permission, or no space left; the old file is untouched.
    """
    return write_atomically(path, dumps(table))


def write_atomically(path: str | os.PathLike[str], text: str) -> Path:
    """Writes a text so that the file holds either what it held before or all of the new, whatever happens between.

    Args:
        path: Where; an existing file is replaced, missing folders are made.
        text: What.

    Returns:
        The path written.

    Raises:
        OSError: No permission, or no space left; the old file is untouched.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def table_sha256(table: LatencyTable) -> str:
    """Hash of a table's content: two tables with the same figures have the same hash."""
    return hashlib.sha256(dumps(table).encode()).hexdigest()


def read_table(path: str | os.PathLike[str]) -> LatencyTable:
    """Reads a table and checks all of it.

    Args:
        path: A file written by ``write_table``.

    Returns:
        The table.

    Raises:
        TableFormatError: The file is no table, of another schema version, truncated, or changed since it was written.
        OSError: The file cannot be read.
    """
    return loads(Path(path).read_bytes(), path=str(path))


def loads(content: bytes, *, path: str = "<bytes>") -> LatencyTable:
    """Like ``read_table``, from bytes; ``path`` is what messages call them."""
    try:
        decoded = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TableFormatError(f"not UTF-8 text, so not a latency table. {_REMEASURE}", path=path) from error
    # not splitlines(): it also splits at characters that JSON strings may hold
    lines = [text + "\n" for text in decoded.removesuffix("\n").split("\n")]
    if not decoded.strip():
        raise TableFormatError(f"the file is empty. {_REMEASURE}", path=path)
    manifest = _manifest(_parse(lines[0], path=path, line=1), path=path)
    _check_end(lines, path=path)
    rows = [_row(_parse(text, path=path, line=i), path=path, line=i) for i, text in enumerate(lines[1:-1], start=2)]
    return LatencyTable.from_rows(manifest, rows)


def _parse(text: str, *, path: str, line: int) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableFormatError(
            f"expected a JSON object, received {text.strip()[:60]!r}. {_REMEASURE}", path=path, line=line
        ) from error
    if not isinstance(value, dict):
        raise TableFormatError(
            f"expected a JSON object, received {type(value).__name__}. {_REMEASURE}", path=path, line=line
        )
    return value


def _check_end(lines: list[str], *, path: str) -> None:
    try:
        end = json.loads(lines[-1])
    except (ValueError, RecursionError):
        end = None
    if len(lines) < 2 or not isinstance(end, dict) or end.get("kind") != "end":
        raise TableFormatError(
            f"the checksum line at the end is missing: the file is truncated after {len(lines)} lines. {_REMEASURE}",
            path=path,
        )
    if end.get("rows") != len(lines) - 2:
        raise TableFormatError(f"expected {end.get('rows')} rows, received {len(lines) - 2}. {_REMEASURE}", path=path)
    digest = hashlib.sha256("".join(lines[:-1]).encode()).hexdigest()
    if end.get("sha256") != digest:
        raise TableFormatError(
            "the content does not match its checksum: the file was edited or damaged after it was written. "
            + _REMEASURE,
            path=path,
        )


def _manifest(value: dict[str, Any], *, path: str) -> Manifest:
    if value.get("schema") != SCHEMA:
        raise TableFormatError(f"expected a {SCHEMA} file, received schema {value.get('schema')!r}.", path=path, line=1)
    if value.get("schema_version") != SCHEMA_VERSION:
        raise TableFormatError(
            f"expected schema version {SCHEMA_VERSION}, received {value.get('schema_version')!r}. {_REMEASURE}",
            path=path,
            line=1,
        )
    arguments = {}
    for entry in fields(Manifest):
        kind = {"threads": int, "batch": int, "protocol": dict, "fingerprint": dict, "conditions": dict}.get(
            entry.name, str
        )
        arguments[entry.name] = _field(value, entry.name, kind, path=path, line=1)
    return Manifest(**arguments)


def _row(value: dict[str, Any], *, path: str, line: int) -> Row:
    kind = value.get("kind")
    readers: dict[str, Callable[[dict[str, Any], str, int], Row]] = {
        "kernel": _kernel_row,
        "block": lambda v, p, n: BlockRow(
            key=_field(v, "key", str, path=p, line=n), kernels=_counts(v, "kernels", path=p, line=n)
        ),
        "network": lambda v, p, n: NetworkRow(
            key=_field(v, "key", str, path=p, line=n),
            blocks=_counts(v, "blocks", path=p, line=n),
            timing=_timing(v, path=p, line=n),
        ),
    }
    if kind not in readers:
        raise TableFormatError(f"expected kind {' or '.join(readers)}, received {kind!r}.", path=path, line=line)
    return readers[kind](value, path, line)


def _kernel_row(value: dict[str, Any], path: str, line: int) -> KernelRow:
    return KernelRow(
        key=_field(value, "key", str, path=path, line=line),
        timing=_timing(value, path=path, line=line),
        provider=_field(value, "provider", str, path=path, line=line),
    )


def _timing(value: dict[str, Any], *, path: str, line: int) -> Timing:
    times = {name: _time_ms(value, name, path=path, line=line) for name in _TIMES}
    noise = value.get("noise")
    if noise not in {"ok", "noisy"}:
        raise TableFormatError(f"expected noise 'ok' or 'noisy', received {noise!r}.", path=path, line=line)
    return Timing(**times, n=_field(value, "n", int, path=path, line=line), noise=noise)


def _time_ms(value: dict[str, Any], name: str, *, path: str, line: int) -> float:
    found = _field(value, name, (int, float), path=path, line=line)
    if not 0 <= found < 1e12:  # also refuses NaN; a run of thirty years is a damaged figure
        raise TableFormatError(f"expected a finite {name} of at least 0, received {found}.", path=path, line=line)
    return float(found)


def _counts(value: dict[str, Any], name: str, *, path: str, line: int) -> dict[str, int]:
    counts = cast("dict[str, Json]", _field(value, name, dict, path=path, line=line))
    for key, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise TableFormatError(
                f"expected a whole number of at least 1 for {key!r} in {name}, received {count!r}.",
                path=path,
                line=line,
            )
    return cast("dict[str, int]", counts)


def _field(value: dict[str, Any], name: str, kind: type | tuple[type, ...], *, path: str, line: int) -> Any:
    found = value.get(name)
    if not isinstance(found, kind) or isinstance(found, bool):
        wanted = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise TableFormatError(
            f"expected field {name!r} of type {wanted}, received {found!r}. {_REMEASURE}", path=path, line=line
        )
    return found
