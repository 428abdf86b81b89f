"""The record of a run: an Optuna study, readable by optuna-dashboard as it is.

Optuna stores; it does not search. A trial enters the record as running, with its parameters, in one transaction, and
leaves it with its values in another: whatever happens between, the next process finds it and evaluates it again under
its own number, so that no trial is lost and none counts twice.
"""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from hwnas.core import Architecture, MachineError, Objective, Proposal, StudyError, Trial
from hwnas.spaces import SearchSpace

_STUDY = "hwnas"


class StudyRecord:
    """Trials on disk.

    Args:
        path: The SQLite file.
        space: Turns recorded parameters back into architectures.
        objectives: What each trial is valued by.

    Raises:
        MachineError: The file cannot be opened or written.
        StudyError: It is missing, damaged, or no study of these objectives.
    """

    @classmethod
    def create(cls, path: Path, space: SearchSpace, objectives: Sequence[Objective]) -> StudyRecord:
        """Makes the file, or opens the one that a process killed at this very point left behind.

        Raises:
            MachineError: The file cannot be written.
            StudyError: What is there is damaged, or no study of these objectives.
        """
        with _storage_errors(path):
            study = optuna.create_study(
                storage=_storage(path),
                study_name=_STUDY,
                directions=[objective.direction for objective in objectives],
                load_if_exists=True,
            )
            with warnings.catch_warnings():  # the names are for people; should this interface change, nothing else does
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study.set_metric_names([objective.name for objective in objectives])
        return cls(path, space, objectives)

    def __init__(self, path: Path, space: SearchSpace, objectives: Sequence[Objective]) -> None:
        self._path = path
        self._space = space
        self._objectives = tuple(objectives)
        self._distributions: dict[str, BaseDistribution] = {
            choice.name: CategoricalDistribution(choice.options) for choice in space.choices
        }
        if not path.is_file():
            raise StudyError(f"{path} is missing: the run has lost its record. Begin a new run with another --out")
        with _storage_errors(path):
            self._storage = _storage(path)
            self._study = optuna.load_study(storage=self._storage, study_name=_STUDY)

    def begin(self, proposal: Proposal, known: Mapping[str, float]) -> int:
        """Enters a trial as running.

        Args:
            proposal: What will be evaluated, and why.
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
        with _storage_errors(self._path):
            trial_id = self._storage.create_new_trial(self._study._study_id, template_trial=entry)  # noqa: SLF001
            return int(self._storage.get_trial(trial_id).number)

    def finish(self, number: int, values: Mapping[str, float]) -> None:
        """Enters what came of a trial.

        Args:
            number: From ``begin``.
            values: Every objective by name, and whatever else is worth keeping.

        Raises:
            MachineError: The record cannot be written.
        """
        with _storage_errors(self._path):
            trial_id = self._trial_id(number)
            for name, value in values.items():
                self._storage.set_trial_user_attr(trial_id, name, value)
            self._study.tell(number, [values[objective.name] for objective in self._objectives])

    def fail(self, number: int, reason: str) -> None:
        """Enters that a trial failed, and why.

        Raises:
            MachineError: The record cannot be written.
        """
        with _storage_errors(self._path):
            self._storage.set_trial_user_attr(self._trial_id(number), "failed", reason)
            self._study.tell(number, state=TrialState.FAIL)

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

    def note(self, name: str, value: Any) -> None:
        """Writes something about the whole study into the record."""
        with _storage_errors(self._path):
            self._study.set_user_attr(name, json.loads(json.dumps(value)))

    def notes(self) -> dict[str, Any]:
        """What was noted about the whole study."""
        with _storage_errors(self._path):
            return dict(self._study.user_attrs)

    def close(self) -> None:
        """Lets go of the file."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _entries(self) -> list[FrozenTrial]:
        with _storage_errors(self._path):
            return sorted(self._study.get_trials(deepcopy=False), key=lambda entry: entry.number)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)  # noqa: SLF001

    def _trial(self, entry: FrozenTrial) -> Trial:
        failed = (
            str(entry.user_attrs.get("failed", "stopped from outside")) if entry.state != TrialState.COMPLETE else None
        )
        numbers = {name: value for name, value in entry.user_attrs.items() if isinstance(value, (int, float))}
        values = {objective.name: float(v) for objective, v in zip(self._objectives, entry.values or (), strict=False)}
        return Trial(
            number=entry.number,
            architecture=self._space.architecture(entry.params),
            values={} if failed else {**numbers, **values},
            failed=failed,
        )


def _storage(path: Path) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}", engine_kwargs={"connect_args": {"timeout": 60}})


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError) as error:
        inner = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        origin = getattr(inner, "orig", None) or inner or error
        cause = str(origin).splitlines()[0]
        if isinstance(origin, sqlite3.DatabaseError) and not isinstance(origin, sqlite3.OperationalError):
            raise StudyError(f"{path} is damaged: {cause}. Begin a new run with another --out") from error
        raise MachineError(
            f"cannot use the record {path}: {cause}. Free some space or mend the permissions; nothing "
            "finished is lost, and the same command goes on"
        ) from error
    except (KeyError, ValueError) as error:
        raise StudyError(f"{path} is not the record of this run: {error}") from error
