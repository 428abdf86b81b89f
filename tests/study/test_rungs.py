"""Searches with halving: who is stopped, what is kept of them, and what a crash costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hwnas.commands.winners import front_parts, halving_row
from hwnas.core import Architecture, RunMismatchError, Trial, UsageError
from hwnas.evaluators import COURSE
from hwnas.executors import ExecutorSettings
from hwnas.networks import NetworkFamily
from hwnas.pareto import non_dominated
from hwnas.reports import report
from hwnas.study import Run, SearchProgress, open_run, search
from hwnas.study.record import EPOCHS_DONE, RUNG_ACCURACY
from hwnas.study.rungs import Rungs
from hwnas.training import Course, ImageData, Recipe, Split, load_data
from latency_tables import LatencyTable
from tests.study.conftest import FakeTrainer, in_a_journal
from tests.study.sources import FaultySource, accuracy_by_id
from tests.study.test_search import trace

Begin = Callable[..., Run]


@pytest.fixture
def halve(begin: Begin) -> Begin:
    return lambda **changes: begin(**{"halving": 3, "algorithm": "random", "trials": 30, **changes})


@pytest.fixture(scope="module")
def halved_once(tiny_table: LatencyTable, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FakeTrainer]:
    """A search with halving that ended, and the trainer that it had; for tests that only look."""
    fake = FakeTrainer(accuracy_by_id, [])
    out = tmp_path_factory.mktemp("halved") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hwnas.evaluators.sources.TrainedEvaluator", fake)
        settings = {"table": tiny_table, "out": out, "space": "mobilenet:tiny", "trials": 30, "algorithm": "random"}
        search(**in_a_journal({**settings, "halving": 3}))
    return out, fake


@pytest.fixture
def halved(halved_once: tuple[Path, FakeTrainer]) -> Run:
    return open_run(halved_once[0])


def stopped(run: Run) -> list[Trial]:
    return [trial for trial in run.record.finished() if trial.stopped is not None]


def test_some_are_stopped_and_the_record_says_how_far_they_came_and_why(
    halved: Run, halved_once: tuple[Path, FakeTrainer]
) -> None:
    run, trainer = halved, halved_once[1]
    assert 5 < len(stopped(run)) < 25
    assert len(run.trials()) + len(stopped(run)) == 30
    for trial in stopped(run):
        assert (trial.values[EPOCHS_DONE], trial.values["train_s"]) == (2, 0.25)
        assert trial.values[RUNG_ACCURACY] == accuracy_by_id(trial.architecture) / 2
        assert "accuracy" not in trial.values
        assert (trial.stopped or "").startswith("after 2 of 6 epochs: 0.")
        assert trial.architecture.id not in trainer.evaluated
        assert trial.values["params_m"] > 0
    assert all(trial.values["train_s"] == 0.75 for trial in run.trials())
    assert {epochs for _, epochs in trainer.halted} == {2}
    assert run.epochs_saved(run.record.finished()) == 4 * len(stopped(run))


def test_a_trial_that_was_stopped_is_on_no_front_and_is_no_winner(halved: Run) -> None:
    run = halved
    numbers = {trial.number for trial in stopped(run)}
    assert not numbers & {trial.number for trial in run.front()}
    assert len((run.folder / "front.csv").read_text().splitlines()) == 1 + len(run.front())
    with pytest.raises(UsageError, match=r"trial .* was stopped early, after 2 of 6 epochs"):
        run.pick(str(min(numbers)))


def test_where_the_order_at_the_rung_is_that_of_the_end_the_front_is_the_one_without_halving(
    halved: Run, halve: Begin
) -> None:
    whole, run = halve(halving=None), halved
    assert [trial.number for trial in run.front()] == [trial.number for trial in whole.front()]
    assert whole.record.marked("rungs") == []


def test_what_the_searcher_is_told_of_the_stopped_adds_nothing_to_the_front(halved: Run) -> None:
    run = halved
    finished = run.record.finished()
    heard = Rungs(run).told(finished)
    assert all(trial.complete for trial in heard)
    assert [trial.number for trial in heard] == [trial.number for trial in finished]
    costs = run.cost_matrix(heard)
    best = {t.number for t, good in zip(heard, non_dominated(costs), strict=True) if good}
    assert best == {trial.number for trial in run.front()}
    for trial, known in zip(heard, finished, strict=True):
        if known.stopped is None:
            assert trial == known
        else:
            assert known.values[RUNG_ACCURACY] < trial.values["accuracy"] < 1


@pytest.mark.parametrize(("algorithm", "cuts"), [("lamoo", (18,)), ("random", (9, 19))])
def test_the_same_seed_gives_the_same_course_and_an_interruption_does_not_change_it(
    halve: Begin, trainer: FakeTrainer, tmp_path: Path, algorithm: str, cuts: tuple[int, ...]
) -> None:
    whole = halve(algorithm=algorithm, trials=13, out=tmp_path / "whole")
    assert stopped(whole)

    def cut(when: int) -> Callable[[Architecture], float]:
        def accuracy(architecture: Architecture) -> float:
            if len(trainer.halted) + len(trainer.evaluated) == when:
                raise KeyboardInterrupt
            return accuracy_by_id(architecture)

        return accuracy

    for when in cuts:  # halfway of trainings and in their second part
        trainer.evaluated.clear()
        trainer.halted.clear()
        out = tmp_path / str(when)
        trainer.accuracy = cut(when)
        with pytest.raises(KeyboardInterrupt):
            halve(algorithm=algorithm, trials=13, out=out)
        trainer.accuracy = accuracy_by_id
        run = halve(algorithm=algorithm, trials=13, out=out)
        assert trace(run) == trace(whole)
        assert [trial.stopped for trial in run.record.finished()] == [t.stopped for t in whole.record.finished()]


def test_a_search_killed_between_a_rung_and_its_verdict_goes_on_with_the_verdict(
    halved: Run, halve: Begin, trainer: FakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = stopped(halved)[0].number
    verdict = Rungs.stop

    def killed(self: Rungs, trial: int, finished: Sequence[Trial]) -> Trial | None:
        if trial == number:
            raise KeyboardInterrupt
        return verdict(self, trial, finished)

    with monkeypatch.context() as patch:
        patch.setattr(Rungs, "stop", killed)
        with pytest.raises(KeyboardInterrupt):
            halve()
    halted = len(trainer.halted)
    run = halve(trials=number + 1)
    assert trace(run) == trace(halved)[: number + 1]
    assert run.record.finished()[number].stopped == stopped(halved)[0].stopped
    assert len(trainer.halted) == halted  # its training was not made again


def test_several_rungs_are_gone_through_one_after_another(halve: Begin, trainer: FakeTrainer) -> None:
    run = halve(recipe=Recipe(epochs=18), trials=16)
    assert {epochs for _, epochs in trainer.halted} == {2, 6}
    for trial in run.trials():
        assert [epochs for one, epochs in trainer.halted if one == trial.architecture.id] == [2, 6]
        assert trial.values["train_s"] == 1.0
    marks = {number: mark for number, _, mark in run.record.marked("rungs")}
    assert list(marks[0]) == ["2", "6"]
    assert {len(marks[trial.number]) for trial in run.trials()} == {2}


def test_a_training_that_fails_after_a_rung_is_no_rival(halve: Begin, trainer: FakeTrainer) -> None:
    def fails(architecture: Architecture) -> float:
        if len(trainer.evaluated) == 3:
            raise RuntimeError("diverged")
        return accuracy_by_id(architecture)

    trainer.accuracy = fails
    run = halve(trials=4)
    failed = next(trial.number for trial in run.record.finished() if trial.failed)
    results = Rungs(run)._results(2, run.record.finished())
    assert failed not in results
    assert {one.final for one in results.values()} == {trial.values["accuracy"] for trial in run.trials()}


def test_progress_counts_the_stopped_and_the_epochs_saved(halve: Begin) -> None:
    seen: list[SearchProgress] = []
    run = halve(on_progress=seen.append, trials=14)
    assert stopped(run)
    assert [progress.done for progress in seen] == list(range(15))
    first, last = seen[0].found, seen[-1].found
    assert first is not None
    assert last is not None
    assert (first.stopped, first.epochs_saved) == (0, 0)
    assert (last.stopped, last.epochs_saved) == (len(stopped(run)), 4 * len(stopped(run)))


def test_several_workers_halt_and_go_on_as_they_are_free(
    halve: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes").mkdir()
    monkeypatch.setattr("hwnas.study.searching.EvaluatorSource", lambda **_: FaultySource(tmp_path / "notes"))
    run = halve(executor=ExecutorSettings(name="processes", workers=2), trials=14)
    begun = [path.name.split("-")[1] for path in sorted((tmp_path / "notes").iterdir())]
    assert len(run.record.finished()) == 14
    assert stopped(run)
    for trial in run.record.finished():
        assert begun.count(trial.architecture.id) == (1 if trial.stopped else 2)


def test_what_cannot_be_halved_is_refused_before_anything_is_read(halve: Begin, tmp_path: Path) -> None:
    for change, message in (
        ({"evaluator": "supernet"}, "the evaluator supernet does not make"),
        ({"recipe": Recipe(epochs=1)}, "at least 3 epochs"),
        ({"halving": 1}, "expected a halving of 2 or more"),
    ):
        with pytest.raises(UsageError, match=message):
            halve(**change, table="nowhere", out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_run_goes_on_with_its_own_halving_alone(halve: Begin) -> None:
    halve(trials=2)
    with pytest.raises(RunMismatchError, match=r"halving: recorded 3\.0, asked for None"):
        halve(trials=2, halving=None)


def test_a_run_of_before_has_no_halving(halve: Begin) -> None:
    run = halve(halving=None, trials=3)
    path = run.folder / "run.json"
    content = json.loads(path.read_text())
    del content["settings"]["halving"]
    path.write_text(json.dumps({**content, "schema_version": 4}))
    assert open_run(run.folder).settings.halving is None
    halve(halving=None, trials=4)


def test_the_report_tells_who_was_stopped_and_what_that_saved(halved: Run, tmp_path: Path) -> None:
    run = halved
    page = report(run, out=tmp_path / "page.html").read_text()
    count = len(stopped(run))
    assert f"{count} of them stopped early, which saved {4 * count} of 180 epochs" in page
    assert (stopped(run)[0].stopped or "none") in page
    assert "--halving 3" in page


def test_the_command_line_tells_it_too(halved: Run) -> None:
    count = len(stopped(halved))
    assert halving_row(halved) == {"stopped": count, "epochs_saved": 4 * count, "epochs_in_all": 180}
    told = front_parts(halved, Path("page.html"))[1]
    assert told == f"{count} trainings stopped early, which saved {4 * count} of 180 epochs."


def test_trainings_that_halt_come_to_the_accuracy_of_those_that_do_not(
    tiny_family: NetworkFamily, tiny_table: LatencyTable, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=2, batch=32, device="cpu")
    settings = {"table": tiny_table, "data": few(), "space": "mobilenet:tiny", "algorithm": "random", "recipe": recipe}
    whole = search(**in_a_journal({**settings, "trials": 2, "out": tmp_path / "whole"}))
    halting = search(**in_a_journal({**settings, "trials": 2, "out": tmp_path / "halting", "halving": 2}))
    assert [t.values["accuracy"] for t in halting.trials()] == [t.values["accuracy"] for t in whole.trials()]
    assert [len(marks) for _, _, marks in halting.record.marked("rungs")] == [1, 1]
    first, second = (run.record.attributes() for run in (whole, halting))
    for trial in whole.trials():
        course = Course.from_json(first[trial.number][COURSE])
        assert [epoch.number for epoch in course.epochs] == [1, 2]
        assert course.accuracies == {2: pytest.approx(trial.values["accuracy"], abs=1e-4)}
        assert second[trial.number][COURSE] == first[trial.number][COURSE]
        assert COURSE not in trial.values
    assert list(halting.trainings.iterdir()) == []
    assert Rungs(halting).told(halting.record.finished()) == halting.record.finished()


def few() -> ImageData:
    """100 digits to learn from, 60 to be judged on."""
    digits = load_data("digits")
    judged = Split(digits.validation.images[:60], digits.validation.labels[:60])
    learned = Split(digits.train.images[:100], digits.train.labels[:100])
    return ImageData(name="few", class_names=digits.class_names, train=learned, validation=judged, test=judged)
