"""The page: figures and drawings put into the template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwnas.reports import commands
from hwnas.reports.drawing import Drawing
from hwnas.reports.evaluations import evaluation_part
from hwnas.reports.figures import front_figure, hypervolume_figure, latency_figure
from hwnas.reports.numbers import COST_LABELS, COST_UNITS, Numbers, collect
from hwnas.reports.partition import partition_figure, partition_of, told
from hwnas.reports.templates import environment
from hwnas.study import PICKS, Run
from hwnas.training import preset_name
from latency_tables import write_atomically


def report(run: Run, *, out: Path | None = None) -> Path:
    """Writes the report of a run: one HTML page that needs nothing but itself.

    A run may be reported at any time: before its first trial has ended, halfway, and without exports. Equal runs give
    equal pages.

    Args:
        run: The run.
        out: Where to write; by default ``report.html`` in the run folder.

    Returns:
        The page.

    Raises:
        StudyError: The record of the run cannot be read.
        OSError: The page cannot be written; an older one is untouched.
    """
    target = run.folder / "report.html" if out is None else Path(out)
    return write_atomically(target, _page(collect(run)))


def _page(numbers: Numbers) -> str:
    return environment().get_template("page.html").render(_content(numbers))


def _content(numbers: Numbers) -> dict[str, Any]:
    run = numbers.run
    folder, targets = str(run.folder), [objective.name for objective in run.objectives[1:]]
    partition = partition_of(run)
    recipe = run.settings.recipe
    preset = preset_name(recipe, but=commands.ON_THE_COMMAND_LINE)
    return {
        "n": numbers,
        "part": None if numbers.evaluation is None else evaluation_part(numbers.evaluation),
        "run": run,
        "settings": run.settings,
        "manifest": run.table.manifest,
        "calibration": run.predictor.calibration,
        "cost_labels": COST_LABELS,
        "cost_units": COST_UNITS,
        "targets": targets,
        "target_labels": [COST_LABELS[name] for name in targets],
        "drawings": _drawings(numbers),
        "partition": partition,
        "partition_drawing": partition_figure(partition) if partition else None,
        "told": told,
        "go_on": commands.search_command(run, out=folder),
        "again": commands.search_command(run, out=f"{folder}-again"),
        "exports": {pick: commands.export_command(run, pick) for pick in PICKS},
        "report_command": commands.report_command(run),
        "judgement": run.judgement(),
        "judged_in_words": "" if (judgement := run.judgement()) is None else judgement.told(),
        "preset": preset,
        "recipe_in_python": ", ".join(f"{name}={value!r}" for name, value in recipe.changes().items()),
    }


def _drawings(numbers: Numbers) -> dict[str, Any]:
    """The drawings there is something to draw for."""
    fronts: dict[str, Drawing] = {}
    if numbers.valued:
        costs = dict.fromkeys(["latency_ms", *(objective.name for objective in numbers.run.objectives[1:])])
        fronts = {cost: front_figure(numbers, cost) for cost in costs}
    measured = [card for card in numbers.cards if card.latency is not None]
    return {
        "fronts": fronts,
        "hypervolume": hypervolume_figure(numbers) if numbers.valued else None,
        "latency": latency_figure(measured) if measured else None,
    }
