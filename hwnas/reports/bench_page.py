"""The page of a benchmark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from hwnas.bench import AlgorithmSummary, BenchSummary, level_name
from hwnas.reports.bench_curves import Line, gap_figure, lines, share_figure
from hwnas.reports.drawing import Drawing
from hwnas.reports.formats import MISSING, THIN, percent, whole
from hwnas.reports.templates import environment
from latency_tables import write_atomically


@dataclass(frozen=True, kw_only=True)
class BenchPart:
    """What the template shows.

    Attributes:
        summary: The figures.
        looks: How algorithms are drawn.
        share: Hypervolume against evaluations.
        gap: The distance from the best against evaluations.
    """

    summary: BenchSummary
    looks: dict[str, Line]
    share: Drawing
    gap: Drawing

    @property
    def ranked(self) -> list[AlgorithmSummary]:
        """The algorithms, the best mean at the end first."""
        return sorted(self.summary.algorithms, key=lambda one: -float(one.mean[-1]))

    @property
    def seeds(self) -> int:
        """Runs of every algorithm."""
        return len(self.summary.algorithms[0].shares)

    @property
    def levels(self) -> list[str]:
        """The levels in words."""
        return [level_name(level).replace(" ", THIN) for level in self.summary.bench.problem.levels]

    def to_level(self, one: AlgorithmSummary, position: int) -> str:
        """Median evaluations to a level, or that the budget was too small for most runs."""
        median = one.median_to(position)
        return f">{whole(self.summary.bench.settings.evaluations)}" if math.isinf(median) else whole(median)

    def final(self, one: AlgorithmSummary) -> str:
        """Mean share at the end and its standard error."""
        return f"{100 * one.mean[-1]:.2f} ± {100 * one.standard_error[-1]:.2f}{THIN}%"

    def reported(self, one: AlgorithmSummary) -> str:
        """Mean share by what is reported."""
        return MISSING if one.reported is None else percent(float(one.reported.mean()))


def bench_page(summary: BenchSummary, out: Path) -> Path:
    """Writes a benchmark as one HTML page that needs nothing but itself. Equal summaries give equal pages.

    Args:
        summary: What to show.
        out: Where to write.

    Raises:
        OSError: The page cannot be written; an older one is untouched.
    """
    part = BenchPart(
        summary=summary, looks=lines(summary.algorithms), share=share_figure(summary), gap=gap_figure(summary)
    )
    return write_atomically(out, environment().get_template("bench_page.html").render(part=part))
