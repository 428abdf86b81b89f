"""The part of a page, or the page, that says how good the predictions are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hwnas.predictors import Accuracy, Evaluation
from hwnas.predictors.evaluation import GroupAccuracy
from hwnas.reports.drawing import Drawing
from hwnas.reports.formats import correlation, percent
from hwnas.reports.scatter import scatter_figure
from hwnas.reports.templates import environment
from latency_tables import write_atomically

NOISE = "noise"
NAMES: Mapping[str, str] = {
    "table": "Table, as it stands",
    "session": "Table, this session",
    "flops": "FLOPs",
    "params": "Parameters",
    NOISE: "Noise of the truth",
}
WORDS: Mapping[str, str] = {"table": "table as it stands", "session": "table calibrated in this session"}
GROUPS: Mapping[str, str] = {"random": "Random networks", "front": "Chosen networks"}


@dataclass(frozen=True)
class Figure:
    """A figure of an estimate, as it is shown.

    Attributes:
        name: The field of ``Accuracy``.
        words: What it is called.
        written: How its value is written.
    """

    name: str
    words: str
    written: Callable[[float | None], str] = percent

    def text(self, accuracy: Accuracy) -> str:
        """Its value in words."""
        return self.written(getattr(accuracy, self.name))


FIGURES = (
    Figure("mape", "Mean error"),
    Figure("median_error", "Median error"),
    Figure("bias", "Bias"),
    Figure("within_5", "Within 5 %"),
    Figure("within_10", "Within 10 %"),
    Figure("worst_5", "Worst 5 %"),
    Figure("spearman", "Spearman", correlation),
    Figure("kendall", "Kendall", correlation),
    Figure("top_1_regret", "Regret of the fastest"),
    Figure("top_k_regret", "Regret of the k fastest"),
    Figure("inside", "In its 95 % interval"),
)


@dataclass(frozen=True, kw_only=True)
class EvaluationPart:
    """What the template shows.

    Attributes:
        evaluation: The figures.
        scatters: Drawings by the name of the estimate.
        names: What estimates are called.
        groups: What groups are called.
        words: What they are called in a sentence.
        figures: The lines of a table.
    """

    evaluation: Evaluation
    scatters: Mapping[str, Drawing]
    names: Mapping[str, str]
    groups: Mapping[str, str]
    words: Mapping[str, str]
    figures: tuple[Figure, ...] = FIGURES

    def columns(self, group: str) -> list[tuple[str, Accuracy]]:
        """Estimates of a group with their figures, the noise of the truth last."""
        return list(accuracy_columns(self.evaluation.groups[group]))

    @property
    def session(self) -> str:
        """How the device is today, in words."""
        return session_words(self.evaluation)

    @property
    def noisy(self) -> int:
        """Networks whose rounds did not agree."""
        return sum(one.noise == "noisy" for one in self.evaluation.networks)


def session_words(evaluation: Evaluation) -> str:
    """How the device is today beside the day the table was made, as a sentence or two."""
    session = evaluation.session
    if session.device_speed is None:
        return (
            f"The table holds the latency of {session.in_table} of the {session.networks} networks that it would be "
            "calibrated on, too few to tell whether the device is as fast as it was."
        )
    return (
        f"By {session.in_table} networks whose latency the table holds, measured again beside the others, the device "
        f"takes {session.device_speed:.3f} times as long as when the table was made (median); that taken out, they "
        f"moved by {percent(session.noise_median)} (median) and {percent(session.noise_p95)} (95th percentile)."
    )


def accuracy_columns(group: GroupAccuracy) -> Iterator[tuple[str, Accuracy]]:
    """Names of estimates with their figures, the noise of the truth last."""
    yield from group.estimates.items()
    yield NOISE, group.noise


def evaluation_part(evaluation: Evaluation) -> EvaluationPart:
    """Figures and drawings for the template."""
    scatters = {name: scatter_figure(evaluation, name, words=words) for name, words in WORDS.items()}
    return EvaluationPart(evaluation=evaluation, scatters=scatters, names=NAMES, groups=GROUPS, words=WORDS)


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
