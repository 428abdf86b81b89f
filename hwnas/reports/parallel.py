"""Three objectives and more in one picture: an axis each, a line for every network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hwnas.core import Objective
from hwnas.objectives import latency_on
from hwnas.reports.drawing import Drawing, Shape, drawn, joined
from hwnas.reports.formats import percent, with_unit
from hwnas.reports.front import told_trial
from hwnas.reports.numbers import Numbers
from hwnas.reports.svg import COLORS, Mark
from hwnas.reports.thinning import LINES, TOLD, spread
from hwnas.reports.trials import TrialRow, label_of


def parallel_figure(numbers: Numbers) -> Drawing:
    """Every non-dominated trial as a line over the objectives, the better the higher; some of the others behind.

    Args:
        numbers: With at least one trial that has a value.
    """
    goals = numbers.run.objectives
    front, behind = list(numbers.front), [row for row in numbers.valued if row.state == "dominated"]
    behind = spread(behind, LINES)
    told = {row.number for row in spread([row for row in front if not row.roles], TOLD)}
    costs = _costs([*front, *behind], goals)
    low, high = costs[: len(front)].min(axis=0), costs[: len(front)].max(axis=0)
    extent = np.where(high > low, high - low, 1.0)

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        heights = np.clip(1 - (costs - low) / extent, -0.12, 1.0)  # what is far off the front leaves at the bottom
        x, marks = np.arange(len(goals)), {}
        lines = np.stack([np.broadcast_to(x, heights.shape), heights], axis=2)
        alone = np.array([row.number in told or bool(row.roles) for row in front], dtype=np.bool_)
        for some, color, width in (
            (lines[len(front) :], COLORS["pale"], 0.7),
            (lines[: len(front)][~alone], COLORS["accent"], 1.1),
        ):
            if len(some):
                axes.plot(*joined(some), color=color, linewidth=width, alpha=0.5, zorder=1)
        for row, line in ((row, line) for row, line, one in zip(front, heights, alone, strict=False) if one):
            role = next(iter(row.roles), None)
            color, gid = COLORS[role] if role else COLORS["accent"], f"t{row.number}"
            width, alpha = (
                (3.0, 1.0) if role else (1.1, min(1.0, 100 / len(front)))
            )  # of very many, where they are dense
            axes.plot(x, line, color=color, linewidth=width, alpha=alpha, zorder=3 if role else 2, gid=gid)
            marks[gid] = Mark(title=told_trial(row), kind="curve", link=f"trial-{row.number}")
        _rulers(axes, goals, low, high, shape)
        return marks

    names = ", ".join(_name(goal) for goal in goals)
    label = (
        f"Parallel coordinates of {len(front)} non-dominated trials over {names}; the better, the higher. The same "
        "figures are in the table of the front."
    )
    return drawn("parallel", label, draw, heights=(400, 330))


def _costs(rows: Sequence[TrialRow], goals: Sequence[Objective]) -> NDArray[np.float64]:
    """Shape ``(n, m)``, minimised."""
    known = [
        {
            "accuracy": row.accuracy or 0.0,
            **row.costs,
            **{latency_on(device).name: latency_ms for device, latency_ms in row.elsewhere_ms.items()},
        }
        for row in rows
    ]
    return np.array([[goal.to_cost(values[goal.name]) for goal in goals] for values in known])


def _rulers(
    axes: Axes, goals: Sequence[Objective], low: NDArray[np.float64], high: NDArray[np.float64], shape: Shape
) -> None:
    """A vertical axis for each objective, with the best value above and the front's worst below."""
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(-0.35, len(goals) - 0.65)
    axes.set_ylim(-0.27, 1.27)
    for x, goal in enumerate(goals):
        axes.plot([x, x], [0, 1], color=COLORS["muted"], linewidth=1.2, zorder=4)
        best, worst = goal.from_cost(float(low[x])), goal.from_cost(float(high[x]))
        style: dict[str, Any] = {"ha": "center", "fontsize": shape.font, "color": COLORS["muted"], "zorder": 5}
        axes.text(x, 1.19, _name(goal), **{**style, "color": COLORS["ink"], "fontweight": "bold"})
        axes.text(x, 1.06, _value(goal, best), **style)
        axes.text(x, -0.24, _value(goal, worst), **style)


def _name(goal: Objective) -> str:
    return label_of(goal.name)


def _value(goal: Objective, value: float) -> str:
    return percent(value) if goal.name == "accuracy" else with_unit(value, goal.unit)
