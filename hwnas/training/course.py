"""How a training went: epoch by epoch its loss and its learning rate, and now and then its accuracy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwnas.core import DataError

_KEPT = 50  # epochs of a brief course; more would not show in a figure
_DIGITS = 4  # significant ones of a brief course
_MARKS = 8  # judgements of one training, the one at its end among them
_LEARNED_PER_JUDGED = 6  # images learned from for each that is judged on the way, at the least
_ENTRY = "hwnas.course"  # in the metadata of a file of weights


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch of a training.

    Attributes:
        number: From 1.
        loss: Mean training loss of its steps.
        learning_rate: Of its last step.
        accuracy: On the validation images after it, in [0, 1]; ``None`` where nobody judged.
    """

    number: int
    loss: float
    learning_rate: float
    accuracy: float | None = None


@dataclass(frozen=True)
class Course:
    """How a training went.

    Attributes:
        epochs: In their order. Some may be missing: those before a training went on from a checkpoint that did not
            hold them, and of a brief course those that it leaves out.
    """

    epochs: tuple[Epoch, ...] = ()

    def then(self, epoch: Epoch) -> Course:
        """With one more epoch."""
        return Course((*self.epochs, epoch))

    def judged(self, number: int, accuracy: float) -> Course:
        """With the accuracy after an epoch, where it has that epoch."""
        return Course(tuple(replace(one, accuracy=accuracy) if one.number == number else one for one in self.epochs))

    @property
    def accuracies(self) -> dict[int, float]:
        """What was judged, by the number of the epoch."""
        return {one.number: one.accuracy for one in self.epochs if one.accuracy is not None}

    def brief(self) -> Course:
        """At most so many epochs as a figure shows, with those that were judged, and four digits of each figure."""
        places = np.linspace(0, len(self.epochs) - 1, min(_KEPT, len(self.epochs))).round().astype(int).tolist()
        kept = {*places, *(place for place, one in enumerate(self.epochs) if one.accuracy is not None)}
        return Course(tuple(_rounded(self.epochs[place]) for place in sorted(kept)))

    def to_json(self) -> list[list[float]]:
        """For each epoch its number, loss and learning rate, and where it was judged the accuracy."""
        return [
            [one.number, one.loss, one.learning_rate, *([] if one.accuracy is None else [one.accuracy])]
            for one in self.epochs
        ]

    @classmethod
    def from_json(cls, value: Any) -> Course:
        """Undoes ``to_json``.

        Raises:
            DataError: It is something else.
        """
        try:
            return cls(tuple(_epoch(*entry) for entry in value))
        except (TypeError, ValueError) as error:
            raise DataError(
                "expected a training's course, a list of [epoch, loss, learning rate] or of these with the accuracy, "
                f"received {value!r:.60}"
            ) from error

    def metadata(self) -> dict[str, str]:
        """What keeps it beside weights in a safetensors file; nothing of an empty one."""
        return {_ENTRY: json.dumps(self.to_json())} if self.epochs else {}


def course_in(metadata: Mapping[str, str]) -> Course:
    """The course that lies beside weights; an empty one where none does, or nobody can read it."""
    try:
        return Course.from_json(json.loads(metadata.get(_ENTRY, "[]")))
    except ValueError:
        return Course()


def without_course(metadata: Mapping[str, str]) -> dict[str, str]:
    """What else is said beside weights."""
    return {name: value for name, value in metadata.items() if name != _ENTRY}


def marked_epochs(epochs: int, *, learned: int, judged: int) -> frozenset[int]:
    """The epochs after which a training is judged on its way, at even distances; its end is not among them.

    A judged image costs about a third of one that is learned from, so what they cost in all is a small part of the
    training.

    Args:
        epochs: Of the whole training.
        learned: Images it learns from in each.
        judged: Images that a judgement reads.
    """
    affordable = epochs * learned // (_LEARNED_PER_JUDGED * judged)
    marks = min(_MARKS - 1, affordable, epochs - 1)
    return frozenset(epochs * place // (marks + 1) for place in range(1, marks + 1))


def _epoch(number: float, loss: float, learning_rate: float, accuracy: float | None = None) -> Epoch:
    return Epoch(
        number=int(number),
        loss=float(loss),
        learning_rate=float(learning_rate),
        accuracy=None if accuracy is None else float(accuracy),
    )


def _rounded(epoch: Epoch) -> Epoch:
    accuracy = None if epoch.accuracy is None else _short(epoch.accuracy)
    return replace(epoch, loss=_short(epoch.loss), learning_rate=_short(epoch.learning_rate), accuracy=accuracy)


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
