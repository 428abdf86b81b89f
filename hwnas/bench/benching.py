"""Many runs: every algorithm with every seed, in processes of their own, each finished one a file."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits

from hwnas.bench.catalog import open_problem
from hwnas.bench.problem import BenchProblem
from hwnas.bench.running import BenchRun, run_once, searcher_of
from hwnas.bench.settings import BenchSettings
from hwnas.core import MachineError, UsageError, in_data_folder

_RUNS = "runs"
_LOCK = ".bench.lock"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class BenchProgress:
    """How far a benchmark is.

    Attributes:
        algorithm: Of the run that ended last.
        seed: Likewise.
        done: Runs at hand, those of earlier calls among them.
        total: Runs asked for.
    """

    algorithm: str
    seed: int
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What was run.

    Attributes:
        problem: What was solved.
        settings: How.
        runs: By algorithm and then by seed.
    """

    problem: BenchProblem
    settings: BenchSettings
    runs: tuple[BenchRun, ...]

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Names, in the order asked for."""
        return tuple(dict.fromkeys(run.algorithm for run in self.runs))


def bench(
    settings: BenchSettings,
    *,
    algorithms: Sequence[str],
    seeds: int,
    out: Path,
    jobs: int = 1,
    on_progress: Callable[[BenchProgress], None] | None = None,
) -> Bench:
    """Runs every algorithm with the seeds 0, 1, …, and goes on with what a folder already holds.

    All algorithms begin with the same random designs, seed by seed. A finished run is a file, so a benchmark that was
    killed loses no more than the runs under way; algorithms and seeds can be added to a folder later.

    Args:
        settings: Problem and budget.
        algorithms: Names such as ``lamoo``, ``mutation`` or ``lamoo+random``, an algorithm with an inner searcher.
        seeds: How many.
        out: The folder.
        jobs: Processes, each with one thread. With one, the runs are made in this process.
        on_progress: Told of every run that ended.

    Raises:
        UsageError: A name or number that nobody can serve, or another process is at work in the folder; nothing has
            been run then.
        RunMismatchError: The folder was begun with other settings or data.
        MachineError: ``HWNAS_DATA`` is not set, its folder lacks a file, or a process was killed.
        MissingExtraError: A package that the problem or an algorithm needs is not installed.
        DataError: A file of the problem cannot be read, or is not what it should be.
        StudyError: A file of the folder is damaged, or a searcher proposed an architecture twice.
        OSError: The folder cannot be written.
    """
    names = list(dict.fromkeys(algorithms))
    for what, given in (("algorithms", len(names)), ("seeds", seeds), ("jobs", jobs)):
        if given < 1:
            raise UsageError(f"expected at least 1 of {what}, received {given}")
    problem = _opened(settings.problem, black_box=settings.black_box)
    for name in names:
        searcher_of(name, problem, seed=0, initial=settings.initial)
    known = replace(settings, data={file: _sha256(file) for file in problem.files})
    wanted = [(name, seed) for seed in range(seeds) for name in names]
    with _alone(out):
        known.require_same(out)
        todo = [(name, seed) for name, seed in wanted if not _path(out, name, seed).exists()]
        done = len(wanted) - len(todo)
        for name, seed in _worked(known, todo, out, jobs=jobs):
            done += 1
            if on_progress:
                on_progress(BenchProgress(algorithm=name, seed=seed, done=done, total=len(wanted)))
        runs = tuple(BenchRun.read(_path(out, name, seed)) for name in names for seed in range(seeds))
    return Bench(problem=problem, settings=known, runs=runs)


def _path(out: Path, algorithm: str, seed: int) -> Path:
    return out / _RUNS / algorithm / f"seed-{seed}.json"


def _sha256(file: str) -> str:
    path = in_data_folder(file, purpose="this benchmark", about="see docs/benchmarks.md")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keeps other processes from working in the folder."""
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(f"another process runs a benchmark in {out}: wait for it, or choose another folder") from error
    try:
        yield
    finally:
        lock.release()


def _worked(
    settings: BenchSettings, todo: Sequence[tuple[str, int]], out: Path, *, jobs: int
) -> Iterator[tuple[str, int]]:
    """Makes the runs; yields which one ended."""
    if jobs == 1 or len(todo) < 2:
        with threadpool_limits(1):
            for name, seed in todo:
                _work(settings, name, seed, out)
                yield name, seed
        return
    pool = ProcessPoolExecutor(min(jobs, len(todo)), mp_context=get_context("spawn"), initializer=_begin_worker)
    try:
        under_way = {pool.submit(_work, settings, name, seed, out): (name, seed) for name, seed in todo}
        for ended in as_completed(under_way):
            ended.result()
            yield under_way[ended]
    except BrokenProcessPool as error:
        raise MachineError(
            f"a process of the benchmark was killed, perhaps for its memory. Finished runs are kept in {out}: the same "
            "command goes on, and needs less memory with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _work(settings: BenchSettings, algorithm: str, seed: int, out: Path) -> None:
    problem = _opened(settings.problem, black_box=settings.black_box)
    run = run_once(problem, settings, algorithm=algorithm, seed=seed)
    run.write(_path(out, algorithm, seed))


@lru_cache(maxsize=1)
def _opened(name: str, *, black_box: bool) -> BenchProblem:
    return open_problem(name, black_box=black_box)


def _begin_worker() -> None:
    """One thread, and an end when Ctrl-C or the parent says so."""
    for name in _THREADS:  # of libraries that are loaded later; this process is ours alone
        os.environ[name] = "1"
    threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, which a killed parent cannot do itself."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
