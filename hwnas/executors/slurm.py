"""Workers whose tasks are jobs of SLURM, one job a task. Imports submitit.

Tasks and what they return travel as files in a folder that every node sees. Nothing is begun again behind the caller's
back: a job that is preempted or whose node fails is over, and whoever gave the task decides.
"""

from __future__ import annotations

import math
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit

from hwnas.core import MachineError
from hwnas.executors.contract import TimeLimitError, WorkerLostError
from hwnas.executors.workers import Worker

FOLDER = "slurm"  # in that of a run
_COMMANDS = ("sbatch", "srun", "scancel", "sacct")
_POLL_S = 0.5
_LATE_S = 300.0  # after which a job that SLURM should have ended is given up
_NEVER_BACK = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED")  # submitit waits for the first of them to be requeued
_OUT_OF_TIME = ("TIMEOUT", "DEADLINE")


@dataclass(frozen=True, kw_only=True)
class JobDemand:
    """What each job asks of SLURM.

    Attributes:
        time_s: How long it may take; SLURM ends it then.
        partition: Where it runs; ``None`` for the cluster's usual one.
        gpus: On its node.
        memory_mib: On its node, in MiB; ``None`` for as much as is usual.
    """

    time_s: float
    partition: str | None = None
    gpus: int = 0
    memory_mib: float | None = None


def connect(folder: Path, demand: JobDemand, *, cluster: str = "slurm") -> Callable[[], Worker]:
    """Finds SLURM, and ends what an earlier search left in its queue; gives what makes a worker.

    Args:
        folder: That every node sees, of one search alone.
        demand: Of each job.
        cluster: ``"slurm"``, or ``"local"`` for processes of this machine in its place.

    Raises:
        MachineError: This machine does not submit to SLURM.
    """
    if cluster == "slurm":
        lacking = [name for name in _COMMANDS if shutil.which(name) is None]
        if lacking:
            raise MachineError(
                f"the executor slurm needs the commands {', '.join(_COMMANDS)}, and this machine lacks "
                f"{', '.join(lacking)}: search on a node that submits jobs, or choose another --executor"
            )
    place = folder.absolute()
    place.mkdir(parents=True, exist_ok=True, mode=0o700)  # what lies there is unpickled
    _end_left_over(place, cluster)
    jobs = submitit.AutoExecutor(folder=place / "%j", cluster=cluster)
    own: dict[str, Any] = {"slurm_additional_parameters": {"no-requeue": True}}
    if demand.partition is not None:
        own["slurm_partition"] = demand.partition
    if demand.memory_mib is not None:
        own["mem_gb"] = demand.memory_mib / 1024  # SLURM's GB are GiB
    jobs.update_parameters(
        name="hwnas",
        timeout_min=math.ceil(demand.time_s / 60),
        gpus_per_node=demand.gpus,
        stderr_to_stdout=True,
        **own,
    )
    lock = threading.Lock()
    return lambda: SlurmWorker(jobs, lock=lock, most_s=demand.time_s + _LATE_S)


def _end_left_over(folder: Path, cluster: str) -> None:
    """Jobs of a search that was killed would work for nobody."""
    left = [place for place in folder.iterdir() if place.name.isdecimal()]
    if left and cluster == "slurm":
        with suppress(OSError):
            subprocess.run(["scancel", *(place.name for place in left)], check=False, capture_output=True)  # noqa: S603, S607
    for place in left:
        shutil.rmtree(place, ignore_errors=True)


@dataclass(frozen=True)
class _Job:
    """A task as it runs in a job; what it raises comes back as it is, which submitit would turn into a text."""

    task: Callable[[], Any]

    def __call__(self) -> tuple[Any, Exception | None]:
        # submitit would requeue the job at one of them, and its error be the task's, and sit out the other
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            return self.task(), None
        except Exception as error:  # belongs to whoever asks for the result
            return None, error


class SlurmWorker:
    """One job at a time.

    Args:
        jobs: Submits.
        lock: Of all workers together: submitit asks SLURM about all jobs at once.
        most_s: After which a job that has begun is given up, whatever SLURM says of it.
    """

    def __init__(self, jobs: submitit.Executor, *, lock: threading.Lock, most_s: float) -> None:
        self._jobs, self._lock, self._most_s = jobs, lock, most_s
        self._closed = threading.Event()

    def begin(self) -> None:
        """As ``Worker.begin``: there is nothing before the first job."""

    def run(self, task: Callable[[], Any], *, limit_s: float | None) -> Any:
        """As ``Worker.run``; time in the queue does not count.

        Raises:
            MachineError: SLURM refuses the job.
        """
        job = self._submitted(task)
        try:
            self._wait(job, limit_s)
        except (WorkerLostError, TimeLimitError):
            with suppress(OSError):
                job.cancel(check=False)
            raise
        value, error = self._result(job)
        shutil.rmtree(job.paths.folder, ignore_errors=True)
        if error is not None:
            raise error
        return value

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Goes on: which machine a job is on is the cluster's affair."""
        yield

    def close(self) -> None:
        """Has the job cancelled that runs or waits."""
        self._closed.set()

    def _submitted(self, task: Callable[[], Any]) -> submitit.Job[Any]:
        try:
            with self._lock:
                return self._jobs.submit(_Job(task))
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError, OSError) as error:
            said = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise MachineError(f"SLURM refused a job: {said[-1].strip()}") from error

    def _wait(self, job: submitit.Job[Any], limit_s: float | None) -> None:
        begun_s: float | None = None
        while True:
            with self._lock:
                if job.done():
                    return
                state = job.state
            if state.startswith(_NEVER_BACK):
                raise WorkerLostError(_lost(job, state))
            if begun_s is None and job.paths.stdout.exists():
                begun_s = time.monotonic()
            worked_s = 0.0 if begun_s is None else time.monotonic() - begun_s
            if limit_s is not None and worked_s > limit_s:
                raise TimeLimitError(f"took longer than the limit of {limit_s:g} s")
            if worked_s > self._most_s:
                raise TimeLimitError(f"job {job.job_id} should have been ended by SLURM after {self._most_s:g} s")
            if self._closed.wait(_POLL_S):
                raise WorkerLostError(f"job {job.job_id} was cancelled when the executor was ended")

    def _result(self, job: submitit.Job[Any]) -> tuple[Any, Exception | None]:
        try:
            found: tuple[Any, Exception | None] = job.result()
        except submitit.core.utils.FailedJobError as error:  # it broke before or after the task
            lines = [line for line in str(error).partition("\n-")[0].splitlines() if line.strip()]
            raise WorkerLostError(_lost(job, _last_words(str(error)) or lines[0])) from error
        except submitit.core.utils.UncompletedJobError as error:
            state = job.state
            if state.startswith(_OUT_OF_TIME):
                raise TimeLimitError(f"job {job.job_id} was ended by SLURM at its time limit ({state})") from error
            raise WorkerLostError(_lost(job, state)) from error
        return found


def _lost(job: submitit.Job[Any], why: str) -> str:
    return f"the worker's job {job.job_id} was lost ({why}); its log is {job.paths.stdout}"


def _last_words(text: str) -> str | None:
    """The last line of the traceback in a message of submitit's."""
    _, _, rest = text.partition("Traceback")
    lines = [line for line in rest.partition("\n------")[0].splitlines() if line.strip() and not line.startswith(" ")]
    return lines[-1].strip() if len(lines) > 1 else None
