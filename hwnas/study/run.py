"""A run: the folder a search leaves behind."""

from __future__ import annotations

import csv
import io
import json
import platform
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from sqlalchemy.exc import ArgumentError

from hwnas.core import Architecture, Objective, Predictor, StudyError, Trial, UsageError, cost_matrix
from hwnas.evaluators import ESTIMATES, TRAININGS, Judgement
from hwnas.networks import NetworkFamily, network_family
from hwnas.objectives import COSTS, KnownCosts, Limits, latency_on, objectives
from hwnas.pareto import hypervolume, knee, non_dominated
from hwnas.predictors import Corrected, LatencyPredictors, MeasuredOrPredicted
from hwnas.spaces import precision_of
from hwnas.study.changes import TargetsAdded
from hwnas.study.measurements import MeasuredNetworks
from hwnas.study.record import EPOCHS_DONE, StudyRecord
from hwnas.study.settings import OLDEST_VERSION, SETTINGS_VERSION, RunSettings
from hwnas.study.storage import Place, require_url
from hwnas.study.warm import WarmStart
from latency_tables import LatencyTable, read_table, write_atomically, write_table

SETTINGS_NOTE = "settings"  # of a study: what was searched, for those who have the storage and not the folder
PICKS = ("knee", "fastest", "best")
# begin the names of notes on the study
_TRAINED, _UNTRAINABLE, _COURSE = "trained_accuracy_", "training_failed_", "trained_course_"
_JUDGEMENT = "predictor"  # the name of another
_PACKAGES = ("hwnas", "torch", "onnx", "onnxruntime", "onnxruntime-gpu", "optuna", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Run:
    """A run folder, opened.

    Attributes:
        folder: Where it is.
        settings: What was searched.
        table: The latency table it was searched with.
        reference: Reference point of the hypervolume by objective name, in the objective's own unit and sign.
        begun: Versions and platform when the run was begun.
        place: Where its trials are kept.
        changes: Targets that were added since, the first ones first.
        warm: What it has from another run; ``None`` where it began with nothing.
        elsewhere: Latency on other devices by their names, while a search goes on; trials keep what it said.
    """

    folder: Path
    settings: RunSettings
    table: LatencyTable
    reference: Mapping[str, float]
    begun: Mapping[str, Any]
    place: Place
    changes: tuple[TargetsAdded, ...] = ()
    warm: WarmStart | None = None
    elsewhere: Mapping[str, Predictor] = field(default_factory=dict)

    @cached_property
    def family(self) -> NetworkFamily:
        """The space and its networks."""
        held = self.settings
        return network_family(held.space, channels=held.channels, classes=held.classes, precisions=held.precisions)

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """What was traded."""
        return objectives(self.settings.targets)

    @cached_property
    def predictors(self) -> LatencyPredictors:
        """Latency from the run's own table, at each precision that was searched."""
        return LatencyPredictors.of(self.table, self.family, missing=self.settings.missing)

    @property
    def trainings(self) -> Path:
        """Folder of the trainings under way."""
        return self.folder / TRAININGS

    @cached_property
    def measured(self) -> MeasuredNetworks:
        """Networks measured in the course of the search."""
        return MeasuredNetworks(self.folder / "measured.jsonl", self.table.manifest)

    @cached_property
    def latency(self) -> MeasuredOrPredicted:
        """Latency as it was measured in the course of the search, else as it is predicted."""
        return MeasuredOrPredicted(self.predictors.latency, self.measured.latencies)

    @cached_property
    def expected(self) -> Corrected:
        """Latency as it is predicted, moved by how far off predictions were where this search has measured."""
        return Corrected(self.latency, self.measured.errors)

    @cached_property
    def costs(self) -> KnownCosts:
        """Every cost known without training."""
        return KnownCosts(self.family, self.latency, energy=self.predictors.energy, elsewhere=self.elsewhere)

    @cached_property
    def limits(self) -> Limits:
        """The limits that held."""
        return Limits(self.settings.limits, self.costs)

    @cached_property
    def expected_limits(self) -> Limits:
        """The limits as they are expected to hold once a network is measured.

        What is expected to break one is not proposed though it might keep it: where predictions are poor, a search
        would measure one network after the other in vain.
        """
        return Limits(self.settings.limits, replace(self.costs, latency=self.expected))

    @cached_property
    def record(self) -> StudyRecord:
        """The trials as they are kept: under the objectives the run was begun with, other costs beside them."""
        begun_with = self.changes[0].before if self.changes else self.settings.targets
        return StudyRecord(self.place, self.family.space, objectives(begun_with), further=self._added_costs)

    def _added_costs(self, architecture: Architecture) -> dict[str, float]:
        """Costs that became targets after the beginning; a trial may be older than their being recorded."""
        if not self.changes:
            return {}
        added = [COSTS[target].name for change in self.changes for target in change.added]
        values = self.costs.values([architecture])
        return {name: float(values[name][0]) for name in added}

    def trials(self) -> list[Trial]:
        """Trials that were evaluated to their end, in order."""
        return [trial for trial in self.record.finished() if trial.complete]

    def epochs_saved(self, finished: Sequence[Trial]) -> int:
        """Epochs that trials were spared which were stopped before their end."""
        whole = self.settings.recipe.epochs
        return sum(whole - round(trial.values[EPOCHS_DONE]) for trial in finished if trial.stopped is not None)

    def judged(self, finished: Sequence[Trial]) -> list[Trial]:
        """Trials that came to their end; where a search went by estimates, those really trained, with what that gave.

        The estimate is their ``estimated_accuracy`` then. Before any is trained, all, with their estimates.
        """
        return [trial for trial in map(self.judge(), finished) if trial is not None]

    def judge(self) -> Callable[[Trial], Trial | None]:
        """What gives a trial as it counts by what is trained at this moment; ``None`` of one that does not count.

        See ``judged``.
        """
        trained = self.trained() if self.settings.evaluator in ESTIMATES else {}

        def counted(trial: Trial) -> Trial | None:
            if not trial.complete or (trained and trial.number not in trained):
                return None
            if not trained:
                return trial
            accuracies = {"accuracy": trained[trial.number], "estimated_accuracy": trial.values["accuracy"]}
            return replace(trial, values={**trial.values, **accuracies})

        return counted

    def trained(self) -> dict[int, float]:
        """Accuracy by real training of trials whose own is an estimate, by the trial's number."""
        return {number: float(value) for number, value in self._noted(_TRAINED).items()}

    def untrainable(self) -> dict[int, str]:
        """Why the training of such trials failed."""
        return {number: str(value) for number, value in self._noted(_UNTRAINABLE).items()}

    def courses(self) -> dict[int, Any]:
        """How those trainings went, as ``hwnas.training.Course`` is written, by the trial's number; not of all."""
        return self._noted(_COURSE)

    def note_trained(self, number: int, accuracy: float, *, course: Sequence[Sequence[float]] = ()) -> None:
        """Keeps the accuracy by real training of a trial that ended, and how the training went where that is known."""
        if course:
            self.record.note(f"{_COURSE}{number}", course)
        self.record.note(f"{_TRAINED}{number}", accuracy)

    def note_untrainable(self, number: int, reason: str) -> None:
        """Keeps why the training of a trial that ended failed."""
        self.record.note(f"{_UNTRAINABLE}{number}", reason)

    def note_judgement(self, judgement: Judgement) -> None:
        """Keeps how good the predictions are that the search goes by."""
        self.record.note(_JUDGEMENT, asdict(judgement))

    def judgement(self) -> Judgement | None:
        """How good the predictions are that the search goes by; ``None`` where it goes by none, or not yet."""
        noted = self.record.notes().get(_JUDGEMENT)
        return None if noted is None else Judgement(**noted)

    def _noted(self, prefix: str) -> dict[int, Any]:
        notes = self.record.notes()
        return {int(name.removeprefix(prefix)): value for name, value in notes.items() if name.startswith(prefix)}

    def cost_matrix(self, trials: list[Trial]) -> NDArray[np.float64]:
        """Costs of trials, shape ``(n, m)``, minimised."""
        return cost_matrix(trials, self.objectives)

    @cached_property
    def reference_costs(self) -> NDArray[np.float64]:
        """Reference point as costs, shape ``(m,)``, minimised."""
        return np.array([objective.to_cost(self.reference[objective.name]) for objective in self.objectives])

    def hypervolume(self, trials: list[Trial]) -> float:
        """Hypervolume of some trials."""
        return hypervolume(self.cost_matrix(trials), self.reference_costs)

    @property
    def devices(self) -> tuple[str | None, ...]:
        """Those that have a front: ``None`` for that of the table, then the other ones by their names."""
        return (None, *self.settings.other_devices)

    def objectives_on(self, device: str | None) -> tuple[Objective, ...]:
        """What was traded, the latency being that on one of ``devices``."""
        if device is None:
            return self.objectives
        return tuple(latency_on(device) if goal.name == "latency_ms" else goal for goal in self.objectives)

    def front(self) -> list[Trial]:
        """Non-dominated trials, the fastest first."""
        return self.front_on(None)

    def front_on(self, device: str | None) -> list[Trial]:
        """What is not dominated by latency on one of ``devices``, the fastest there first."""
        trials = self.judged(self.record.finished())
        kept = non_dominated(cost_matrix(trials, self.objectives_on(device)))
        return fastest_first([trial for trial, good in zip(trials, kept, strict=True) if good], device)

    def pick(self, which: str) -> Trial:
        """One trial by role or name.

        Args:
            which: ``knee``, ``fastest``, ``best`` (most accurate), an architecture's id or a trial's number.

        Raises:
            UsageError: No such trial, one that failed or was stopped early, or no trial at all.
        """
        front = self.front()
        if not front:
            raise UsageError(f"{self.folder} has no finished trial yet: let `hwnas search --out {self.folder}` go on")
        if which == "fastest":
            return min(front, key=lambda trial: (trial.values["latency_ms"], -trial.values["accuracy"]))
        if which == "best":
            return max(front, key=lambda trial: (trial.values["accuracy"], -trial.values["latency_ms"]))
        if which == "knee":
            return front[knee(self.cost_matrix(front))]
        named = [
            trial for trial in [*front, *self.record.finished()] if which in {trial.architecture.id, str(trial.number)}
        ]
        if named:
            return self._whole(min(named, key=lambda trial: trial.failed is not None))  # the first that did not fail
        raise UsageError(
            f"{self.folder} has no finished trial {which!r}: expected {', '.join(PICKS)}, a trial's number or an "
            f"architecture's id, for example {front[0].architecture.id}"
        )

    def _whole(self, trial: Trial) -> Trial:
        """The trial, if it was evaluated to its end."""
        if trial.failed is not None:
            raise UsageError(
                f"trial {trial.number} of {self.folder} failed, {trial.failed}: expected one trained to its end"
            )
        if trial.stopped is not None:
            raise UsageError(
                f"trial {trial.number} of {self.folder} was stopped early, {trial.stopped}: expected one that was "
                "trained to its end"
            )
        return trial

    def picks(self) -> dict[str, Trial]:
        """The three winners by role; one architecture may have several roles."""
        return {which: self.pick(which) for which in PICKS}

    def is_finished(self) -> bool:
        """Whether the budget is spent, or the space is."""
        spent = spent_of(self.record.finished()) >= self.settings.trials and not self.record.unfinished()
        return spent or "exhausted" in self.record.notes()

    def with_trials(self, trials: int) -> Run:
        """The run with another budget, on disk first.

        Raises:
            UsageError: More trials are finished already.
            OSError: The folder cannot be written.
        """
        done = spent_of(self.record.finished())
        if trials < done:
            raise UsageError(f"{self.folder} has {done} finished trials: expected at least as many, received {trials}")
        run = replace(self, settings=replace(self.settings, trials=trials))
        run.save()
        return run

    def save(self) -> None:
        """Writes ``run.json``, whose presence makes a folder a run.

        Raises:
            OSError: The folder cannot be written.
        """
        kept_inside = self.place == Place.in_folder(self.folder)  # a folder can be moved
        content = {
            "schema": "hwnas-run",
            "schema_version": SETTINGS_VERSION,
            "settings": self.settings.to_json(),
            "reference": dict(self.reference),
            "begun": dict(self.begun),
            "changes": [change.to_json() for change in self.changes],
            "warm_start": None if self.warm is None else self.warm.to_json(),
            "record": None if kept_inside else {"storage": self.place.public_url, "study": self.place.study},
        }
        write_atomically(self.folder / "run.json", json.dumps(content, indent=2) + "\n")

    def write_front(self, device: str | None = None, *, front: Sequence[Trial] | None = None) -> Path:
        """Writes ``front.csv``: a line for each non-dominated trial, with its latency on every device.

        Where the search chose precisions, it says that of each network.

        Args:
            device: One of ``devices``; the file of a named one is ``front@DEVICE.csv``.
            front: What ``front_on`` gives, where it is at hand.

        Raises:
            OSError: The folder cannot be written.
        """
        trials = self.front_on(device) if front is None else front
        elsewhere = [latency_on(device).name for device in self.settings.other_devices]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = ["accuracy", "latency_ms", *elsewhere, "flops_m", "params_m"]
        chosen = ["precision"] if self.family.members else []
        writer.writerow(["trial", "id", *chosen, *columns, "architecture"])
        for trial in trials:
            named = [trial.number, trial.architecture.id, *(precision_of(trial.architecture) for _ in chosen)]
            figures = [trial.values[name] for name in columns]
            writer.writerow([*named, *figures, json.dumps(dict(trial.architecture))])
        file = "front.csv" if device is None else f"front@{device}.csv"
        return write_atomically(self.folder / file, text.getvalue())


def begin_run(
    folder: Path,
    settings: RunSettings,
    table: LatencyTable,
    reference: Mapping[str, float],
    *,
    storage: str | None = None,
    prepare: Callable[[Run], Run] = lambda run: run,
) -> Run:
    """Makes a run folder.

    Args:
        folder: Where; may exist, but must not hold a run.
        settings: What will be searched.
        table: Copied into the folder.
        reference: Reference point by objective name.
        storage: URL of the storage; a file in the folder when left out.
        prepare: Called with the run before it is one, to fill its record.

    Raises:
        UsageError: The folder's name will not do, or the URL.
        MachineError: The record cannot be written.
        OSError: The folder cannot be written.
    """
    if "?" in str(folder):
        raise UsageError(f"the record cannot be kept in {folder}: choose an --out without a question mark")
    write_table(table, folder / "latency_table.jsonl")
    begun = {"python": platform.python_version(), "platform": platform.platform(), "versions": _versions()}
    place = Place(require_url(storage), f"{folder.name}-{secrets.token_hex(4)}") if storage else Place.in_folder(folder)
    run = Run(folder, settings, table, dict(reference), begun, place)
    record = StudyRecord.create(place, run.family.space, run.objectives)
    record.note(SETTINGS_NOTE, settings.to_json())
    record.close()
    run = prepare(run)
    run.save()  # last: its presence makes it a run
    return run


def open_run(folder: str | Path) -> Run:
    """Opens a run folder.

    Raises:
        UsageError: There is no run.
        StudyError: What is there is damaged.
        TableFormatError: Its latency table is.
    """
    path = Path(folder)
    if not (path / "run.json").is_file():
        raise UsageError(f"{path} is no run folder: it has no run.json. `hwnas search --out {path}` makes one")
    try:
        content = json.loads((path / "run.json").read_text(encoding="utf-8"))
        if content.get("schema_version") not in range(OLDEST_VERSION, SETTINGS_VERSION + 1):
            raise StudyError(
                f"{path / 'run.json'}: expected schema version {OLDEST_VERSION} to {SETTINGS_VERSION}, "
                f"received {content.get('schema_version')!r}. Begin a new run with another --out."
            )
        settings = RunSettings.from_json(content["settings"])
        reference, begun = content["reference"], content["begun"]
        changes = tuple(TargetsAdded.from_json(entry) for entry in content.get("changes", ()))
        started = content.get("warm_start")
        warm = None if started is None else WarmStart.from_json(started)
        record = content.get("record")
        place = Place(record["storage"], record["study"]).with_secret() if record else Place.in_folder(path)
    except UsageError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError, ArgumentError) as error:
        raise StudyError(f"{path / 'run.json'} is damaged ({error}). Begin a new run with another --out.") from error
    return Run(path, settings, read_table(path / "latency_table.jsonl"), reference, begun, place, changes, warm)


def fastest_first(trials: Iterable[Trial], device: str | None = None) -> list[Trial]:
    """Trials by their latency on a device, that of the table or one by its name, then by their numbers."""
    latency = "latency_ms" if device is None else latency_on(device).name
    return sorted(trials, key=lambda trial: (trial.values[latency], trial.number))


def spent_of(finished: Sequence[Trial]) -> int:
    """Trials that count in the budget: those that were not taken over from another run."""
    return sum(trial.origin is None for trial in finished)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keeps two searches from working on one run.

    Raises:
        UsageError: Another process has it.
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(
            f"another process is working on {folder} at this moment: wait for it, or give another --out"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
