"""The record of a run: an Optuna study, readable by optuna-dashboard as it is.

Optuna stores; it does not search. A trial enters the record as running, with its parameters, in one transaction, and
leaves it with its values in another: whatever happens between, the next process finds it and evaluates it again under
its own number, so that no trial is lost and none counts twice.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from hwnas.core import Architecture, Objective, Proposal, StudyError, Trial
from hwnas.spaces import SearchSpace
from hwnas.study.storage import Place, close_storage, open_storage, patiently

T = TypeVar("T")

EPOCHS_DONE = "epochs_done"  # of a trial that was stopped early: how far it was trained
RUNG_ACCURACY = "rung_accuracy"  # and its accuracy then
RUNGS = "rungs"  # of a trial: by the epochs of each rung its accuracy then, and the seconds since the rung before
_ORIGIN = "origin"  # attribute of a trial whose result was taken over


class StudyRecord:
    """Trials where they are kept.

    Args:
        place: Where.
        space: Turns recorded parameters back into architectures.
        objectives: What each trial is valued by, as the study was created.
        further: Gives costs of an architecture that are wanted of every trial and perhaps not recorded, by name.
        opened: The storage and the study in it, where they are open already.

    Raises:
        MachineError: The place cannot be opened or written.
        StudyError: It is missing, damaged, or holds no study of these objectives.
    """

    @classmethod
    def create(cls, place: Place, space: SearchSpace, objectives: Sequence[Objective]) -> StudyRecord:
        """Makes the study, or opens the one that a process killed at this very point left behind.

        Raises:
            MachineError: The place cannot be written.
            StudyError: What is there is damaged, or no study of these objectives.
        """

        def make() -> tuple[optuna.storages.BaseStorage, optuna.Study]:
            storage = open_storage(place)
            study = optuna.create_study(
                storage=storage,
                study_name=place.study,
                directions=[objective.direction for objective in objectives],
                load_if_exists=True,
            )
            with warnings.catch_warnings():  # the names are for people; should this interface change, nothing else does
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study.set_metric_names([objective.name for objective in objectives])
            return storage, study

        return cls(place, space, objectives, opened=patiently(place, make, patience_s=0.0))

    def __init__(
        self,
        place: Place,
        space: SearchSpace,
        objectives: Sequence[Objective],
        *,
        further: Callable[[Architecture], Mapping[str, float]] = lambda _: {},
        opened: tuple[optuna.storages.BaseStorage, optuna.Study] | None = None,
    ) -> None:
        self._place, self._further = place, further
        self._space = space
        self._objectives = tuple(objectives)
        self._distributions: dict[str, BaseDistribution] = {
            choice.name: CategoricalDistribution(choice.options) for choice in space.choices
        }
        self._ended: dict[int, Trial] = {}
        if place.file is not None and not place.file.is_file():
            raise StudyError(
                f"{place.shown} is missing: the run has lost its record. Begin a new run with another --out"
            )
        # whoever is there to begin or to go on is told at once; once a search is under way, a server is waited for
        self._storage, self._study = opened or patiently(place, self._opened, patience_s=0.0)

    def begin(self, proposal: Proposal, known: Mapping[str, float]) -> int:
        """Enters a trial as running.

        Args:
            proposal: What will be evaluated, and why; never one that is in the record.
            known: Costs known before the evaluation.

        Returns:
            The trial's number.

        Raises:
            MachineError: The record cannot be written.
        """
        architecture = proposal.architecture
        entry = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=dict(architecture),
            distributions={name: self._distributions[name] for name in architecture},
            user_attrs={"id": architecture.id, "why": dict(proposal.why), **known},
        )
        return self._enter(entry)

    def adopt(self, proposal: Proposal, values: Mapping[str, float], *, origin: str) -> int:
        """Enters a trial whose values are known from elsewhere.

        Args:
            proposal: What was evaluated; never one that is in the record.
            values: Every objective by name, and other costs.
            origin: Where they are from.

        Returns:
            The trial's number.

        Raises:
            MachineError: The record cannot be written.
        """
        attributes = {"id": proposal.architecture.id, "why": dict(proposal.why), _ORIGIN: origin, **values}
        return self._enter(
            optuna.trial.create_trial(
                state=TrialState.COMPLETE,
                values=[values[objective.name] for objective in self._objectives],
                params=dict(proposal.architecture),
                distributions={name: self._distributions[name] for name in proposal.architecture},
                user_attrs=attributes,
            )
        )

    def finish(self, number: int, values: Mapping[str, float]) -> Trial:
        """Enters what came of a trial.

        Args:
            number: From ``begin``.
            values: Every objective by name, and whatever else is worth keeping.

        Returns:
            The trial as it is on record.

        Raises:
            MachineError: The record cannot be written.
        """
        ends = [values[objective.name] for objective in self._objectives]
        return self._end(number, values, ends, state=TrialState.COMPLETE)

    def fail(self, number: int, reason: str) -> Trial:
        """Enters that a trial failed, and why; returns it as it is on record.

        Raises:
            MachineError: The record cannot be written.
        """
        return self._end(number, {"failed": reason}, None, state=TrialState.FAIL)

    def stop(self, number: int, reason: str, values: Mapping[str, float]) -> Trial:
        """Enters that a trial was given up before its end, why, and what was known of it by then; returns it likewise.

        Raises:
            MachineError: The record cannot be written.
        """
        return self._end(number, {**values, "stopped": reason}, None, state=TrialState.PRUNED)

    def mark(self, number: int, name: str, value: Any) -> None:
        """Notes something about a trial that runs.

        Raises:
            MachineError: The record cannot be written.
        """
        self._do(lambda: self._storage.set_trial_user_attr(self._trial_id(number), name, value))

    def finished(self) -> list[Trial]:
        """Trials that ended, in the order of their numbers.

        Raises:
            MachineError: The record cannot be read.
        """
        return [self._trial(entry) for entry in self._entries() if entry.state.is_finished()]

    def unfinished(self) -> list[tuple[int, Architecture]]:
        """Number and architecture of the trials that a process left without an end."""
        return [
            (entry.number, self._space.architecture(entry.params))
            for entry in self._entries()
            if not entry.state.is_finished()
        ]

    def attributes(self) -> dict[int, dict[str, Any]]:
        """Everything recorded with each trial beside its values, by the trial's number; unfinished ones included."""
        return {entry.number: dict(entry.user_attrs) for entry in self._entries()}

    def marked(self, name: str) -> list[tuple[int, Architecture, Any]]:
        """Number, architecture and mark of the trials that have one of that name, whether they ended or not."""
        return [
            (entry.number, self._space.architecture(entry.params), entry.user_attrs[name])
            for entry in self._entries()
            if name in entry.user_attrs
        ]

    def note(self, name: str, value: Any) -> None:
        """Writes something about the whole study into the record."""
        self._do(lambda: self._study.set_user_attr(name, json.loads(json.dumps(value))))

    def notes(self) -> dict[str, Any]:
        """What was noted about the whole study."""
        return self._do(lambda: dict(self._study.user_attrs))

    def close(self) -> None:
        """Lets go of the file or the connection."""
        close_storage(self._storage)

    def _opened(self) -> tuple[optuna.storages.BaseStorage, optuna.Study]:
        storage = open_storage(self._place)
        return storage, optuna.load_study(storage=storage, study_name=self._place.study)

    def _do(self, act: Callable[[], T]) -> T:
        return patiently(self._place, act)

    def _enter(self, entry: FrozenTrial) -> int:
        """Writes a new trial; returns its number."""
        tried = False

        def enter() -> int:
            nonlocal tried
            if tried:  # the answer got lost, perhaps not the trial
                there = [one.number for one in self._entries() if one.user_attrs.get("id") == entry.user_attrs["id"]]
                if there:
                    return there[0]
            tried = True
            trial_id = self._storage.create_new_trial(self._study._study_id, template_trial=entry)  # noqa: SLF001
            return int(self._storage.get_trial(trial_id).number)

        return self._do(enter)

    def _end(
        self, number: int, attributes: Mapping[str, Any], values: Sequence[float] | None, *, state: TrialState
    ) -> Trial:
        def tell() -> FrozenTrial:
            trial_id = self._trial_id(number)
            entry = self._storage.get_trial(trial_id)
            if entry.state.is_finished():
                return entry  # the answer got lost, not the end
            try:
                for name, value in attributes.items():
                    if entry.user_attrs.get(name) != value:  # most are known since the beginning
                        self._storage.set_trial_user_attr(trial_id, name, value)
                self._storage.set_trial_state_values(trial_id, state=state, values=values)
            except UpdateFinishedTrialError as error:
                raise StudyError(f"trial {number} was ended by another process meanwhile") from error
            return self._storage.get_trial(trial_id)

        return self._trial(self._do(tell))

    def _entries(self) -> list[FrozenTrial]:
        found = self._do(lambda: self._study.get_trials(deepcopy=False))
        return sorted(found, key=lambda entry: entry.number)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)  # noqa: SLF001

    def _trial(self, entry: FrozenTrial) -> Trial:
        """A trial that ended; it never changes again."""
        if entry.number not in self._ended:
            self._ended[entry.number] = self._read(entry)
        return self._ended[entry.number]

    def _read(self, entry: FrozenTrial) -> Trial:
        stopped = entry.user_attrs.get("stopped") if entry.state == TrialState.PRUNED else None
        failed = None
        if entry.state != TrialState.COMPLETE and stopped is None:
            failed = str(entry.user_attrs.get("failed", "stopped from outside"))
        numbers = {name: value for name, value in entry.user_attrs.items() if isinstance(value, (int, float))}
        values = {objective.name: float(v) for objective, v in zip(self._objectives, entry.values or (), strict=False)}
        architecture = self._space.architecture(entry.params)
        return Trial(
            number=entry.number,
            architecture=architecture,
            values={} if failed else {**self._further(architecture), **numbers, **values},
            failed=failed,
            stopped=stopped,
            origin=entry.user_attrs.get(_ORIGIN),
        )
