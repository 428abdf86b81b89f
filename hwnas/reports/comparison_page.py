"""The page that puts runs side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hwnas.reports.bench_curves import Line, lines
from hwnas.reports.compared import ComparedRun, Comparison
from hwnas.reports.drawing import Drawing, Shape, drawn, name_y
from hwnas.reports.formats import percent, with_unit
from hwnas.reports.svg import COLORS, Mark
from hwnas.reports.templates import environment, script_hash
from hwnas.reports.trials import label_of
from latency_tables import write_atomically

ACCURACY = "accuracy"


@dataclass(frozen=True, kw_only=True)
class ComparisonPart:
    """What the template shows.

    Attributes:
        comparison: The figures.
        looks: How runs are drawn, by name.
        hypervolume: Hypervolume against trials; ``None`` where no run has any.
        fronts: The fronts over one another, accuracy against each cost.
    """

    comparison: Comparison
    looks: dict[str, Line]
    hypervolume: Drawing | None
    fronts: dict[str, Drawing]

    @property
    def ranked(self) -> list[ComparedRun]:
        """The runs, the largest hypervolume at the common budget first."""
        return sorted(self.comparison.runs, key=lambda run: -run.at(self.comparison.budget))

    def value(self, name: str, value: float | None) -> str:
        """A value of an objective with its unit."""
        goal = next(goal for goal in self.comparison.objectives if goal.name == name)
        return percent(value) if name == ACCURACY else with_unit(value, goal.unit)

    def label(self, name: str) -> str:
        """What an objective is called."""
        return label_of(name)


def comparison_page(comparison: Comparison, out: Path) -> Path:
    """Writes a comparison as one HTML page that needs nothing but itself. Equal comparisons give equal pages.

    Args:
        comparison: What to show.
        out: Where to write.

    Raises:
        OSError: The page cannot be written; an older one is untouched.
    """
    found = [run for run in comparison.runs if run.trials]
    looks = lines(comparison.runs)
    part = ComparisonPart(
        comparison=comparison,
        looks=looks,
        hypervolume=_curves(comparison, found, looks) if found else None,
        fronts={
            goal.name: _fronts(comparison, found, looks, position=i)
            for i, goal in enumerate(comparison.objectives)
            if found and goal.name != ACCURACY
        },
    )
    text = environment().get_template("comparison.html").render(part=part, script_hash=script_hash())
    return write_atomically(out, text)


def _curves(comparison: Comparison, runs: list[ComparedRun], looks: dict[str, Line]) -> Drawing:
    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        marks = {}
        for i, run in enumerate(runs):
            risen = [0, *(np.flatnonzero(np.diff(run.curve)) + 1), run.trials - 1]
            style = _style(looks[run.name])
            axes.step(np.array(risen) + 1, run.curve[risen], where="post", linewidth=1.8, gid=f"r{i}", **style)
            marks[f"r{i}"] = Mark(title=f"{run.name} · hypervolume {run.hypervolume:.4g}", kind="curve")
        if comparison.budget:
            axes.axvline(comparison.budget, color=COLORS["muted"], linewidth=1.0, linestyle=(0, (5, 4)), zorder=1)
        axes.set_xlabel("Trials", labelpad=8)
        name_y(axes, f"Hypervolume [{' × '.join(g.unit or g.name for g in comparison.objectives)}]", shape)
        axes.xaxis.set_major_locator(MaxNLocator(8 if shape.name == "wide" else 5, integer=True, min_n_ticks=1))
        axes.set_ylim(bottom=0)
        return marks

    label = f"Hypervolume against trials of {len(runs)} runs, a line each. The figures are in the table below."
    return drawn("hypervolume", label, draw, heights=(340, 300))


def _fronts(comparison: Comparison, runs: list[ComparedRun], looks: dict[str, Line], *, position: int) -> Drawing:
    goal = comparison.objectives[position]
    accuracy = next(i for i, one in enumerate(comparison.objectives) if one.name == ACCURACY)

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        marks = {}
        for i, run in enumerate(runs):
            points = run.front[np.argsort(run.front[:, position], kind="stable")]
            plane = len(comparison.objectives) == 2  # else a front is no line
            style = _style(looks[run.name]) if plane else {"color": COLORS[looks[run.name].color], "linestyle": "none"}
            marker = "osD^v"[i % 5]
            at = points[:, position], points[:, accuracy]
            axes.plot(*at, marker=marker, markersize=5, drawstyle="steps-post", linewidth=1.4, gid=f"r{i}", **style)
            marks[f"r{i}"] = Mark(title=f"{run.name} · {len(points)} on its front", kind="curve")
        name = label_of(goal.name)
        axes.set_xlabel(f"{name[0].upper()}{name[1:]} [{goal.unit}]", labelpad=8)
        name_y(axes, "Validation accuracy", shape)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        axes.margins(x=0.05, y=0.08)
        return marks

    name = label_of(goal.name)
    label = f"The fronts of {len(runs)} runs over one another: validation accuracy against {name}."
    return drawn(f"fronts-{name.lower().replace(' ', '-')}", label, draw)


def _style(line: Line) -> dict[str, Any]:
    return {"color": COLORS[line.color], "linestyle": line.dashes}
