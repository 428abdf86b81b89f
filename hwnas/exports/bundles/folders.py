"""A folder that is there whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwnas.core import UsageError

_OURS = ("card.json", "index.json")  # one of them is in every folder that is written here


def require_free(folder: Path, *, force: bool) -> None:
    """Refuses, before anything is computed, a folder that is there and not to be replaced.

    Args:
        folder: Where something is to be written.
        force: Whether a bundle or hub that is there may be replaced.

    Raises:
        UsageError: It is there, and ``force`` was not given, or it is something else than a bundle or hub.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not force:
        raise UsageError(f"expected a new folder, but {folder} exists: name another one with --out, or give --force")
    if not any((folder / name).is_file() for name in _OURS):
        raise UsageError(f"{folder} is no bundle and no hub: --force does not replace it. Name another one with --out")


@contextmanager
def whole_folder(folder: Path, *, force: bool) -> Iterator[Path]:
    """Gives a folder to write into that gets its name once everything is there.

    Raises:
        UsageError: As of ``require_free``.
        OSError: It cannot be written.
    """
    require_free(folder, force=force)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield made
        made.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        made.replace(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
