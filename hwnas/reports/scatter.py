"""Predicted against measured latency, network by network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from hwnas.predictors.verdict import Evaluation, MeasuredNetwork
from hwnas.reports.drawing import Drawing, Shape, drawn, name_y
from hwnas.reports.formats import milliseconds, percent
from hwnas.reports.svg import COLORS, Mark
from hwnas.reports.thinning import TOLD, spread
from hwnas.reports.trials import TrialRow

_BANDS = ((0.10, 0.55), (0.05, 1.0))  # half width, opacity
_MARKERS = {"random": ("o", "accent", 6.5), "front": ("^", "knee", 8.5)}  # shape before colour
_FEW_TICKS, _MORE_TICKS = (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
_DECADE = 10.0


def scatter_figure(evaluation: Evaluation, estimate: str, *, words: str) -> Drawing:
    """Measured against predicted latency of every network, on logarithmic axes.

    Args:
        evaluation: The networks.
        estimate: Whose predictions.
        words: What to call it.
    """
    networks = evaluation.networks
    both = [value for one in networks for value in (one.truth_ms, one.predicted_ms[estimate]) if value > 0]
    low, high = min(both) / 1.12, max(both) * 1.12

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        _frame(axes, low, high, shape)
        for index, one in enumerate(networks):
            _point(axes, index, one, estimate)
        axes.set_xlabel("Predicted latency [ms]", labelpad=8)
        name_y(axes, "Measured latency [ms]", shape)
        return {
            f"n{index}": Mark(title=_told(one, estimate), kind=f"point {one.group}")
            for index, one in enumerate(networks)
        }

    label = (
        f"Scatter plot of measured against predicted latency of {len(networks)} networks, with the diagonal and bands "
        f"of 5 and 10 per cent around it: {words}. The figures are in the tables below."
    )
    return drawn(f"scatter-{estimate}", label, draw, heights=(560, 340))


def checked_figure(rows: Sequence[TrialRow]) -> Drawing:
    """Measured against predicted latency of the networks that were measured in the course of a search.

    Args:
        rows: Their trials, at least one.
    """
    pairs = [(row, row.predicted_ms or 0.0, row.costs["latency_ms"]) for row in spread(rows, TOLD)]
    both = [ms for _, *pair in pairs for ms in pair if ms > 0]
    low, high = min(both) / 1.12, max(both) * 1.12

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        _frame(axes, low, high, shape)
        marks = {}
        for row, predicted_ms, measured_ms in pairs:
            gid, front = f"t{row.number}", row.state == "front"
            style: dict[str, Any] = {"color": COLORS["accent" if front else "pale"], "markeredgecolor": COLORS["paper"]}
            axes.plot([predicted_ms], [measured_ms], "o", markersize=7.5, zorder=3, gid=gid, **style)
            off = percent(abs(predicted_ms / measured_ms - 1))
            told = f"predicted {milliseconds(predicted_ms)} · measured {milliseconds(measured_ms)} · {off} off"
            link = f"trial-{row.number}" if front else ""
            marks[gid] = Mark(title=f"trial {row.number} · {row.id} · {told}", kind=f"point {row.state}", link=link)
        axes.set_xlabel("Predicted latency [ms]", labelpad=8)
        name_y(axes, "Measured latency [ms]", shape)
        return marks

    label = (
        f"Scatter plot of measured against predicted latency of {len(pairs)} networks of the search, with the diagonal "
        "and bands of 5 and 10 per cent around it."
    )
    return drawn("checked", label, draw, heights=(430, 340))


def _frame(axes: Axes, low: float, high: float, shape: Shape) -> None:
    """Logarithmic axes of one length, the diagonal, and the bands around it."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    few = high / low > _DECADE or shape.name == "narrow"
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=_FEW_TICKS if few else _MORE_TICKS))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    line = np.array([low, high])
    for share, opacity in _BANDS:
        axes.fill_between(
            line, line / (1 + share), line / (1 - share), color=COLORS["band"], alpha=opacity, linewidth=0, zorder=1
        )
    for share in (-0.05, 0.05):  # the inner band has an edge, for those who cannot tell the shades apart
        axes.plot(line, line / (1 + share), color=COLORS["pale"], linewidth=0.9, linestyle=(0, (4, 4)), zorder=2)
    axes.plot(line, line, color=COLORS["muted"], linewidth=1.2, zorder=2, gid="diagonal")


def _point(axes: Axes, index: int, network: MeasuredNetwork, estimate: str) -> None:
    marker, color, size = _MARKERS[network.group]
    hollow = network.noise == "noisy"
    axes.plot(
        [network.predicted_ms[estimate]],
        [network.truth_ms],
        marker=marker,
        markersize=size,
        markerfacecolor=COLORS["paper" if hollow else color],
        markeredgecolor=COLORS[color if hollow else "paper"],
        markeredgewidth=1.3 if hollow else 0.9,
        linestyle="none",
        zorder=4 if network.group == "front" else 3,
        gid=f"n{index}",
    )


def _told(network: MeasuredNetwork, estimate: str) -> str:
    predicted_ms = network.predicted_ms[estimate]
    off = percent(abs(predicted_ms / network.truth_ms - 1))
    noisy = " · noisy" if network.noise == "noisy" else ""
    return (
        f"{network.id} · {network.group} · predicted {milliseconds(predicted_ms)} · measured "
        f"{milliseconds(network.truth_ms)} · {off} off{noisy}"
    )
