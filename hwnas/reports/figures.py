"""The drawings of the report, each for wide and for narrow screens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hwnas.pareto import non_dominated
from hwnas.reports.cards import Card, LatencyOutcome
from hwnas.reports.drawing import Drawing, Shape, drawn, name_y
from hwnas.reports.formats import milliseconds, percent, whole, with_unit
from hwnas.reports.labels import place_labels
from hwnas.reports.numbers import COST_LABELS, COST_UNITS, Numbers, TrialRow
from hwnas.reports.svg import COLORS, Mark

MARKERS = {"knee": "D", "fastest": "<", "best": "^"}
_SIZES = {"D": 10, "<": 13, "^": 13, "s": 9}  # of equal weight to the eye, in points
_LIMIT_IN_VIEW = 1.5  # a limit further out than this times the largest value is told in words instead


def front_figure(numbers: Numbers, cost: str) -> Drawing:
    """Accuracy against a cost: every trial, the front, the limits and the winners.

    Args:
        numbers: With at least one trial that has a value.
        cost: Name of the cost, for example ``latency_ms``.
    """
    what, unit = COST_LABELS[cost], COST_UNITS[cost]
    rows = [row for row in numbers.valued if cost in row.costs]

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        corners = _steps(axes, rows, cost)
        for row in sorted(rows, key=lambda row: (row.state == "front", bool(row.roles))):
            _point(axes, row, cost)
        name = f"predicted {what}" if cost == "latency_ms" else what
        axes.set_xlabel(f"{name[0].upper()}{name[1:]} [{unit}]", labelpad=8)
        name_y(axes, "Validation accuracy", shape)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        axes.margins(x=0.09, y=0.1)
        bottom, top = axes.get_ylim()
        axes.set_yticks([tick for tick in axes.get_yticks() if max(bottom, 0.0) <= tick <= min(top, 1.0)])
        axes.set_ylim(bottom, top)
        _limit(axes, numbers.run.settings.limits.get(cost), rows, cost, shape)
        places = {row.number: (row.costs[cost], row.accuracy or 0.0) for row in rows}
        labels = [(places[row.number], ", ".join(row.roles)) for row in rows if row.roles]
        written = place_labels(axes, labels, points=list(places.values()), line=corners, size=shape.font)
        marks = {f"t{row.number}": Mark(title=_told(row), kind=f"point {row.state}") for row in rows}
        return {**marks, **{gid: Mark(title="", kind="label") for gid in written}}

    label = (
        f"Scatter plot of validation accuracy against {what}: {len(rows)} trials, {numbers.count('front')} of them not "
        "dominated. The same figures are in the tables below."
    )
    return drawn(f"front-{what.lower()}", label, draw)


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
        markersize=_SIZES[MARKERS[role]] if role else 8.5 if front else 7.5,
        color=COLORS[role] if role else COLORS["accent"] if front else COLORS["pale"],
        markeredgecolor=COLORS["paper"],
        markeredgewidth=1.2,
        linestyle="none",
        zorder=5 if role else 4 if front else 3,
        gid=f"t{row.number}",
        clip_on=False,
    )


def _limit(axes: Axes, limit: float | None, rows: Sequence[TrialRow], cost: str, shape: Shape) -> None:
    if limit is None or limit > _LIMIT_IN_VIEW * max(row.costs[cost] for row in rows):
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


def _told(row: TrialRow) -> str:
    costs = [f"{COST_LABELS[name]} {with_unit(value, COST_UNITS[name])}" for name, value in row.costs.items()]
    place = ", ".join(row.roles) or ("on the front" if row.state == "front" else "dominated")
    return " · ".join([f"trial {row.number}", row.id, f"accuracy {percent(row.accuracy)}", *costs, place])


def hypervolume_figure(numbers: Numbers) -> Drawing:
    """Hypervolume against trials; needs at least one trial that has a value."""
    steps = numbers.curve.steps
    trials, values = [number for number, _ in steps], [value for _, value in steps]
    risen = [step for i, step in enumerate(steps) if i == 0 or step[1] > values[i - 1]]

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        axes.step(trials, values, where="post", color=COLORS["accent"], linewidth=1.6)
        marks = {}
        for number, value in risen:
            marks[f"h{number}"] = Mark(title=f"trial {number} · hypervolume {value:.4g}", kind="point")
            axes.plot([number], [value], "o", color=COLORS["accent"], markersize=4, gid=f"h{number}", clip_on=False)
        axes.set_xlabel("Trial", labelpad=8)
        name_y(axes, f"Hypervolume [{numbers.curve.unit}]", shape)
        axes.xaxis.set_major_locator(MaxNLocator(8 if shape.name == "wide" else 5, integer=True, min_n_ticks=1))
        axes.set_ylim(bottom=0)
        axes.margins(x=0.03)
        return marks

    label = (
        f"Step line of the hypervolume over {len(steps)} trials, from {values[0]:.3g} to {values[-1]:.3g} "
        f"{numbers.curve.unit}."
    )
    return drawn("hypervolume", label, draw, heights=(280, 260))


def latency_figure(cards: Sequence[Card]) -> Drawing:
    """Promise and truth of every exported network that was measured.

    Args:
        cards: At least one with a measured latency.
    """
    held = [(card, card.latency) for card in cards if card.latency is not None]

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        for y, (card, outcome) in enumerate(held):
            _check_row(axes, y, card, outcome, shape)
        axes.set_ylim(len(held) - 0.6, -0.75)
        axes.set_yticks([])
        axes.set_xlabel("Latency [ms]", labelpad=8)
        axes.margins(x=0.06)
        marks = {}
        for y, (card, outcome) in enumerate(held):
            spread, iqr = milliseconds(outcome.spread_ms), milliseconds(outcome.iqr_ms)
            promise = f"{card.pick} · predicted {milliseconds(outcome.predicted_ms)} ± {spread}"
            truth = f"{card.pick} · measured {milliseconds(outcome.measured_ms)}, interquartile range {iqr}"
            marks[f"predicted{y}"] = Mark(title=promise, kind="predicted")
            marks[f"measured{y}"] = Mark(title=f"{truth} of {whole(outcome.n)} runs", kind="measured")
        return marks

    label = "Predicted and measured latency of each exported network; the figures are in the table below."
    return drawn("latency", label, draw, heights=(70 + 62 * len(held), 70 + 62 * len(held)))


def _check_row(axes: Axes, y: int, card: Card, outcome: LatencyOutcome, shape: Shape) -> None:
    predicted, spread = outcome.predicted_ms, outcome.spread_ms
    low, high = (predicted * (1 + sign * outcome.tolerance) for sign in (-1, 1))
    axes.plot([low, high], [y, y], color=COLORS["band"], linewidth=14, solid_capstyle="butt", zorder=1)
    axes.plot([predicted - spread, predicted + spread], [y, y], color=COLORS["muted"], linewidth=1.6, zorder=2)
    ring: dict[str, Any] = {"color": COLORS["paper"], "markeredgecolor": COLORS["muted"], "markeredgewidth": 1.6}
    axes.plot([predicted], [y], "o", markersize=9, zorder=3, gid=f"predicted{y}", **ring)
    marker = MARKERS.get(card.pick, "s")
    axes.plot(
        [outcome.measured_ms],
        [y],
        marker,
        markersize=_SIZES[marker],
        color=COLORS.get(card.pick, COLORS["accent"]) if card.pick in MARKERS else COLORS["accent"],
        markeredgecolor=COLORS["paper"],
        markeredgewidth=1.0,
        zorder=4,
        gid=f"measured{y}",
    )
    axes.annotate(
        f"{card.pick} · {outcome.ratio:.2f} × · {'passed' if outcome.passed else 'not passed'}",
        (low, y),
        xytext=(0, 13),
        textcoords="offset points",
        fontsize=shape.font,
        color=COLORS["ink"],
    )
