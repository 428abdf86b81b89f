"""What the tests give to executors; importable in other processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path


def double(value: int) -> int:
    return 2 * value


def own_pid() -> int:
    return os.getpid()


def refuse() -> None:
    raise ValueError("not today")


def late() -> None:
    raise TimeoutError("the task's own")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    time.sleep(600)


def mark(path: Path) -> None:
    """Says that it began, and works on."""
    path.touch()
    hang()


def meet(folder: Path, name: str, others: int) -> int:
    """Returns when so many are here at once."""
    (folder / name).touch()
    there = threading.Event()
    while len(list(folder.iterdir())) < others:
        there.wait(0.02)
    return os.getpid()


def mark_and_wait(path: Path, go: Path) -> None:
    """Says that it began, and works until it may end."""
    path.touch()
    there = threading.Event()
    while not go.exists():
        there.wait(0.05)
