"""Trials as the report tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hwnas.core import DataError, Trial
from hwnas.evaluators import COURSE, PARENT
from hwnas.objectives import COSTS, device_of_cost, latency_on
from hwnas.spaces import PRECISION, precision_of
from hwnas.study import Run
from hwnas.study.record import RUNG_ACCURACY, RUNGS
from hwnas.training import Course

State = Literal["front", "dominated", "stopped", "failed", "unfinished"]
COST_LABELS: Mapping[str, str] = {
    "latency_ms": "latency",
    "flops_m": "FLOPs",
    "macs_m": "MACs",
    "params_m": "parameters",
    "memory_mib": "memory",
    "energy_mj": "energy",
}
COST_UNITS: Mapping[str, str] = {cost.name: cost.unit for cost in COSTS.values()}


def label_of(cost: str) -> str:
    """What a cost is called, and the device it is on where that is another one than the table's."""
    device = device_of_cost(cost)
    return COST_LABELS.get(cost, cost) if device is None else f"{COST_LABELS['latency_ms']} on {device}"


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Where a network has its weights from.

    Attributes:
        parent: Number of the trial whose weights it began with; ``None`` where the record does not tell it.
        distance: Choices in which the two differ.
        exact: Whether it began as what its parent was.
        epochs: Those of its line, its own among them.
    """

    parent: int | None
    distance: int
    exact: bool
    epochs: int


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One trial, whatever became of it.

    Attributes:
        number: Position in the study.
        id: Its architecture.
        state: What became of it.
        accuracy: On the validation images after the whole training, in [0, 1]; ``None`` without a value.
        costs: Cost name to value in the cost's unit.
        measured: Whether its latency was measured in the course of the search, and not predicted.
        roles: What it won as.
        why: How the searcher came to it.
        failed: Why it failed, or was stopped early; empty otherwise.
        rung_accuracy: Of one that was stopped early its accuracy then; else ``None``.
        origin: Where its result was taken over from; ``None`` for what this run evaluated.
        rungs: Epochs and accuracy at which its training halted, and at its end; empty where none halts.
        predicted_ms: Of a network that was measured, what had been predicted; else ``None``.
        precision: What the search chose to compute it in; ``None`` where it had no such choice.
        elsewhere_ms: Latency on other devices, by their names.
        course: How its training went; empty where it was not trained, or nothing is on record.
        retrained: After a search by estimates, how the training went that its accuracy is from; else empty.
        lineage: Where its weights are from; ``None`` where it began with none, or nothing is on record.
    """

    number: int
    id: str
    state: State
    accuracy: float | None
    costs: Mapping[str, float]
    measured: bool
    roles: tuple[str, ...]
    why: Mapping[str, Any]
    failed: str
    rung_accuracy: float | None
    origin: str | None
    rungs: tuple[tuple[int, float], ...]
    predicted_ms: float | None
    precision: str | None
    elsewhere_ms: Mapping[str, float] = field(default_factory=dict)
    course: Course = field(default_factory=Course)
    retrained: Course = field(default_factory=Course)
    lineage: Lineage | None = None


def trial_rows(run: Run, trials: Sequence[Trial], front: set[int], picks: Mapping[str, Trial]) -> tuple[TrialRow, ...]:
    """Every trial, by number.

    Args:
        run: The run.
        trials: Those that came to their end, with the accuracies that count.
        front: Numbers of the non-dominated ones.
        picks: The winners by role.

    Raises:
        StudyError: The record cannot be read.
    """
    recorded = run.record.attributes()
    roles = {number: tuple(role for role, picked in picks.items() if picked.number == number) for number in front}
    judged = {trial.number: trial for trial in trials}
    states: list[tuple[Trial, State]] = []
    for trial in (judged.get(one.number, one) for one in run.record.finished()):
        good: State = "front" if trial.number in front else "dominated"
        lost: State = "failed" if trial.failed is not None else "stopped"
        states.append((trial, good if trial.complete else lost))
    for number, architecture in run.record.unfinished():
        states.append((Trial(number=number, architecture=architecture), "unfinished"))
    predicted = _predictions(run, [trial for trial, _ in states])
    retrained = run.retrained.courses()
    numbers = {trial.architecture.id: trial.number for trial, _ in states}
    rows = (
        _row(
            trial,
            state,
            recorded[trial.number],
            roles=roles.get(trial.number, ()),
            predicted_ms=predicted.get(trial.number),
            epochs=run.settings.recipe.epochs,
            devices=run.settings.other_devices,
            retrained=retrained.get(trial.number, ()),
            numbers=numbers,
        )
        for trial, state in states
    )
    return tuple(sorted(rows, key=lambda row: row.number))


def _predictions(run: Run, trials: Sequence[Trial]) -> dict[int, float]:
    """What was predicted of the networks that were measured in the course of the search, by their trials' numbers."""
    measured = [trial for trial in trials if trial.architecture.id in run.measured.latencies]
    if not measured:
        return {}
    latency_ms, _ = run.predictors.latency.predict([trial.architecture for trial in measured])
    return {trial.number: float(ms) for trial, ms in zip(measured, latency_ms, strict=True)}


def _row(  # noqa: PLR0913  (keywords, each something that is known of the trial)
    trial: Trial,
    state: State,
    recorded: Mapping[str, Any],
    *,
    roles: tuple[str, ...],
    predicted_ms: float | None,
    epochs: int,
    devices: Sequence[str],
    retrained: Any,
    numbers: Mapping[str, int],
) -> TrialRow:
    known = {**{name: recorded[name] for name in COST_LABELS if name in recorded}, **trial.values}
    accuracy = trial.values.get("accuracy")
    elsewhere = {name: latency_on(name).name for name in devices}
    halts = sorted((int(rung), float(entry["accuracy"])) for rung, entry in recorded.get(RUNGS, {}).items())
    return TrialRow(
        number=trial.number,
        id=trial.architecture.id,
        state=state,
        accuracy=accuracy,
        costs={name: float(known[name]) for name in COST_LABELS if name in known},
        measured=predicted_ms is not None,
        roles=roles,
        why=dict(recorded.get("why", {})),
        failed=trial.failed or trial.stopped or "",
        rung_accuracy=trial.values.get(RUNG_ACCURACY),
        origin=trial.origin,
        rungs=(*halts, (epochs, accuracy)) if halts and accuracy is not None else tuple(halts),
        predicted_ms=predicted_ms,
        precision=precision_of(trial.architecture) if PRECISION in trial.architecture else None,
        elsewhere_ms={name: float(recorded[column]) for name, column in elsewhere.items() if column in recorded},
        course=course_of(recorded.get(COURSE, ())),
        retrained=course_of(retrained),
        lineage=_lineage(recorded, numbers),
    )


def course_of(value: Any) -> Course:
    """A course as it is on record; an empty one where nobody can read it, which must not cost the whole report."""
    try:
        return Course.from_json(value)
    except DataError:
        return Course()


def _lineage(recorded: Mapping[str, Any], numbers: Mapping[str, int]) -> Lineage | None:
    """What is on record of a parent.

    Args:
        recorded: With the trial.
        numbers: Of all trials, by the ids of their networks.
    """
    if "parent_distance" not in recorded:
        return None
    return Lineage(
        parent=numbers.get(str(recorded.get(PARENT))),
        distance=int(recorded["parent_distance"]),
        exact=bool(recorded.get("parent_exact")),
        epochs=int(recorded.get("lineage_epochs", 0)),
    )
