"""Runs of benchmarks: equal designs, nothing twice, what a folder keeps, and what is refused before anything runs."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from hwnas.bench import (
    BenchProblem,
    BenchProgress,
    BenchRun,
    BenchSettings,
    bench,
    first_designs,
    open_problem,
    run_once,
    searcher_of,
)
from hwnas.core import RunMismatchError, StudyError, UsageError
from hwnas.searchers import SearchProblem
from hwnas.spaces import Choice, SearchSpace

SETTINGS = BenchSettings(problem="branin-currin", evaluations=14, batch=3, initial=6)


def small_problem() -> BenchProblem:
    """A space of 12 architectures."""
    problem = open_problem("branin-currin")
    space = SearchSpace(
        "grid", (Choice(name="x", options=(0.1, 0.5, 0.9)), Choice(name="y", options=(0.2, 0.4, 0.6, 1.0)))
    )
    search = SearchProblem(space=space, objectives=problem.search.objectives, reference=problem.search.reference)
    return replace(problem, search=search)


def test_algorithms_begin_with_the_same_designs_and_other_seeds_with_others() -> None:
    problem = open_problem("branin-currin")
    runs = [run_once(problem, SETTINGS, algorithm=name, seed=3) for name in ("random", "lamoo", "lamoo+random")]
    designs = [design.id for design in first_designs(problem, 6, seed=3)]
    assert all(list(run.ids[:6]) == designs for run in runs)
    assert len({run.ids[6:] for run in runs}) == 3
    assert not set(designs) & {design.id for design in first_designs(problem, 6, seed=4)}


def test_a_run_evaluates_its_budget_in_batches_and_tells_how_long_asking_took() -> None:
    ticks = count()
    run = run_once(
        open_problem("branin-currin"), SETTINGS, algorithm="mutation", seed=0, clock=lambda: float(next(ticks))
    )
    assert len(run.ids) == len(set(run.ids)) == len(run.values) == 14
    assert [(ask.told, ask.proposed, ask.seconds) for ask in run.asks] == [(6, 3, 1.0), (9, 3, 1.0), (12, 2, 1.0)]
    assert set(run.values[0]) == {"branin", "currin"}


def test_a_run_ends_with_its_space_or_at_the_share_it_is_to_reach() -> None:
    problem = small_problem()
    whole = run_once(problem, replace(SETTINGS, evaluations=50), algorithm="lamoo", seed=0)
    assert len(whole.ids) == 12
    near = replace(problem, best=1e-6)
    stopped = run_once(near, replace(SETTINGS, evaluations=50, initial=1, stop_at=1.0), algorithm="random", seed=0)
    assert len(stopped.ids) < 12


def test_a_killed_benchmark_goes_on_and_gives_what_it_would_have_given(tmp_path: Path) -> None:
    told: list[BenchProgress] = []
    whole = bench(SETTINGS, algorithms=["random", "mutation"], seeds=2, out=tmp_path / "whole", on_progress=told.append)
    assert [(p.algorithm, p.seed, p.done, p.total) for p in told][::3] == [("random", 0, 1, 4), ("mutation", 1, 4, 4)]

    def killed(progress: BenchProgress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench(SETTINGS, algorithms=["random", "mutation"], seeds=2, out=tmp_path / "cut", on_progress=killed)
    assert len(list((tmp_path / "cut").glob("runs/*/*.json"))) == 2
    told.clear()
    resumed = bench(SETTINGS, algorithms=["random", "mutation"], seeds=2, out=tmp_path / "cut", on_progress=told.append)
    assert [p.done for p in told] == [3, 4]
    assert [run.ids for run in resumed.runs] == [run.ids for run in whole.runs]
    assert resumed.algorithms == ("random", "mutation")


def test_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    runs = [
        bench(SETTINGS, algorithms=["lamoo"], seeds=2, out=tmp_path / f"jobs{jobs}", jobs=jobs).runs for jobs in (1, 2)
    ]
    assert [run.values for run in runs[0]] == [run.values for run in runs[1]]


def test_a_folder_of_other_settings_is_refused_with_the_differences_and_algorithms_may_be_added(tmp_path: Path) -> None:
    bench(SETTINGS, algorithms=["random"], seeds=1, out=tmp_path)
    more = bench(SETTINGS, algorithms=["random", "mutation"], seeds=2, out=tmp_path)
    assert len(more.runs) == 4
    with pytest.raises(RunMismatchError, match=r"batch 3 \(now 5\), evaluations 14 \(now 20\)") as caught:
        bench(replace(SETTINGS, batch=5, evaluations=20), algorithms=["random"], seeds=1, out=tmp_path)
    assert caught.value.differences["batch"] == (3, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluations": 0}, "expected evaluations of at least 1, received 0"),
        ({"batch": 0}, "expected batch of at least 1, received 0"),
        ({"initial": -1}, "expected initial of at least 1, received -1"),
        ({"initial": 15}, "no more initial designs than evaluations, received 15 and 14"),
        ({"stop_at": 1.5}, "stop_at as a share above 0 and up to 1, received 1.5"),
    ],
)
def test_settings_that_nobody_can_serve_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SETTINGS, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "expected at least 1 of seeds, received 0"),
        ({"jobs": 0}, "expected at least 1 of jobs, received 0"),
        ({"algorithms": []}, "expected at least 1 of algorithms, received 0"),
        ({"algorithms": ["random", "lamo"]}, "unknown algorithm 'lamo'"),
        ({"algorithms": ["lamoo+randm"]}, "unknown inner searcher 'randm'"),
        ({"algorithms": ["random+mutation"]}, "inner"),
    ],
)
def test_what_cannot_be_run_is_refused_before_the_folder_is_made(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    asked: dict[str, object] = {"algorithms": ["random"], "seeds": 1, **changes}
    with pytest.raises(UsageError, match=message):
        bench(SETTINGS, out=tmp_path / "new", **asked)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_a_folder_in_use_and_damaged_files_are_named(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".bench.lock"), pytest.raises(UsageError, match="another process runs a benchmark in"):
        bench(SETTINGS, algorithms=["random"], seeds=1, out=tmp_path)
    bench(SETTINGS, algorithms=["random"], seeds=1, out=tmp_path)
    run = tmp_path / "runs" / "random" / "seed-0.json"
    run.write_text("{", encoding="utf-8")
    with pytest.raises(StudyError, match=r"cannot read the run .*seed-0\.json.*Remove it"):
        bench(SETTINGS, algorithms=["random"], seeds=1, out=tmp_path)
    (tmp_path / "bench.json").write_text("[]]", encoding="utf-8")
    with pytest.raises(StudyError, match=r"cannot read .*bench\.json"):
        bench(SETTINGS, algorithms=["random"], seeds=1, out=tmp_path)


def test_a_run_written_is_the_run_read(tmp_path: Path) -> None:
    run = run_once(open_problem("branin-currin"), SETTINGS, algorithm="random", seed=1)
    run.write(tmp_path / "run.json")
    assert BenchRun.read(tmp_path / "run.json") == run
    assert json.loads((tmp_path / "run.json").read_text())["seed"] == 1


def test_names_are_an_algorithm_and_what_draws_in_its_regions() -> None:
    problem = open_problem("branin-currin")
    searcher = searcher_of("lamoo+random", problem, seed=0, initial=1)
    run = run_once(problem, SETTINGS, algorithm="random", seed=1)
    assert len(run.ids) == 14
    assert [p.why["inner"] for p in searcher.ask(1, pending=[])] == ["initial"]
    assert np.isfinite([list(v.values()) for v in run.values]).all()
