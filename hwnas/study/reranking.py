"""Real training for the winners of a search that went by estimates: shared weights mis-rank the top."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial

from hwnas.core import Evaluator, Pace, Trial
from hwnas.evaluators import ESTIMATES, Outcome, outcome_of
from hwnas.executors import AnyExecutor, TimeLimitError, WorkerLostError
from hwnas.pareto import non_dominated
from hwnas.study.run import Run

_LAYERS = 2  # the front, and what would be the front without it
_MOST = 24


def to_train(run: Run, finished: Sequence[Trial]) -> list[Trial]:
    """The candidates of a run that have to be trained and are not yet: its front first, each in the order of trials.

    So a training of winners that is cut off has done what promises most.

    Args:
        run: The run; without estimates there are none.
        finished: All its trials that ended.
    """
    if run.settings.evaluator not in ESTIMATES:
        return []
    left = [trial for trial in finished if trial.complete]
    chosen: list[Trial] = []
    for _ in range(_LAYERS):
        if not left:
            break
        on_front = non_dominated(run.cost_matrix(left))
        chosen += [trial for trial, good in zip(left, on_front, strict=True) if good]
        left = [trial for trial, good in zip(left, on_front, strict=True) if not good]
    known = {*run.trained(), *run.untrainable()}
    return [trial for trial in chosen[:_MOST] if trial.number not in known]


def rerank(
    run: Run,
    candidates: Sequence[Trial],
    *,
    executor: AnyExecutor,
    evaluator: Callable[[], Evaluator],
    pace: Pace,
    on_trained: Callable[[int, int], None],
) -> None:
    """Trains the candidates and notes their accuracies in the record; ``Run.front`` then goes by those.

    Args:
        run: A run whose budget is spent.
        candidates: What ``to_train`` says of it.
        executor: Where to train.
        evaluator: Gives what trains; where the executor has other processes, picklable.
        pace: Times the trainings.
        on_trained: Told, before the first and after each, how many are trained, and of how many.

    Raises:
        WorkerLostError: A worker was lost; the same command trains what is left.
        MachineError: The record cannot be written.
    """
    waiting = deque(candidates)
    total, train = len(waiting), partial(outcome_of, evaluator)
    under_way: dict[Future[Outcome], Trial] = {}
    lost: WorkerLostError | None = None
    on_trained(0, total)
    while waiting or under_way:
        while waiting and len(under_way) < executor.workers:
            trial = waiting.popleft()
            pace.begun(trial.number)
            under_way[executor.submit(train, trial.architecture)] = trial
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            number = under_way.pop(future).number
            try:
                _note(run, number, future)
            except WorkerLostError as error:
                lost = error
            pace.ended(number)
            on_trained(total - len(waiting) - len(under_way), total)
    run.write_front()
    if lost is not None:
        raise lost


def _note(run: Run, number: int, future: Future[Outcome]) -> None:
    """Keeps what came of a training."""
    try:
        outcome = future.result()
    except TimeLimitError as error:
        outcome = Outcome(failed=str(error))
    if outcome.failed is not None:
        run.note_untrainable(number, outcome.failed)
    else:
        run.note_trained(number, outcome.values["accuracy"])
