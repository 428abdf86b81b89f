"""Every figure of the report, collected once; nothing here knows how it will look."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hwnas.core import Architecture, DataError, Trial
from hwnas.networks import Block
from hwnas.objectives import COSTS
from hwnas.pareto import non_dominated
from hwnas.predictors import Evaluation, read_evaluation
from hwnas.reports.cards import Card, Unreadable, read_cards
from hwnas.study import Run
from hwnas.study.record import RUNG_ACCURACY

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


@dataclass(frozen=True, kw_only=True)
class BlockRow:
    """One block of a network.

    Attributes:
        stage: The part of the network it belongs to.
        key: Its canonical name.
        macs: Multiply-accumulates for one image.
        share: Of the network's multiply-accumulates.
        params: Trainable parameters.
    """

    stage: str
    key: str
    macs: int
    share: float
    params: int


@dataclass(frozen=True, kw_only=True)
class Network:
    """A winner's architecture.

    Attributes:
        row: Its trial.
        choices: Name and value of every choice.
        resolution: Input height and width in pixels.
        blocks: In order of execution.
    """

    row: TrialRow
    choices: tuple[tuple[str, Any], ...]
    resolution: int
    blocks: tuple[BlockRow, ...]


@dataclass(frozen=True, kw_only=True)
class Winner:
    """A role and who has it.

    Attributes:
        role: ``knee``, ``fastest`` or ``best``.
        row: The trial.
        card: The exported network; ``None`` when it was not exported.
        outdated: The card under this role's name that belongs to another architecture.
    """

    role: str
    row: TrialRow
    card: Card | None
    outdated: Card | None


@dataclass(frozen=True, kw_only=True)
class HypervolumeCurve:
    """How the hypervolume grew.

    Attributes:
        steps: Trial number and hypervolume of the trials up to it.
        unit: Product of the objectives' units.
        share: The last value as a share of the box between the reference point and a perfect network that costs
            nothing.
    """

    steps: tuple[tuple[int, float], ...]
    unit: str
    share: float


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """All of the report.

    Attributes:
        run: Settings, table and folder, for what is shown as recorded.
        rows: Every trial, by number.
        finished: Whether the search is over.
        winners: By role; empty without a finished trial.
        networks: Architectures of the winners, each once.
        curve: The hypervolume.
        cards: Everything exported.
        unreadable: Cards that could not be read.
        evaluation: How good its predictions are; ``None`` where nobody looked.
        evaluation_problem: Why the evaluation in the folder cannot be read; ``None`` where it can, or there is none.
    """

    run: Run
    rows: tuple[TrialRow, ...]
    finished: bool
    winners: tuple[Winner, ...]
    networks: tuple[Network, ...]
    curve: HypervolumeCurve
    cards: tuple[Card, ...]
    unreadable: tuple[Unreadable, ...]
    evaluation: Evaluation | None
    evaluation_problem: Unreadable | None

    @property
    def front(self) -> tuple[TrialRow, ...]:
        """Non-dominated trials, the fastest first."""
        rows = (row for row in self.rows if row.state == "front")
        return tuple(sorted(rows, key=lambda row: (row.costs["latency_ms"], row.number)))

    @property
    def measured(self) -> int:
        """Networks measured in the course of the search."""
        return len(self.run.measured.latencies)

    @property
    def valued(self) -> tuple[TrialRow, ...]:
        """Trials that have an accuracy."""
        return tuple(row for row in self.rows if row.accuracy is not None)

    def count(self, state: State) -> int:
        """How many trials ended that way."""
        return sum(row.state == state for row in self.rows)

    @property
    def ended(self) -> int:
        """Trials that count against the budget."""
        return len(self.rows) - self.count("unfinished") - self.taken_over

    @property
    def taken_over(self) -> int:
        """Trials whose results are from another run."""
        return sum(row.origin is not None for row in self.rows)

    @property
    def epochs_saved(self) -> int:
        """Epochs that trials were spared which were stopped early."""
        return self.run.epochs_saved(self.run.record.finished())

    @property
    def noisy_kernels(self) -> int:
        """Kernel rows of the table whose rounds did not agree."""
        return sum(row.timing.noise == "noisy" for row in self.run.table.kernels.values())


def collect(run: Run) -> Numbers:
    """Reads a run.

    Args:
        run: With any number of trials, none included.

    Raises:
        StudyError: The record cannot be read.
    """
    trials = run.judged(run.record.finished())
    picks = run.picks() if trials else {}
    rows = _rows(run, trials, {trial.number for trial in run.front()}, picks)
    by_number = {row.number: row for row in rows}
    cards, unreadable = read_cards(run.folder)
    evaluation, problem = _evaluation(run)
    networks = {trial.number: _network(run, trial, by_number[trial.number]) for trial in picks.values()}
    return Numbers(
        run=run,
        rows=rows,
        finished=run.is_finished(),
        winners=tuple(_winner(role, by_number[trial.number], cards) for role, trial in picks.items()),
        networks=tuple(networks.values()),
        curve=_curve(run, trials),
        cards=cards,
        unreadable=unreadable,
        evaluation=evaluation,
        evaluation_problem=problem,
    )


def _evaluation(run: Run) -> tuple[Evaluation | None, Unreadable | None]:
    """What `hwnas predictor evaluate` left in the folder; a damaged file must not cost the whole report."""
    path = run.folder / "evaluation.json"
    try:
        return (read_evaluation(path) if path.exists() else None), None
    except (DataError, OSError) as error:
        return None, Unreadable(file=path.name, reason=str(error))


def _rows(run: Run, trials: Sequence[Trial], front: set[int], picks: Mapping[str, Trial]) -> tuple[TrialRow, ...]:
    recorded, measured = run.record.attributes(), run.measured.latencies
    judged = {trial.number: trial for trial in trials}
    states: list[tuple[Trial, State]] = []
    for trial in (judged.get(one.number, one) for one in run.record.finished()):
        good: State = "front" if trial.number in front else "dominated"
        lost: State = "failed" if trial.failed is not None else "stopped"
        states.append((trial, good if trial.complete else lost))
    for number, architecture in run.record.unfinished():
        states.append((Trial(number=number, architecture=architecture), "unfinished"))
    rows = (
        _row(trial, state, picks, recorded[trial.number], measured=trial.architecture.id in measured)
        for trial, state in states
    )
    return tuple(sorted(rows, key=lambda row: row.number))


def _row(
    trial: Trial, state: State, picks: Mapping[str, Trial], recorded: Mapping[str, Any], *, measured: bool
) -> TrialRow:
    known = {**{name: recorded[name] for name in COST_LABELS if name in recorded}, **trial.values}
    return TrialRow(
        number=trial.number,
        id=trial.architecture.id,
        state=state,
        accuracy=trial.values.get("accuracy"),
        costs={name: float(known[name]) for name in COST_LABELS if name in known},
        measured=measured,
        roles=tuple(role for role, picked in picks.items() if picked.number == trial.number),
        why=dict(recorded.get("why", {})),
        failed=trial.failed or trial.stopped or "",
        rung_accuracy=trial.values.get(RUNG_ACCURACY),
        origin=trial.origin,
    )


def _winner(role: str, row: TrialRow, cards: tuple[Card, ...]) -> Winner:
    """The role with its card: the one of that name, or of another name that holds the same network."""
    named = next((card for card in cards if card.pick == role), None)
    same = [card for card in cards if card.id == row.id]
    own = named if named in same else next(iter(same), None)
    return Winner(role=role, row=row, card=own, outdated=named if named is not None and named not in same else None)


def _network(run: Run, trial: Trial, row: TrialRow) -> Network:
    blocks = run.family.blocks(trial.architecture)
    total = sum(block.macs for block in blocks)
    return Network(
        row=row,
        choices=tuple(trial.architecture.items()),
        resolution=run.family.resolution(trial.architecture),
        blocks=tuple(
            BlockRow(stage=stage, key=block.key, macs=block.macs, share=block.macs / total, params=block.params)
            for stage, block in zip(_stages(trial.architecture, blocks), blocks, strict=True)
        ),
    )


def _stages(architecture: Architecture, blocks: tuple[Block, ...]) -> list[str]:
    """The stage of each block, from the depths chosen; where these do not add up, the kind of the block."""
    depths = [int(value) for name, value in architecture.items() if re.fullmatch(r"s\d+\.depth", name)]
    inner = [f"stage {stage}" for stage, depth in enumerate(depths, start=1) for _ in range(depth)]
    if len(inner) + 2 == len(blocks):
        return ["stem", *inner, "head"]
    return [block.key.partition("(")[0] for block in blocks]


def _curve(run: Run, trials: list[Trial]) -> HypervolumeCurve:
    steps, front, value = [], list[Trial](), 0.0
    for trial in trials:
        costs = run.cost_matrix([*front, trial])
        kept = non_dominated(costs)
        if kept[-1]:  # a dominated trial leaves the volume as it is
            front = [entry for entry, good in zip([*front, trial], kept, strict=True) if good]
            value = run.hypervolume(front)
        steps.append((trial.number, value))
    ideal = np.array([-1.0 if objective.name == "accuracy" else 0.0 for objective in run.objectives])
    return HypervolumeCurve(
        steps=tuple(steps),
        unit=" × ".join(objective.unit or objective.name for objective in run.objectives),
        share=value / float(np.prod(run.reference_costs - ideal)),
    )
