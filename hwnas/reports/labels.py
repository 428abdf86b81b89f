"""Labels beside points, where they cover neither points nor lines nor one another."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from hwnas.reports.svg import COLORS

_CHARACTER = 0.62  # width of an average bold character, in font sizes
_CLEARANCE = 6.0  # half the side of the square a point keeps free, in points
_FAR = 26.0  # from this distance on, a line leads from the label to its point
_LESS_LIKED = 0.03  # what a place costs more than the one before it
# sideways, upwards (in points), alignment, the preferred first: left of and above a front is empty
_PLACES = (
    (-9.0, 5.0, "right"),
    (0.0, 11.0, "center"),
    (9.0, 6.0, "left"),
    (-9.0, 18.0, "right"),
    (10.0, -14.0, "left"),
    (0.0, -22.0, "center"),
    (-10.0, -18.0, "right"),
    (-16.0, 30.0, "right"),
    (16.0, 30.0, "left"),
    (24.0, -34.0, "left"),
    (-24.0, -34.0, "right"),
    (44.0, -50.0, "left"),
    (-44.0, 46.0, "right"),
)

Point = tuple[float, float]


@dataclass(frozen=True)
class _Box:
    left: float
    bottom: float
    right: float
    top: float

    def touches(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def distance(self, place: Point) -> float:
        sideways = max(self.left - place[0], place[0] - self.right, 0.0)
        upwards = max(self.bottom - place[1], place[1] - self.top, 0.0)
        return float(np.hypot(sideways, upwards))

    def within(self, other: _Box) -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.bottom >= other.bottom
            and self.top <= other.top
        )


def place_labels(
    axes: Axes, labels: Sequence[tuple[Point, str]], *, points: Sequence[Point], line: Sequence[Point], size: float
) -> list[str]:
    """Writes labels beside points.

    Args:
        axes: With its final limits; the figure must have a pixel for each point of size.
        labels: Point in data coordinates and text; a few.
        points: What should not be covered, in data coordinates.
        line: Corners of a line that should not be covered.
        size: Font size in points.

    Returns:
        The gid of each label.
    """
    if isinstance(axes.figure, Figure):
        axes.figure.draw_without_rendering()  # the layout is made here, and with it the place of every point
    extent = axes.get_window_extent()
    frame = _Box(extent.x0, extent.y0, extent.x1, extent.y1)
    taken = [(_around(_pixels(axes, point), _CLEARANCE), 1.0) for point in points]
    taken += [(_around(place, 1.5), 0.2) for place in _along([_pixels(axes, point) for point in line])]
    own = [_pixels(axes, point) for point, _ in labels]
    options = []
    for (_, text), (x, y) in zip(labels, own, strict=True):
        boxes = [_box(x + dx, y + dy, _CHARACTER * size * len(text), size, align) for dx, dy, align in _PLACES]
        costs = [_cost(box, taken, frame) + _confusion(box, (x, y), own) for box in boxes]
        options.append([(cost + _LESS_LIKED * i, i, boxes[i]) for i, cost in enumerate(costs)])
    best = min(itertools.product(*options), key=_total)  # three labels at most: all combinations are few
    for i, ((point, text), (_, index, _)) in enumerate(zip(labels, best, strict=True)):
        _write(axes, point, text, place=_PLACES[index], size=size).set_gid(f"label{i}")
    return [f"label{i}" for i in range(len(labels))]


def _cost(box: _Box, taken: Sequence[tuple[_Box, float]], frame: _Box) -> float:
    return sum(weight for other, weight in taken if box.touches(other)) + 100 * (not box.within(frame))


def _confusion(box: _Box, own: Point, winners: Sequence[Point]) -> float:
    """Whether the label stands as near to another labelled point as to its own."""
    here = box.distance(own)
    return 2.0 * any(box.distance(other) <= here + _CLEARANCE for other in winners if other != own)


def _total(choice: Sequence[tuple[float, int, _Box]]) -> float:
    clashes = sum(one[2].touches(other[2]) for one, other in itertools.combinations(choice, 2))
    return sum(cost for cost, _, _ in choice) + 5.0 * clashes


def _write(axes: Axes, point: Point, text: str, *, place: tuple[float, float, str], size: float) -> Annotation:
    dx, dy, align = place
    leader = {"arrowstyle": "-", "color": COLORS["muted"], "linewidth": 0.8, "shrinkA": 1, "shrinkB": 6}
    return axes.annotate(
        text,
        point,
        xytext=(dx, dy),
        textcoords="offset points",
        ha=align,
        va="bottom",
        fontsize=size,
        fontweight="bold",
        color=COLORS["ink"],
        zorder=6,
        arrowprops=leader if np.hypot(dx, dy) > _FAR else None,
    )


def _pixels(axes: Axes, point: Point) -> Point:
    x, y = axes.transData.transform(point)
    return float(x), float(y)


def _around(place: Point, reach: float) -> _Box:
    return _Box(place[0] - reach, place[1] - reach, place[0] + reach, place[1] + reach)


def _box(x: float, y: float, width: float, height: float, align: str) -> _Box:
    left = x - width * {"left": 0.0, "center": 0.5, "right": 1.0}[align]
    return _Box(left, y, left + width, y + height)


def _along(corners: Sequence[Point], *, step: float = 5.0) -> Iterator[Point]:
    """Places on a line, ``step`` pixels apart."""
    for start, end in itertools.pairwise(corners):
        pieces = max(1, round(float(np.hypot(end[0] - start[0], end[1] - start[1])) / step))
        for i in range(pieces):
            share = i / pieces
            yield start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
