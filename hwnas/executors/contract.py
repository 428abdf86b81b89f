"""What can happen to a task, beside what the task itself raises."""

from __future__ import annotations

from hwnas.core import HwnasError


class WorkerLostError(HwnasError, RuntimeError):
    """The worker is gone: killed, out of memory, its node lost. The task may be tried again."""


class TimeLimitError(HwnasError, TimeoutError):
    """The task took longer than it may; its worker was ended."""
