"""How a search stands, kept up trial by trial, against what its run says of all trials; and what a trial costs then."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import hwnas.searchers.problem
import hwnas.study.folders
import hwnas.study.record
import hwnas.study.standing
from hwnas.core import Architecture, Objective, Trial, cost_matrix
from hwnas.pareto import non_dominated
from hwnas.study import Run, SearchProgress, open_run
from hwnas.study.record import EPOCHS_DONE, StudyRecord
from hwnas.study.run import fastest_first, spent_of
from hwnas.study.standing import Standing
from hwnas.study.storage import Place, open_storage
from tests.study.conftest import FakeTrainer
from tests.study.sources import accuracy_by_id

Begin = Callable[..., Run]


@dataclass(frozen=True)
class Judged(Run):
    """A run whose search went by estimates, and some of whose trials were trained."""

    accuracies: Mapping[int, float] | None = None

    def trained(self) -> dict[int, float]:
        return dict(self.accuracies or {})


@st.composite
def studies(draw: st.DrawFn) -> list[Trial]:
    """Trials of any end, their values so few that ties are common."""
    found = []
    for number in range(draw(st.integers(0, 14))):
        values = {"accuracy": draw(st.sampled_from([0.1, 0.2, 0.3])), "latency_ms": draw(st.sampled_from([1.0, 2.0]))}
        end = draw(st.sampled_from(["complete", "complete", "taken over", "failed", "stopped"]))
        trial = Trial(number=number, architecture=Architecture({"number": number}), values=values)
        if end == "failed":
            trial = replace(trial, values={}, failed="diverged")
        if end == "stopped":
            trial = replace(trial, values={EPOCHS_DONE: draw(st.integers(1, 4)), "latency_ms": 1.0}, stopped="behind")
        found.append(replace(trial, origin="elsewhere") if end == "taken over" else trial)
    return found


def told(standing: Standing) -> dict[str, Any]:
    return {
        "trials": standing.trials,
        "spent": standing.spent,
        "complete": standing.complete,
        "stopped": standing.stopped,
        "epochs_saved": standing.epochs_saved,
        "front": standing.front,
        "hypervolume": standing.hypervolume,
        "best": dict(standing.best),
    }


def plain(run: Run, finished: Sequence[Trial]) -> dict[str, Any]:
    """The same by definition, from all trials."""
    complete, judged = [trial for trial in finished if trial.complete], run.judged(finished)
    kept = non_dominated(run.cost_matrix(judged))
    lowest = {
        goal: min((goal.to_cost(one.values[goal.name]) for one in complete), default=None) for goal in run.objectives
    }
    return {
        "trials": list(finished),
        "spent": spent_of(finished),
        "complete": len(complete),
        "stopped": sum(trial.stopped is not None for trial in finished),
        "epochs_saved": run.epochs_saved(finished),
        "front": fastest_first([trial for trial, good in zip(judged, kept, strict=True) if good]),
        "hypervolume": run.hypervolume(complete),
        "best": {goal.name: goal.from_cost(cost) for goal, cost in lowest.items() if cost is not None},
    }


@given(study=studies(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_it_is_what_the_run_says_of_all_trials_in_whatever_order_they_end(
    searched: Path, study: list[Trial], data: st.DataObject
) -> None:
    run = open_run(searched)
    trained = data.draw(st.dictionaries(st.integers(0, 14), st.sampled_from([0.1, 0.2, 0.3]), max_size=6))
    if data.draw(st.booleans()):
        estimated = replace(run.settings, evaluator="supernet")
        run = Judged(run.folder, estimated, run.table, run.reference, run.begun, run.place, accuracies=trained)
    first = data.draw(st.integers(0, len(study)))
    standing, ended = Standing(run, study[:first]), study[:first]
    assert told(standing) == plain(run, ended)
    for trial in data.draw(st.permutations(study[first:])):
        before = standing.front
        changed = standing.add(trial)
        ended = sorted([*ended, trial], key=lambda one: one.number)
        assert told(standing) == plain(run, ended)
        assert changed == ([None] if standing.front != before else [])


@given(study=studies(), accuracy=st.sampled_from([0.1, 0.2, 0.3, 0.4]), latency_ms=st.sampled_from([0.5, 1.0, 2.0]))
@settings(max_examples=60, deadline=None)
def test_it_admits_what_no_trial_dominates(
    searched: Path, study: list[Trial], accuracy: float, latency_ms: float
) -> None:
    run = open_run(searched)
    new = Trial(number=99, architecture=Architecture({}), values={"accuracy": accuracy, "latency_ms": latency_ms})
    others = [trial for trial in study if trial.complete]
    assert Standing(run, study).admits(new) == non_dominated(run.cost_matrix([*others, new]))[-1]


def test_the_front_on_disk_is_at_every_moment_that_of_the_trials_that_ended(
    begin: Begin, trainer: FakeTrainer, tmp_path: Path
) -> None:
    def require_kept(_: SearchProgress | None) -> None:
        kept = open_run(tmp_path / "run")
        rows = csv.DictReader((kept.folder / "front.csv").read_text().splitlines())
        assert [int(row["trial"]) for row in rows] == [trial.number for trial in kept.front()]
        kept.record.close()

    def interrupted(architecture: Architecture) -> float:
        if len(trainer.evaluated) == 9:
            raise KeyboardInterrupt
        return accuracy_by_id(architecture)

    trainer.accuracy = interrupted
    with pytest.raises(KeyboardInterrupt):
        begin(algorithm="mutation", on_progress=require_kept)
    require_kept(None)
    trainer.accuracy = accuracy_by_id
    begin(algorithm="mutation", on_progress=require_kept)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts what a search does that could grow with its trials."""
    count: Counter[str] = Counter()
    honest_read, honest_write = StudyRecord._read, hwnas.study.folders.write_atomically

    def opened(place: Place) -> optuna.storages.BaseStorage:
        storage = open_storage(place)
        for name in ("get_trial", "get_all_trials", "get_study_user_attrs"):
            monkeypatch.setattr(storage, name, counting(name, getattr(storage, name)))
        return storage

    def counting(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*arguments: Any, **named: Any) -> Any:
            count[name] += 1
            return act(*arguments, **named)

        return acted

    def read(self: StudyRecord, entry: optuna.trial.FrozenTrial) -> Trial:
        count["converted"] += 1
        return honest_read(self, entry)

    def costs(trials: Sequence[Trial], objectives: Sequence[Objective]) -> NDArray[np.float64]:
        count["costs"] += len(trials)
        return cost_matrix(trials, objectives)

    def written(path: Path, content: str) -> Path:
        count[path.name] += 1
        return honest_write(path, content)

    monkeypatch.setattr(hwnas.study.record, "open_storage", opened)
    monkeypatch.setattr(StudyRecord, "_read", read)
    monkeypatch.setattr(hwnas.study.standing, "cost_matrix", costs)
    monkeypatch.setattr(hwnas.searchers.problem, "cost_matrix", costs)
    monkeypatch.setattr(hwnas.study.folders, "write_atomically", written)
    return count


def test_what_a_trial_costs_beside_its_evaluation_does_not_grow_with_the_study(
    begin: Begin, work: Counter[str], tmp_path: Path
) -> None:
    few, many = 10, 70
    counts = []
    for trials in (few, many):
        work.clear()
        run = begin(algorithm="mutation", trials=trials, out=tmp_path / str(trials), on_progress=lambda _: None)
        counts.append(Counter(work))
    grown = counts[1] - counts[0]
    assert counts[1]["converted"] == many, "a trial is read once, when it ended"
    assert grown["get_trial"] == 3 * (many - few), "when it was begun, before its end and after it"
    assert grown["get_all_trials"] == grown["get_study_user_attrs"] == 0, "the study is read at the beginning alone"
    assert grown["costs"] == 3 * (many - few), "for the searcher, for the hypervolume and for the front"
    trials = run.trials()
    joined = [non_dominated(run.cost_matrix(trials[: i + 1]))[i] for i in range(many)]
    assert counts[1]["front.csv"] == 1 + sum(joined), "at the beginning, and when the front changed"
