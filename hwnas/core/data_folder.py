"""Benchmark data: found through one environment variable, never downloaded, never part of the package."""

from __future__ import annotations

import os
from pathlib import Path

from hwnas.core.errors import MachineError

VARIABLE = "HWNAS_DATA"


def named_data_folder() -> Path | None:
    """The folder that the environment variable ``HWNAS_DATA`` names; ``None`` where it is not set."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


def in_data_folder(file: str, *, purpose: str, about: str) -> Path:
    """A file in the folder that the environment variable ``HWNAS_DATA`` names.

    Args:
        file: Its name.
        purpose: What needs it, the beginning of a sentence.
        about: Where to read more about it.

    Raises:
        MachineError: The variable is not set, or the file is not there.
    """
    folder = named_data_folder()
    if folder is None:
        raise MachineError(
            f"{purpose} needs the environment variable {VARIABLE}: the folder that holds {file} ({about})"
        )
    path = folder / file
    if not path.is_file():
        raise MachineError(f"{purpose}: {path} does not exist; {VARIABLE} should name the folder that holds {file}")
    return path
