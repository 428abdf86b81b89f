"""How far a search is: what is told while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hwnas.core import Pace, Trial
from hwnas.evaluators import ESTIMATES
from hwnas.study.run import Run
from hwnas.study.standing import Standing

SCALE, TRIALS, WINNERS = "scale", "trials", "winners"  # names of stages


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the trials of a search have found so far.

    Attributes:
        trial: The trial that just ended; ``None`` at the start.
        front_size: Non-dominated trials.
        hypervolume: Of all finished trials.
        best: Best value of each objective, by name.
        taken_over: Results of another run among these, which count in no budget.
        stopped: Trials among them that were stopped early.
        epochs_saved: Epochs that those were spared.
    """

    trial: Trial | None
    front_size: int
    hypervolume: float
    best: Mapping[str, float]
    taken_over: int = 0
    stopped: int = 0
    epochs_saved: int = 0


@dataclass(frozen=True, kw_only=True)
class SearchProgress:
    """How far a search is.

    Attributes:
        stage: What goes on: ``"trials"``; before them, where weights are shared, ``"supernet"``, ``"part 2 of 4"`` and
            ``"scale"``, or ``"policy"``; after such a search by shared weights ``"winners"``, the training of the best.
        done: Trials finished, steps of shared weights, networks judged for the scale, or winners trained; those of an
            earlier process included.
        total: Of the stage.
        eta_s: Seconds until the search is over, as far as known; ``None`` before this process has done anything.
        unit_s: Seconds that one of what ``done`` counts takes; likewise.
        ahead: Stages to come, which ``eta_s`` does not hold because nobody knows yet how long they take.
        found: What the trials have found; ``None`` in other stages.
    """

    stage: str
    done: int
    total: int
    eta_s: float | None
    unit_s: float | None
    ahead: tuple[str, ...]
    found: Found | None = None


class Progress:
    """Tells how far a search is.

    Args:
        run: The run.
        tell: What is told; ``None`` where nobody listens.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        run: Run,
        tell: Callable[[SearchProgress], None] | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._tell, self._clock = run, tell, clock
        self._steps = Pace(clock=clock)
        self._stage, self._done = "", 0

    def pace(self, *, workers: int) -> Pace:
        """Times units of work that several workers do."""
        return Pace(workers=workers, clock=self._clock)

    def steps(self, stage: str, done: int, total: int) -> None:
        """To be called while shared weights or a policy are learned; a stage's first call tells its beginning."""
        if stage == self._stage:
            self._steps.advanced(done - self._done)
        elif stage == SCALE:  # networks, not steps
            self._steps = Pace(clock=self._clock)
        else:
            self._steps.paused()
        self._stage, self._done = stage, done
        evaluator = self._run.settings.evaluator
        ahead = [SCALE] if evaluator == "few-shot" and stage != SCALE else []
        ahead += [TRIALS, WINNERS] if evaluator in ESTIMATES else [TRIALS]
        self._say(stage, done, total, self._steps, ahead=tuple(ahead))

    def trained(self, done: int, total: int, pace: Pace) -> None:
        """To be called when winners are about to be trained, and after each."""
        self._say(WINNERS, done, total, pace, ahead=())

    def trial(self, trial: Trial | None, standing: Standing, pace: Pace) -> None:
        """To be called at the start and after every trial, with how the search stands then."""
        if self._tell is None:
            return
        found = Found(
            trial=trial,
            front_size=len(standing.front),
            hypervolume=standing.hypervolume,
            best=standing.best,
            taken_over=len(standing.trials) - standing.spent,
            stopped=standing.stopped,
            epochs_saved=standing.epochs_saved,
        )
        settings = self._run.settings
        ahead = (WINNERS,) if settings.evaluator in ESTIMATES else ()
        self._say(TRIALS, standing.spent, settings.trials, pace, ahead=ahead, found=found)

    def _say(
        self, stage: str, done: int, total: int, pace: Pace, *, ahead: tuple[str, ...], found: Found | None = None
    ) -> None:
        if self._tell is None:
            return
        self._tell(
            SearchProgress(
                stage=stage,
                done=done,
                total=total,
                eta_s=pace.left_s(total - done),
                unit_s=pace.unit_s,
                ahead=ahead,
                found=found,
            )
        )
