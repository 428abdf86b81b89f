"""Every figure of the report, collected once; nothing here knows how it will look."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwnas.bench.growing import hypervolumes
from hwnas.core import DataError, Trial
from hwnas.predictors import Evaluation, read_evaluation
from hwnas.reports.architectures import Network, network_of
from hwnas.reports.cards import Card, Unreadable, read_cards
from hwnas.reports.thinning import LISTED, spread
from hwnas.reports.trials import State, TrialRow, trial_rows
from hwnas.study import Run


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

    def on(self, device: str) -> Numbers:
        """The same as they are on another device of the run: latencies and the front are those there, without roles."""
        front = {trial.number for trial in self.run.front_on(device)}
        return replace(self, rows=tuple(_moved(row, device, front) for row in self.rows))

    @property
    def listed(self) -> tuple[TrialRow, ...]:
        """Trials that are told one by one: all, or where they are very many, some of the front and of the others."""
        others = [row.number for row in self.rows if row.state != "front"]
        front = [row.number for row in self.rows if row.state == "front"]
        if len(self.rows) <= 2 * LISTED:
            return self.rows
        kept = {*spread(others, LISTED), *spread(front, LISTED)}
        return tuple(row for row in self.rows if row.number in kept)

    def latest(self, state: State) -> tuple[TrialRow, ...]:
        """The last trials that ended that way, as many as are listed."""
        return tuple(row for row in self.rows if row.state == state)[-LISTED:]

    @property
    def checked(self) -> tuple[TrialRow, ...]:
        """Trials whose network was measured in the course of the search."""
        return tuple(row for row in self.rows if row.predicted_ms is not None and "latency_ms" in row.costs)

    @property
    def measured(self) -> int:
        """Networks measured in the course of the search."""
        return len(self.run.measured.latencies)

    @property
    def valued(self) -> tuple[TrialRow, ...]:
        """Trials that have an accuracy."""
        return tuple(row for row in self.rows if row.accuracy is not None)

    @property
    def inherits(self) -> bool:
        """Whether any network began with the weights of another one."""
        return any(row.lineage is not None for row in self.rows)

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
    rows = trial_rows(run, trials, {trial.number for trial in run.front()}, picks)
    by_number = {row.number: row for row in rows}
    cards, unreadable = read_cards(run.folder)
    evaluation, problem = _evaluation(run)
    networks = {trial.number: network_of(run, trial, by_number[trial.number]) for trial in picks.values()}
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


def _moved(row: TrialRow, device: str, front: set[int]) -> TrialRow:
    """A trial as it is on another device."""
    state: State = row.state
    if state in {"front", "dominated"}:
        state = "front" if row.number in front else "dominated"
    known = {"latency_ms": row.elsewhere_ms[device]} if device in row.elsewhere_ms else {}
    costs = {**{name: value for name, value in row.costs.items() if name != "latency_ms"}, **known}
    return replace(row, state=state, costs=costs, roles=(), measured=False)


def _evaluation(run: Run) -> tuple[Evaluation | None, Unreadable | None]:
    """What `hwnas predictor evaluate` left in the folder; a damaged file must not cost the whole report."""
    path = run.folder / "evaluation.json"
    try:
        return (read_evaluation(path) if path.exists() else None), None
    except (DataError, OSError) as error:
        return None, Unreadable(file=path.name, reason=str(error))


def _winner(role: str, row: TrialRow, cards: tuple[Card, ...]) -> Winner:
    """The role with its card: the one of that name, or of another name that holds the same network."""
    named = next((card for card in cards if card.pick == role), None)
    same = [card for card in cards if card.id == row.id]
    own = named if named in same else next(iter(same), None)
    return Winner(role=role, row=row, card=own, outdated=named if named is not None and named not in same else None)


def _curve(run: Run, trials: list[Trial]) -> HypervolumeCurve:
    values = hypervolumes(run.cost_matrix(trials), run.reference_costs)
    ideal = np.array([-1.0 if objective.name == "accuracy" else 0.0 for objective in run.objectives])
    return HypervolumeCurve(
        steps=tuple((trial.number, float(value)) for trial, value in zip(trials, values, strict=True)),
        unit=" × ".join(objective.unit or objective.name for objective in run.objectives),
        share=(float(values[-1]) if trials else 0.0) / float(np.prod(run.reference_costs - ideal)),
    )
