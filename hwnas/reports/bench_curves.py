"""Curves of benchmarks: hypervolume against evaluations, with bands over the seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hwnas.bench import AlgorithmSummary, BenchSummary
from hwnas.reports.drawing import Drawing, Shape, drawn, name_y
from hwnas.reports.svg import COLORS, Mark

Array = NDArray[np.float64]
_COLORS = ("accent", "knee", "fastest", "best", "muted")
_DASHES = ("solid", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 1, 2)))  # lines of one colour differ by these


@dataclass(frozen=True, kw_only=True)
class Line:
    """How an algorithm is drawn.

    Attributes:
        color: One of the page's variables.
        dashes: As matplotlib has them.
        css: The same for CSS: ``solid``, ``dashed`` or ``dotted``.
    """

    color: str
    dashes: object
    css: str


class Named(Protocol):
    """What has a line."""

    @property
    def name(self) -> str:
        """Unique among those drawn."""


def lines(algorithms: Sequence[Named]) -> dict[str, Line]:
    """How each algorithm or run is drawn, colours first and then dashes, so that no two are alike before the 20th."""
    css = ("solid", "dashed", "dotted", "dashed")
    found = {}
    for index, one in enumerate(algorithms):
        dash = index // len(_COLORS) % len(_DASHES)
        found[one.name] = Line(color=_COLORS[index % len(_COLORS)], dashes=_DASHES[dash], css=css[dash])
    return found


def share_figure(summary: BenchSummary) -> Drawing:
    """Median share of the best hypervolume with the middle half of the seeds."""
    least = min(float(np.quantile(one.quantile(0.25), 0.1)) for one in summary.algorithms)
    most = max(float(one.quantile(0.75)[-1]) for one in summary.algorithms)

    def band(one: AlgorithmSummary) -> tuple[Array, Array, Array]:
        return 100 * one.quantile(0.25), 100 * one.quantile(0.5), 100 * one.quantile(0.75)

    return _curves(
        summary,
        "bench-share",
        band,
        axis=f"Hypervolume [% of the {summary.bench.problem.best_is}]",
        limits=(100 * (least - 0.05 * (most - least)), 100 * (most + 0.05 * (most - least) + 1e-6)),
    )


def gap_figure(summary: BenchSummary) -> Drawing:
    """Mean logarithm of the distance to the best hypervolume, with a standard error each way."""
    best = summary.bench.problem.best

    def band(one: AlgorithmSummary) -> tuple[Array, Array, Array]:
        gaps, n = one.log_gaps(best), len(one.shares)
        mean = gaps.mean(axis=0)
        error = gaps.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(mean))
        return mean - error, mean, mean + error

    return _curves(summary, "bench-gap", band, axis="log10 of the distance to the best hypervolume")


def _curves(
    summary: BenchSummary,
    name: str,
    band: Callable[[AlgorithmSummary], tuple[Array, Array, Array]],
    *,
    axis: str,
    limits: tuple[float, float] | None = None,
) -> Drawing:
    looks = lines(summary.algorithms)
    first = summary.bench.settings.initial
    steps = np.arange(1, summary.bench.settings.evaluations + 1)

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        marks = {}
        for index, one in enumerate(summary.algorithms):
            low, middle, high = (curve[first - 1 :] for curve in band(one))
            look, x = looks[one.name], steps[first - 1 :]
            axes.fill_between(x, low, high, color=COLORS[look.color], alpha=0.13, linewidth=0, zorder=1)
            axes.plot(
                x, middle, color=COLORS[look.color], linestyle=look.dashes, linewidth=1.8, zorder=2, gid=f"a{index}"
            )
            marks[f"a{index}"] = Mark(title=one.name, kind="curve")
        axes.set_xlabel("Evaluations", labelpad=8)
        axes.xaxis.set_major_locator(MaxNLocator(8 if shape.name == "wide" else 5, integer=True))
        if limits is not None:
            axes.set_ylim(*limits)
        name_y(axes, axis, shape)
        return marks

    names = ", ".join(one.name for one in summary.algorithms)
    label = f"{axis} against evaluations, a curve with a band for each of {names}. The figures are in the tables below."
    return drawn(name, label, draw)
