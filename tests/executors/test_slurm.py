"""Jobs of SLURM: by submitit's local executor, and by a fake of SLURM's commands where states matter."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hwnas.core import MachineError, UsageError
from hwnas.executors import ExecutorSettings, TimeLimitError, WorkerExecutor, WorkerLostError, open_executor
from hwnas.executors.slurm import JobDemand, connect
from latency_tables import MissingExtraError
from tests.executors import tasks
from tests.executors.fake_slurm import FakeSlurm

SOON_S = 60.0
# submitit leaves the processes of its local executor to themselves when their jobs are cancelled
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Open = Callable[..., WorkerExecutor]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs import what tests do, and nobody waits for outcomes that a slow file system might still bring."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", *sys.path]))
    monkeypatch.setattr("submitit.core.core.Job._results_timeout_s", 0)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Open]:
    """Executors of jobs that are processes of this machine."""
    opened: list[WorkerExecutor] = []

    def make(*, workers: int = 2, limit_s: float | None = None) -> WorkerExecutor:
        hire = connect(tmp_path / "slurm", JobDemand(time_s=600), cluster="local")
        opened.append(WorkerExecutor(hire, workers=workers, limit_s=limit_s))
        return opened[-1]

    yield make
    for executor in opened:
        executor.shutdown(wait=False, cancel_futures=True)
    opened.clear()
    gc.collect()  # what submitit forgot complains here, where it is let pass, and not at the end of all tests


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    (tmp_path / "fake").mkdir()
    fake = FakeSlurm(tmp_path / "fake")
    monkeypatch.setenv("PATH", os.pathsep.join([str(fake.commands), os.environ["PATH"]]))
    return fake


def settings(**changes: Any) -> ExecutorSettings:
    return ExecutorSettings(**{"name": "slurm", "time_s": 600.0, **changes})


# --- by submitit's local executor


def test_every_task_comes_back_with_its_own_result_or_error_and_a_lost_one_takes_nothing_with_it(
    local: Open, tmp_path: Path
) -> None:
    executor = local()
    lost, fine = executor.submit(tasks.die), executor.submit(tasks.double, 4)
    refused = executor.submit(tasks.refuse)
    assert fine.result(SOON_S) == 8
    with pytest.raises(ValueError, match="not today"):
        refused.result(SOON_S)
    with pytest.raises(WorkerLostError, match=r"the worker's job \d+ was lost .* its log is ") as caught:
        lost.result(SOON_S)
    log = Path(str(caught.value).partition("its log is ")[2])
    assert log.exists()
    with executor.paused():
        pass
    assert [place.name for place in (tmp_path / "slurm").iterdir() if place.name.isdecimal()] == [log.parent.name]


def test_a_job_that_takes_too_long_is_ended(local: Open) -> None:
    hangs = local(workers=1, limit_s=1.0).submit(tasks.hang)
    with pytest.raises(TimeLimitError, match="longer than the limit of 1 s"):
        hangs.result(SOON_S)


def test_ending_without_waiting_ends_the_job_that_runs(local: Open, tmp_path: Path) -> None:
    executor = local(workers=1)
    running: Future[Any] = executor.submit(tasks.mark, tmp_path / "began")
    until((tmp_path / "began").exists)
    executor.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(WorkerLostError, match="cancelled when the executor was ended"):
        running.result(SOON_S)


# --- by a fake of SLURM


def test_a_job_asks_for_what_it_was_given_and_is_never_requeued_by_slurm(slurm: FakeSlurm, tmp_path: Path) -> None:
    asked = settings(partition="long", gpus=2, memory_mib=1536, time_s=7201)
    with ended(open_executor(asked, folder=tmp_path)) as executor:
        assert executor.submit(tasks.double, 21).result(SOON_S) == 42
    lines = slurm.script(slurm.first).splitlines()
    for option in ("partition=long", "gpus-per-node=2", "mem=1536MB", "time=121", "no-requeue", "job-name=hwnas"):
        assert f"#SBATCH --{option}" in lines
    assert slurm.cancelled() == []


def test_what_slurm_ends_comes_back_as_what_it_was(slurm: FakeSlurm, tmp_path: Path) -> None:
    """A node that fails and a preemption are lost workers, to be tried again; the time limit is one."""
    states = ["PREEMPTED", "NODE_FAIL", "TIMEOUT", "OUT_OF_MEMORY"]
    with ended(open_executor(settings(workers=4), folder=tmp_path)) as executor:
        futures = {executor.submit(tasks.mark, tmp_path / str(job)): job for job in range(4)}
        for job in range(4):
            until((tmp_path / str(job)).exists)
        for job, state in enumerate(states, start=slurm.first):
            slurm.lose(job, state)
        found = sorted(f"{type(future.exception(SOON_S)).__name__}: {future.exception()}" for future in futures)
        assert "job" in found[0]
        assert found[0].startswith("TimeLimitError: job ")
        assert "ended by SLURM at its time limit (TIMEOUT)" in found[0]
        for state in ("NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"):
            assert sum(line.startswith("WorkerLostError") and f"({state})" in line for line in found) == 1
        assert executor.submit(tasks.double, 2).result(SOON_S) == 4


def test_jobs_that_a_killed_search_left_are_cancelled_by_the_next_one(slurm: FakeSlurm, tmp_path: Path) -> None:
    (tmp_path / "slurm" / "4711").mkdir(parents=True)
    open_executor(settings(), folder=tmp_path).shutdown()
    assert slurm.cancelled() == ["4711"]
    assert list((tmp_path / "slurm").iterdir()) == []


def test_what_slurm_refuses_is_told_in_its_words(slurm: FakeSlurm, tmp_path: Path) -> None:
    with (
        ended(open_executor(settings(partition="closed"), folder=tmp_path)) as executor,
        pytest.raises(MachineError, match=r"SLURM refused a job: .*invalid partition specified: closed"),
    ):
        executor.submit(tasks.double, 1).result(SOON_S)


# --- settings


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (settings(time_s=None), "give --worker-time, for example 2h"),
        (settings(gpus=0.5), "SLURM gives whole GPUs to a job, received 0.5"),
        (settings(limit_s=900.0), r"end a job after 600 s, before the trial's limit of 900 s"),
        (settings(address="auto"), "an address is for the executor ray; this one is slurm"),
        (settings(resources={"x": 1.0}), "resources are for the executor ray; this one is slurm"),
        (settings(name="ray", time_s=None, partition="long"), "a partition is for the executor slurm; this one is ray"),
        (settings(name="processes"), "the time of a job is for the executor slurm; this one is processes"),
        (settings(name="serial", time_s=None, memory_mib=1.0), "the memory of a job is for the executor slurm"),
    ],
)
def test_settings_that_make_no_sense_are_refused(asked: ExecutorSettings, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_executor(asked)


def test_without_slurm_the_error_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="this machine lacks sbatch, srun, scancel, sacct: search on a node that"):
        open_executor(settings(limit_s=60.0), folder=tmp_path)


def test_without_submitit_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwnas.executors.catalog.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"hwnas\[slurm\]"):
        open_executor(settings())


@contextmanager
def ended(executor: WorkerExecutor) -> Iterator[WorkerExecutor]:
    """Ends an executor with the jobs that still run: a test that failed must not wait for those that hang."""
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def until(true: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < SOON_S, "waited in vain"
        time.sleep(0.05)
