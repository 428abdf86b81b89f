"""Any number of workers, each with one task at a time, replaced when it is lost.

A thread waits for each worker. The kinds of workers differ in nothing but where they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar

from hwnas.executors.contract import TimeLimitError, WorkerLostError

P = ParamSpec("P")
T = TypeVar("T")


class Worker(Protocol):
    """A place where tasks run one after another, and stay warm in between."""

    def run(self, task: Callable[[], Any], *, limit_s: float | None) -> Any:
        """Runs a task and waits for it.

        Args:
            task: Picklable.
            limit_s: How long it may take; ``None`` for as long as it likes.

        Returns:
            What the task returns.

        Raises:
            WorkerLostError: The worker is gone, and cannot be used any more.
            TimeLimitError: The task took too long; the worker was ended.
            Exception: What the task raised.
        """

    def paused(self) -> Any:
        """A context in which the worker does not compute, where that can be had."""

    def close(self) -> None:
        """Ends the worker at once, and with it a task that runs. May be called twice and from any thread."""


class WorkerExecutor(Executor):
    """Workers behind the interface of ``concurrent.futures``.

    Args:
        hire: Makes a worker.
        workers: How many.
        limit_s: How long a task may take.
    """

    def __init__(self, hire: Callable[[], Worker], *, workers: int, limit_s: float | None = None) -> None:
        self.workers = workers
        self._hire, self._limit_s = hire, limit_s
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="hwnas-worker")
        self._own = threading.local()
        self._lock = threading.Lock()
        self._hired: set[Worker] = set()
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs the task on the next worker that is free."""
        return self._threads.submit(self._run, partial(fn, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the executor.

        Args:
            wait: For the tasks that run; else they are ended, and their futures raise ``WorkerLostError``.
            cancel_futures: Drops the tasks that wait.
        """
        if wait:
            self._threads.shutdown(wait=True, cancel_futures=cancel_futures)
        with self._lock:
            self._closed = True
            hired, self._hired = self._hired, set()
        for worker in hired:
            worker.close()
        self._threads.shutdown(wait=True, cancel_futures=cancel_futures)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the workers of this machine for a while, so that its device can be measured undisturbed."""
        with self._lock:
            hired = list(self._hired)
        with ExitStack() as held:
            for worker in hired:
                held.enter_context(worker.paused())
            yield

    def _run(self, task: Callable[[], Any]) -> Any:
        worker = getattr(self._own, "worker", None) or self._new()
        try:
            return worker.run(task, limit_s=self._limit_s)
        except (WorkerLostError, TimeLimitError):
            self._own.worker = None
            with self._lock:
                self._hired.discard(worker)
            worker.close()
            raise

    def _new(self) -> Worker:
        worker = self._hire()
        with self._lock:
            closed = self._closed
            if not closed:
                self._hired.add(worker)
        if closed:
            worker.close()
            raise WorkerLostError("the executor was ended before the task began")
        self._own.worker = worker
        return worker
