"""One measurer a device: two processes that measure on one device at the same time spoil each other's figures.

Whoever measures holds a file of the machine, one for each device, which the operating system gives back when the holder
ends, however it ends. Nothing is ever written into it. Cores of one CPU are one device: they share its caches, its
memory and the clock that all of them leave to the busiest.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from profilers.backends.contract import Backend
from profilers.devices.nvml import cuda_gpu, describe_gpus, used_gpu

FOLDER_VARIABLE = "HWNAS_LEASES"
"""Environment variable with the folder of the leases, where those who share a machine share no temporary folder."""

_LOG = logging.getLogger(__name__)
_POLL_S = 0.2  # between two looks at a device that is taken
_EVERYBODYS, _STICKY = 0o777, 0o1000  # every user of the machine may hold a lease, and remove none of another's
_FILE_MODE = 0o666
_WORDS = {"cpu": "this CPU", "gpu": "this GPU"}


@contextmanager
def device_lease(backend: Backend) -> Iterator[None]:
    """Holds the device of a backend for this process alone; waits for another one that measures on it, and says so.

    May be entered again by the thread that holds it. Where the machine cannot keep leases, that is said and the body
    runs without one.

    Args:
        backend: What measures; of third parties, too.
    """
    lock = _acquired(lease_file(backend), _WORDS.get(backend.device, f"the device {backend.device!r}"))
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def lease_file(backend: Backend) -> Path:
    """The file that stands for the device of a backend: a GPU by what tells it from the others of the machine."""
    name = backend.device
    if name == "gpu":
        gpu = used_gpu(describe_gpus().gpus)
        name = f"gpu-{(gpu.uuid if gpu else None) or cuda_gpu()}"
    folder = os.environ.get(FOLDER_VARIABLE) or Path(tempfile.gettempdir(), "hwnas-leases")
    return Path(folder, f"{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}.lock")


def _acquired(path: Path, device: str) -> FileLock | None:
    try:
        _make_folder(path.parent)
        lock = FileLock(path, mode=_FILE_MODE, is_singleton=True)  # a singleton can be acquired again by its holder
        try:
            lock.acquire(timeout=0)
        except Timeout:
            holder = _holder(path)
            who = "" if holder is None else f" (pid {holder})"
            _LOG.warning("another hwnas process is measuring on %s%s: waiting", device, who)
            lock.acquire(poll_interval=_POLL_S)
    except (OSError, NotImplementedError) as error:  # the latter where a file system knows no locks
        _LOG.warning(
            "cannot tell whether another hwnas process is measuring on %s, since %s cannot be held: %s. Name a folder "
            "for leases in %s",
            device, path, error, FOLDER_VARIABLE,
        )  # fmt: skip
        return None
    return lock


def _make_folder(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
        folder.chmod(_STICKY | _EVERYBODYS)


def _holder(path: Path) -> int | None:
    """The process that holds a file, as the kernel of Linux lists it; ``None`` where nobody tells."""
    try:
        held = path.stat()
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    place = f"{os.major(held.st_dev):02x}:{os.minor(held.st_dev):02x}:{held.st_ino}"
    # "1: FLOCK  ADVISORY  WRITE 21477 fe:00:2146945 0 EOF"; a process of another container has no number here
    pids = [words[4] for words in map(str.split, lines) if len(words) > 5 and words[1] == "FLOCK" and words[5] == place]
    return next((int(pid) for pid in pids if pid.isdecimal() and int(pid) > 0), None)
