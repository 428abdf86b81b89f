"""A run that begins with what another one found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from hwnas.core import RunMismatchError, StudyError, UsageError
from hwnas.reports import report
from hwnas.study import Run, SearchProgress, open_run
from hwnas.study.warm import WarmStart
from hwnas.training import Recipe
from tests.study.conftest import FakeTrainer
from tests.study.sources import accuracy_by_id

Begin = Callable[..., Run]
ANEW = {"algorithm": "mutation", "trials": 5}


@pytest.fixture
def anew(finished: Run, begin: Begin, tmp_path: Path) -> Begin:
    """Begins another run with the one that is finished."""
    return lambda **changes: begin(**{**ANEW, "out": tmp_path / "new", "warm_start": finished.folder, **changes})


def ids(run: Run) -> list[str]:
    return [trial.architecture.id for trial in run.record.finished()]


def test_results_of_the_same_evaluation_are_taken_over_and_count_in_no_budget(
    finished: Run, anew: Begin, trainer: FakeTrainer
) -> None:
    seen: list[SearchProgress] = []
    run = anew(on_progress=seen.append, seed=3, targets=["latency", "params"])
    assert ids(run)[:15] == ids(finished)
    assert len(trainer.evaluated) == 5
    assert not set(trainer.evaluated) & set(ids(finished))
    taken, own = run.trials()[:15], run.trials()[15:]
    assert [trial.origin for trial in taken] == [f"{finished.folder}, trial {i}" for i in range(15)]
    assert {trial.origin for trial in own} == {None}
    for trial in taken:
        assert trial.values["accuracy"] == accuracy_by_id(trial.architecture)
        assert trial.values["params_m"] == run.costs.values([trial.architecture])["params_m"][0]
    assert run.is_finished()
    assert [(told.done, told.total) for told in seen] == [(i, 5) for i in range(6)]
    assert {told.found.taken_over for told in seen if told.found} == {15}
    assert run.hypervolume(run.trials()) >= run.hypervolume(taken)


def test_a_warm_run_goes_on_and_is_extended_with_and_without_naming_the_other_one(
    finished: Run, anew: Begin, trainer: FakeTrainer
) -> None:
    first = ids(anew())
    assert ids(anew(warm_start=None, trials=7))[:20] == first
    run = anew(trials=8)
    assert len(ids(run)) == 23
    assert len(trainer.evaluated) == 8
    with pytest.raises(UsageError, match="has 8 finished trials: expected at least as many, received 6"):
        anew(trials=6)


def test_a_warm_run_that_is_cut_off_goes_on_to_the_same_end(anew: Begin, trainer: FakeTrainer, tmp_path: Path) -> None:
    whole = anew(out=tmp_path / "whole")

    def cut(_: object) -> float:
        raise KeyboardInterrupt

    trainer.accuracy = cut
    with pytest.raises(KeyboardInterrupt):
        anew()
    trainer.accuracy = accuracy_by_id
    assert ids(anew()) == ids(whole)


@pytest.mark.parametrize("killed", [0, 7, 15])
def test_a_process_killed_while_it_takes_over_loses_and_doubles_nothing(
    finished: Run, anew: Begin, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    from hwnas.study.record import StudyRecord

    adopt, counted = StudyRecord.adopt, iter(range(100))

    def until(*arguments: object, **settings: object) -> int:
        if next(counted) == killed:
            raise KeyboardInterrupt
        return adopt(*arguments, **settings)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(StudyRecord, "adopt", until)
        patch.setattr("hwnas.study.folders.save_run", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            anew()
    run = anew()
    assert ids(run)[:15] == ids(finished)
    assert len(ids(run)) == 20


def test_what_is_left_of_a_beginning_with_another_run_is_refused(
    finished: Run, anew: Begin, begin: Begin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = begin(out=tmp_path / "other", seed=7, **ANEW)
    with monkeypatch.context() as patch:
        patch.setattr("hwnas.study.folders.save_run", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            anew(storage=None)
    with pytest.raises(StudyError, match="holds trials of another run that never began: give another --out"):
        anew(storage=None, warm_start=other.folder)


def test_results_that_break_a_limit_are_left_out(finished: Run, anew: Begin) -> None:
    bound = sorted(trial.values["params_m"] for trial in finished.trials())[7]
    run = anew(limits={"params_m": bound})
    taken = [trial for trial in run.trials() if trial.origin]
    assert len(taken) == sum(trial.values["params_m"] <= bound for trial in finished.trials())
    assert all(trial.values["params_m"] <= bound for trial in run.trials())


@pytest.mark.parametrize(
    ("change", "differences"),
    [
        ({"recipe": Recipe(epochs=2, batch=32)}, ("recipe (epochs, batch)",)),
        ({"evaluator": "accuracies.py:by_id"}, ("evaluator",)),
        ({"recipe": Recipe(device="cpu", channels_last=True)}, ()),
    ],
)
def test_where_the_evaluation_differs_the_front_is_evaluated_first(
    finished: Run,
    anew: Begin,
    trainer: FakeTrainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object],
    differences: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("accuracies.py").write_text("def by_id(architecture, **_):\n    return 0.5\n")
    run = anew(**change)
    assert run.warm is not None
    assert run.warm.differences == differences
    if not differences:
        assert len(ids(run)) == 20
        return
    front = finished.front()
    assert ids(run)[: len(front)] == [trial.architecture.id for trial in front][:5]
    assert len(ids(run)) == 5
    why = run.record.attributes()[0]["why"]
    assert why == {"inner": "warm start", "from": f"{finished.folder}, trial {front[0].number}"}
    assert {trial.origin for trial in run.trials()} == {None}


def test_other_data_give_designs_alone(finished: Run, anew: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = json.loads((finished.folder / "run.json").read_text())
    settings["settings"]["data_sha256"] = "0" * 64
    (finished.folder / "run.json").write_text(json.dumps(settings))
    run = anew()
    assert run.warm is not None
    assert run.warm.differences == ("data",)


def test_a_study_in_a_storage_is_as_good_as_its_folder(finished: Run, anew: Begin) -> None:
    name = f"sqlite:///{finished.folder / 'study.db'}#hwnas"
    run = anew(warm_start=name)
    assert ids(run)[:15] == ids(finished)
    assert run.trials()[0].origin == f"{name}, trial 0"
    designs = anew(warm_start=name, recipe=Recipe(epochs=2), out=run.folder.parent / "designs")
    assert designs.warm is not None
    assert set(designs.warm.designs) == {trial.number for trial in finished.front()}


def test_a_study_of_something_else_is_refused(anew: Begin, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    optuna.create_study(storage=url, study_name="mine")
    with pytest.raises(StudyError, match=r"the study mine in .* does not say what was searched: name its run folder"):
        anew(warm_start=f"{url}#mine")
    with pytest.raises(UsageError, match=r"unknown study in .*other\.db 'yours': expected one of mine"):
        anew(warm_start=f"{url}#yours")
    with pytest.raises(UsageError, match=r"no study 'mine' to begin with: there is no file .*nowhere\.db"):
        anew(warm_start=f"sqlite:///{tmp_path / 'nowhere.db'}#mine")


def test_another_space_or_no_run_is_refused_before_anything_is_written(
    finished: Run, anew: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nowhere", "nowhere#", "#hwnas"):
        with pytest.raises(UsageError, match="expected the folder of a run, or STORAGE#STUDY"):
            anew(warm_start=name)
    with pytest.raises(UsageError, match="cannot use the storage 'nowhere'"):
        anew(warm_start="nowhere#study")
    settings = json.loads((finished.folder / "run.json").read_text())
    settings["settings"]["space"] = "mobilenet:small"
    (finished.folder / "run.json").write_text(json.dumps(settings))
    with pytest.raises(UsageError, match="searched the space mobilenet:small: a search of mobilenet:tiny cannot begin"):
        anew()
    assert not (tmp_path / "new").exists()


def test_a_run_that_has_begun_takes_no_other_beginning(finished: Run, anew: Begin, tmp_path: Path) -> None:
    run = anew()
    with pytest.raises(RunMismatchError, match=r"was begun with .*run: leave --warm-start out to go on"):
        anew(warm_start=tmp_path / "another")
    with pytest.raises(RunMismatchError, match="was begun without a warm start"):
        anew(out=finished.folder, algorithm="lamoo", trials=15, warm_start=run.folder)


def test_the_record_of_a_warm_start_survives_the_file(finished: Run, anew: Begin) -> None:
    run = anew(recipe=Recipe(epochs=2))
    again = open_run(run.folder)
    assert again.warm is not None
    assert again.warm == run.warm
    assert again.warm == WarmStart.from_json(json.loads(json.dumps(again.warm.to_json())))


def test_the_report_says_what_was_taken_over(finished: Run, anew: Begin) -> None:
    run = anew()
    page = report(run).read_text(encoding="utf-8")
    assert "15 results taken over, which count in no budget" in page
    assert "5 of 5 done" in page
    assert f"from {finished.folder}, trial 3" in page
    assert f"--warm-start {finished.folder}" in page
    other = anew(recipe=Recipe(epochs=2), out=run.folder.parent / "designs")
    assert "of its front to be evaluated first; its results do not count here" in report(other).read_text("utf-8")
