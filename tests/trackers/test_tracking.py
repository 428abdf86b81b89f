"""Trackers are told every trial and the winners, and none of them can stop a search."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from hwnas.core import MachineError, Trial, UsageError, without_remarks
from hwnas.exports import Exported
from hwnas.study import Run, SearchProgress, open_run
from hwnas.study.progress import Found
from hwnas.trackers import TRACKERS, TrackedRun, TrackedTrial, Tracking, require_trackers


@pytest.fixture
def run(exported: Exported, tmp_path: Path) -> Run:
    """A run of two trials whose knee is exported."""
    return open_run(shutil.copytree(exported.model.parents[1], tmp_path / "run"))


@dataclass
class FakeTracker:
    """Notes what it is told; fails from some call on.

    Attributes:
        fails_after: Calls that do no harm.
        told: What it was told.
    """

    fails_after: int = 99
    told: list[Any] = field(default_factory=list)

    def __call__(self, run: TrackedRun) -> FakeTracker:
        self._take(run)
        return self

    def trial(self, trial: TrackedTrial) -> None:
        self._take(trial)

    def winners(self, figures: Mapping[str, float], files: Sequence[Path]) -> None:
        self._take((dict(figures), [file.name for file in files]))

    def close(self, *, finished: bool) -> None:
        self._take(finished)

    def _take(self, what: Any) -> None:
        if len(self.told) >= self.fails_after:
            raise ValueError("the disk is full\nand a second line")
        self.told.append(what)


def progress_of(trial: Trial | None) -> SearchProgress:
    found = Found(trial=trial, front_size=1, hypervolume=0.25, best={})
    return SearchProgress(stage="trials", done=1, total=2, eta_s=None, unit_s=None, ahead=(), found=found)


def tell_all(run: Run, tracking: Tracking) -> None:
    """What a search tells in its course."""
    tracking(progress_of(None))
    tracking(SearchProgress(stage="supernet", done=1, total=2, eta_s=None, unit_s=None, ahead=()))
    for trial in run.record.finished():
        tracking(progress_of(trial))
    tracking(progress_of(Trial(number=7, architecture=run.pick("0").architecture, failed="it diverged")))
    from hwnas.exports import read_card

    cards = {"knee": read_card(run, "knee"), "best": None}
    tracking.winners(run, cards, [run.folder / "front.csv", run.folder / "nowhere.html"])


def test_a_tracker_is_told_of_the_run_its_trials_and_its_winners_in_this_order(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, said = FakeTracker(), list[str]()
    monkeypatch.setattr("hwnas.trackers.mlflow.open_tracker", fake)
    tell_all(run, Tracking(["mlflow"], folder=run.folder, say=said.append))
    about, *trials, (figures, files), finished = fake.told
    assert about.settings["space"] == "mobilenet:tiny"
    assert about.settings["recipe.epochs"] == "1"
    assert [trial.outcome for trial in trials] == ["finished", "finished", "failed"]
    for told, trial in zip(trials, run.record.finished(), strict=False):
        assert told.values == trial.values
        assert told.choices == dict(trial.architecture)
        assert told.search == {"hypervolume": 0.25, "front_size": 1.0}
    assert trials[-1].values == {}
    assert figures["knee/accuracy/test"] <= 1
    assert "knee/measured_ms" not in figures
    assert files == ["front.csv", "knee.onnx"]
    assert finished is True
    assert said == []


def test_a_run_that_goes_on_is_tracked_under_the_same_id_and_another_under_another(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = FakeTracker()
    monkeypatch.setattr("hwnas.trackers.mlflow.open_tracker", fake)
    other = open_run(shutil.copytree(run.folder, tmp_path / "other"))
    for one in (run, run, other):
        tracking = Tracking(["mlflow"], folder=one.folder, say=pytest.fail)
        tracking(progress_of(one.record.finished()[0]))
        tracking.close()
    ids = [told.id for told in fake.told if isinstance(told, TrackedRun)]
    assert ids[0] == ids[1] != ids[2]
    assert [told for told in fake.told if isinstance(told, bool)] == [False] * 3


@pytest.mark.parametrize("calls", range(6))
def test_a_tracker_that_fails_is_told_of_once_and_the_others_go_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    broken, sound, said = FakeTracker(fails_after=calls), FakeTracker(), list[str]()
    monkeypatch.setattr("hwnas.trackers.mlflow.open_tracker", broken)
    monkeypatch.setattr("hwnas.trackers.wandb.open_tracker", sound)
    tell_all(run, Tracking(["mlflow", "wandb"], folder=run.folder, say=said.append))
    assert len(sound.told) == 6
    assert said == [
        "The tracker mlflow failed and is left out from here on; the search goes on. ValueError: the disk is full"
    ]


def test_without_trackers_nothing_is_written(run: Run) -> None:
    tell_all(run, Tracking([], folder=run.folder, say=pytest.fail))
    assert not (run.folder / "tracked.json").exists()


def test_unknown_trackers_and_missing_packages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="unknown tracker 'aim': expected one of mlflow, tensorboard, wandb"):
        require_trackers(["aim"])
    monkeypatch.setattr("hwnas.trackers.tracking.find_spec", lambda name: None)
    for name in TRACKERS:
        with pytest.raises(MachineError, match=rf'{name} is not installed: pip install "hwnas\[{name}\]"'):
            require_trackers([name])
    assert require_trackers([]) == ()


def test_tensorboard_shows_curves_and_architectures(run: Run) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell_all(run, Tracking(["tensorboard"], folder=run.folder, say=pytest.fail))
    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    accuracies = [trial.values["accuracy"] for trial in run.trials()]
    shown = events.Scalars("trial/accuracy")
    assert [event.step for event in shown] == [trial.number for trial in run.trials()]
    assert [event.value for event in shown] == pytest.approx(accuracies)
    assert events.Scalars("search/hypervolume")[0].value == 0.25
    tags = events.Tags()["tensors"]
    assert {"settings/text_summary", "architecture/text_summary", "winners/text_summary"} <= set(tags)
    (first, *_) = events.Tensors("architecture/text_summary")
    assert run.trials()[0].architecture.id.encode() in first.tensor_proto.string_val[0]


def test_mlflow_keeps_the_search_with_a_child_for_each_trial(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with without_remarks(logging.INFO):
        tell_all(run, Tracking(["mlflow"], folder=run.folder, say=pytest.fail))
        tracking = Tracking(["mlflow"], folder=run.folder, say=pytest.fail)  # the search goes on
        first = run.record.finished()[0]
        elsewhere = {"latency_ms@Jetson Orin (15 W)": 3.5, "latency_ms@größer": 4.5}
        tracking(progress_of(replace(first, values={**first.values, **elsewhere})))
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{run.folder / 'mlflow.db'}")
        (experiment,) = [one for one in client.search_experiments() if one.name == "hwnas"]
        held = client.search_runs([experiment.experiment_id])
        (parent,) = [one for one in held if "mlflow.parentRunId" not in one.data.tags]
        children = [one for one in held if one.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        files = {file.path for file in client.list_artifacts(parent.info.run_id)}
        assert parent.info.status == "RUNNING"
        tracking.close()
        assert client.get_run(parent.info.run_id).info.status == "KILLED"
    assert parent.data.params["space"] == "mobilenet:tiny"
    assert parent.data.metrics["hypervolume"] == 0.25
    assert parent.data.metrics["latency_ms/Jetson Orin _15 W_"] == 3.5, "names that MLflow takes"
    assert 4.5 in parent.data.metrics.values()
    assert files == {"front.csv", "knee.onnx"}
    assert len(children) == 4
    trial = run.trials()[0]
    (same, *_) = [one for one in children if one.data.tags["hwnas.architecture"] == trial.architecture.id]
    assert same.data.params == {name: str(value) for name, value in trial.architecture.items()}
    assert {one.info.status for one in children} == {"FINISHED", "FAILED"}


def test_weights_and_biases_keeps_the_search_offline(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    tell_all(run, Tracking(["wandb"], folder=run.folder, say=pytest.fail))
    (kept,) = (run.folder / "wandb").glob("offline-run-*/*.wandb")
    words = ("mobilenet:tiny", "choice/resolution", "search/hypervolume", run.trials()[0].architecture.id)
    for _ in range(300):  # its service writes when the run has ended, and not at once
        lacking = [word for word in words if word.encode() not in kept.read_bytes()]
        if not lacking:
            break
        time.sleep(0.1)
    assert not lacking
    assert (kept.parent / "files" / "front.csv").exists()
