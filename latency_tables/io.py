"""Reading and writing tables: JSON Lines, checked from the first byte to the last.

First line: the manifest. Then a line a row. Last line: the number of rows and the SHA-256 of everything before it, so
that a truncated or hand-edited file is refused instead of believed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from latency_tables.parse import loads, manifest_from
from latency_tables.schema import BlockRow, FloorRow, KernelRow, Manifest, NetworkRow, Row, StepRow
from latency_tables.table import LatencyTable

_LONGEST_MANIFEST = 2**24  # bytes: a file without line breaks is not read to its end


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=False, separators=(", ", ": "), ensure_ascii=False, allow_nan=False) + "\n"


def _sorted_inside(record: dict[str, Any]) -> dict[str, Any]:
    """A record whose own names keep their order, what is inside sorted."""
    return {
        name: {**value, "percentiles_ms": _sorted(value["percentiles_ms"])} if name == "timing" else _sorted(value)
        for name, value in record.items()
    }


def _sorted(value: Any) -> Any:
    """Objects, however deep, in the order of their names, so that equal tables are equal files."""
    if isinstance(value, dict):
        return {name: _sorted(inner) for name, inner in sorted(value.items())}
    return [_sorted(inner) for inner in value] if isinstance(value, list | tuple) else value


def row_to_json(row: Row) -> dict[str, Any]:
    """One row as the dictionary that stands on its line."""
    if isinstance(row, StepRow):
        return {
            "kind": "step",
            "key": row.key,
            "step": row.step,
            "widths": list(row.widths),
            "latency_ms": list(row.latency_ms),
        }
    if isinstance(row, BlockRow):
        return {"kind": "block", "key": row.key, "kernels": dict(sorted(row.kernels.items()))}
    values = _sorted_inside(asdict(row))
    timing = values.pop("timing")
    kind = {KernelRow: "kernel", NetworkRow: "network", FloorRow: "floor"}[type(row)]
    blocks = {"blocks": values.pop("blocks")} if kind == "network" else {}
    return {"kind": kind, "key": values.pop("key"), **timing, **values, **blocks}


def dumps(table: LatencyTable) -> str:
    """The table as text, checksum line included."""
    manifest = {name: _sorted(value) for name, value in table.manifest.to_json().items()}
    body = _line(manifest) + "".join(_line(row_to_json(row)) for row in table.rows())
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


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Writes a file so that it holds either what it held before or all of the new, whatever happens between.

    Args:
        path: Where; an existing file is replaced, missing folders are made.
        content: What; text is written as UTF-8, line ends as they are.

    Returns:
        The path written.

    Raises:
        OSError: No permission, or no space left; the old file is untouched.
    """
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    with _about(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = _temporary(target)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    return target


def require_writable(path: str | os.PathLike[str]) -> None:
    """Checks that ``write_atomically`` could write a file, before there is anything to write; leaves nothing behind.

    Args:
        path: The file; it may be there already, and its folders need not.

    Raises:
        OSError: It is no file, or its folder cannot be made or written to; the error names the path.
    """
    target = Path(path)
    with _about(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        new = [folder for folder in target.parents if not folder.exists()]  # innermost first
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = _temporary(target)
            os.close(handle)
            Path(temporary).unlink()
        finally:
            for folder in new:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _temporary(target: Path) -> tuple[int, str]:
    return tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")


@contextlib.contextmanager
def _about(target: Path) -> Iterator[None]:
    """Lets errors name the file that was asked for, and not what was tried on the way to it."""
    try:
        yield
    except FileExistsError as error:  # what should be its folder is a file
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target)) from error
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error


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
        TableFormatError: The file is no table, of a newer schema version, truncated, or changed since it was written.
        OSError: The file cannot be read.
    """
    return loads(Path(path).read_bytes(), path=str(path))


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Reads where the figures of a table come from, and nothing else: one line, so it costs the same for any table.

    Args:
        path: A file written by ``write_table``.

    Returns:
        The manifest. Nothing vouches for it but its form; ``read_table`` checks the whole file.

    Raises:
        TableFormatError: The first line is no manifest, or one of a newer schema version.
        OSError: The file cannot be read.
    """
    with Path(path).open("rb") as stream:
        return manifest_from(stream.readline(_LONGEST_MANIFEST), path=str(path))
