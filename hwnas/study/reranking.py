"""Real training for the winners of a search that went by estimates: shared weights mis-rank the top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial

from hwnas.core import Evaluator, Pace, Trial
from hwnas.evaluators import COURSE, Outcome, outcome_of
from hwnas.executors import AnyExecutor, TimeLimitError, WorkerLostError
from hwnas.study.clearing import drop_training
from hwnas.study.folders import write_front
from hwnas.study.run import Run
from hwnas.study.winners import most_left, next_winner


def rerank(
    run: Run,
    finished: Sequence[Trial],
    *,
    executor: AnyExecutor,
    evaluator: Callable[[], Evaluator],
    pace: Pace,
    on_trained: Callable[[int, int], None],
) -> None:
    """Trains winners and notes their accuracies in the record; ``Run.front`` then goes by those.

    Args:
        run: A run whose budget is spent.
        finished: All its trials that ended; ``next_winner`` says which of them are trained.
        executor: Where to train.
        evaluator: Gives what trains; where the executor has other processes, picklable.
        pace: Times the trainings.
        on_trained: Told, before the first and after each, how many are trained, and of how many at the most. In the end
            both are the same.

    Raises:
        WorkerLostError: A worker was lost; the same command trains what is left.
        MachineError: The record cannot be written.
    """
    train = partial(outcome_of, evaluator)
    under_way: dict[Future[Outcome], Trial] = {}
    lost: dict[int, WorkerLostError] = {}
    done = 0

    def upcoming() -> Trial | None:
        busy = [*lost, *(trial.number for trial in under_way.values())]
        return next_winner(run, finished, under_way=busy)

    trial = upcoming()
    on_trained(0, most_left(run, finished) if trial else 0)
    while trial is not None or under_way:
        while trial is not None:
            pace.begun(trial.number)
            under_way[executor.submit(train, trial.architecture)] = trial
            trial = upcoming() if len(under_way) < executor.workers else None
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            ended = under_way.pop(future)
            try:
                _note(run, ended, future)
            except WorkerLostError as error:
                lost[ended.number] = error
            pace.ended(ended.number)
            done += 1
        trial = upcoming()
        further = most_left(run, finished, under_way=len(under_way) + len(lost)) if trial else 0
        on_trained(done, done + len(under_way) + further)
    for device in run.devices:
        write_front(run, device)
    if lost:
        raise next(iter(lost.values()))


def _note(run: Run, trial: Trial, future: Future[Outcome]) -> None:
    """Keeps what came of a training."""
    try:
        outcome = future.result()
    except TimeLimitError as error:
        outcome = Outcome(failed=str(error))
    if outcome.failed is not None:
        run.retrained.note_failure(trial.number, outcome.failed)
        drop_training(run, trial.architecture)
    else:
        run.retrained.note(trial.number, outcome.values["accuracy"], course=outcome.notes.get(COURSE, ()))
