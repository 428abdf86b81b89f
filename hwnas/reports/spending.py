"""Where the milliseconds go: the winners' blocks along the time they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes

from hwnas.reports.architectures import BlockRow, Network
from hwnas.reports.drawing import Drawing, Shape, drawn
from hwnas.reports.formats import milliseconds, percent
from hwnas.reports.svg import COLORS, Mark

_TALLEST, _LOWEST = 0.25, 0.08  # half heights of blocks that read the most and the fewest pixels
_CHARACTER = 0.62  # width of an average character, in font sizes
_REST = "calls"


def spending_figure(networks: Sequence[Network]) -> Drawing:
    """The networks as rows of blocks: as wide as they take time, as high as the images that they read.

    Args:
        networks: At least one.
    """

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        longest_ms = max(max(sum(b.latency_ms for b in n.blocks), n.kernels.latency_ms) for n in networks)
        per_ms = 0.9 * shape.width / longest_ms  # points
        marks: dict[str, Mark] = {}
        for y, network in enumerate(networks):
            marks |= _row(axes, y, network, shape, per_ms)
        axes.set_xlim(0, longest_ms * 1.02)
        axes.set_ylim(len(networks) - 0.45, -0.65)
        axes.set_yticks([])
        axes.set_xlabel("Latency so far [ms]", labelpad=8)
        return marks

    label = (
        "The winners as rows of blocks along their predicted latency, each block as wide as its time and as high as "
        "the image it reads. The same figures are in the tables below."
    )
    height = 70 + 110 * len(networks)
    return drawn("spending", label, draw, heights=(height, height))


def _row(axes: Axes, y: int, network: Network, shape: Shape, per_ms: float) -> dict[str, Mark]:
    at_ms, dark, marks = 0.0, False, dict[str, Mark]()
    role = network.row.roles[0]
    title = f"{', '.join(network.row.roles)} · {milliseconds(network.kernels.latency_ms)}"
    axes.text(0, y - 0.42, title, fontsize=shape.font, fontweight="bold", color=COLORS["ink"], va="center")
    for stage, blocks in groupby(network.blocks, key=lambda block: block.stage):
        begun_ms, dark = at_ms, not dark
        for block in blocks:
            gid = f"b{y}-{len(marks)}"
            half = _half_height(block, network.blocks)
            axes.barh(
                y,
                block.latency_ms,
                left=at_ms,
                height=2 * half,
                color=COLORS[role],
                alpha=1.0 if dark else 0.6,
                edgecolor=COLORS["paper"],
                linewidth=1.0,
                gid=gid,
                zorder=2,
            )[0].set_gid(gid)
            share = f"{percent(block.latency_share)} of the blocks"
            marks[gid] = Mark(title=" · ".join([stage, block.key, milliseconds(block.latency_ms), share]), kind="block")
            at_ms += block.latency_ms
        _name_span(axes, stage, (begun_ms, at_ms), y, shape, per_ms)
    rest_ms = network.kernels.latency_ms - at_ms
    if rest_ms > 0:
        gid = f"b{y}-{_REST}"
        bar = axes.barh(y, rest_ms, left=at_ms, height=2 * _LOWEST, color=COLORS["band"], zorder=2)
        bar[0].set_gid(gid)
        told = f"calls and what the law of the device adds · {milliseconds(rest_ms)}"
        marks[gid] = Mark(title=told, kind="block")
    axes.plot([network.kernels.latency_ms] * 2, [y - 0.3, y + 0.3], color=COLORS["muted"], linewidth=1.6, zorder=3)
    return marks


def _half_height(block: BlockRow, blocks: Sequence[BlockRow]) -> float:
    """By the logarithm of the pixels a side."""
    sizes = [math.log(max(1, one.size)) for one in blocks]
    low, high = min(sizes), max(sizes)
    share = (math.log(max(1, block.size)) - low) / (high - low) if high > low else 1.0
    return _LOWEST + share * (_TALLEST - _LOWEST)


def _name_span(axes: Axes, stage: str, span: tuple[float, float], y: int, shape: Shape, per_ms: float) -> None:
    """The stage's name below its blocks, or its number, or nothing, as far as there is room."""
    room = (span[1] - span[0]) * per_ms / (_CHARACTER * (shape.font - 1.5))
    short = stage.removeprefix("stage ")
    text = next((name for name in (stage, short) if len(name) + 0.5 <= room), None)
    if text:
        axes.text(
            sum(span) / 2,
            y + _TALLEST + 0.11,
            text,
            ha="center",
            va="center",
            fontsize=shape.font - 1.5,
            color=COLORS["muted"],
        )
