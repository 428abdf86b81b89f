"""Reads another run, and takes over from it what is worth the same here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwnas.core import Proposal, RunMismatchError, StudyError, Trial, UsageError, cost_matrix
from hwnas.evaluators import ESTIMATES
from hwnas.networks import NetworkFamily
from hwnas.objectives import objectives
from hwnas.pareto import non_dominated
from hwnas.study.folders import SETTINGS_NOTE, open_run
from hwnas.study.record import StudyRecord
from hwnas.study.run import Run
from hwnas.study.settings import RunSettings
from hwnas.study.storage import Place, require_study, require_url
from hwnas.study.warm import WARM, WarmStart


@dataclass(frozen=True, kw_only=True)
class Source:
    """Another run, as far as a search can begin with it.

    Attributes:
        name: As the user named it.
        settings: What was searched.
        trials: Those that ended well.
        front: Those on its front, by its own objectives.
        trained: Accuracy by real training where a trial's own is an estimate, by the trial's number.
    """

    name: str
    settings: RunSettings
    trials: Sequence[Trial]
    front: Sequence[Trial]
    trained: Mapping[int, float]


def require_source(name: str) -> None:
    """Checks that something can be meant, before anything is measured.

    Raises:
        UsageError: It is neither a run folder nor a study in a storage.
    """
    if (Path(name) / "run.json").is_file():
        return
    url, _, study = name.rpartition("#")
    if not url or not study:
        raise UsageError(
            f"cannot begin with {name!r}: expected the folder of a run, or STORAGE#STUDY such as "
            "postgresql+psycopg://USER@HOST/DATABASE#run-1a2b3c4d"
        )
    require_url(url)


def read_source(name: str, family: NetworkFamily) -> Source:
    """Reads the run to begin with.

    Args:
        name: A run folder, or ``STORAGE#STUDY``.
        family: Of the search that is to begin.

    Raises:
        UsageError: There is no such run, or it searched another space.
        StudyError: It is damaged, or its study does not say what was searched.
        MachineError: The storage cannot be opened.
    """
    require_source(name)
    if (Path(name) / "run.json").is_file():
        run = open_run(name)
        _require_space(name, run.settings, family)
        try:
            return Source(
                name=name,
                settings=run.settings,
                trials=run.trials(),
                front=run.front(),
                trained=run.retrained.accuracies(),
            )
        finally:
            run.record.close()
    url, _, study = name.rpartition("#")
    place = Place(require_url(url), study).with_secret()
    require_study(place)
    record = StudyRecord(place, family.space, ())
    try:
        noted = record.notes().get(SETTINGS_NOTE)
    finally:
        record.close()
    if noted is None:
        raise StudyError(f"the study {study} in {place.shown} does not say what was searched: name its run folder")
    settings = RunSettings.from_json(noted)
    _require_space(name, settings, family)
    return _from_study(name, place, settings, family)


def warm_start(source: Source, settings: RunSettings) -> WarmStart:
    """What a search has from a source: results where it evaluates as the source did, else designs.

    Args:
        source: The other run.
        settings: Of the search that is to begin.
    """
    differences = tuple(_differences(source.settings, settings))
    designs = {trial.number: trial.architecture for trial in source.front} if differences else {}
    return WarmStart(source=source.name, differences=differences, results=0, designs=designs)


def take_over(run: Run, warm: WarmStart, source: Source) -> WarmStart:
    """Enters the results of a source into the record of a run that has not begun; what breaks its limits is left out.

    Args:
        run: The run; its record may hold a part of them already, of a process that was killed at this very point.
        warm: Says whether there is anything to take over.
        source: The other run.

    Returns:
        With the number of results.

    Raises:
        StudyError: The record holds something else.
        MachineError: It cannot be written.
    """
    if warm.differences:
        return warm
    there = {trial.architecture.id: trial for trial in run.record.finished()}
    allowed = run.limits.feasible([trial.architecture for trial in source.trials])
    wanted = [trial for trial, good in zip(source.trials, allowed, strict=True) if good]
    if not there.keys() <= {trial.architecture.id for trial in wanted}:
        raise StudyError(f"{run.folder} holds trials of another run that never began: give another --out")
    for trial in wanted:
        if trial.architecture.id in there:
            continue
        costs = {name: float(values[0]) for name, values in run.costs.values([trial.architecture]).items()}
        origin = warm.origin(trial.number)
        number = run.record.adopt(
            Proposal(architecture=trial.architecture, why={"inner": WARM, "from": origin}),
            {**costs, "accuracy": trial.values["accuracy"]},
            origin=origin,
        )
        if trial.number in source.trained:
            run.retrained.note(number, source.trained[trial.number])
    return WarmStart(source=warm.source, differences=(), results=len(wanted), designs={})


def require_same_start(run: Run, asked: str | None) -> None:
    """Refuses another beginning for a run that has begun.

    Raises:
        RunMismatchError: It began without one, or with another.
    """
    recorded = None if run.warm is None else run.warm.source
    if asked is not None and asked != recorded:
        began = "without a warm start" if recorded is None else f"with {recorded}"
        raise RunMismatchError(
            f"{run.folder} was begun {began}: leave --warm-start out to go on, or give another --out to begin anew",
            differences={"warm_start": (recorded, asked)},
        )


def _require_space(name: str, settings: RunSettings, family: NetworkFamily) -> None:
    precisions = tuple(family.members) or (family.precision,)
    if settings.precisions != precisions:
        raise UsageError(
            f"{name} searched networks in {', '.join(settings.precisions)}: a search in {', '.join(precisions)} cannot "
            "begin with its networks"
        )
    if settings.space != family.space.name:
        raise UsageError(
            f"{name} searched the space {settings.space}: a search of {family.space.name} cannot begin with its "
            "networks"
        )


def _from_study(name: str, place: Place, settings: RunSettings, family: NetworkFamily) -> Source:
    goals = objectives(settings.targets)
    record = StudyRecord(place, family.space, goals)
    try:
        trials = [trial for trial in record.finished() if trial.complete]
    finally:
        record.close()
    kept = non_dominated(cost_matrix(trials, goals))
    front = [trial for trial, good in zip(trials, kept, strict=True) if good]
    return Source(name=name, settings=settings, trials=trials, front=front, trained={})


def _differences(recorded: RunSettings, wanted: RunSettings) -> list[str]:
    """What keeps accuracies of one run from being what the other would find."""
    found = []
    if recorded.data_sha256 != wanted.data_sha256:
        found.append("data")
    old, new = recorded.recipe.how(), wanted.recipe.how()
    if old != new:
        found.append(f"recipe ({', '.join(name for name in new if old.get(name) != new[name])})")
    names = ["evaluator"]
    if wanted.evaluator in ESTIMATES:  # other shared weights give other estimates
        names += ["supernet_epochs", "seed", "learned_sha256"]
    return found + [name for name in names if getattr(recorded, name) != getattr(wanted, name)]
