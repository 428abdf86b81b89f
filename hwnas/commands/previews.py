"""Limits as they are typed, and what they leave of a space, as people read it before a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwnas.commands.printing import grid

if TYPE_CHECKING:
    from hwnas.objectives import Feasibility
    from hwnas.objectives.feasibility import Reach, Share


def limits_of(
    given: Mapping[str, str | Sequence[str] | None],
    *,
    at_least: Mapping[str, Sequence[str] | None],
    about: Mapping[str, str | None],
) -> dict[str, float]:
    """The limits of ``--max-latency 5ms``, ``--min-latency 2ms`` and the like, by name and in the cost's unit.

    Args:
        given: Texts by the target's name, several where it can be limited on several devices (``jetson=8ms``); ``None``
            for a limit that was not given.
        at_least: Likewise, of what the cost has to be at least.
        about: Likewise, of what it has to be within two per cent: a band, for one that is not limited otherwise.

    Raises:
        UsageError: A text is no quantity, a device is limited twice, a lower limit is above the upper one, or a band
            has a limit beside it.
    """
    from hwnas.core import UsageError
    from hwnas.objectives import COSTS, Bound, band_about, bounds_of, latency_on

    found: dict[str, float] = {}
    for sign, side in ((1, given), (-1, at_least)):
        for target, texts in side.items():
            for typed in [texts] if isinstance(texts, str) else texts or ():
                device, _, quantity = typed.rpartition("=") if target == "latency" else ("", "", typed)
                cost = latency_on(device.strip()) if device else COSTS[target]
                bound = Bound(cost=cost.name, value=0.0, sign=sign)
                bound = replace(bound, value=_quantity(quantity, unit=cost.unit, option=bound.option))
                if bound.name in found:
                    raise UsageError(
                        f"{bound.option} is given twice{f' for {bound.device}' if bound.device else ''}: expected one "
                        f"limit for each device, such as {bound.option} 5ms {bound.option} jetson=8ms"
                    )
                found[bound.name] = bound.value
    for target, text in about.items():
        if text is not None:
            if given.get(target) or at_least.get(target):
                raise UsageError(
                    f"--hit-{target} {text} is a band of its own: leave out --min-{target} and --max-{target}, or give "
                    "these two in place of it"
                )
            value = _quantity(text, unit=COSTS[target].unit, option=f"--hit-{target}")
            found |= band_about(COSTS[target].name, value)
    bounds_of(found)  # refused now, and not after a table has been made
    return found


def accuracy_of(text: str | None) -> float | None:
    """The accuracy of ``--min-accuracy 90%``, in (0, 1]; ``None`` where it was not given.

    Raises:
        UsageError: It is no share.
    """
    from hwnas.objectives import require_accuracy

    return None if text is None else require_accuracy(_quantity(text, unit="", option="--min-accuracy"))


def _quantity(text: str, *, unit: str, option: str) -> float:
    """What was typed behind an option, in the unit of its cost.

    Raises:
        UsageError: It is no quantity.
    """
    from hwnas.core import UsageError
    from hwnas.objectives import parse_quantity

    try:
        return parse_quantity(text, unit=unit)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from error


def require_possible(found: Feasibility, *, hit: str | None) -> None:
    """Refuses limits that nothing keeps.

    Args:
        found: What they leave.
        hit: What ``--hit-latency`` was given, of which the limits were made.

    Raises:
        InfeasibleError: No architecture satisfies them.
    """
    from hwnas.core import InfeasibleError

    try:
        found.require()
    except InfeasibleError as error:
        if hit is None:
            raise
        raise InfeasibleError(
            f"--hit-latency {hit} asks for a latency within 2 % of it. {error}",
            nearest=error.nearest,
            alone=error.alone,
            together=error.together,
        ) from error


def _cost(reach: Reach) -> str:
    return reach.target if reach.device is None else f"{reach.target} on {reach.device}"


def feasibility_parts(found: Feasibility) -> list[Any]:
    """A line for each cost, one for all limits together, and how it is known."""
    several = len(found.bounds) > 1
    columns = ["", "limit", "smallest", "largest", "within it"]
    lines = []
    for reach in found.reaches:
        unit = reach.unit
        limit = " to ".join(f"{bound.value:.4g}" for bound in reach.bounds) + (f" {unit}" if reach.bounds else "")
        if reach.limit is None and reach.floor is not None:
            limit = f"from {limit}"
        line = [_cost(reach), limit, f"{reach.least:.4g} {unit}", f"{reach.most:.4g} {unit}"]
        line.append(_share(found, reach.share) if reach.bounds else "")
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
