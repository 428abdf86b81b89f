"""The hypervolume over the trials, and promise and truth of what was exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hwnas.reports.cards import Card, LatencyOutcome
from hwnas.reports.drawing import Drawing, Shape, drawn, name_y
from hwnas.reports.formats import milliseconds, whole
from hwnas.reports.front import MARKERS, SIZES
from hwnas.reports.numbers import Numbers
from hwnas.reports.svg import COLORS, Mark
from hwnas.reports.thinning import TOLD


def hypervolume_figure(numbers: Numbers) -> Drawing:
    """Hypervolume against trials; needs at least one trial that has a value."""
    steps = numbers.curve.steps
    values = [value for _, value in steps]
    risen = [step for i, step in enumerate(steps) if i == 0 or step[1] > values[i - 1]]

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        corners = [*risen, steps[-1]]  # between them the line is level
        axes.step(*zip(*corners, strict=True), where="post", color=COLORS["accent"], linewidth=1.6)
        marks = {}
        for number, value in risen if len(risen) <= TOLD else ():
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
        markersize=SIZES[marker],
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
