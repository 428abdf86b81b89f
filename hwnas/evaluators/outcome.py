"""An evaluation as something that can be sent to another process and comes back whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from hwnas.core import Architecture, Evaluator, HwnasError


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of an evaluation.

    Attributes:
        values: By name.
        failed: The reason when it failed; then ``values`` is empty.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    failed: str | None = None


def outcome_of(make: Callable[[], Evaluator], architecture: Architecture) -> Outcome:
    """Evaluates an architecture.

    What one architecture does to torch must not end a night of trials: its reason comes back in one line.

    Args:
        make: Gives the evaluator; called once in each process, so that what it loads stays loaded.
        architecture: What to evaluate.
    """
    try:
        return Outcome(values=dict(_made(make).evaluate(architecture)))
    except (HwnasError, RuntimeError, ArithmeticError, MemoryError) as error:
        lines = str(error).splitlines() or [""]
        return Outcome(failed=f"{type(error).__name__}: {lines[0]}")


@lru_cache(maxsize=1)
def _made(make: Callable[[], Evaluator]) -> Evaluator:
    return make()
