"""Executors: tasks come back, several run at once, and a worker that is lost takes nothing with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from hwnas.core import HwnasError, MachineError, UsageError
from hwnas.executors import (
    AnyExecutor,
    ExecutorSettings,
    SerialExecutor,
    TimeLimitError,
    Worker,
    WorkerExecutor,
    WorkerLostError,
    open_executor,
)
from latency_tables import MissingExtraError
from tests.executors import tasks

SOON_S = 60.0


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """Ends the cluster of this machine afterwards; many tests share it."""
    yield
    import ray

    ray.shutdown()


@pytest.fixture(params=["serial", "processes", "ray"])
def executor(request: pytest.FixtureRequest) -> Iterator[AnyExecutor]:
    """One of each, with as many workers as it may have up to two."""
    if request.param == "ray":
        request.getfixturevalue("ray_here")
    made = open_executor(ExecutorSettings(name=request.param, workers=1 if request.param == "serial" else 2))
    yield made
    made.shutdown(wait=False, cancel_futures=True)


@pytest.fixture(params=["processes", "ray"])
def name(request: pytest.FixtureRequest) -> str:
    """Of an executor whose workers can be lost."""
    if request.param == "ray":
        request.getfixturevalue("ray_here")
    return str(request.param)


def test_every_task_comes_back_with_its_own_result_or_error(executor: AnyExecutor) -> None:
    futures = [executor.submit(tasks.double, i) for i in range(5)]
    refused, late = executor.submit(tasks.refuse), executor.submit(tasks.late)
    assert [future.result(SOON_S) for future in futures] == [0, 2, 4, 6, 8]
    with pytest.raises(ValueError, match="not today"):
        refused.result(SOON_S)
    with pytest.raises(TimeoutError, match="the task's own"):
        late.result(SOON_S)
    assert executor.submit(tasks.double, 21).result(SOON_S) == 42


def test_a_paused_executor_goes_on_afterwards(executor: AnyExecutor) -> None:
    executor.submit(tasks.own_pid).result(SOON_S)
    with executor.paused():
        pass
    assert executor.submit(tasks.double, 2).result(SOON_S) == 4


def test_workers_run_at_once_and_stay(name: str, tmp_path: Path) -> None:
    with open_executor(ExecutorSettings(name=name, workers=2)) as executor:
        both = [executor.submit(tasks.meet, tmp_path, str(i), 2) for i in range(2)]
        pids = {future.result(SOON_S) for future in both}
        assert len(pids) == 2
        assert os.getpid() not in pids
        assert executor.submit(tasks.own_pid).result(SOON_S) in pids


def test_a_worker_that_dies_loses_its_own_task_alone(name: str) -> None:
    with open_executor(ExecutorSettings(name=name, workers=2)) as executor:
        lost = executor.submit(tasks.die)
        others = [executor.submit(tasks.double, i) for i in range(4)]
        assert [future.result(SOON_S) for future in others] == [0, 2, 4, 6]
        with pytest.raises(WorkerLostError, match="worker"):
            lost.result(SOON_S)


def test_a_worker_that_dies_between_two_tasks_loses_the_next_one_as_any_other_does() -> None:
    with open_executor(ExecutorSettings(name="processes", workers=1)) as executor:
        pid = executor.submit(tasks.own_pid).result(SOON_S)
        os.kill(pid, signal.SIGKILL)
        _until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        time.sleep(0.2)  # until the pool has seen it
        with pytest.raises(WorkerLostError, match=f"worker process {pid} ended: killed"):
            executor.submit(tasks.double, 1).result(SOON_S)
        assert executor.submit(tasks.double, 2).result(SOON_S) == 4


def test_a_task_that_takes_too_long_is_ended_and_the_next_one_runs(name: str) -> None:
    with open_executor(ExecutorSettings(name=name, workers=1, limit_s=3.0)) as executor:
        executor.submit(tasks.own_pid).result(SOON_S)
        hangs, next_one = executor.submit(tasks.hang), executor.submit(tasks.double, 4)
        with pytest.raises(TimeLimitError, match="longer than the limit of 3 s"):
            hangs.result(SOON_S)
        assert next_one.result(SOON_S) == 8


def test_ending_without_waiting_ends_what_runs_and_drops_what_waits(name: str, tmp_path: Path) -> None:
    executor = open_executor(ExecutorSettings(name=name, workers=1))
    running: Future[Any] = executor.submit(tasks.mark, tmp_path / "began")
    waiting = executor.submit(tasks.double, 1)
    _until((tmp_path / "began").exists)
    executor.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(WorkerLostError):
        running.result(SOON_S)
    with pytest.raises((CancelledError, WorkerLostError)):
        waiting.result(SOON_S)


def test_a_worker_ends_with_the_process_that_began_it(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from hwnas.executors import ExecutorSettings, open_executor
from tests.executors import tasks
if __name__ == "__main__":
    executor = open_executor(ExecutorSettings(name="processes"))
    print(executor.submit(tasks.own_pid).result(), flush=True)
    executor.submit(tasks.mark, Path({str(tmp_path / "began")!r}))
    while not Path({str(tmp_path / "began")!r}).exists():
        pass
    with executor.paused():
        os.kill(os.getpid(), signal.SIGKILL)
"""
    (tmp_path / "driver.py").write_text(script)
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    done = subprocess.run(
        [sys.executable, tmp_path / "driver.py"], stdout=subprocess.PIPE, text=True, check=False, env=here,
        start_new_session=True,
    )  # fmt: skip
    pid = int(done.stdout)
    _until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


