"""What is known of a candidate, as the card and the metadata of its model say it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hwnas.core import Trial
from hwnas.exports.settings import ExportSettings
from hwnas.networks import NetworkCosts
from hwnas.predictors import LatencyPredictor
from hwnas.spaces import ArchitectureCodes, precision_of, without_precision
from hwnas.study import Run
from hwnas.training import ImageData
from latency_tables import MissingRowError, TableMismatchError


def predicted_ms(run: Run, trial: Trial, precision: str) -> float | None:
    """What the table says of a network in a precision; ``None`` where it has no rows of that."""
    found = _prediction(run, trial, precision)
    return None if found is None else found[0]


def costs_of(run: Run, trial: Trial, precision: str) -> dict[str, float]:
    """What is known without training; of another precision than the search chose what the table has rows for."""
    if precision == precision_of(trial.architecture):
        known = {name: float(values[0]) for name, values in run.costs.values([trial.architecture]).items()}
        return {**known, "latency_spread_ms": float(run.latency.predict([trial.architecture])[1][0])}
    family = run.family.at(batch=1, precision=precision)
    codes = ArchitectureCodes(family.space).encode([without_precision(trial.architecture)])
    found = _prediction(run, trial, precision)
    latency = {} if found is None else {"latency_ms": found[0], "latency_spread_ms": found[1]}
    return {**latency, **{name: float(values[0]) for name, values in NetworkCosts(family).values(codes).items()}}


def _prediction(run: Run, trial: Trial, precision: str) -> tuple[float, float] | None:
    """Latency and standard deviation in milliseconds by the table."""
    network = without_precision(trial.architecture)
    searched = run.predictors.by_precision.get(precision)
    try:
        predictor = searched or LatencyPredictor.of(
            run.table, run.family.at(batch=1, precision=precision), missing=run.settings.missing
        )
        latency_ms, spread_ms = predictor.predict([network])
    except (MissingRowError, TableMismatchError):
        return None
    return float(latency_ms[0]), float(spread_ms[0])


def form_of(settings: ExportSettings) -> dict[str, Any]:
    """Precision and batch."""
    return {"precision": settings.precision, "batch": "dynamic" if settings.dynamic_batch else 1}


def preprocessing_of(data: ImageData, size: int) -> dict[str, Any]:
    """How images are to be read."""
    mean, std = data.mean_std
    return {
        "resize": [size, size],
        "interpolation": "bilinear, antialiased",
        "scale": 1 / 255,
        "mean": list(mean),
        "std": list(std),
        "layout": "NCHW",
    }


def metadata_of(run: Run, trial: Trial, data: ImageData, found: Mapping[str, Any]) -> dict[str, str]:
    """What the model says of itself: JSON values by name.

    Args:
        run: The run.
        trial: The candidate.
        data: Its data.
        found: Accuracy, costs, precision and batch.
    """
    values = {
        "id": trial.architecture.id,
        "architecture": dict(trial.architecture),
        "space": run.settings.space,
        "table_sha256": run.settings.table_sha256,
        "data_sha256": run.settings.data_sha256,
        "latency_ms_predicted": predicted_ms(run, trial, found["precision"]),
        "preprocessing": preprocessing_of(data, run.family.resolution(trial.architecture)),
        "labels": list(data.class_names),
        "versions": run.begun["versions"],
        **found,
    }
    return {f"hwnas.{name}": json.dumps(value) for name, value in values.items()}
