"""Trainings that halt at rungs: what is on the record of them, who goes on, and what a searcher is told.

Every halt is a mark on its trial, so a search that is cut off knows them all. With one worker the verdict depends on
the trials before alone; with several it depends on what is known when the rung is reached.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hwnas.core import Architecture, Trial
from hwnas.study.halving import Halving, RungResult, expected_finals
from hwnas.study.record import EPOCHS_DONE, RUNG_ACCURACY, RUNGS
from hwnas.study.run import Run

Marks = dict[int, Mapping[str, float]]


class Rungs:
    """The rungs of a run; what a run without halving is told is what is known.

    Args:
        run: The run, whose record nobody else changes.

    Raises:
        MachineError: The record cannot be read.
    """

    def __init__(self, run: Run) -> None:
        eta = math.inf if run.settings.halving is None else run.settings.halving
        self._run, self._rule = run, Halving(eta=eta)
        self.epochs = self._rule.rungs(run.settings.recipe.epochs)
        marked = run.record.marked(RUNGS) if self.epochs else []
        self._architectures = {number: architecture for number, architecture, _ in marked}
        self._marks: dict[int, Marks] = {
            number: {int(epochs): entry for epochs, entry in marks.items()} for number, _, marks in marked
        }

    def next(self, number: int) -> int | None:
        """The epochs to which a trial is to be trained now; ``None`` for the end of the recipe."""
        done = max(self._marks.get(number, {}), default=0)
        return next((epochs for epochs in self.epochs if epochs > done), None)

    def trained_s(self, number: int) -> float:
        """Seconds of training up to the last rung of a trial."""
        return round(sum(entry["train_s"] for entry in self._marks.get(number, {}).values()), 3)

    def reach(self, number: int, architecture: Architecture, *, epochs: int, values: Mapping[str, float]) -> None:
        """Keeps what a trial came to at a rung.

        Raises:
            MachineError: The record cannot be written.
        """
        entry = {"accuracy": values["accuracy"], "train_s": values.get("train_s", 0.0)}
        marks = {**self._marks.get(number, {}), epochs: entry}
        self._run.record.mark(number, RUNGS, {str(rung): one for rung, one in marks.items()})
        self._marks[number], self._architectures[number] = marks, architecture

    def stop(self, number: int, finished: Sequence[Trial]) -> Trial | None:
        """Ends a trial at the last rung that it reached, if it has to end there.

        Args:
            number: Of the trial.
            finished: All trials that ended.

        Returns:
            The trial as it ended; ``None`` where it goes on, or has not reached any rung.

        Raises:
            MachineError: The record cannot be written.
        """
        reached = self._marks.get(number, {})
        if not reached:
            return None
        epochs = max(reached)
        others = self._results(epochs, finished)
        verdict = self._rule.verdict(others.pop(number), list(others.values()))
        if not verdict.stop:
            return None
        values = {
            EPOCHS_DONE: epochs,
            RUNG_ACCURACY: reached[epochs]["accuracy"],
            "train_s": self.trained_s(number),
        }
        reason = f"after {epochs} of {self._run.settings.recipe.epochs} epochs: {verdict.told()}"
        return self._run.record.stop(number, reason, values)

    def told(self, finished: Sequence[Trial]) -> list[Trial]:
        """Trials as a searcher is told them: of those stopped early, the accuracy that they would have come to.

        It is never above what a network that costs no more really came to, so no trial that was stopped counts as on
        the front. It depends on the finished trials alone, and becomes better with them.

        Args:
            finished: All trials that ended.
        """
        if not self.epochs:
            return list(finished)  # the searcher's own, whatever ends meanwhile
        expected: dict[int, float] = {}
        for epochs in self.epochs:
            numbers = [t.number for t in finished if t.stopped is not None and t.values[EPOCHS_DONE] == epochs]
            if numbers:
                results = self._results(epochs, finished)
                found = expected_finals([results[number] for number in numbers], list(results.values()))
                expected.update(zip(numbers, found.tolist(), strict=True))
        return [
            replace(trial, values={**trial.values, "accuracy": expected[trial.number]}, stopped=None)
            if trial.stopped is not None
            else trial
            for trial in finished
        ]

    def _results(self, epochs: int, finished: Sequence[Trial]) -> dict[int, RungResult]:
        """All that came to a rung, by their trials' numbers; those that failed later on are left out."""
        ended = {trial.number: trial for trial in finished}
        numbers = [
            number
            for number, marks in sorted(self._marks.items())
            if epochs in marks and not (number in ended and ended[number].failed is not None)
        ]
        costs = self._costs([self._architectures[number] for number in numbers])
        return {
            number: RungResult(
                accuracy=self._marks[number][epochs]["accuracy"],
                costs=own,
                final=ended[number].values["accuracy"] if number in ended and ended[number].complete else None,
            )
            for number, own in zip(numbers, costs, strict=True)
        }

    def _costs(self, architectures: Sequence[Architecture]) -> list[tuple[float, ...]]:
        """The costs that are traded, minimised."""
        values = self._run.costs.values(architectures)
        goals = [goal for goal in self._run.objectives if not goal.expensive]
        columns = [[goal.to_cost(float(value)) for value in values[goal.name]] for goal in goals]
        return list(zip(*columns, strict=True))
