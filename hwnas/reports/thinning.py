"""How much of a long search is drawn and listed; whatever is on the front always is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

TOLD = 200  # points of a figure that tell what they are; more are drawn in one piece
LISTED = 200  # rows of a table of trials beside those on the front
LINES = 120  # lines that can be told apart in one figure
_SPOTS = 900  # points of a crowd: more would cover one another
_FINEST = 160  # spots along the longer side


def one_a_spot(points: NDArray[np.float64], *, most: int = _SPOTS) -> NDArray[np.intp]:
    """Positions of points that look like all of them: of those in one spot of the figure, the first.

    Args:
        points: Shape ``(n, 2)``, finite.
        most: Points to keep; the spots become larger until that is enough.

    Returns:
        Ascending positions, shape ``(k,)`` with ``k <= most``; all of them where ``n <= most``.
    """
    if len(points) <= most:
        return np.arange(len(points))
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    scaled = (points - low) / np.where(extent > 0, extent, 1.0)
    spots = float(_FINEST)
    while True:
        cells = np.floor(scaled * [spots, spots / 2]).astype(np.int64)
        kept = np.unique(cells[:, 0] * (_FINEST + 1) + cells[:, 1], return_index=True)[1]
        if len(kept) <= most:
            return np.sort(kept)
        spots /= 1.2


def spread(items: Sequence[T], most: int) -> list[T]:
    """Some items at even distances, the first and the last among them; all where they are few."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, most).round().astype(int))]
