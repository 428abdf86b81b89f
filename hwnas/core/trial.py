"""Trials: what was proposed, why, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hwnas.core.architecture import Architecture


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
    """

    number: int
    architecture: Architecture
    values: Mapping[str, float] = field(default_factory=dict)
    failed: str | None = None
