"""Bounds that somebody sets to the figures of an evaluation, for a check in CI."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hwnas.core import UsageError
from hwnas.predictors.evaluation import GroupAccuracy


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A bound that somebody set.

    Attributes:
        figure: ``"mape"`` or ``"kendall"``.
        group: Of which networks.
        estimate: Of which estimate.
        value: What came out; ``None`` where the figure is not defined.
        bound: What it may be at most (``mape``) or must be at least (``kendall``).
        passed: Whether it is.
    """

    figure: str
    group: str
    estimate: str
    value: float | None
    bound: float
    passed: bool

    def __str__(self) -> str:
        found = "undefined" if self.value is None else _number(self.figure, self.value)
        most = "at most" if self.figure == "mape" else "at least"
        name = {"mape": "MAPE", "kendall": "Kendall"}[self.figure]
        where = f"{name} of the estimate {self.estimate!r} on the {self.group} networks"
        return f"{where} is {found}, expected {most} {_number(self.figure, self.bound)}"


def gates(
    groups: Mapping[str, GroupAccuracy], *, estimate: str, max_mape: float | None, min_kendall: float | None
) -> tuple[Gate, ...]:
    """Holds the figures of an estimate against bounds, in every group.

    Args:
        groups: Accuracy by group.
        estimate: Which of the estimates.
        max_mape: What the mean absolute error may be, relative; ``None`` for no bound.
        min_kendall: What the rank correlation must be; ``None`` for no bound.

    Raises:
        UsageError: No figure could be on the right side of a bound, or none on the wrong one.
    """
    if max_mape is not None and not 0 < max_mape < math.inf:
        raise UsageError(f"expected a bound of the MAPE above 0, such as 0.05 for 5 %, received {max_mape:g}")
    if min_kendall is not None and not -1 < min_kendall <= 1:
        raise UsageError(f"expected a bound of Kendall's tau above -1 and up to 1, received {min_kendall:g}")
    found = []
    for name, group in groups.items():
        held = group.estimates[estimate]
        for figure, value, bound, sign in (
            ("mape", held.mape, max_mape, 1),
            ("kendall", held.kendall, min_kendall, -1),
        ):
            if bound is not None:
                passed = value is not None and sign * value <= sign * bound
                found.append(
                    Gate(figure=figure, group=name, estimate=estimate, value=value, bound=bound, passed=passed)
                )
    return tuple(found)


def _number(figure: str, value: float) -> str:
    return f"{value:.2%}" if figure == "mape" else f"{value:.4f}"
