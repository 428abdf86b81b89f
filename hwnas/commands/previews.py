"""Limits as they are typed, and what they leave of a space, as people read it before a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hwnas.commands.printing import grid

if TYPE_CHECKING:
    from hwnas.objectives import Feasibility
    from hwnas.objectives.feasibility import Share


def limits_of(given: Mapping[str, str | None]) -> dict[str, float]:
    """The limits of ``--max-latency 5ms`` and the like, by the cost's name and in its unit.

    Args:
        given: Texts by the target's name; ``None`` for a limit that was not given.

    Raises:
        UsageError: A text is no quantity.
    """
    from hwnas.objectives import COSTS, parse_quantity

    return {
        COSTS[target].name: parse_quantity(text, unit=COSTS[target].unit)
        for target, text in given.items()
        if text is not None
    }


def feasibility_parts(found: Feasibility) -> list[Any]:
    """A line for each cost, one for all limits together, and how it is known."""
    several = len(found.limited) > 1
    columns = ["", "limit", "smallest", "largest", "within it"]
    lines = []
    for reach in found.reaches:
        unit = reach.unit
        limit = "" if reach.limit is None else f"{reach.limit:.4g} {unit}"
        line = [reach.target, limit, f"{reach.least:.4g} {unit}", f"{reach.most:.4g} {unit}"]
        line.append("" if reach.limit is None else _share(found, reach.share))
        if several:
            line.append("none" if reach.within is None else f"{reach.within:.4g} {unit}")
        lines.append(line)
    if several:
        columns.append("smallest within the others")
        lines.append(["all limits", "", "", "", _share(found, found.share), ""])
    known = (
        f"Every one of its {found.size:,} architectures was looked at."
        if found.exact
        else f"Shares of {found.looked_at:,} random ones of its {found.size:.3g} architectures, ± one standard error; "
        "the ends by descent."
    )
    return [grid(f"What space {found.space} offers", columns, lines), f"{known} Latencies are predictions."]


def _share(found: Feasibility, share: Share) -> str:
    """A share in per cent; of a sample with its error, of a space with the count."""
    if found.exact:
        return f"{share.value:.2%} ({round(share.value * found.looked_at):,})"
    return f"{share.value:.2%} ± {share.error:.2%}"