class Nowhere:
    """FAKE of a worker for which a cluster has no room."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def begin(self) -> None:
        assert self._closed.wait(SOON_S)
        raise WorkerLostError("closed while it waited for room")

    def run(self, task: Callable[[], Any], *, limit_s: float | None) -> Any:
        raise AssertionError("it was never there")

    def paused(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        self._closed.set()


class Here(Nowhere):
    """FAKE of a worker in this process."""

    def begin(self) -> None:
        pass

    def run(self, task: Callable[[], Any], *, limit_s: float | None) -> Any:
        return task()


def test_a_worker_for_which_there_is_no_room_holds_up_no_task() -> None:
    workers = iter([Nowhere(), Here(), Nowhere()])
    with WorkerExecutor(partial(next, workers), workers=3) as executor:
        futures = [executor.submit(tasks.double, i) for i in range(6)]
        assert [future.result(SOON_S) for future in futures] == [0, 2, 4, 6, 8, 10]


def test_a_task_whose_worker_cannot_be_had_fails_alone_and_none_begins_after_the_end() -> None:
    executor = WorkerExecutor(Here, workers=1)
    assert executor.submit(tasks.double, 1).result(SOON_S) == 2
    executor.shutdown()
    with pytest.raises(RuntimeError, match="the executor was ended"):
        executor.submit(tasks.double, 1)

    def refused() -> Worker:
        raise WorkerLostError("could not be begun")

    with WorkerExecutor(refused, workers=1) as executor:
        lost = [executor.submit(tasks.double, i) for i in range(2)]
        assert [str(future.exception(SOON_S)) for future in lost] == ["could not be begun"] * 2


def test_the_serial_executor_lets_ctrl_c_through() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SerialExecutor().submit(interrupted)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ExecutorSettings(name="dask"), "unknown executor 'dask': expected one of auto, processes, ray, serial, slurm"),
        (ExecutorSettings(workers=0), "expected at least 1 worker, received 0"),
        (ExecutorSettings(limit_s=0.0), "expected a time limit above 0 s, received 0"),
        (ExecutorSettings(limit_s=float("nan")), "expected a time limit above 0 s, received nan"),
        (ExecutorSettings(name="serial", workers=2), "serial runs one trial at a time, received 2 workers"),
        (ExecutorSettings(name="serial", limit_s=1.0), "a time limit needs the executor processes"),
        (
            ExecutorSettings(name="processes", gpus=0.5),
            "GPUs are for the executor ray and slurm; this one is processes",
        ),
        (ExecutorSettings(address="auto"), "an address is for the executor ray; this one is serial"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: ExecutorSettings, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_executor(settings)


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwnas.executors.catalog.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"hwnas\[ray\]"):
        open_executor(ExecutorSettings(name="ray"))


def test_a_worker_that_fits_on_no_node_is_refused_with_what_there_is(ray_here: None) -> None:
    with pytest.raises(MachineError, match=r"no node .* needs \(CPU 1, GPU 1, jetson 1\)\. Its nodes have: CPU"):
        open_executor(ExecutorSettings(name="ray", gpus=1, resources={"jetson": 1.0}))


def test_a_cluster_that_cannot_be_reached_is_an_error_with_the_cure(ray_here: None) -> None:
    import ray

    ray.shutdown()
    with pytest.raises(HwnasError, match=r"cannot reach a Ray cluster at 127\.0\.0\.1:1: .*ray start --head"):
        open_executor(ExecutorSettings(name="ray", address="127.0.0.1:1"))


def _until(true: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < SOON_S, "waited in vain"
        time.sleep(0.05)
