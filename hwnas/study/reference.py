"""The reference point of the hypervolume, fixed when a run is begun."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.core import Objective
from hwnas.objectives import KnownCosts, Limits, lowest

_MARGIN = 1.1  # the reference point lies this far beyond the worst value, so that the worst point still counts


def reference_point(
    costs: KnownCosts, bounds: Limits, goals: Sequence[Objective], *, least_accuracy: float
) -> dict[str, float]:
    """The point that bounds the hypervolume: the least accuracy that counts, the limit or the largest value of a cost.

    Args:
        costs: Of the architectures.
        bounds: The limits.
        goals: Objectives to give a value for.
        least_accuracy: Below it a network is worth nothing; that of guessing, at the least.

    Returns:
        By objective name, in the objective's own unit and sign.
    """
    space = costs.family.space
    upper = {bound.cost: bound.value for bound in bounds.bounds if bound.sign > 0}
    reference = {}
    for goal in goals:
        if goal.name == "accuracy":
            reference[goal.name] = least_accuracy
        elif goal.name in upper:
            reference[goal.name] = _MARGIN * upper[goal.name]
        else:
            worst = lowest(space, lambda batch, name=goal.name: -costs.values(batch)[name])  # type: ignore[misc]
            reference[goal.name] = _MARGIN * float(costs.values([worst])[goal.name][0])
    return reference
