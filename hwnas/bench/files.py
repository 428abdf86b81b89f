"""A benchmark's figures as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hwnas.bench.summary import AlgorithmSummary, BenchSummary
from latency_tables import write_atomically

SUMMARY, CURVES, RUNS = "summary.json", "curves.csv", "runs.csv"


def write_figures(summary: BenchSummary, out: Path) -> list[Path]:
    """Writes ``summary.json``, ``curves.csv`` (over evaluations) and ``runs.csv`` (a row a run).

    Raises:
        OSError: A file cannot be written.
    """
    return [
        write_atomically(out / SUMMARY, json.dumps(to_json(summary), indent=2, allow_nan=False) + "\n"),
        write_atomically(out / CURVES, _csv(_curve_rows(summary))),
        write_atomically(out / RUNS, _csv(_run_rows(summary))),
    ]


def to_json(summary: BenchSummary) -> dict[str, Any]:
    """All figures but the curves; what was not reached, or not asked for, is ``null``."""
    problem, settings = summary.bench.problem, summary.bench.settings
    return {
        "problem": {
            "name": problem.name,
            "title": problem.title,
            "objectives": [asdict(goal) for goal in problem.search.objectives],
            "reference_costs": problem.search.reference.tolist(),
            "best_hypervolume": problem.best,
            "best_is": problem.best_is,
            "levels": list(problem.levels),
            "reported": problem.report.words if problem.report else None,
        },
        "settings": settings.to_json(),
        "algorithms": [_algorithm(one, problem.levels) for one in summary.algorithms],
        "sign_tests": [asdict(test) for test in summary.tests],
    }


def level_name(level: float) -> str:
    """A level in words, such as ``99.5 %``."""
    return f"{100 * level:g} %"


def _algorithm(one: AlgorithmSummary, levels: Sequence[float]) -> dict[str, Any]:
    return {
        "name": one.name,
        "seeds": len(one.shares),
        "final_share_mean": float(one.mean[-1]),
        "final_share_standard_error": float(one.standard_error[-1]),
        "final_share_median": float(one.quantile(0.5)[-1]),
        "reported_share_mean": float(one.reported.mean()) if one.reported is not None else None,
        "evaluations_to": {
            level_name(level): {"median": _finite(one.median_to(i)), "reached": one.reached(i)}
            for i, level in enumerate(levels)
        },
        "ask_ms_median": _finite(one.ask_ms()),
        "ask_ms_p95": _finite(one.ask_ms(0.95)),
        "ask_ms_late_median": _finite(one.late_ask_ms()),
    }


def _curve_rows(summary: BenchSummary) -> Iterable[dict[str, object]]:
    best = summary.bench.problem.best
    for one in summary.algorithms:
        columns = {
            "mean": one.mean,
            "standard_error": one.standard_error,
            "q25": one.quantile(0.25),
            "median": one.quantile(0.5),
            "q75": one.quantile(0.75),
            "log10_gap_mean": one.log_gaps(best).mean(axis=0),
        }
        for index in range(one.shares.shape[1]):
            figures = {name: f"{values[index]:.9g}" for name, values in columns.items()}
            yield {"algorithm": one.name, "evaluations": index + 1, **figures}


def _run_rows(summary: BenchSummary) -> Iterable[dict[str, object]]:
    levels = summary.bench.problem.levels
    for one in summary.algorithms:
        for seed, shares in enumerate(one.shares):
            reached = {
                f"evaluations_to_{100 * level:g}": "" if math.isinf(count) else int(count)
                for level, count in zip(levels, one.to_level[seed].tolist(), strict=True)
            }
            yield {
                "algorithm": one.name,
                "seed": seed,
                "evaluations": int(one.evaluations[seed]),
                "final_share": f"{shares[-1]:.9g}",
                "mean_share": f"{shares.mean():.9g}",
                "reported_share": "" if one.reported is None else f"{one.reported[seed]:.9g}",
                **reached,
            }


def _csv(rows: Iterable[dict[str, object]]) -> str:
    held = list(rows)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(held[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(held)
    return stream.getvalue()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
