"""What all drawings share: two shapes, plain axes, and the way from matplotlib to the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hwnas.reports.svg import COLORS, Mark, house_style, inline_svg


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure in two shapes.

    Attributes:
        name: Unique in its page.
        label: What it shows.
        wide: For screens and paper.
        narrow: For phones.
        figure: Draws the wide shape anew, under ``house_style`` and in the colours of the moment.
    """

    name: str
    label: str
    wide: str
    narrow: str
    figure: Callable[[], Figure]


@dataclass(frozen=True)
class Shape:
    """What a drawing is made for.

    Attributes:
        name: ``"wide"`` or ``"narrow"``.
        width: Points.
        height: Points, unless the figure has its own.
        font: Size of its text in points.
    """

    name: str
    width: int
    height: int
    font: float


SHAPES = (Shape("wide", 860, 430, 12.5), Shape("narrow", 360, 330, 11.5))


def drawn(
    name: str, label: str, draw: Callable[[Axes, Shape], dict[str, Mark]], *, heights: tuple[int, int] | None = None
) -> Drawing:
    """Draws a figure in both shapes.

    Args:
        name: Unique in the page.
        label: What it shows, for those who cannot see it.
        draw: Draws into axes, and returns what its artists tell, by their gid.
        heights: Of the wide and of the narrow shape, in points.
    """
    sizes = dict(zip(SHAPES, heights or [shape.height for shape in SHAPES], strict=True))

    def figure(shape: Shape) -> tuple[Figure, dict[str, Mark]]:
        made = Figure(figsize=(shape.width / 72, sizes[shape] / 72), dpi=72)
        made.set_layout_engine("constrained", w_pad=4 / 72, h_pad=4 / 72)
        made.patch.set_visible(False)
        axes = made.add_subplot()
        _plain_axes(axes, shape)
        return made, draw(axes, shape)

    found = {}
    with house_style():
        for shape in SHAPES:
            made, marks = figure(shape)
            found[shape.name] = inline_svg(made, name=f"{name}-{shape.name}", label=label, marks=marks)
    return Drawing(name=name, label=label, **found, figure=lambda: figure(SHAPES[0])[0])


def _plain_axes(axes: Axes, shape: Shape) -> None:
    axes.patch.set_visible(False)
    axes.grid(visible=True, color=COLORS["line"], linewidth=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelsize=shape.font, labelcolor=COLORS["muted"], pad=6)
    axes.xaxis.set_major_locator(MaxNLocator(8 if shape.name == "wide" else 5))
    axes.yaxis.set_major_locator(MaxNLocator(7))
    axes.xaxis.label.set_color(COLORS["ink"])
    axes.xaxis.label.set_fontsize(shape.font)


def name_y(axes: Axes, name: str, shape: Shape) -> None:
    """Over the axis, where it reads without turning the head."""
    axes.set_title(name, loc="left", fontsize=shape.font, color=COLORS["ink"], pad=10)


def joined(lines: Iterable[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Many lines as one that is lifted in between: a single path.

    Args:
        lines: One at least; a line through ``k`` points has shape ``(k, 2)``.

    Returns:
        ``x`` and ``y``, each of one dimension, with NaN after each line.
    """
    lifted = np.concatenate([piece for line in lines for piece in (line, [(np.nan, np.nan)])])
    return lifted[:, 0], lifted[:, 1]
