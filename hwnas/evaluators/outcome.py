"""An evaluation as something that can be sent to another process and comes back whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hwnas.core import (
    Architecture,
    Evaluator,
    Finding,
    GradualEvaluator,
    HwnasError,
    TellingEvaluator,
    TellingGradualEvaluator,
    UsageError,
)

COURSE = "course"  # names a note: how the training went, see ``hwnas.training.Course``
PARENT = "parent"  # another: the id of the network whose weights the training began with


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of an evaluation.

    Attributes:
        values: By name.
        notes: What else the record is to keep, by name.
        failed: The reason when it failed; then there are neither values nor notes.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    failed: str | None = None


def outcome_of(make: Callable[[], Evaluator], architecture: Architecture, *, epochs: int | None = None) -> Outcome:
    """Evaluates an architecture.

    What one architecture does to torch must not end a night of trials: its reason comes back in one line.

    Args:
        make: Gives the evaluator; called once in each process, so that what it loads stays loaded.
        architecture: What to evaluate.
        epochs: How far a training is to go; ``None`` for a whole evaluation.
    """
    try:
        found = _found(_made(make), architecture, epochs)
        return Outcome(values=dict(found.values), notes=dict(found.notes))
    except (HwnasError, RuntimeError, ArithmeticError, MemoryError) as error:
        lines = str(error).splitlines() or [""]
        return Outcome(failed=f"{type(error).__name__}: {lines[0]}")


def _found(evaluator: Evaluator, architecture: Architecture, epochs: int | None) -> Finding:
    if epochs is None:
        if isinstance(evaluator, TellingEvaluator):
            return evaluator.find(architecture)
        return Finding(values=evaluator.evaluate(architecture))
    if isinstance(evaluator, TellingGradualEvaluator):
        return evaluator.find_at(architecture, epochs=epochs)
    if not isinstance(evaluator, GradualEvaluator):
        raise UsageError(f"expected an evaluator that trains, received {type(evaluator).__name__}: it has no epochs")
    return Finding(values=evaluator.evaluate_at(architecture, epochs=epochs))


@lru_cache(maxsize=1)
def _made(make: Callable[[], Evaluator]) -> Evaluator:
    return make()
