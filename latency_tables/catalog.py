"""Tables that come with the package, and how a table is named on a command line: by its path or by its name."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from latency_tables.errors import UnknownTableError
from latency_tables.io import read_manifest, read_table
from latency_tables.schema import Manifest
from latency_tables.table import LatencyTable


@dataclass(frozen=True, kw_only=True)
class ShippedTable:
    """A table that comes with the package.

    Attributes:
        name: What it is asked for by: device, runtime, space and precision.
        path: Its file.
        card: Its card, a Markdown file; ``None`` where there is none.
        manifest: Where its figures come from. Only this first line of the file was read.
    """

    name: str
    path: Path
    card: Path | None
    manifest: Manifest


def data_folder() -> Path:
    """Where the shipped tables lie."""
    return Path(str(resources.files("latency_tables") / "data"))


def shipped(*, root: Path | None = None) -> tuple[ShippedTable, ...]:
    """The tables that come with the package, by name.

    Args:
        root: Folder to look in; by default the package's own.

    Raises:
        TableFormatError: One of them is no table.
        OSError: The folder cannot be read.
    """
    return tuple(
        ShippedTable(
            name=path.stem,
            path=path,
            card=card if (card := path.with_suffix(".md")).is_file() else None,
            manifest=read_manifest(path),
        )
        for path in _files(root)
    )


def open_shipped(name: str, *, root: Path | None = None) -> LatencyTable:
    """Reads a shipped table and checks all of it.

    Args:
        name: Its name, from ``shipped``.
        root: Folder to look in; by default the package's own.

    Raises:
        UnknownTableError: There is none of that name.
        TableFormatError: It was changed after the package was made.
        OSError: It cannot be read.
    """
    return read_table(_named(name, root))


def resolve(name_or_path: str | os.PathLike[str], *, root: Path | None = None) -> Path:
    """The file of a table that was asked for by path or by name; a file wins over a shipped table of its name.

    Args:
        name_or_path: A path, or the name of a shipped table.
        root: Folder of the shipped tables; by default the package's own.

    Raises:
        UnknownTableError: Neither is there.
        OSError: The path cannot even be looked for.
    """
    path = Path(name_or_path)
    return path if path.is_file() else _named(os.fspath(name_or_path), root, otherwise=path)


def _files(root: Path | None) -> list[Path]:
    folder = data_folder() if root is None else root
    return sorted(folder.glob("*.jsonl")) if folder.is_dir() else []


def _named(name: str, root: Path | None, *, otherwise: Path | None = None) -> Path:
    """The file of a shipped table; where there is none, ``otherwise`` if anything is there at all."""
    files = {path.stem: path for path in _files(root)}
    if name in files:
        return files[name]
    if otherwise is not None and otherwise.exists():
        return otherwise  # a folder or a device: reading it says what is wrong
    raise UnknownTableError(name, shipped=list(files), nearest=difflib.get_close_matches(name, files, n=2))
