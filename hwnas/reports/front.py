"""The front: accuracy against a cost, for every trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from hwnas.objectives import latency_on
from hwnas.pareto import non_dominated
from hwnas.reports.drawing import Drawing, Shape, drawn, joined, name_y
from hwnas.reports.formats import number_of, percent, with_unit
from hwnas.reports.labels import place_labels
from hwnas.reports.numbers import Numbers
from hwnas.reports.svg import COLORS, Mark
from hwnas.reports.thinning import TOLD, one_a_spot, spread
from hwnas.reports.trials import COST_LABELS, COST_UNITS, Lineage, TrialRow

MARKERS: Mapping[str, str] = {"knee": "D", "fastest": "<", "best": "^"}
SIZES: Mapping[str, float] = {"D": 10, "<": 13, "^": 13, "s": 9}  # of equal weight to the eye, in points
_LIMIT_IN_VIEW = 1.5  # a limit further out than this times the largest value is told in words instead


def front_figure(numbers: Numbers, cost: str, *, device: str = "") -> Drawing:
    """Accuracy against a cost: every trial, the front, the limits and the winners.

    Args:
        numbers: With at least one trial that has a value.
        cost: Name of the cost, for example ``latency_ms``.
        device: The other device that the numbers are of (``Numbers.on``); empty for that of the run's table.
    """
    what, unit = COST_LABELS[cost] + f" on {device}" * bool(device), COST_UNITS[cost]
    rows = [row for row in numbers.valued if cost in row.costs]
    alone, crowds = _parted(rows, cost)

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        corners = _steps(axes, rows, cost)
        for row in sorted(alone, key=lambda row: (row.state == "front", bool(row.roles))):
            _point(axes, row, cost)
        for state, crowd in crowds.items():
            _crowd(axes, crowd, cost, state)
        name = f"predicted {what}" if cost == "latency_ms" and not device else what
        axes.set_xlabel(f"{name[0].upper()}{name[1:]} [{unit}]", labelpad=8)
        name_y(axes, "Validation accuracy", shape)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        axes.margins(x=0.09, y=0.1)
        bottom, top = axes.get_ylim()
        axes.set_yticks([tick for tick in axes.get_yticks() if max(bottom, 0.0) <= tick <= min(top, 1.0)])
        axes.set_ylim(bottom, top)
        limited = latency_on(device).name if device else cost
        for bound in numbers.run.settings.bounds:
            if bound.cost == limited:
                _limit(axes, bound.value, rows, cost, shape)
        seen = [*alone, *(row for crowd in crowds.values() for row in crowd)]
        places = {row.number: (row.costs[cost], row.accuracy or 0.0) for row in seen}
        labels = [(places[row.number], ", ".join(row.roles)) for row in alone if row.roles]
        written = place_labels(axes, labels, points=list(places.values()), line=corners, size=shape.font)
        marks = {f"t{row.number}": _mark(row, linked=not device) for row in alone}
        return {**marks, **{gid: Mark(title="", kind="label") for gid in written}}

    label = (
        f"Scatter plot of validation accuracy against {what}: {len(rows)} trials, {numbers.count('front')} of them not "
        "dominated. The same figures are in the tables below."
    )
    return drawn(f"front-{what.lower().replace(' ', '-')}", label, draw)


def _parted(rows: Sequence[TrialRow], cost: str) -> tuple[list[TrialRow], dict[str, list[TrialRow]]]:
    """Trials drawn one by one, and by their state those drawn in one piece.

    Of the front every point is drawn; of very many dominated ones those that look like all of them.
    """
    alone, crowds = [row for row in rows if row.roles], dict[str, list[TrialRow]]()
    for state in ("dominated", "front"):
        some = [row for row in rows if row.state == state and not row.roles]
        if len(some) <= TOLD:
            alone += some
            continue
        if state == "front":
            some.sort(key=lambda row: row.costs[cost])
            told = {row.number for row in spread(some, TOLD)}
            alone += [row for row in some if row.number in told]
            crowds[state] = [row for row in some if row.number not in told]
        else:
            points = np.array([[row.costs[cost], row.accuracy or 0.0] for row in some])
            crowds[state] = [some[i] for i in one_a_spot(points)]
    return alone, crowds


def _crowd(axes: Axes, rows: Sequence[TrialRow], cost: str, state: str) -> None:
    """Points as one path of round ends, which takes a tenth of the room of markers."""
    front = state == "front"
    points = np.array([[row.costs[cost], row.accuracy or 0.0] for row in rows])
    x, y = joined(np.stack([points, points], axis=1))
    axes.plot(
        x,
        y,
        color=COLORS["accent" if front else "pale"],
        linewidth=6 if front else 4,
        solid_capstyle="round",
        zorder=4 if front else 3,
        gid=f"crowd-{state}",
    )


def _mark(row: TrialRow, *, linked: bool) -> Mark:
    link = f"trial-{row.number}" if linked and row.state == "front" else ""
    return Mark(title=told_trial(row), kind=f"point {row.state}", link=link)


def _steps(axes: Axes, rows: Sequence[TrialRow], cost: str) -> list[tuple[float, float]]:
    """The staircase of what is best in these two quantities; returns its corners."""
    points = np.array([[row.costs[cost], -(row.accuracy or 0.0)] for row in rows])
    best = points[non_dominated(points)]
    order = np.lexsort((best[:, 1], best[:, 0]))
    x, y = best[order, 0], -best[order, 1]
    corners = np.column_stack([np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]])  # along first, then up
    axes.plot(corners[:, 0], corners[:, 1], color=COLORS["accent"], linewidth=1.6, zorder=2, gid="steps")
    return [(float(a), float(b)) for a, b in corners]


def _point(axes: Axes, row: TrialRow, cost: str) -> None:
    front, role = row.state == "front", next(iter(row.roles), None)
    axes.plot(
        [row.costs[cost]],
        [row.accuracy or 0.0],
        marker=MARKERS[role] if role else "o",
        markersize=SIZES[MARKERS[role]] if role else 8.5 if front else 7.5,
        color=COLORS[role] if role else COLORS["accent"] if front else COLORS["pale"],
        markeredgecolor=COLORS["paper"],
        markeredgewidth=1.2,
        linestyle="none",
        zorder=5 if role else 4 if front else 3,
        gid=f"t{row.number}",
        clip_on=False,
    )


def _limit(axes: Axes, limit: float, rows: Sequence[TrialRow], cost: str, shape: Shape) -> None:
    if limit > _LIMIT_IN_VIEW * max(row.costs[cost] for row in rows):
        return
    axes.axvline(limit, color=COLORS["muted"], linewidth=1.2, linestyle=(0, (5, 4)), zorder=1, gid="limit")
    axes.annotate(
        f"limit {with_unit(limit, COST_UNITS[cost])}",
        (limit, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(-5, 0),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=shape.font - 1,
        color=COLORS["muted"],
    )


def told_trial(row: TrialRow) -> str:
    """A trial in one line: what it is, what it costs, and what it won."""
    costs = [f"{COST_LABELS[name]} {with_unit(value, COST_UNITS[name])}" for name, value in row.costs.items()]
    place = ", ".join(row.roles) or ("on the front" if row.state == "front" else "off the front")
    chosen = [row.precision] if row.precision else []
    line = [f"weights from {told_parent(row.lineage)}"] if row.lineage else []
    told = [f"trial {row.number}", row.id, *chosen, f"accuracy {percent(row.accuracy)}", *costs, *line, place]
    return " · ".join(told)


def told_parent(lineage: Lineage) -> str:
    """Where weights are from: the trial, and how near it is."""
    parent = "a network" if lineage.parent is None else f"trial {lineage.parent},"
    return f"{parent} {number_of(lineage.distance, 'choice')} away"
