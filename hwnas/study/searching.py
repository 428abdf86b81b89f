"""The search itself: everything is checked, and the work begun or taken up again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from hwnas.core import Evaluator, LatencyMeter, RunMismatchError, Searcher, UsageError
from hwnas.evaluators import (
    EvaluatorSource,
    FewShotEvaluator,
    Lessons,
    PredictorEvaluator,
    SupernetEvaluator,
    TabularEvaluator,
    require_evaluator,
    require_judge,
)
from hwnas.executors import AnyExecutor, ExecutorSettings, SerialExecutor, open_executor, require_executor
from hwnas.networks import NetworkFamily, network_family
from hwnas.objectives import Limits, bounds_of, objectives, require_accuracy
from hwnas.predictors import Missing, require_policy
from hwnas.searchers import DesignsFirst, SearchProblem, make_searcher
from hwnas.study.changing import with_targets
from hwnas.study.clearing import clear_after
from hwnas.study.devices import Devices
from hwnas.study.folders import begin_run, exclusive, open_run, with_trials, write_front
from hwnas.study.halving import require_halving
from hwnas.study.lessons import lessons, lessons_sha256, require_lessons
from hwnas.study.measuring import Doubts
from hwnas.study.one_shot import ONE_SHOTS, one_shot_searcher, require_one_shot, require_searcher
from hwnas.study.policies import Learning
from hwnas.study.precisions import FLOAT, require_precisions
from hwnas.study.previewing import known_costs
from hwnas.study.problem import problem_of
from hwnas.study.progress import Progress, SearchProgress
from hwnas.study.reference import reference_point
from hwnas.study.reranking import rerank
from hwnas.study.run import Run
from hwnas.study.settings import RunSettings
from hwnas.study.standing import Standing
from hwnas.study.storage import Place, require_url
from hwnas.study.warming import Source, read_source, require_same_start, take_over
from hwnas.study.warming import warm_start as warm_start_of
from hwnas.study.winners import begin_budget, next_winner
from hwnas.study.work import Work
from hwnas.training import ImageData, Recipe, device_of, load_data, require_classification, require_teacher
from latency_tables import LatencyTable, read_table, table_sha256

DEFAULT_TRIALS = 24


def search(  # noqa: PLR0913  (keywords of the verb, one for each option of the command line)
    *,
    table: LatencyTable | str | Path,
    out: str | Path,
    space: str = "mobilenet",
    precisions: Sequence[str] = (FLOAT,),
    data: str | ImageData = "digits",
    targets: Sequence[str] = ("latency",),
    algorithm: str = "lamoo",
    inner: str | None = None,
    trials: int = DEFAULT_TRIALS,
    limits: Mapping[str, float] | None = None,
    min_accuracy: float | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    evaluator: str = "trained",
    supernet_epochs: int = 30,
    halving: float | None = None,
    learn_from: str | Path | None = None,
    missing: Missing = "error",
    meter: LatencyMeter | None = None,
    executor: ExecutorSettings | None = None,
    attempts: int = 3,
    storage: str | None = None,
    warm_start: str | Path | None = None,
    symmetric_int8: bool = False,
    devices: Devices | None = None,
    on_progress: Callable[[SearchProgress], None] | None = None,
) -> Run:
    """Searches a space, or goes on with a search that was cut off or is to have more trials.

    Args:
        table: The device's latency table, or its file.
        out: The run folder.
        space: Name of the search space.
        precisions: What networks may be computed in, of ``fp32``, ``fp16`` and ``int8``. Other than fp32 alone it is
            one more choice of the space: latency and memory are those of the precision, and the accuracy is that of
            the converted network, which is trained in fp32 once for all precisions.
        data: Name or path of the data, or what ``load_data`` gave for it; exports and workers in other processes read
            it again by that name.
        targets: Costs to trade against accuracy: ``latency``, ``flops``, ``macs``, ``params``, ``memory``, ``energy``,
            and ``latency@DEVICE`` for one of ``devices``. A run goes on with further ones, since what they cost is
            known of the trials that are done.
        algorithm: One of ``hwnas.searchers.ALGORITHMS``: ``lamoo``, ``la-mcts``, ``lanas``, ``plalam``, ``alphax``, or
            an inner searcher's name for it alone over the whole space; or of those that learn from a table of all
            accuracies ``modnas``, one policy for several devices, ``dca-nas``, which stays under one limit, or
            ``lightnas``, which hits the middle of a band.
        inner: What proposes in a region, one of ``hwnas.searchers.INNERS``; by default the algorithm's own.
        trials: Architectures to evaluate.
        limits: Upper bounds by cost name (``latency_ms``, ``params_m``, ``memory_mib`` and so on) in that unit; lower
            ones by the same after ``min_`` (``min_latency_ms``); ``latency_ms@DEVICE`` for one of ``devices``.
        min_accuracy: Validation accuracy that a winner has at least, in (0, 1]. What is below it is on no front, and
            worth nothing to searchers that go by the hypervolume; estimates are not held to it, trainings of winners
            are.
        seed: The same seed gives the same trials with the same table, data and versions.
        recipe: How candidates are trained; nothing distils here, since there is no teacher.
        evaluator: What finds accuracies: ``"trained"``, ``"inherited"`` (from the weights of a network that is nearly
            the same), ``"supernet"``, ``"few-shot"``, ``"predictor"``, ``"proxy"`` (scores before training),
            ``"tabular"`` (published ones), or a function of your own as ``"file.py:function"``. After a search by
            weights that were inherited or shared, predictions or scores, the best are trained and ranked by that.
        supernet_epochs: Passes over the training images for weights that networks share.
        halving: Trainings are stopped early that are behind networks that cost no more; of the trials at each rung, the
            best share of one over this number goes on in any case. ``None``, and every candidate is trained to its end;
            see ``hwnas.study.halving``.
        learn_from: Folder of an earlier run, of the same space, data and recipe, whose trials the evaluator
            ``"predictor"`` learns from.
        missing: What to do where the table lacks a row: ``"error"``, ``"step"`` or ``"regress"``; see
            ``hwnas.predictors.RowEstimates``.
        meter: The device of the table. With it, candidates whose predicted latency lies across a limit or the front
            within its error are measured; the same seed then no longer gives the same trials.
        executor: Where trials run; one after another in this process when left out. With several workers, the same seed
            no longer gives the same trials.
        attempts: How often a trial is begun whose worker is lost.
        storage: URL of the Optuna storage that keeps the trials, or ``journal:PATH``; a file in ``out`` when left out.
            A run stays where it was begun.
        warm_start: Folder of another run of the same space, or ``STORAGE#STUDY``. Where its data, recipe and evaluator
            are the same, its results are taken over and count in no budget; else the networks of its front are
            evaluated first. What counts is the beginning of a run; what the other one does later does not.
        symmetric_int8: Whether the device asks for activations of int8 that are signed and lie around zero, as TensorRT
            does.
        devices: Devices beside that of the table, from ``hwnas.study.open_devices``, which say what networks take there
            by prediction alone: every trial has its latency as ``latency_ms@DEVICE``, and there is a front for each,
            ``Run.front_on``. To search for them, name them in ``targets`` and ``limits``; ``modnas`` learns one policy
            for all of them.
        on_progress: Called after every trial, and in the course of what else is trained.

    Returns:
        The run, with its front.

    Raises:
        UsageError: A name, number, limit or data set that nobody can serve; nothing has been trained then.
        InfeasibleError: No architecture satisfies the limits.
        RunMismatchError: ``out`` was begun with other settings.
        MissingRowError: The table lacks kernels of the space; the message says how to measure them.
        TableMismatchError: It holds nothing for one of the precisions.
        MachineError: The record cannot be written, or what the executor needs is missing.
        StudyError: The record is damaged, or trial after trial fails.
        OSError: ``out`` cannot be written.
    """
    for name, count in {"trial": trials, "attempt": attempts}.items():
        if count < 1:
            raise UsageError(f"expected at least 1 {name}, received {count}")
    if seed < 0:
        raise UsageError(f"expected a seed of 0 or above, received {seed}")
    where = executor or ExecutorSettings()
    require_executor(where)
    if storage is not None:
        require_url(storage)
    drawing = require_searcher(algorithm, inner)
    wanted = recipe or Recipe()
    require_teacher(wanted, None)
    require_lessons(evaluator, learn_from)
    require_halving(halving, evaluator=require_evaluator(evaluator), epochs=wanted.epochs)
    computed_in = require_precisions(precisions, evaluator=evaluator, halving=halving)
    if not where.elsewhere:
        device_of(wanted.device)
    known_table = table if isinstance(table, LatencyTable) else read_table(table)
    goals, limited = objectives(targets), bounds_of(limits or {})
    images = data if isinstance(data, ImageData) else load_data(data)
    require_classification(images, "hwnas.search")
    family = _family(space, images, evaluator, computed_in)
    several = devices or Devices()
    require_one_shot(
        algorithm,
        space=family.space,
        evaluator=evaluator,
        targets=targets,
        limits=limits or {},
        several=bool(several.all),
    )
    learned = lessons(evaluator, learn_from, space=family.space.name, data_sha256=images.fingerprint, recipe=wanted)
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
        min_accuracy=require_accuracy(min_accuracy),
        seed=seed,
        recipe=wanted,
        missing=require_policy(missing),
        evaluator=evaluator,
        supernet_epochs=supernet_epochs,
        halving=None if halving is None else float(halving),
        learned_from=None if learn_from is None else str(Path(learn_from).resolve()),
        learned_sha256=lessons_sha256(learned),
        table_sha256=table_sha256(known_table),
        precisions=computed_in,
        symmetric_int8=symmetric_int8 and "int8" in computed_in,
        devices=tuple(one.source for one in several.learned),
        unseen=tuple(one.source for one in several.unseen),
        devices_sha256=several.sha256,
    )
    folder, asked_start = Path(out), None if warm_start is None else str(warm_start)
    # before the table is asked for blocks of a space or data it was not made for
    ongoing = _going_on(folder, settings, asked_start)
    settings = ongoing or settings
    source = read_source(asked_start, family) if asked_start and ongoing is None else None
    costs = known_costs(known_table, family, missing=settings.missing, devices=several)
    if ongoing is None:
        costs.require_known([*(goal.name for goal in goals), *(bound.cost for bound in limited)])
    bounds = Limits(settings.limits, costs)
    _require_room(family, bounds, trials)
    with exclusive(folder):
        if (folder / "run.json").exists():
            run = replace(_reopened(folder, settings, storage), elsewhere=several.latencies)
            if added := run.settings.added_targets(settings):
                run = with_targets(run, added)
        else:
            reference = reference_point(costs, bounds, goals, least_accuracy=settings.least_accuracy)
            prepare = partial(_prepared, devices=several, source=source)
            run = begin_run(folder, settings, known_table, reference, storage=storage, prepare=prepare)
        try:
            _work(
                run,
                images,
                where,
                devices=several,
                learned=learned,
                meter=meter,
                attempts=attempts,
                on_progress=on_progress,
            )
        finally:
            run.record.close()
    return run


def _going_on(folder: Path, settings: RunSettings, start: str | None) -> RunSettings | None:
    """The settings that the run in a folder goes on with, further targets behind its own; ``None`` where there is none.

    Raises:
        RunMismatchError: It was begun with other settings, or in another way.
        UsageError: It cannot have further targets.
    """
    if not (folder / "run.json").exists():
        return None
    opened = open_run(folder)
    settings = settings.resuming(opened.settings)
    opened.settings.require_same(settings, folder=str(folder))
    require_same_start(opened, start)
    targets, added = opened.settings.targets, opened.settings.added_targets(settings)
    learned = ONE_SHOTS.get(settings.algorithm)
    if added and learned is not None and learned.by_targets:
        raise UsageError(
            f"{folder} has a policy for the targets {', '.join(targets)}: begin a new run with another --out for "
            f"{', '.join(added)} besides"
        )
    return replace(settings, targets=(*targets, *added))


def _family(space: str, images: ImageData, evaluator: str, precisions: Sequence[str]) -> NetworkFamily:
    """The networks of a space for data, which an evaluator can judge."""
    family = network_family(space, channels=images.channels, classes=images.classes, precisions=precisions)
    require_judge(evaluator, family=family, data=images.name)
    return family


def _require_room(family: NetworkFamily, bounds: Limits, trials: int) -> None:
    """Refuses limits that nothing keeps, and more trials than there are networks."""
    bounds.require_feasible(family.space)
    if trials > family.space.size:
        raise UsageError(
            f"space {family.space.name} has {family.space.size} architectures: {trials} trials are more than that"
        )


def _prepared(run: Run, *, devices: Devices, source: Source | None) -> Run:
    """A run that is about to begin, with its devices and what it has from another one."""
    run = replace(run, elsewhere=devices.latencies)
    if source is None:
        return run
    try:
        return replace(run, warm=take_over(run, warm_start_of(source, run.settings), source))
    finally:
        run.record.close()


def _reopened(folder: Path, settings: RunSettings, storage: str | None) -> Run:
    """The run in a folder, with the budget that is asked for."""
    run = open_run(folder)
    run.settings.require_same(settings, folder=str(folder))
    if storage and Place(require_url(storage)).public_url != run.place.public_url:
        raise RunMismatchError(
            f"{folder} keeps its trials in {run.place.shown}: leave --storage out, or give another --out",
            differences={"storage": (run.place.public_url, storage)},
        )
    if storage:
        run = replace(run, place=Place(require_url(storage), run.place.study))  # with its password
    return run if run.settings.trials == settings.trials else with_trials(run, settings.trials)


def _work(  # noqa: PLR0913  (keywords, each a part that is put in)
    run: Run,
    images: ImageData,
    where: ExecutorSettings,
    *,
    devices: Devices,
    learned: Lessons,
    meter: LatencyMeter | None,
    attempts: int,
    on_progress: Callable[[SearchProgress], None] | None,
) -> None:
    """Evaluates until the budget is spent; the fronts on disk are those of the trials finished so far."""
    standing = Standing(run, run.record.finished())
    for device in run.devices:
        write_front(run, device, front=standing.front_on(device))
    clear_after(run, standing.trials, finished=standing.trials)  # of those after which a process was killed
    progress = Progress(run, on_progress)
    spent = run.is_finished()
    begin_budget(run)
    waits = spent and next_winner(run, standing.trials) is not None
    if not waits:
        progress.trial(None, standing, progress.pace(workers=1))
        if spent:
            return
    executor = open_executor(where, folder=run.folder)
    try:
        if not spent:
            doubts = Doubts(run, meter, executor.paused) if meter else None
            problem = problem_of(run, feasible=run.expected_limits.feasible if doubts else None)
            evaluator = _evaluator(run, run.settings.evaluator, images, executor, progress, learned)
            searcher = _searcher(run, devices, evaluator, problem, progress)
            pace = progress.pace(workers=executor.workers)
            if run.warm is not None:
                searcher = DesignsFirst(searcher, run.warm.proposals(), problem=problem)
            Work(
                run,
                searcher,
                executor=executor,
                evaluator=evaluator,
                doubts=doubts,
                attempts=attempts,
                pace=pace,
                standing=standing,
                on_end=partial(progress.trial, pace=pace),
            ).to_the_end()
            waits = next_winner(run, standing.trials) is not None
        if waits:
            evaluator = _evaluator(run, "trained", images, executor, progress)
            pace = progress.pace(workers=executor.workers)
            rerank(
                run,
                standing.trials,
                executor=executor,
                evaluator=evaluator,
                pace=pace,
                on_trained=partial(progress.trained, pace=pace),
            )
    finally:
        executor.shutdown(wait=False, cancel_futures=True)  # Ctrl-C: what is under way is begun anew the next time


def _searcher(
    run: Run, devices: Devices, evaluator: Callable[[], Evaluator], problem: SearchProblem, progress: Progress
) -> Searcher:
    """What proposes; a policy is learned first where the algorithm has one."""
    settings = run.settings
    if settings.algorithm not in ONE_SHOTS:
        return make_searcher(settings.algorithm, problem, seed=settings.seed, inner=settings.inner)
    table = evaluator()
    if not isinstance(table, TabularEvaluator):  # refused before the run was begun
        raise UsageError(f"algorithm {settings.algorithm} needs --evaluator tabular, received {settings.evaluator}")
    learning = Learning(
        run=run, devices=devices, evaluator=table, problem=problem, on_progress=partial(progress.steps, "policy")
    )
    return one_shot_searcher(settings.algorithm, learning)


def _evaluator(
    run: Run,
    name: str,
    images: ImageData,
    executor: AnyExecutor,
    progress: Progress,
    learned: Lessons = (),
) -> Callable[[], Evaluator]:
    """What gives an evaluator; to other processes goes how to make it, and not the data."""
    settings = run.settings
    source = EvaluatorSource(
        name=name,
        space=settings.space,
        data=settings.data,
        data_sha256=settings.data_sha256,
        recipe=settings.recipe,
        supernet_epochs=settings.supernet_epochs,
        seed=settings.seed,
        folder=run.folder.resolve(),
        lessons=learned,
        precisions=settings.precisions,
        symmetric=settings.symmetric_int8,
    )
    evaluator = source.made(images, run.family, on_progress=lambda now: progress.steps(now.stage, now.done, now.total))
    if isinstance(evaluator, SupernetEvaluator | FewShotEvaluator):
        evaluator.prepare()  # once, before others need it
    if isinstance(evaluator, PredictorEvaluator):
        run.note_judgement(evaluator.judgement)
    return (lambda: evaluator) if isinstance(executor, SerialExecutor) else source
