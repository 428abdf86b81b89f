"""Trials: what was proposed, why, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core.architecture import Architecture
from hwnas.core.objective import Objective


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """An architecture a searcher wants evaluated.

    Attributes:
        architecture: The point.
        why: How the searcher came to it, in JSON-serialisable terms; recorded with the trial.
    """

    architecture: Architecture
    why: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A finished evaluation.

    Attributes:
        number: Position in the study, from 0.
        architecture: What was evaluated.
        values: Objective name to value, in the objective's own unit and sign; other costs and figures beside them.
        failed: The reason when the evaluation failed; then ``values`` is empty.
        stopped: The reason when the evaluation was given up halfway; then ``values`` has what was known of it by then,
            but no value of an objective that only a whole evaluation tells.
        origin: Where the result was taken over from; ``None`` for what was evaluated in its own study.
    """

    number: int
    architecture: Architecture
    values: Mapping[str, float] = field(default_factory=dict)
    failed: str | None = None
    stopped: str | None = None
    origin: str | None = None

    @property
    def complete(self) -> bool:
        """Whether it was evaluated to its end, so that it has a value of every objective."""
        return self.failed is None and self.stopped is None


def cost_matrix(trials: Sequence[Trial], objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """Costs of finished trials, shape ``(n, m)``, all minimised."""
    rows = [[objective.to_cost(trial.values[objective.name]) for objective in objectives] for trial in trials]
    return np.array(rows, dtype=np.float64).reshape(len(trials), len(objectives))
