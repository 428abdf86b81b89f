"""The work of a search: ask, begin, run, end, with any number of trials under way.

What is proposed depends on the trials that ended, those under way and the seed. With one worker the course is therefore
always the same; with several it depends on which of them is done first.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, replace
from functools import partial

from hwnas.core import Architecture, Evaluator, Pace, Proposal, Searcher, StudyError, Trial
from hwnas.evaluators import Outcome, outcome_of
from hwnas.executors import AnyExecutor, TimeLimitError, WorkerLostError
from hwnas.study.clearing import clear_after
from hwnas.study.folders import write_front
from hwnas.study.measuring import Doubts
from hwnas.study.run import Run
from hwnas.study.rungs import Rungs
from hwnas.study.standing import Standing

_FAILURES_IN_A_ROW = 5
_IN_VAIN_IN_A_ROW = 50  # measurements; with a chance of a tenth to keep the limits, all fail once in 200 times


@dataclass(frozen=True)
class _Task:
    """A trial under way.

    Attributes:
        number: Of the trial.
        architecture: What is evaluated.
        rung: The epochs after which its training halts; ``None`` where it goes to its end.
        attempt: From 1.
    """

    number: int
    architecture: Architecture
    rung: int | None = None
    attempt: int = 1


class Work:
    """Evaluates until the budget of a run is spent.

    Args:
        run: The run.
        searcher: What proposes.
        executor: Where trials run.
        evaluator: Gives the evaluator; where the executor has other processes, picklable.
        doubts: What measures in the course of the search.
        attempts: How often a trial is begun whose worker is lost.
        pace: Times the trials.
        standing: The run's trials that ended, to which this adds every further one.
        on_end: Called after every trial that ended, with it and how the search stands then.
    """

    def __init__(  # noqa: PLR0913  (keywords, each a part that is put in)
        self,
        run: Run,
        searcher: Searcher,
        *,
        executor: AnyExecutor,
        evaluator: Callable[[], Evaluator],
        doubts: Doubts | None,
        attempts: int,
        pace: Pace,
        standing: Standing,
        on_end: Callable[[Trial, Standing], None],
    ) -> None:
        self._run, self._searcher, self._executor = run, searcher, executor
        self._evaluate = partial(outcome_of, evaluator)
        self._doubts, self._attempts, self._pace, self._on_end = doubts, attempts, pace, on_end
        self._under_way: dict[Future[Outcome], _Task] = {}
        self._rungs, self._standing = Rungs(run), standing
        self._left: deque[_Task] = deque()
        self._exhausted = "exhausted" in run.record.notes()

    def to_the_end(self) -> None:
        """Returns when the budget is spent and nothing is under way.

        Raises:
            StudyError: Trial after trial fails, or one network after the other was measured in vain.
            MachineError: The record cannot be written, or the device to measure on is lost.
        """
        for number, architecture in self._run.record.unfinished():
            self._go_on(number, architecture)
        while self._begin_all() or self._under_way:
            done, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda one: self._under_way[one].number):
                self._end(self._under_way.pop(future), future)

    def _begin_all(self) -> bool:
        """Gives every free worker a trial; whether any is under way then."""
        while len(self._under_way) < self._executor.workers:
            task = self._left.popleft() if self._left else self._proposed()
            if task is None:
                break
            self._pace.begun(task.number)
            self._under_way[self._executor.submit(self._evaluate, task.architecture, epochs=task.rung)] = task
        return bool(self._under_way)

    def _go_on(self, number: int, architecture: Architecture) -> None:
        """Has a trial evaluated, up to its next rung or to its end; one that has to end where it stands is ended."""
        ended = self._rungs.stop(number, self._standing.trials)
        if ended is None:
            self._left.append(_Task(number, architecture, self._rungs.next(number)))
        else:
            self._pace.ended(number)
            self._take(ended)

    def _proposed(self) -> _Task | None:
        """The next trial of the searcher; ``None`` when it has nothing more, or the budget is spent."""
        record, standing = self._run.record, self._standing
        if standing.spent + len(self._under_way) >= self._run.settings.trials or self._exhausted:
            return None
        self._searcher.tell(self._rungs.told(standing.trials))
        proposal = self._allowed()
        if proposal is None:
            if not self._under_way:
                record.note("exhausted", len(standing.trials))
                self._exhausted = True
            return None
        number = record.begin(proposal, self._known(proposal.architecture))
        return _Task(number, proposal.architecture, self._rungs.next(number))

    def _allowed(self) -> Proposal | None:
        """The next proposal; one that turns out to break a limit when it is measured is never proposed again."""
        pending, in_vain = [task.architecture for task in self._under_way.values()], 0
        while proposals := self._searcher.ask(1, pending=pending):
            if self._doubts is None:
                return proposals[0]
            self._doubts.settle_limit(proposals[0].architecture)
            if self._run.limits.feasible([proposals[0].architecture])[0]:
                return proposals[0]
            in_vain += 1
            if in_vain == _IN_VAIN_IN_A_ROW:
                raise self._all_in_vain()
        return None

    def _all_in_vain(self) -> StudyError:
        times = math.exp(statistics.median(self._run.measured.errors[-_IN_VAIN_IN_A_ROW:]))
        return StudyError(
            f"{_IN_VAIN_IN_A_ROW} networks in a row that were expected to keep the limits were measured, none does; "
            f"in the median they take {times:.2f} times what the table predicts. Where the device is busier than when "
            "its table was made, wait; where it has become another, profile it anew; else widen the limits, or go by "
            "predictions alone with --no-measure. What was measured and trained is kept, and the same command goes on"
        )

    def _end(self, task: _Task, future: Future[Outcome]) -> None:
        """Records what came of a trial at its end or at a rung, or begins it again."""
        try:
            outcome = future.result()
        except (WorkerLostError, CancelledError) as error:
            reason = str(error) or "cancelled"
            if task.attempt < self._attempts:
                self._pace.lost(task.number)
                self._run.record.mark(task.number, "lost_workers", task.attempt)
                self._left.append(replace(task, attempt=task.attempt + 1))
                return
            outcome = Outcome(failed=f"{reason} ({task.attempt} attempts)")
        except TimeLimitError as error:
            outcome = Outcome(failed=str(error))
        for name, value in outcome.notes.items():
            self._run.record.mark(task.number, name, value)
        if task.rung is not None and outcome.failed is None:
            self._rungs.reach(task.number, task.architecture, epochs=task.rung, values=outcome.values)
            self._pace.halted(task.number)
            self._go_on(task.number, task.architecture)
            return
        self._take(self._recorded(task, outcome))
        _require_progress(self._standing.trials)

    def _recorded(self, task: _Task, outcome: Outcome) -> Trial:
        """A trial that came to its end, as it is on record then."""
        trial = self._judged(task, outcome)
        if trial.failed is not None:
            return self._run.record.fail(task.number, trial.failed)
        values = dict(trial.values)
        try:
            if self._doubts is not None:
                values = self._doubts.settle_front(task.architecture, values, self._standing)
        finally:
            trial = self._run.record.finish(task.number, values)  # a device that is lost does not cost the training
        return trial

    def _take(self, trial: Trial) -> None:
        """What a trial that ended changes."""
        self._pace.ended(trial.number)  # with what had to be measured and written
        for device in self._standing.add(trial):
            write_front(self._run, device, front=self._standing.front_on(device))
        clear_after(self._run, [trial], finished=self._standing.trials)
        self._on_end(trial, self._standing)

    def _judged(self, task: _Task, outcome: Outcome) -> Trial:
        """The trial, with its known costs; failed where a value is no number."""
        failed, values = outcome.failed, {**self._known(task.architecture), **outcome.values}
        if "train_s" in values:
            values["train_s"] += self._rungs.trained_s(task.number)
        for goal in self._run.objectives:
            if failed is None and goal.name not in values:
                failed = f"KeyError: the evaluator gave no {goal.name}"
            elif failed is None and not math.isfinite(values[goal.name]):
                failed = f"ArithmeticError: {goal.name} is {values[goal.name]}, not a finite number"
        if failed is not None:
            return Trial(number=task.number, architecture=task.architecture, failed=failed)
        return Trial(number=task.number, architecture=task.architecture, values=values)

    def _known(self, architecture: Architecture) -> dict[str, float]:
        return {name: float(values[0]) for name, values in self._run.costs.values([architecture]).items()}


def _require_progress(finished: Sequence[Trial]) -> None:
    recent = finished[-_FAILURES_IN_A_ROW:]
    if len(recent) == _FAILURES_IN_A_ROW and all(trial.failed for trial in recent):
        raise StudyError(
            f"the last {_FAILURES_IN_A_ROW} trials failed, the latest with: {recent[-1].failed}. Mend the cause; the "
            "same command then goes on"
        )
