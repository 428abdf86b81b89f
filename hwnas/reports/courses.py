"""Trainings as the report shows them: those of the search, those of its winners, and which of very many are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from hwnas.evaluators import ESTIMATES
from hwnas.reports.cards import Card
from hwnas.reports.formats import percent, significant
from hwnas.reports.numbers import Numbers
from hwnas.reports.thinning import LINES, LISTED, spread
from hwnas.reports.trials import TrialRow
from hwnas.training import Course

# trainings in a figure; those of the knee, the fastest and the most accurate network are always among them
_FULL = 24  # of exports, and of candidates after a search by estimates
_FRONT = 12  # of either, and of the front, where the search was very long
_OTHERS = 36  # and of all others then

Point = tuple[int, float]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One training.

    Attributes:
        row: The trial whose network it was.
        kind: ``"candidate"`` for that of the search itself, ``"winner"`` for that of a candidate after a search by
            estimates, ``"export"`` for the full training of an exported network.
        name: What an export is called; empty for others.
        losses: Epoch and mean training loss in it.
        accuracies: Epoch and accuracy on the validation images after it.
    """

    row: TrialRow
    kind: Literal["candidate", "winner", "export"]
    name: str
    losses: tuple[Point, ...]
    accuracies: tuple[Point, ...]

    @property
    def gid(self) -> str:
        """Unique among the trainings of a run."""
        return f"{self.kind[0]}{self.row.number}"

    @property
    def what(self) -> str:
        """What was trained for."""
        return {"candidate": "candidate", "winner": "trained as a winner"}.get(self.kind, f"exported as {self.name}")

    @property
    def epochs(self) -> int:
        """How far it went, as far as is known."""
        return max(epoch for epoch, _ in (*self.losses, *self.accuracies))

    @property
    def told_accuracies(self) -> str:
        """Accuracies in words."""
        return ", ".join(f"{percent(accuracy)} after {epoch}" for epoch, accuracy in self.accuracies)

    @property
    def told_losses(self) -> str:
        """The first loss and the last in words."""
        ends = dict.fromkeys((*self.losses[:1], *self.losses[-1:]))
        return ", ".join(f"{significant(loss)} in epoch {epoch}" for epoch, loss in ends)


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """The trainings of a run.

    Attributes:
        count: How many are on record.
        told: Those drawn one by one, the most important last.
        crowd: Those drawn in one piece.
        exports: What was exported of the present winners, with the course of its full training.
        missing: Why there are none; empty where there are.
    """

    count: int
    told: tuple[Curve, ...]
    crowd: tuple[Curve, ...]
    exports: tuple[Card, ...]
    missing: str

    @property
    def shown(self) -> tuple[Curve, ...]:
        """All that are drawn, by the numbers of their trials."""
        return tuple(sorted((*self.told, *self.crowd), key=lambda curve: (curve.row.number, curve.kind)))


def trainings_of(numbers: Numbers) -> Trainings:
    """The trainings that are on record, and those of them that are drawn."""
    candidates = [curve for row in numbers.rows if (curve := _candidate(row)) is not None]
    winners = [_curve(row, "winner", row.retrained) for row in numbers.rows if row.retrained.epochs]
    exported = list(_exported(numbers.rows, numbers.cards))
    front = [curve for curve in candidates if curve.row.state == "front"]
    others = [curve for curve in candidates if curve.row.state != "front"]
    many = len(numbers.rows) > 2 * LISTED
    front, others = _some(front, _FRONT if many else LINES // 2), spread(others, _OTHERS if many else LINES // 2)
    full = [*_some(winners, _FRONT if many else _FULL), *_some(exported, _FRONT if many else _FULL)]
    cards = {winner.card.id: winner.card for winner in numbers.winners if winner.card and winner.card.course.epochs}
    count = len(candidates) + len(winners) + len(exported)
    return Trainings(
        count=count,
        told=(*(() if many else others), *front, *full),
        crowd=tuple(others if many else ()),
        exports=tuple(cards.values()),
        missing="" if count else _why_none(numbers),
    )


def _some(curves: Sequence[Curve], most: int) -> list[Curve]:
    """As many, those of the winners among them."""
    first = [curve for curve in curves if curve.row.roles]
    others = [curve for curve in curves if not curve.row.roles]
    return [*spread(others, max(0, most - len(first))), *first]


def _candidate(row: TrialRow) -> Curve | None:
    """The training of a trial in the search; ``None`` where nothing is known of it, or it failed."""
    if row.state == "failed" or not (row.course.epochs or row.rungs):
        return None
    return _curve(row, "candidate", row.course, halts=row.rungs)


def _curve(
    row: TrialRow,
    kind: Literal["candidate", "winner", "export"],
    course: Course,
    *,
    name: str = "",
    halts: Sequence[Point] = (),
) -> Curve:
    return Curve(
        row=row,
        kind=kind,
        name=name,
        losses=tuple((epoch.number, epoch.loss) for epoch in course.epochs),
        accuracies=tuple(sorted({**course.accuracies, **dict(halts)}.items())),
    )


def _exported(rows: Sequence[TrialRow], cards: Iterable[Card]) -> Iterable[Curve]:
    """Full trainings, that of each network once, under the first name that it was exported as."""
    known = {row.number: row for row in rows}
    first = {card.trial: card for card in reversed(list(cards)) if card.trial in known and card.course.epochs}
    for number, card in sorted(first.items()):
        yield _curve(known[number], "export", card.course, name=card.pick)


def _why_none(numbers: Numbers) -> str:
    evaluator = numbers.run.settings.evaluator
    if not numbers.valued:
        return "No trial has finished yet, so no training is on record."
    if evaluator in ESTIMATES:
        return (
            f"No training is on record: accuracies of the candidates are those of the evaluator {evaluator}, and no "
            "winner was trained so far."
        )
    if evaluator != "trained":
        return (
            f"No training is on record: the evaluator {evaluator} trains no candidates. The full training of a network "
            "stands here when it was exported."
        )
    return "No training is on record: this run's trials are of before trainings were recorded, or of another run."
