"""The files of a folder: every one, in the same order on every file system."""

from __future__ import annotations

from pathlib import Path

from hwnas.core import DataError


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted, without what is hidden.

    Raises:
        DataError: It cannot be listed.
    """
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error}. Give yourself the right to read it, or move it.") from error


def folders(folder: Path) -> list[Path]:
    """The sub-folders of a folder, sorted, without hidden ones; links to folders count.

    Raises:
        DataError: It cannot be listed.
    """
    return [entry for entry in entries(folder) if _is_folder(entry)]


def files(folder: Path) -> list[Path]:
    """All files below a folder, sorted, without hidden ones; links are followed.

    Raises:
        DataError: A folder cannot be listed, or a link leads back to a folder that it lies in.
    """
    return sorted(_below(folder, within=()))


def _below(folder: Path, *, within: tuple[Path, ...]) -> list[Path]:
    real = folder.resolve()
    if real in within:
        raise DataError(f"{folder} is a link back to {real}, which it lies in: remove the link")
    found = []
    for entry in entries(folder):
        found.extend(_below(entry, within=(*within, real)) if _is_folder(entry) else [entry])
    return found


def _is_folder(entry: Path) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # for example a link to itself
        raise DataError(f"cannot follow {entry}: {error}. Remove it.") from error
