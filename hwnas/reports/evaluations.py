"""The part of a page, or the page, that says how good the predictions are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hwnas.predictors import Accuracy, Evaluation
from hwnas.predictors.evaluation import GroupAccuracy
from hwnas.reports.drawing import Drawing
from hwnas.reports.scatter import scatter_figure
from hwnas.reports.templates import environment
from latency_tables import write_atomically

NOISE = "noise"
ROWS: Mapping[str, str] = {
    "table": "table, as it stands",
    "session": "table, calibrated in this session",
    "flops": "FLOPs, a line",
    "params": "parameters, a line",
    NOISE: "noise of the truth",
}
GROUPS: Mapping[str, str] = {"random": "Random networks", "front": "Chosen networks"}


@dataclass(frozen=True, kw_only=True)
class EvaluationPart:
    """What the template shows.

    Attributes:
        evaluation: The figures.
        scatters: Drawings by the name of the estimate.
        rows: What estimates are called.
        groups: What groups are called.
    """

    evaluation: Evaluation
    scatters: Mapping[str, Drawing]
    rows: Mapping[str, str]
    groups: Mapping[str, str]

    def lines(self, group: str) -> list[tuple[str, Accuracy]]:
        """Estimates of a group with their figures, the noise of the truth last."""
        return list(accuracy_lines(self.evaluation.groups[group]))

    @property
    def noisy(self) -> int:
        """Networks whose rounds did not agree."""
        return sum(one.noise == "noisy" for one in self.evaluation.networks)


def accuracy_lines(group: GroupAccuracy) -> Iterator[tuple[str, Accuracy]]:
    """Names of estimates with their figures, the noise of the truth last."""
    yield from group.estimates.items()
    yield NOISE, group.noise


def evaluation_part(evaluation: Evaluation) -> EvaluationPart:
    """Figures and drawings for the template."""
    scatters = {name: scatter_figure(evaluation, name, words=ROWS[name]) for name in ("table", "session")}
    return EvaluationPart(evaluation=evaluation, scatters=scatters, rows=ROWS, groups=GROUPS)


def evaluation_page(evaluation: Evaluation, out: Path) -> Path:
    """Writes an evaluation as one HTML page that needs nothing but itself. Equal evaluations give equal pages.

    Args:
        evaluation: What to show.
        out: Where to write.

    Raises:
        OSError: The page cannot be written; an older one is untouched.
    """
    template = environment().get_template("evaluation_page.html")
    return write_atomically(out, template.render(part=evaluation_part(evaluation)))
