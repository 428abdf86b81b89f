"""Tasks one after another, in this very process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class SerialExecutor(Executor):
    """Runs a task when it is submitted; its future is finished when ``submit`` returns."""

    workers = 1

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs the task.

        Raises:
            KeyboardInterrupt: Ctrl-C ends the caller, not the task alone.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # belongs to whoever asks for the result
            future.set_exception(error)
        return future

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing runs meanwhile in any case."""
        yield
