"""Executors by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

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
        gpus: Of a node of Ray or SLURM, for each worker; with Ray, a fraction shares one.
        resources: Of a Ray node by name, for each worker.
        partition: Of SLURM; ``None`` for the cluster's usual one.
        time_s: After which SLURM ends a job; ``None`` for the limit, and minutes to begin.
        memory_mib: That a job asks SLURM for; ``None`` for as much as is usual.
    """

    name: str = "auto"
    workers: int = 1
    limit_s: float | None = None
    address: str | None = None
    gpus: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)
    partition: str | None = None
    time_s: float | None = None
    memory_mib: float | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether workers are on other machines, with other devices than this one."""
        return self.name in CLUSTERS


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
    _require_own_options(settings, name)
    if name in CLUSTERS and find_spec(CLUSTERS[name]) is None:
        raise MissingExtraError(package=CLUSTERS[name], extra=name, purpose=f"the executor {name}")
    return name


def _require_own_options(settings: ExecutorSettings, name: str) -> None:
    """Refuses what belongs to other executors, and for SLURM what it cannot do with."""
    for words, value, owners in (
        ("an address is", settings.address, ("ray",)),
        ("GPUs are", settings.gpus, ("ray", "slurm")),
        ("resources are", settings.resources, ("ray",)),
        ("a partition is", settings.partition, ("slurm",)),
        ("the time of a job is", settings.time_s, ("slurm",)),
        ("the memory of a job is", settings.memory_mib, ("slurm",)),
    ):
        if value and name not in owners:
            raise UsageError(f"{words} for the executor {' and '.join(owners)}; this one is {name}")
    if name != "slurm":
        return
    if settings.gpus != int(settings.gpus):
        raise UsageError(f"SLURM gives whole GPUs to a job, received {settings.gpus:g}")
    if settings.time_s is None and settings.limit_s is None:
        raise UsageError("SLURM has to be told how long a job may take: give --worker-time, for example 2h")
    if settings.time_s is not None and settings.limit_s is not None and settings.time_s < settings.limit_s:
        raise UsageError(
            f"SLURM would end a job after {settings.time_s:g} s, before the trial's limit of {settings.limit_s:g} s: "
            "give --worker-time more, or leave it out"
        )


def open_executor(settings: ExecutorSettings, *, folder: Path | None = None) -> AnyExecutor:
    """Makes an executor; whoever asks for it shuts it down.

    Args:
        settings: Which, and with what.
        folder: Of the run, where jobs of SLURM find their tasks; the present one when left out.

    Raises:
        UsageError: As ``require_executor``.
        MissingExtraError: As ``require_executor``.
        MachineError: What it needs cannot be reached.
    """
    return EXECUTORS[require_executor(settings)](settings, folder or Path())


def _serial(_: ExecutorSettings, __: Path) -> AnyExecutor:
    return SerialExecutor()


def _processes(settings: ExecutorSettings, _: Path) -> AnyExecutor:
    from hwnas.executors.processes import ProcessWorker  # noqa: PLC0415

    return WorkerExecutor(ProcessWorker, workers=settings.workers, limit_s=settings.limit_s)


def _ray(settings: ExecutorSettings, _: Path) -> AnyExecutor:
    from hwnas.executors.ray import connect  # noqa: PLC0415  (an extra, and seconds to import)

    hire = connect(settings.address, gpus=settings.gpus, resources=settings.resources)
    return WorkerExecutor(hire, workers=settings.workers, limit_s=settings.limit_s)


def _slurm(settings: ExecutorSettings, folder: Path) -> AnyExecutor:
    from hwnas.executors.slurm import FOLDER, JobDemand, connect  # noqa: PLC0415  (an extra)

    demand = JobDemand(
        time_s=settings.time_s or (settings.limit_s or 0.0) + _TO_BEGIN_S,
        partition=settings.partition,
        gpus=int(settings.gpus),
        memory_mib=settings.memory_mib,
    )
    return WorkerExecutor(connect(folder / FOLDER, demand), workers=settings.workers, limit_s=settings.limit_s)


EXECUTORS: Mapping[str, Callable[[ExecutorSettings, Path], AnyExecutor]] = {
    "serial": _serial,
    "processes": _processes,
    "ray": _ray,
    "slurm": _slurm,
}
"""What makes each."""

CLUSTERS: Mapping[str, str] = {"ray": "ray", "slurm": "submitit"}
"""Executors whose workers are on other machines, and the package that each needs; the extra has the executor's name."""

_TO_BEGIN_S = 300.0  # what a job may take beside a trial that has a limit: importing torch, reading data
