"""Any number of workers, each with one task at a time, replaced when it is lost.

A thread waits for each worker. The kinds of workers differ in nothing but where they are. A thread takes a task when
its worker is there, and not before: one for which a cluster has no room holds up no task that another could do.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar

from hwnas.executors.contract import TimeLimitError, WorkerLostError

P = ParamSpec("P")
T = TypeVar("T")


class Worker(Protocol):
    """A place where tasks run one after another, and stay warm in between."""

    def begin(self) -> None:
        """Waits until the worker is there, as long as that takes.

        Raises:
            WorkerLostError: It was closed meanwhile, or will never be there.
        """

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
        self._changed = threading.Condition()  # guards all that follows
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads: list[threading.Thread] = []
        self._hired: set[Worker] = set()
        self._idle = self._busy = 0  # threads
        self._ended = self._closed = False  # no further tasks; no workers either

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs the task on the next worker that is free.

        Raises:
            RuntimeError: The executor was ended.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._ended:
                raise RuntimeError("cannot begin a task: the executor was ended")
            self._waiting.append((future, partial(fn, *args, **kwargs)))
            if len(self._waiting) > self._idle and len(self._threads) < self.workers:
                name = f"hwnas-worker-{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._serve, name=name, daemon=True))
                self._threads[-1].start()
            self._changed.notify()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the executor.

        Args:
            wait: For the tasks that run; else they are ended, and their futures raise ``WorkerLostError``.
            cancel_futures: Drops the tasks that wait.
        """
        with self._changed:
            self._ended = True
            dropped = list(self._waiting) if cancel_futures else []
            if cancel_futures:
                self._waiting.clear()
            self._changed.notify_all()
        for future, _ in dropped:
            future.cancel()
            future.set_running_or_notify_cancel()  # tells who waits for it
        with self._changed:
            if wait:
                self._changed.wait_for(self._is_done)
            self._closed = True
            hired, self._hired = self._hired, set()
            self._changed.notify_all()
        for worker in hired:
            worker.close()
        for thread in self._threads:
            thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the workers of this machine for a while, so that its device can be measured undisturbed."""
        with self._changed:
            hired = list(self._hired)
        with ExitStack() as held:
            for worker in hired:
                held.enter_context(worker.paused())
            yield

    def _is_done(self) -> bool:
        return not self._waiting and not self._busy

    def _serve(self) -> None:
        """A thread: has a worker, and gives it one task after another."""
        worker: Worker | None = None
        while True:
            lacking: Exception | None = None
            try:
                worker = worker or self._new()
            except Exception as error:  # belongs to the next task
                lacking = error
            found = self._next()
            if found is None:
                return
            future, task = found
            if future.set_running_or_notify_cancel():
                if worker is None:
                    future.set_exception(lacking)
                elif not self._run(worker, task, future):
                    worker = None
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """The next task; ``None`` when there will be none."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._waiting or self._ended)
            self._idle -= 1
            if not self._waiting:
                return None
            self._busy += 1
            return self._waiting.popleft()

    def _run(self, worker: Worker, task: Callable[[], Any], future: Future[Any]) -> bool:
        """Has a worker do a task; whether the worker is there afterwards."""
        try:
            future.set_result(worker.run(task, limit_s=self._limit_s))
        except (WorkerLostError, TimeLimitError) as error:
            self._dismiss(worker)
            future.set_exception(error)
            return False
        except BaseException as error:  # belongs to whoever asks for the result
            future.set_exception(error)
        return True

    def _new(self) -> Worker:
        worker = self._hire()
        with self._changed:
            closed = self._closed
            if not closed:
                self._hired.add(worker)
        if closed:
            worker.close()
            raise WorkerLostError("the executor was ended before the task began")
        try:
            worker.begin()
        except WorkerLostError:
            self._dismiss(worker)
            raise
        return worker

    def _dismiss(self, worker: Worker) -> None:
        with self._changed:
            self._hired.discard(worker)
        worker.close()
