"""A run: what a search was asked, and what it has found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, InfeasibleError, Objective, Predictor, Trial, UsageError, cost_matrix
from hwnas.evaluators import ESTIMATES, TRAININGS, Judgement
from hwnas.networks import NetworkFamily, network_family
from hwnas.objectives import KnownCosts, Limits, device_of_cost, is_latency, latency_on, objectives
from hwnas.pareto import hypervolume, knee, non_dominated
from hwnas.predictors import Corrected, LatencyPredictors, MeasuredOrPredicted
from hwnas.study.changes import TargetsAdded
from hwnas.study.measurements import MeasuredNetworks
from hwnas.study.record import EPOCHS_DONE, StudyRecord
from hwnas.study.retrained import Retrained
from hwnas.study.settings import RunSettings
from hwnas.study.storage import Place
from hwnas.study.warm import WarmStart
from latency_tables import LatencyTable

PICKS = ("knee", "fastest", "best")
_JUDGEMENT = "predictor"  # name of a note on the study


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
        """Costs that became targets after the beginning; a trial may be older than their being recorded.

        What a network takes on another device is recorded of every trial.
        """
        goals = [goal.name for change in self.changes for goal in objectives(change.added)[1:]]
        added = [name for name in goals if device_of_cost(name) is None]
        if not added:
            return {}
        values = self.costs.values([architecture])
        return {name: float(values[name][0]) for name in added}

    @cached_property
    def retrained(self) -> Retrained:
        """What real training said of trials whose own accuracy is an estimate."""
        return Retrained(self.record)

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
        trained = self.retrained.accuracies() if self.settings.evaluator in ESTIMATES else {}

        def counted(trial: Trial) -> Trial | None:
            if not trial.complete or (trained and trial.number not in trained):
                return None
            if not trained:
                return trial
            accuracies = {"accuracy": trained[trial.number], "estimated_accuracy": trial.values["accuracy"]}
            return replace(trial, values={**trial.values, **accuracies})

        return counted

    def keeps(self, trial: Trial) -> bool:
        """Whether the accuracy of a trial is at least what was asked for; an estimate is no reason to refuse it."""
        least = self.settings.min_accuracy
        estimated = self.settings.evaluator in ESTIMATES and "estimated_accuracy" not in trial.values
        return least is None or estimated or trial.values["accuracy"] >= least

    def require_winners(self) -> None:
        """Checks that a front is there.

        Raises:
            UsageError: No trial has ended well.
            InfeasibleError: None has the accuracy that was asked for.
        """
        trials, least = self.judged(self.record.finished()), self.settings.min_accuracy
        if not trials:
            raise UsageError(f"{self.folder} has no finished trial yet: let `hwnas search --out {self.folder}` go on")
        if least is None or any(map(self.keeps, trials)):
            return
        best = max(trials, key=lambda trial: trial.values["accuracy"])
        reached = best.values["accuracy"]
        raise InfeasibleError(
            f"no network of {self.folder} has the accuracy of {least:.4g} that was asked for: the best of "
            f"{len(trials)} is trial {best.number} with {reached:.4g}. Go on with more --trials; or begin a new run "
            "with another --out, with more --epochs, wider limits, or a smaller --min-accuracy",
            nearest={"min_accuracy": reached},
        )

    def note_judgement(self, judgement: Judgement) -> None:
        """Keeps how good the predictions are that the search goes by."""
        self.record.note(_JUDGEMENT, asdict(judgement))

    def judgement(self) -> Judgement | None:
        """How good the predictions are that the search goes by; ``None`` where it goes by none, or not yet."""
        noted = self.record.notes().get(_JUDGEMENT)
        return None if noted is None else Judgement(**noted)

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
        """What was traded, of all latencies only that on one of ``devices``; all of it for ``None``."""
        if device is None:
            return self.objectives
        accuracy, *costs = self.objectives
        return (accuracy, latency_on(device), *(goal for goal in costs if not is_latency(goal.name)))

    def front(self) -> list[Trial]:
        """Non-dominated trials, the fastest first."""
        return self.front_on(None)

    def front_on(self, device: str | None) -> list[Trial]:
        """What is not dominated by latency on one of ``devices``, the fastest there first; see also ``keeps``."""
        trials = list(filter(self.keeps, self.judged(self.record.finished())))
        kept = non_dominated(cost_matrix(trials, self.objectives_on(device)))
        return fastest_first([trial for trial, good in zip(trials, kept, strict=True) if good], device)

    def pick(self, which: str) -> Trial:
        """One trial by role or name.

        Args:
            which: ``knee``, ``fastest``, ``best`` (most accurate), an architecture's id or a trial's number.

        Raises:
            UsageError: No such trial, one that failed or was stopped early, or no trial at all.
            InfeasibleError: A role, and no trial has the accuracy that was asked for.
        """
        front = self.front()
        if not front and (which in PICKS or not self.judged(self.record.finished())):
            self.require_winners()
        if which == "fastest":
            return min(front, key=lambda trial: (trial.values["latency_ms"], -trial.values["accuracy"]))
        if which == "best":
            return max(front, key=lambda trial: (trial.values["accuracy"], -trial.values["latency_ms"]))
        if which == "knee":
            return front[knee(self.cost_matrix(front))]
        ended = self.record.finished()
        named = [trial for trial in [*front, *ended] if which in {trial.architecture.id, str(trial.number)}]
        if named:
            return self._whole(min(named, key=lambda trial: trial.failed is not None))  # the first that did not fail
        raise UsageError(
            f"{self.folder} has no finished trial {which!r}: expected {', '.join(PICKS)}, a trial's number or an "
            f"architecture's id, for example {(front or self.judged(ended))[0].architecture.id}"
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
        """The three winners by role; one architecture may have several roles. None where there is no front."""
        return {which: self.pick(which) for which in PICKS} if self.front() else {}

    def is_finished(self) -> bool:
        """Whether the budget is spent, or the space is."""
        spent = spent_of(self.record.finished()) >= self.settings.trials and not self.record.unfinished()
        return spent or "exhausted" in self.record.notes()


def fastest_first(trials: Iterable[Trial], device: str | None = None) -> list[Trial]:
    """Trials by their latency on a device, that of the table or one by its name, then by their numbers."""
    latency = "latency_ms" if device is None else latency_on(device).name
    return sorted(trials, key=lambda trial: (trial.values[latency], trial.number))


def spent_of(finished: Sequence[Trial]) -> int:
    """Trials that count in the budget: those that were not taken over from another run."""
    return sum(trial.origin is None for trial in finished)
