"""The partition that a search has learned: its figures, and the tree as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from hwnas.reports.drawing import Drawing, Shape, drawn
from hwnas.reports.formats import number_of, percent, significant
from hwnas.reports.svg import COLORS, Mark
from hwnas.searchers import make_searcher
from hwnas.searchers.tree import Difference, ExplainedNode, PartitionSearcher, explain
from hwnas.study import Run, problem_of
from hwnas.study.rungs import Rungs

_ROW = 34  # height of a leaf in points
_CHARACTERS = 24
_DEEP = 5  # levels up to which the narrow drawing has room for words beside inner nodes


def partition_of(run: Run) -> tuple[ExplainedNode, ...]:
    """The partition that the finished trials of a run make; empty where its algorithm learns none, or has not yet.

    The partition depends on the trials and the seed alone, so that it is the one the next proposal would come from.
    """
    settings = run.settings
    if settings.inner is None:
        return ()
    # what proposes in the regions has no part in them, and may need a package that is not here
    searcher = make_searcher(settings.algorithm, problem_of(run), seed=settings.seed, inner="random")
    if not isinstance(searcher, PartitionSearcher):
        return ()
    searcher.tell(Rungs(run).told(run.record.finished()))
    nodes = explain(searcher)
    return nodes if len(nodes) > 1 else ()


def told(difference: Difference) -> str:
    """A difference for people: ``"width 0.81 against 0.42"``, or with shares for an option."""
    if " = " in difference.column:
        return f"{difference.column} in {percent(difference.promising)} against {percent(difference.other)}"
    return f"{difference.column} {difference.promising:.2f} against {difference.other:.2f}"


def partition_figure(nodes: Sequence[ExplainedNode]) -> Drawing:
    """The partition as a tree, the root on the left, promising sides above; at least two nodes."""
    leaves = [node for node in nodes if node.leaf]
    heights = _heights(nodes)

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        for node in nodes:
            _edge(axes, node, heights, shape)
        for node in nodes:
            _node(axes, node, heights[node.name], shape)
        depth = max(len(node.name) for node in nodes)
        axes.set_xlim(-0.25, depth + (1.7 if shape.name == "wide" else 2.4))
        axes.set_ylim(len(leaves) - 0.4, -0.75)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        return {f"n{node.name or 'root'}".translate(_IDS): Mark(title=_title(node), kind="point") for node in nodes}

    chosen = next(node for node in leaves if node.selected)
    label = (
        f"Tree of the partition: {len(nodes) - len(leaves)} boundaries, {len(leaves)} regions. The next proposal comes "
        f"from region {chosen.name}, with the largest bound. The same figures are in the table below."
    )
    height = 40 + _ROW * len(leaves)
    return drawn("partition", label, draw, heights=(height, height))


_IDS = str.maketrans({"+": "p", "-": "m"})


def _heights(nodes: Sequence[ExplainedNode]) -> dict[str, float]:
    """Where each node is drawn: leaves one below the other, parents between their children."""
    found: dict[str, float] = {}
    for node in nodes:  # parents come before children and promising sides first, as leaves are to stand
        if node.leaf:
            found[node.name] = float(len(found))
    for node in sorted(nodes, key=lambda one: -len(one.name)):
        if not node.leaf:
            found[node.name] = (found[f"{node.name}+"] + found[f"{node.name}-"]) / 2
    return found


def _edge(axes: Axes, node: ExplainedNode, heights: dict[str, float], shape: Shape) -> None:
    if node.parent is None:
        return
    x, y, above = len(node.name), heights[node.name], heights[node.parent]
    axes.plot(
        [x - 1, x - 0.9, x - 0.3, x],
        [above, y, y, y],
        color=COLORS["accent"] if node.selected else COLORS["pale"],
        linewidth=2.4 if node.selected else 1.4,
        zorder=1,
    )
    axes.annotate(
        "+" if node.name.endswith("+") else "−",
        (x - 0.5, y),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        fontsize=shape.font,
        color=COLORS["muted"],
    )


def _node(axes: Axes, node: ExplainedNode, height: float, shape: Shape) -> None:
    x = len(node.name)
    axes.plot(
        [x],
        [height],
        marker="o",
        markersize=9 if node.leaf else 7,
        color=COLORS["accent"] if node.selected else COLORS["pale"],
        markeredgecolor=COLORS["paper"],
        linestyle="none",
        zorder=3,
        gid=f"n{node.name or 'root'}".translate(_IDS),
        clip_on=False,
    )
    if node.leaf:
        text = f"{significant(node.bound)}, {number_of(node.visits, 'trial')}"
        place, align, color = (10, -4), "left", COLORS["ink"] if node.selected else COLORS["muted"]
    elif node.separates and (shape.name == "wide" or x == 0) and x < _DEEP:
        text, place, align, color = _short(node.separates[0]), (20, -4), "left", COLORS["ink"]
    else:
        return
    size = shape.font - (0 if shape.name == "wide" else 1)
    axes.annotate(
        text, (x, height), xytext=place, textcoords="offset points", ha=align, fontsize=size, color=color, zorder=4
    )


def _short(difference: Difference) -> str:
    """What the promising side has, cut to the room there is between two nodes."""
    more = difference.promising > difference.other
    if " = " in difference.column:
        text = f"{'more' if more else 'less'} {difference.column}"
    else:
        text = f"{'larger' if more else 'smaller'} {difference.column}"
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"


def _title(node: ExplainedNode) -> str:
    figures = [
        f"region {node.name or 'all'}",
        f"value {significant(node.value)}",
        f"bonus {significant(node.bonus)}",
        number_of(node.visits, "trial"),
        f"{percent(node.share)} of the space",
    ]
    return " · ".join([*figures, *map(told, node.separates)])
