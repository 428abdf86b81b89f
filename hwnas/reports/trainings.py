"""Training curves: loss and accuracy against epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hwnas.reports.courses import Curve, Point, Trainings
from hwnas.reports.drawing import Drawing, Shape, drawn, joined, name_y
from hwnas.reports.front import MARKERS
from hwnas.reports.svg import COLORS, Mark
from hwnas.reports.thinning import spread

_POINTS = 24  # of a curve
_FEW = 8  # of one among many


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What is drawn of trainings.

    Attributes:
        name: Of the figure.
        quantity: On its upright axis.
        points: Of a training.
        told: The same in words.
        marker: On every point; empty for none.
        shown: How the axis writes a value.
    """

    name: str
    quantity: str
    points: Callable[[Curve], tuple[Point, ...]]
    told: Callable[[Curve], str]
    marker: str
    shown: Callable[[float], str]


_ACCURACY = _Look(
    name="trainings",
    quantity="Validation accuracy",
    points=lambda curve: curve.accuracies,
    told=lambda curve: curve.told_accuracies,
    marker="o",
    shown=lambda value: f"{100 * value:g} %",
)
_LOSS = _Look(
    name="losses",
    quantity="Training loss",
    points=lambda curve: curve.losses,
    told=lambda curve: f"loss {curve.told_losses}",
    marker="",
    shown=lambda value: f"{value:g}",
)


def accuracy_figure(trainings: Trainings) -> Drawing | None:
    """Accuracy against epochs; ``None`` where none is known."""
    return _figure(trainings, _ACCURACY)


def loss_figure(trainings: Trainings) -> Drawing | None:
    """Training loss against epochs; ``None`` where none is known."""
    return _figure(trainings, _LOSS)


def _figure(trainings: Trainings, look: _Look) -> Drawing | None:
    told = [curve for curve in trainings.told if look.points(curve)]
    crowd = [curve for curve in trainings.crowd if look.points(curve)]
    if not (told or crowd):
        return None

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        if crowd:
            _crowd(axes, crowd, look)
        marks = {curve.gid: _curve(axes, curve, look) for curve in told}
        axes.set_xlabel("Epochs", labelpad=8)
        name_y(axes, look.quantity, shape)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: look.shown(value)))
        axes.xaxis.set_major_locator(MaxNLocator(8 if shape.name == "wide" else 5, integer=True, min_n_ticks=1))
        axes.margins(x=0.03)
        return marks

    label = (
        f"{look.quantity} of {len(told) + len(crowd)} trainings against their epochs; those that were stopped early "
        "end in a cross. The same figures are in the table below."
    )
    return drawn(look.name, label, draw, heights=(330, 290))


def _crowd(axes: Axes, curves: Sequence[Curve], look: _Look) -> None:
    """Curves as one path, and the crosses of those that were stopped."""
    lines = [np.array(spread(look.points(curve), _FEW), dtype=np.float64) for curve in curves]
    axes.plot(*joined(lines), color=COLORS["pale"], linewidth=0.9, zorder=2, gid="crowd")
    ends = [line[-1] for line, curve in zip(lines, curves, strict=True) if curve.row.state == "stopped"]
    if ends:
        axes.plot(*np.array(ends).T, marker="X", markersize=5, linestyle="none", color=COLORS["pale"], zorder=2)


def _curve(axes: Axes, curve: Curve, look: _Look) -> Mark:
    row, full = curve.row, curve.kind != "candidate"
    front, role = row.state == "front", next(iter(row.roles), None)
    points = spread(look.points(curve), _POINTS)
    color = COLORS[role] if role else COLORS["accent"] if front or full else COLORS["pale"]
    axes.plot(
        *zip(*points, strict=True),
        color=color,
        linewidth=3.0 if full else 1.8 if role else 1.3 if front else 0.9,
        alpha=1.0 if full or not role else 0.75,
        zorder=5 if full else 4 if role else 3 if front else 2,
        gid=curve.gid,
        **_marked(curve, look, alone=len(points) == 1),
    )
    end = {"stopped": "stopped early", "unfinished": "under way"}.get(row.state, "")
    words = [f"trial {row.number}", row.id, curve.what * full, look.told(curve), *row.roles, end]
    return Mark(title=" · ".join(filter(None, words)), kind="curve", link=f"trial-{row.number}" if front else "")


def _marked(curve: Curve, look: _Look, *, alone: bool) -> dict[str, Any]:
    """Where a curve has markers: a cross where it was stopped, its role's shape at the end of a full training."""
    role = next(iter(curve.row.roles), None)
    if curve.row.state == "stopped" and curve.kind == "candidate":
        return {"marker": "X", "markevery": [-1], "markersize": 5}
    if curve.kind == "export" and role:
        return {"marker": MARKERS[role], "markevery": [-1], "markersize": 9, "markeredgecolor": COLORS["paper"]}
    return {"marker": look.marker or ("o" if alone else None), "markersize": 3.5}
