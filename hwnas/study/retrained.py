"""What real training said of trials whose own accuracy is an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hwnas.study.record import StudyRecord

# begin the names of notes on the study
_ACCURACY, _FAILURE, _COURSE = "trained_accuracy_", "training_failed_", "trained_course_"


@dataclass(frozen=True)
class Retrained:
    """Trials that were trained after they had been estimated; each is told by its number.

    Attributes:
        record: Where it is kept, beside the trials.
    """

    record: StudyRecord

    def accuracies(self) -> dict[int, float]:
        """Accuracies that training gave."""
        return {number: float(value) for number, value in self._noted(_ACCURACY).items()}

    def failures(self) -> dict[int, str]:
        """Why trainings failed."""
        return {number: str(value) for number, value in self._noted(_FAILURE).items()}

    def courses(self) -> dict[int, Any]:
        """How trainings went, as ``hwnas.training.Course`` is written; not of all."""
        return self._noted(_COURSE)

    def note(self, number: int, accuracy: float, *, course: Sequence[Sequence[float]] = ()) -> None:
        """Keeps the accuracy of a trial, and how its training went where that is known."""
        if course:
            self.record.note(f"{_COURSE}{number}", course)
        self.record.note(f"{_ACCURACY}{number}", accuracy)

    def note_failure(self, number: int, reason: str) -> None:
        """Keeps why the training of a trial failed."""
        self.record.note(f"{_FAILURE}{number}", reason)

    def _noted(self, prefix: str) -> dict[int, Any]:
        notes = self.record.notes()
        return {int(name.removeprefix(prefix)): value for name, value in notes.items() if name.startswith(prefix)}
