"""The page: figures and drawings put into the template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwnas.objectives import device_of_cost
from hwnas.reports import commands
from hwnas.reports.courses import Trainings, trainings_of
from hwnas.reports.devices import fronts_elsewhere
from hwnas.reports.drawing import Drawing
from hwnas.reports.evaluations import evaluation_part
from hwnas.reports.figures import hypervolume_figure, latency_figure
from hwnas.reports.files import write_figures
from hwnas.reports.front import front_figure, told_parent
from hwnas.reports.misled import misled_by_flops
from hwnas.reports.numbers import Numbers, collect
from hwnas.reports.parallel import parallel_figure
from hwnas.reports.partition import partition_figure, partition_of, told
from hwnas.reports.scatter import checked_figure
from hwnas.reports.spending import spending_figure
from hwnas.reports.templates import environment, script_hash
from hwnas.reports.thinning import LINES, LISTED, TOLD
from hwnas.reports.trainings import accuracy_figure, loss_figure
from hwnas.reports.trials import COST_LABELS, COST_UNITS, label_of
from hwnas.study import PICKS, Run
from hwnas.study.one_shot import describes_devices
from hwnas.training import preset_name
from latency_tables import write_atomically

ALWAYS_SHOWN = ("latency_ms", "flops_m", "params_m")  # costs in the table of the front, whatever was traded
BECAME = {
    "front": "on the front",
    "dominated": "dominated",
    "stopped": "stopped early",
    "failed": "failed",
    "unfinished": "not ended",
}


def report(run: Run, *, out: Path | None = None, figures: Path | None = None, refresh_s: int | None = None) -> Path:
    """Writes the report of a run: one HTML page that needs nothing but itself.

    A run may be reported at any time: before its first trial has ended, halfway, and without exports. Equal runs give
    equal pages.

    Args:
        run: The run.
        out: Where to write; by default ``report.html`` in the run folder.
        figures: A folder for the figures of the page, each as SVG and PNG; ``None`` for none.
        refresh_s: Seconds after which a browser is to load the page anew; ``None`` for a page that stays.

    Returns:
        The page.

    Raises:
        StudyError: The record of the run cannot be read.
        OSError: The page cannot be written; an older one is untouched.
    """
    target = run.folder / "report.html" if out is None else Path(out)
    content = _content(collect(run))
    text = environment().get_template("page.html").render(content, refresh_s=refresh_s)
    if figures is not None:
        write_figures(_figures(content), Path(figures))
    return write_atomically(target, text)


def _figures(content: dict[str, Any]) -> list[Drawing]:
    """Every figure of the page, in its order."""
    drawings, part = dict(content["drawings"]), content["part"]
    scatters = [] if part is None else list(part.scatters.values())
    fronts = [*drawings.pop("fronts").values(), *(device.drawing for device in content["elsewhere"])]
    every = [*fronts, *drawings.values(), content["partition_drawing"], *scatters]
    return [drawing for drawing in every if drawing is not None]


def _content(numbers: Numbers) -> dict[str, Any]:
    run = numbers.run
    folder, targets = str(run.folder), [goal.name for goal in run.objectives[1:]]
    partition, trainings = partition_of(run), trainings_of(numbers)
    recipe = run.settings.recipe
    preset = preset_name(recipe, but=commands.ON_THE_COMMAND_LINE)
    calibrations = {name: one.calibration for name, one in run.predictors.by_precision.items()}
    return {
        "n": numbers,
        "part": None if numbers.evaluation is None else evaluation_part(numbers.evaluation),
        "run": run,
        "settings": run.settings,
        "manifest": run.table.manifest,
        "calibrations": calibrations,
        "misled": misled_by_flops(
            numbers.rows, spread_of_error=max(calibration.spread for calibration in calibrations.values())
        ),
        "cost_labels": COST_LABELS,
        "cost_units": COST_UNITS,
        "targets": targets,
        "target_labels": [label_of(name) for name in targets],
        "label_of": label_of,
        "describes": describes_devices(run.settings.algorithm),
        "drawings": _drawings(numbers, trainings),
        "trainings": trainings,
        "told_parent": told_parent,
        "elsewhere": fronts_elsewhere(numbers),
        "partition": partition,
        "partition_drawing": partition_figure(partition) if partition else None,
        "told_difference": told,
        "told": TOLD,
        "listed": LISTED,
        "lines": LINES,
        "became": BECAME,
        "columns": [name for name in COST_LABELS if name in {*ALWAYS_SHOWN, *targets}],
        "script_hash": script_hash(),
        "go_on": commands.search_command(run, out=folder),
        "again": commands.search_command(run, out=f"{folder}-again"),
        "exports": {pick: commands.export_command(run, pick) for pick in PICKS},
        "report_command": commands.report_command(run),
        "judgement": run.judgement(),
        "judged_in_words": "" if (judgement := run.judgement()) is None else judgement.told(),
        "preset": preset,
        "recipe_in_python": ", ".join(f"{name}={value!r}" for name, value in recipe.changes().items()),
    }


def _drawings(numbers: Numbers, trainings: Trainings) -> dict[str, Any]:
    """The drawings there is something to draw for."""
    fronts: dict[str, Drawing] = {}
    if numbers.valued:
        here = (goal.name for goal in numbers.run.objectives[1:] if device_of_cost(goal.name) is None)
        fronts = {cost: front_figure(numbers, cost) for cost in dict.fromkeys(["latency_ms", *here])}
    measured = [card for card in numbers.cards if card.latency is not None]
    many = len(numbers.run.objectives) > 2 and bool(numbers.front)
    return {
        "fronts": fronts,
        "parallel": parallel_figure(numbers) if many else None,
        "hypervolume": hypervolume_figure(numbers) if numbers.valued else None,
        "losses": loss_figure(trainings),
        "trainings": accuracy_figure(trainings),
        "checked": checked_figure(numbers.checked) if numbers.checked else None,
        "latency": latency_figure(measured) if measured else None,
        "spending": spending_figure(numbers.networks) if numbers.networks else None,
    }
