"""Training curves, as far as the record has them: accuracies where trainings halted."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hwnas.reports.drawing import Drawing, Shape, drawn, name_y
from hwnas.reports.formats import percent
from hwnas.reports.numbers import Numbers
from hwnas.reports.svg import COLORS, Mark
from hwnas.reports.thinning import LINES, TOLD, spread
from hwnas.reports.trials import TrialRow


def trainings_figure(numbers: Numbers) -> Drawing | None:
    """Accuracy against epochs of the trials whose training halted at rungs; ``None`` where none did."""
    rows = [row for row in numbers.rows if row.rungs and row.state != "failed"]
    if not rows:
        return None
    front = spread([row for row in rows if row.state == "front"], TOLD)
    others = spread([row for row in rows if row.state != "front"], LINES)

    def draw(axes: Axes, shape: Shape) -> dict[str, Mark]:
        marks = {}
        for row in [*others, *front]:
            marks[f"t{row.number}"] = _curve(axes, row)
        axes.set_xlabel("Epochs", labelpad=8)
        name_y(axes, "Validation accuracy", shape)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        axes.xaxis.set_major_locator(MaxNLocator(8 if shape.name == "wide" else 5, integer=True))
        axes.margins(x=0.03)
        return marks

    label = (
        f"Validation accuracy of {len(front) + len(others)} trials against the epochs that they were trained for; "
        "those that were stopped early end in a cross."
    )
    return drawn("trainings", label, draw, heights=(330, 290))


def _curve(axes: Axes, row: TrialRow) -> Mark:
    front, role = row.state == "front", next(iter(row.roles), None)
    epochs, accuracies = zip(*row.rungs, strict=True)
    axes.plot(
        epochs,
        accuracies,
        marker="X" if row.state == "stopped" else "o",
        markevery=[-1] if row.state == "stopped" else None,
        markersize=5 if row.state == "stopped" else 3.5,
        color=COLORS[role] if role else COLORS["accent"] if front else COLORS["pale"],
        linewidth=2.4 if role else 1.3 if front else 0.9,
        zorder=4 if role else 3 if front else 2,
        gid=f"t{row.number}",
    )
    path = ", ".join(f"{percent(accuracy)} after {epochs}" for epochs, accuracy in row.rungs)
    end = {"stopped": "stopped early", "unfinished": "under way"}.get(row.state, "")
    return Mark(
        title=" · ".join(filter(None, [f"trial {row.number}", row.id, path, *row.roles, end])),
        kind="curve",
        link=f"trial-{row.number}" if front else "",
    )
