"""Searches on several workers: what is lost, what is doubled, and what stands on a trial that failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from hwnas.core import StudyError
from hwnas.executors import ExecutorSettings
from hwnas.executors.slurm import connect
from hwnas.study import Run, open_run
from latency_tables import LatencyTable, write_table
from tests.study.sources import FaultySource
from tests.study.test_search import trace

Begin = Callable[..., Run]
TWO = ExecutorSettings(name="processes", workers=2)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


@pytest.fixture
def work(begin: Begin, notes: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Searches on two processes with an evaluator that fails as it is told."""

    def start(faults: dict[int, str] | None = None, **changes: object) -> Run:
        source = FaultySource(notes, tuple((faults or {}).items()))
        monkeypatch.setattr("hwnas.study.searching.EvaluatorSource", lambda **_: source)
        return begin(**{"algorithm": "mutation", "executor": TWO, **changes})

    return start


def test_on_several_workers_every_trial_is_evaluated_once(work: Begin, notes: Path) -> None:
    run = work()
    assert [trial.number for trial in run.trials()] == list(range(15))
    evaluated = [path.name.split("-")[1] for path in sorted(notes.iterdir())]
    assert sorted(evaluated) == sorted(trial.architecture.id for trial in run.trials())
    assert len(set(evaluated)) == 15


def test_one_process_gives_the_course_of_the_serial_search(work: Begin, begin: Begin, tmp_path: Path) -> None:
    alone = work(executor=ExecutorSettings(name="processes"), out=tmp_path / "alone")
    assert trace(alone) == trace(begin(algorithm="mutation", out=tmp_path / "serial"))


def test_a_trial_whose_worker_dies_is_begun_again_and_given_up_after_some_attempts(work: Begin, notes: Path) -> None:
    run = work({3: "die"})
    assert len(run.trials()) == 15
    assert sum("lost_workers" in attributes for attributes in run.record.attributes().values()) == 1
    assert len(list(notes.iterdir())) == 16


def test_what_goes_wrong_stands_on_the_trial(work: Begin) -> None:
    run = work(
        {2: "nan", 5: "memory", 8: "hang", 11: "die"},
        executor=ExecutorSettings(name="processes", workers=2, limit_s=12.0),
        attempts=1,
    )
    reasons = sorted(trial.failed for trial in run.record.finished() if trial.failed)
    assert [reason.split(" ")[0] for reason in reasons] == ["ArithmeticError:", "MemoryError:", "took", "worker"]
    assert "longer than the limit of 12 s" in reasons[2]
    assert "killed from outside, or by the system for want of memory (1 attempts)" in reasons[3]
    assert len(run.record.finished()) == 15


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_happens_to_jobs_of_slurm_stands_on_their_trials(work: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """By submitit's local executor: one trial is begun again, one is given up, one has no result."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", *sys.path]))
    monkeypatch.setattr("submitit.core.core.Job._results_timeout_s", 0)
    monkeypatch.setattr("hwnas.executors.slurm.connect", partial(connect, cluster="local"))
    slurm = ExecutorSettings(name="slurm", workers=1, time_s=600.0)
    run = work({0: "die", 2: "die", 3: "die", 4: "nan"}, executor=slurm, attempts=2, trials=3)
    attributes = run.record.attributes()
    assert [trial.failed and trial.failed.split(" ")[0] for trial in run.record.finished()] == [
        None, "the", "ArithmeticError:",
    ]  # fmt: skip
    assert "job" in str(run.record.finished()[1].failed)
    assert "(2 attempts)" in str(run.record.finished()[1].failed)
    assert [number for number, one in attributes.items() if "lost_workers" in one] == [0, 1]


def test_a_search_whose_workers_all_die_stops_and_says_why(work: Begin) -> None:
    with pytest.raises(StudyError, match=r"last 5 trials failed.*worker process"):
        work(dict.fromkeys(range(100), "die"), attempts=1)


def test_a_driver_that_is_killed_loses_and_doubles_nothing(
    work: Begin, tiny_table: LatencyTable, notes: Path, tmp_path: Path
) -> None:
    write_table(tiny_table, tmp_path / "table.jsonl")
    script = f"""
from pathlib import Path
import hwnas.study.searching as module
from hwnas.executors import ExecutorSettings
from tests.study.sources import FaultySource
if __name__ == "__main__":
    source = FaultySource(Path({str(notes)!r}), seconds=0.2)
    module.EvaluatorSource = lambda **_: source
    module.search(table={str(tmp_path / "table.jsonl")!r}, out={str(tmp_path / "run")!r}, space="mobilenet:tiny",
                  trials=15, algorithm="mutation", executor=ExecutorSettings(name="processes", workers=2))
"""
    (tmp_path / "driver.py").write_text(script)
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    driver = subprocess.Popen([sys.executable, tmp_path / "driver.py"], env=here)
    begun = time.monotonic()
    while len(list(notes.iterdir())) < 6:
        assert driver.poll() is None
        assert time.monotonic() - begun < 120
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    kept = open_run(tmp_path / "run")
    before, left = trace(kept), [number for number, _ in kept.record.unfinished()]
    kept.record.close()
    assert len(before) >= 3
    run = work()
    assert trace(run)[: len(before)] == before or set(map(repr, before)) <= set(map(repr, trace(run)))
    assert {trial.number for trial in run.trials()} == set(range(15)) >= set(left)
    assert len({trial.architecture.id for trial in run.trials()}) == 15


def test_a_serial_search_goes_on_with_several_workers_and_back(work: Begin, begin: Begin) -> None:
    quick = partial(begin, algorithm="mutation")
    quick(trials=4)
    work(trials=9)
    run = quick(trials=12)
    assert len({trial.architecture.id for trial in run.trials()}) == 12
