"""The search itself: ask, evaluate, record, tell."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwnas.core import (
    Architecture,
    Evaluator,
    HwnasError,
    LatencyMeter,
    Objective,
    Proposal,
    Searcher,
    StudyError,
    Trial,
    UsageError,
)
from hwnas.evaluators import TrainedEvaluator
from hwnas.networks import network_family
from hwnas.objectives import KnownCosts, Limits, lowest, objectives
from hwnas.predictors import LatencyPredictor, Missing, require_policy
from hwnas.searchers import make_searcher, require_inner
from hwnas.study.measuring import Doubts
from hwnas.study.problem import problem_of
from hwnas.study.run import Run, begin_run, exclusive, open_run
from hwnas.study.settings import RunSettings
from hwnas.training import ImageData, Recipe, load_data
from latency_tables import LatencyTable, read_table, table_sha256

DEFAULT_TRIALS = 24
_MARGIN = 1.1  # the reference point lies this far beyond the worst value, so that the worst point still counts
_FAILURES_IN_A_ROW = 5


@dataclass(frozen=True, kw_only=True)
class SearchProgress:
    """How far a search is, after a trial.

    Attributes:
        trial: The trial that just ended; ``None`` at the start.
        done: Finished trials.
        total: Trials in all.
        front_size: Non-dominated trials.
        hypervolume: Of all finished trials.
        best: Best value of each objective, by name.
        eta_s: Seconds left at the present pace; ``None`` before the first trial of this process.
    """

    trial: Trial | None
    done: int
    total: int
    front_size: int
    hypervolume: float
    best: Mapping[str, float]
    eta_s: float | None


def search(  # noqa: PLR0913  (keywords of the verb, one for each option of the command line)
    *,
    table: LatencyTable | str | Path,
    out: str | Path,
    space: str = "mobilenet",
    data: str | ImageData = "digits",
    targets: Sequence[str] = ("latency",),
    algorithm: str = "lamoo",
    inner: str | None = None,
    trials: int = DEFAULT_TRIALS,
    limits: Mapping[str, float] | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    missing: Missing = "error",
    meter: LatencyMeter | None = None,
    on_progress: Callable[[SearchProgress], None] | None = None,
) -> Run:
    """Searches a space, or goes on with a search that was cut off.

    Args:
        table: The device's latency table, or its file.
        out: The run folder.
        space: Name of the search space.
        data: Name or path of the data, or what ``load_data`` gave for it; an export reads it again by that name.
        targets: Costs to trade against accuracy: ``latency``, ``flops``, ``macs``, ``params``, ``memory``, ``energy``.
        algorithm: One of ``hwnas.searchers.ALGORITHMS``: ``lamoo``, ``la-mcts``, ``lanas``, ``alphax``, or an inner
            searcher's name for it alone over the whole space.
        inner: What proposes in a region, one of ``hwnas.searchers.INNERS``; by default the algorithm's own.
        trials: Architectures to evaluate.
        limits: Upper bounds by cost name (``latency_ms``, ``params_m``, ``memory_mib`` and so on) in that unit.
        seed: The same seed gives the same trials with the same table, data and versions.
        recipe: How candidates are trained.
        missing: What to do where the table lacks a row: ``"error"``, ``"step"`` or ``"regress"``; see
            ``hwnas.predictors.RowEstimates``.
        meter: The device of the table. With it, candidates whose predicted latency lies across a limit or the front
            within its error are measured; the same seed then no longer gives the same trials.
        on_progress: Called after every trial.

    Returns:
        The run, with its front.

    Raises:
        UsageError: A name, number, limit or data set that nobody can serve; nothing has been trained then.
        InfeasibleError: No architecture satisfies the limits.
        RunMismatchError: ``out`` was begun with other settings.
        MissingRowError: The table lacks kernels of the space; the message says how to measure them.
        MachineError: The record cannot be written.
        StudyError: The record is damaged, or trial after trial fails.
        OSError: ``out`` cannot be written.
    """
    if trials < 1:
        raise UsageError(f"expected at least 1 trial, received {trials}")
    drawing = require_inner(algorithm, inner)
    known_table = table if isinstance(table, LatencyTable) else read_table(table)
    goals = objectives(targets)
    images = data if isinstance(data, ImageData) else load_data(data)
    family = network_family(space, channels=images.channels, classes=images.classes)
    settings = RunSettings(
        space=family.space.name,
        data=images.name,
        data_sha256=images.fingerprint,
        channels=images.channels,
        classes=images.classes,
        targets=tuple(dict.fromkeys(targets)),
        algorithm=algorithm,
        inner=drawing,
        trials=trials,
        limits=dict(limits or {}),
        seed=seed,
        recipe=recipe or Recipe(),
        missing=require_policy(missing),
        table_sha256=table_sha256(known_table),
    )
    folder = Path(out)
    if (folder / "run.json").exists():  # before the table is asked for blocks of a space or data it was not made for
        open_run(folder).settings.require_same(settings, folder=str(folder))
    predictor = LatencyPredictor.of(known_table, family, missing=settings.missing)
    predictor.require_coverage(family.design.covering())
    costs = KnownCosts(family, predictor, energy=predictor.energy)
    costs.require_known([*(goal.name for goal in goals), *settings.limits])
    bounds = Limits(settings.limits, costs)
    bounds.require_feasible(family.space)
    if trials > family.space.size:
        raise UsageError(
            f"space {family.space.name} has {family.space.size} architectures: {trials} trials are more than that"
        )
    with exclusive(folder):
        if (folder / "run.json").exists():
            run = open_run(folder)
            run.settings.require_same(settings, folder=str(folder))
        else:
            reference = _reference(costs, bounds, goals, classes=images.classes)
            run = begin_run(folder, settings, known_table, reference)
        evaluator = TrainedEvaluator(family=family, data=images, recipe=settings.recipe, seed=seed)
        _work(run, evaluator, Doubts(run, meter) if meter else None, on_progress)
    return run


def _reference(costs: KnownCosts, bounds: Limits, goals: Sequence[Objective], *, classes: int) -> dict[str, float]:
    """The point that bounds the hypervolume: guessing for accuracy, the limit or the largest value for each cost."""
    space = costs.family.space
    reference = {}
    for goal in goals:
        if goal.name == "accuracy":
            reference[goal.name] = 1 / classes
        elif goal.name in bounds.upper:
            reference[goal.name] = _MARGIN * bounds.upper[goal.name]
        else:
            worst = lowest(space, lambda batch, name=goal.name: -costs.values(batch)[name])  # type: ignore[misc]
            reference[goal.name] = _MARGIN * float(costs.values([worst])[goal.name][0])
    return reference


def _work(
    run: Run, evaluator: Evaluator, doubts: Doubts | None, on_progress: Callable[[SearchProgress], None] | None
) -> None:
    """Evaluates until the budget is spent; the front on disk is that of the trials finished so far."""
    try:
        problem = problem_of(run, feasible=run.possible.feasible if doubts else None)
        searcher = make_searcher(run.settings.algorithm, problem, seed=run.settings.seed, inner=run.settings.inner)
        begun, start = len(run.record.finished()), time.monotonic()
        run.write_front()
        _report(run, None, on_progress, eta_s=None)
        while not run.is_finished():
            trial = _one_trial(run, searcher, evaluator, doubts)
            if trial is None:
                run.record.note("exhausted", len(run.record.finished()))
                break
            done = len(run.record.finished())
            pace_s = (time.monotonic() - start) / (done - begun)
            run.write_front()
            _report(run, trial, on_progress, eta_s=pace_s * (run.settings.trials - done))
            _require_progress(run)
    finally:
        run.record.close()


def _one_trial(run: Run, searcher: Searcher, evaluator: Evaluator, doubts: Doubts | None) -> Trial | None:
    """The trial a killed process left behind, or the next one; ``None`` when the searcher has nothing more."""
    left = run.record.unfinished()
    if left:
        number, architecture = left[0]
    else:
        searcher.tell(run.record.finished())
        proposal = _next(run, searcher, doubts)
        if proposal is None:
            return None
        architecture = proposal.architecture
        number = run.record.begin(proposal, _known(run, architecture))
    try:
        values = {**_known(run, architecture), **evaluator.evaluate(architecture)}
        _require_finite(run, values)
    except (HwnasError, RuntimeError, ArithmeticError, MemoryError) as error:
        # what one architecture does to torch must not end a night of trials; the reason is kept with the trial
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        run.record.fail(number, reason)
        return Trial(number=number, architecture=architecture, failed=reason)
    try:
        values = doubts.settle_front(architecture, values) if doubts else values
    finally:
        run.record.finish(number, values)  # a device that is lost does not cost the training
    return Trial(number=number, architecture=architecture, values=values)


def _next(run: Run, searcher: Searcher, doubts: Doubts | None) -> Proposal | None:
    """The next proposal; one that turns out to break a limit when it is measured is never proposed again."""
    while proposals := searcher.ask(1, pending=[]):
        if doubts is None:
            return proposals[0]
        doubts.settle_limit(proposals[0].architecture)
        if run.limits.feasible([proposals[0].architecture])[0]:
            return proposals[0]
    return None


def _require_finite(run: Run, values: Mapping[str, float]) -> None:
    for goal in run.objectives:
        if not math.isfinite(values[goal.name]):
            raise ArithmeticError(f"{goal.name} is {values[goal.name]}, not a finite number")


def _known(run: Run, architecture: Architecture) -> dict[str, float]:
    return {name: float(values[0]) for name, values in run.costs.values([architecture]).items()}


def _require_progress(run: Run) -> None:
    recent = run.record.finished()[-_FAILURES_IN_A_ROW:]
    if len(recent) == _FAILURES_IN_A_ROW and all(trial.failed for trial in recent):
        raise StudyError(
            f"the last {_FAILURES_IN_A_ROW} trials failed, the latest with: {recent[-1].failed}. Mend the cause; the "
            "same command then goes on"
        )


def _report(
    run: Run, trial: Trial | None, on_progress: Callable[[SearchProgress], None] | None, *, eta_s: float | None
) -> None:
    if on_progress is None:
        return
    trials = run.trials()
    best = {}
    for goal in run.objectives if trials else ():
        best[goal.name] = goal.from_cost(min(goal.to_cost(entry.values[goal.name]) for entry in trials))
    progress = SearchProgress(
        trial=trial,
        done=len(run.record.finished()),
        total=run.settings.trials,
        front_size=len(run.front()),
        hypervolume=run.hypervolume(trials),
        best=best,
        eta_s=eta_s,
    )
    on_progress(progress)
