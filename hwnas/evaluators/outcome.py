"""An evaluation as something that can be sent to another process and comes back whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from hwnas.core import Architecture, Evaluator, GradualEvaluator, HwnasError, UsageError


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of an evaluation.

    Attributes:
        values: By name.
        failed: The reason when it failed; then ``values`` is empty.
    """

    values: Mapping[str, float] = field(default_factory=dict)
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
        return Outcome(values=dict(_values(_made(make), architecture, epochs)))
    except (HwnasError, RuntimeError, ArithmeticError, MemoryError) as error:
        lines = str(error).splitlines() or [""]
        return Outcome(failed=f"{type(error).__name__}: {lines[0]}")


def _values(evaluator: Evaluator, architecture: Architecture, epochs: int | None) -> Mapping[str, float]:
    if epochs is None:
        return evaluator.evaluate(architecture)
    if not isinstance(evaluator, GradualEvaluator):
        raise UsageError(f"expected an evaluator that trains, received {type(evaluator).__name__}: it has no epochs")
    return evaluator.evaluate_at(architecture, epochs=epochs)


@lru_cache(maxsize=1)
def _made(make: Callable[[], Evaluator]) -> Evaluator:
    return make()
