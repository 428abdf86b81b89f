"""Workers that are processes of this machine, each begun anew and not forked: torch and CUDA do not survive a fork."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from hwnas.executors.contract import TimeLimitError, WorkerLostError

_START_S = 120.0  # within which a process has to be there
_SIGNAL_AT_DEATH_OF_PARENT = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


class ProcessWorker:
    """A process that runs tasks.

    The pool of the standard library loses all that its processes do when one of them dies; here each process is a pool
    of its own. A process ends with the one that began it, however that ends.

    Raises:
        WorkerLostError: The process could not be begun.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin)
        try:
            self.pid, self._may_be_stopped = self._pool.submit(_bound).result(timeout=_START_S)
        except (BrokenProcessPool, TimeoutError) as error:
            self._pool.shutdown(wait=False, cancel_futures=True)
            raise WorkerLostError(f"a worker process could not be begun: {error}") from error

    def begin(self) -> None:
        """As ``Worker.begin``: the process has been there since this was made."""

    def run(self, task: Callable[[], Any], *, limit_s: float | None) -> Any:
        """As ``Worker.run``."""
        try:
            future = self._pool.submit(task)  # of a process that ended between two tasks this fails
            return future.result(timeout=limit_s)
        except BrokenProcessPool as error:
            raise WorkerLostError(
                f"worker process {self.pid} ended: killed from outside, or by the system for want of memory"
            ) from error
        except TimeoutError as error:
            if future.done():  # it is the task's own
                raise
            self.close()
            raise TimeLimitError(f"took longer than the limit of {limit_s:g} s") from error

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the process, and lets it go on; where a stopped one would outlive this one, it is left to itself."""
        if not self._may_be_stopped:
            yield
            return
        with suppress(psutil.Error):
            psutil.Process(self.pid).suspend()
        try:
            yield
        finally:
            with suppress(psutil.Error):
                psutil.Process(self.pid).resume()

    def close(self) -> None:
        """Kills the process: it may be in the midst of a task, and has nothing to save."""
        with suppress(psutil.Error):
            if multiprocessing.current_process().pid in {p.pid for p in psutil.Process(self.pid).parents()}:
                psutil.Process(self.pid).kill()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """Ctrl-C in a terminal reaches every process of the group; whoever gave the tasks decides what becomes of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _bound() -> tuple[int, bool]:
    """This process, and whether the system kills it, stopped or not, when what began it ends.

    A thread that watches the parent does not run in a process that is stopped.
    """
    if not sys.platform.startswith("linux"):
        return os.getpid(), False
    try:
        failed = ctypes.CDLL(None, use_errno=True).prctl(_SIGNAL_AT_DEATH_OF_PARENT, signal.SIGKILL)
    except (OSError, AttributeError):
        return os.getpid(), False
    return os.getpid(), failed == 0
