"""Executors by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from hwnas.core import UsageError, unknown
from hwnas.executors.serial import SerialExecutor
from hwnas.executors.workers import WorkerExecutor
from latency_tables import MissingExtraError

AnyExecutor = SerialExecutor | WorkerExecutor


@dataclass(frozen=True, kw_only=True)
class ExecutorSettings:
    """Where trials run.

    Attributes:
        name: One of ``EXECUTORS``; ``"auto"`` for ``serial`` with one worker and ``processes`` with several.
        workers: How many trials run at once.
        limit_s: How long one may take; ``None`` for as long as it likes.
        address: Of a Ray cluster; ``None`` for one of this machine alone.
        gpus: Of a Ray node, for each worker; a fraction shares one.
        resources: Of a Ray node by name, for each worker.
    """

    name: str = "auto"
    workers: int = 1
    limit_s: float | None = None
    address: str | None = None
    gpus: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)


def require_executor(settings: ExecutorSettings) -> str:
    """Checks settings without opening anything.

    Returns:
        The executor's name, never ``"auto"``.

    Raises:
        UsageError: No such executor, a number that makes no sense, or options that belong to another one.
        MissingExtraError: What it needs is not installed.
    """
    name = settings.name
    if name == "auto":
        name = "serial" if settings.workers == 1 and settings.limit_s is None else "processes"
    if name not in EXECUTORS:
        raise unknown("executor", settings.name, ("auto", *EXECUTORS))
    if settings.workers < 1:
        raise UsageError(f"expected at least 1 worker, received {settings.workers}")
    if settings.limit_s is not None and not settings.limit_s > 0:
        raise UsageError(f"expected a time limit above 0 s, received {settings.limit_s:g}")
    if name == "serial" and settings.workers != 1:
        raise UsageError(f"the executor serial runs one trial at a time, received {settings.workers} workers")
    if name == "serial" and settings.limit_s is not None:
        raise UsageError("a trial in this very process cannot be ended: a time limit needs the executor processes")
    if name != "ray" and (settings.address or settings.gpus or settings.resources):
        raise UsageError(f"an address, GPUs and resources are for the executor ray; this one is {name}")
    if name == "ray" and find_spec("ray") is None:
        raise MissingExtraError(package="ray", extra="ray", purpose="the executor ray")
    return name


def open_executor(settings: ExecutorSettings) -> AnyExecutor:
    """Makes an executor; whoever asks for it shuts it down.

    Raises:
        UsageError: As ``require_executor``.
        MissingExtraError: As ``require_executor``.
        MachineError: What it needs cannot be reached.
    """
    return EXECUTORS[require_executor(settings)](settings)


def _serial(_: ExecutorSettings) -> AnyExecutor:
    return SerialExecutor()


def _processes(settings: ExecutorSettings) -> AnyExecutor:
    from hwnas.executors.processes import ProcessWorker  # noqa: PLC0415

    return WorkerExecutor(ProcessWorker, workers=settings.workers, limit_s=settings.limit_s)


def _ray(settings: ExecutorSettings) -> AnyExecutor:
    from hwnas.executors.ray import connect  # noqa: PLC0415  (an extra, and seconds to import)

    hire = connect(settings.address, gpus=settings.gpus, resources=settings.resources)
    return WorkerExecutor(hire, workers=settings.workers, limit_s=settings.limit_s)


EXECUTORS: Mapping[str, Callable[[ExecutorSettings], AnyExecutor]] = {
    "serial": _serial,
    "processes": _processes,
    "ray": _ray,
}
"""What makes each."""
