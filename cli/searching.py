"""``hwnas search``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cli.measuring import MEASURE, meter_of, require_policy, table_for
from hwnas.commands.devices import DeviceNames, UnseenNames, device_rows, devices_of
from hwnas.commands.executors import (
    Address,
    Attempts,
    Executor,
    Partition,
    Storage,
    TrialTimeout,
    WarmStart,
    WorkerGpus,
    WorkerMemory,
    WorkerResources,
    Workers,
    WorkerTime,
    executor_of,
)
from hwnas.commands.options import (
    AsJson,
    Data,
    Device,
    MissingRows,
    OtherDevice,
    SearchPrecision,
    Space,
    Trackers,
    images_of,
    require_one_of,
    words_of,
)
from hwnas.commands.previews import accuracy_of, feasibility_parts, limits_of, require_possible
from hwnas.commands.printing import form, note, render, say, stderr
from hwnas.commands.progress import ProgressForm
from hwnas.commands.search_progress import search_progress
from hwnas.commands.winners import cards_of, export_winners, failed_rows, front_parts, front_rows, halving_row

if TYPE_CHECKING:
    from hwnas.objectives import Feasibility
    from hwnas.study import Run


def search(  # noqa: PLR0913, PLR0917  (each parameter is an option of the command)
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Cost to trade: latency, flops, macs, params, memory, energy, or latency@NAME on one of --devices. "
            "May be repeated."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The run folder; the same command goes on with an unfinished run.")] = Path(
        "runs/search"
    ),
    space: Space = "mobilenet",
    precision: SearchPrecision = None,
    data: Data = "digits",
    algorithm: Annotated[
        str,
        typer.Option(
            help="lamoo, la-mcts, lanas, plalam, alphax, an inner searcher's name for it alone; or with --evaluator "
            "tabular modnas, dca-nas (stays under a limit), lightnas (hits a latency)."
        ),
    ] = "lamoo",
    inner: Annotated[
        str | None,
        typer.Option(help="What proposes in its regions: random, mutation, nsga2, …; by default its own."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Architectures to evaluate.")] = 24,
    recipe: Annotated[
        str, typer.Option(help="How they are trained: default, quick, nasbench201 or mobile; see docs/training.md.")
    ] = "default",
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Passes over the data for each, by default the recipe's; the winners get twice as many."
        ),
    ] = None,
    train_on: Annotated[
        str, typer.Option(help="Where they are trained: auto, cpu or gpu; auto takes a GPU that PyTorch can use.")
    ] = "auto",
    channels_last: Annotated[
        bool | None,
        typer.Option(help="Order of images and weights in memory while training; by default whichever is faster."),
    ] = None,
    evaluator: Annotated[
        str,
        typer.Option(
            help="What finds accuracies: trained, inherited, supernet, few-shot, predictor, proxy, tabular, or "
            "FILE.py:FUNCTION."
        ),
    ] = "trained",
    supernet_epochs: Annotated[
        int, typer.Option(min=1, help="Passes over the data for weights that networks share.")
    ] = 30,
    halving: Annotated[
        float | None,
        typer.Option(help="Stop trainings early that fall behind, all but the best 1/N at each rung; 3 is usual."),
    ] = None,
    learn_from: Annotated[
        Path | None, typer.Option(help="The earlier run whose trials the evaluator predictor learns from.")
    ] = None,
    max_latency: Annotated[
        list[str] | None,
        typer.Option(help="Limit, for example 5ms or 300us; NAME=8ms on one of --devices. May be repeated."),
    ] = None,
    min_latency: Annotated[
        list[str] | None,
        typer.Option(help="What it has to be at least, likewise: with --max-latency the band of a tier."),
    ] = None,
    hit_latency: Annotated[
        str | None, typer.Option(help="What it has to be within 2 %, for example 8ms, in place of the two.")
    ] = None,
    max_params: Annotated[str | None, typer.Option(help="Limit, for example 1M or 300k.")] = None,
    max_flops: Annotated[str | None, typer.Option(help="Limit, for example 20M; one MAC is two FLOPs.")] = None,
    max_macs: Annotated[str | None, typer.Option(help="Limit, for example 10M.")] = None,
    max_memory: Annotated[str | None, typer.Option(help="Limit on weights and activations, for example 2MiB.")] = None,
    max_energy: Annotated[str | None, typer.Option(help="Limit on a run's energy, for example 20mJ.")] = None,
    min_accuracy: Annotated[
        str | None,
        typer.Option(help="Validation accuracy that a winner has to have at least, for example 90% or 0.9."),
    ] = None,
    preview: Annotated[
        bool,
        typer.Option("--preview", help="Say how far the space reaches and what the limits leave of it, and end."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same trials.")] = 0,
    device: Device = "auto",
    table: Annotated[
        str | None, typer.Option(help="Latency table: a file or a shipped one's name; made first where none is given.")
    ] = None,
    devices: DeviceNames = None,
    unseen: UnseenNames = None,
    allow_other_device: OtherDevice = False,
    missing: MissingRows = "error",
    measure: Annotated[
        bool,
        typer.Option(help="Measure candidates of which a limit or the front hangs on the error of the prediction."),
    ] = True,
    workers: Workers = 1,
    executor: Executor = "auto",
    trial_timeout: TrialTimeout = None,
    attempts: Attempts = 3,
    address: Address = None,
    worker_gpus: WorkerGpus = 0.0,
    worker_resource: WorkerResources = None,
    partition: Partition = None,
    worker_time: WorkerTime = None,
    worker_memory: WorkerMemory = None,
    storage: Storage = None,
    warm_start: WarmStart = None,
    tracker: Trackers = None,
    progress: ProgressForm = "auto",
    as_json: AsJson = False,
) -> None:
    """Search for the networks that are best on a device, export the winners and write the report."""
    import optuna

    import hwnas
    from hwnas.evaluators import require_judge
    from hwnas.study.halving import require_halving
    from hwnas.study.lessons import lessons, require_lessons
    from hwnas.study.precisions import require_precisions
    from hwnas.trackers import Tracking, require_trackers
    from hwnas.training import device_of, preset
    from profilers.backends.contract import symmetric_int8

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # its remarks on opening a study would break the display
    targets = target or ["latency"]
    _require_names(
        targets,
        algorithm=algorithm,
        inner=inner,
        evaluator=evaluator,
        missing=missing,
        train_on=train_on,
        accuracy=min_accuracy,
    )
    trackers = require_trackers(words_of(tracker or []))
    training = preset(recipe, device=train_on, **_given(epochs=epochs, channels_last=channels_last))
    require_lessons(evaluator, learn_from)
    require_halving(halving, evaluator=evaluator, epochs=training.epochs)
    precisions = require_precisions(
        ["fp32"] if precision is None else words_of(precision), evaluator=evaluator, halving=halving
    )
    limits = limits_of(
        {
            "latency": max_latency,
            "params": max_params,
            "flops": max_flops,
            "macs": max_macs,
            "memory": max_memory,
            "energy": max_energy,
        },
        at_least={"latency": min_latency},
        about={"latency": hit_latency},
    )
    where = executor_of(
        executor,
        workers,
        trial_timeout,
        address=address,
        gpus=worker_gpus,
        resources=worker_resource,
        partition=partition,
        time=worker_time,
        memory=worker_memory,
    )
    if not where.elsewhere:
        device_of(training.device)  # refused now, and not after a table has been made
    _require_places(out, storage=storage, warm_start=warm_start)
    if "energy" in targets or max_energy:
        _require_energy(out, table)
    images = images_of(data)
    family = hwnas.network_family(space, channels=images.channels, classes=images.classes, precisions=precisions)
    require_judge(evaluator, family=family, data=images.name)  # refused now, and not after a table is made
    lessons(  # likewise
        evaluator, learn_from, space=family.space.name, data_sha256=images.fingerprint, recipe=training
    )
    policy = cast("Any", "error" if missing == MEASURE else missing)
    several = devices_of(
        devices,
        unseen,
        family=family,
        algorithm=algorithm,
        evaluator=evaluator,
        targets=targets,
        limits=limits,
        missing=policy,
    )
    rows, backend = table_for(
        out, family, device=device, table=table, other=allow_other_device, grow=missing == MEASURE
    )
    look = partial(hwnas.study.preview, family, table=rows, limits=limits, missing=policy, devices=several)
    if preview:
        _preview(look(), hit=hit_latency, as_json=as_json)
        return
    offered = _said_before(look, hit=hit_latency) if limits else {}
    tracking = Tracking(trackers, folder=out, say=say)
    try:
        with search_progress(trains=evaluator == "trained", also=tracking) as on_progress:
            run = hwnas.search(
                table=rows,
                out=out,
                space=space,
                precisions=precisions,
                symmetric_int8=backend is not None and symmetric_int8(backend),
                data=images,
                targets=targets,
                algorithm=algorithm,
                inner=inner,
                trials=trials,
                limits=limits,
                min_accuracy=accuracy_of(min_accuracy),
                seed=seed,
                recipe=training,
                missing=policy,
                meter=meter_of(family, rows, backend) if measure else None,
                evaluator=evaluator,
                supernet_epochs=supernet_epochs,
                halving=halving,
                learn_from=learn_from,
                executor=where,
                attempts=attempts,
                storage=storage,
                warm_start=warm_start,
                devices=several,
                on_progress=on_progress,
            )
    except KeyboardInterrupt:
        tracking.close()
        say(f"Stopped. Every finished trial is kept in {out}, the front so far in {out / 'front.csv'}.")
        raise
    failures = export_winners(run, meter_of(run.family, run.table, backend))
    page = hwnas.report(run)
    tracking.winners(run, cards_of(run), [page, run.folder / "front.csv"])
    render({**_found(run, page), **offered}, lambda: front_parts(run, page), as_json=as_json)
    _require_winners(run, failures)


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _require_winners(run: Run, failures: Sequence[Exception]) -> None:
    """Ends a search without winners, or with some that are not what was promised, with a status that says so.

    Raises:
        InfeasibleError: No network has the accuracy that was asked for.
        VerificationError: The first of the failures.
    """
    run.require_winners()
    if failures:
        raise failures[0]


def _require_names(
    targets: Sequence[str],
    *,
    algorithm: str,
    inner: str | None,
    evaluator: str,
    missing: str,
    train_on: str,
    accuracy: str | None,
) -> None:
    """Refuses names that nobody knows and what is no accuracy, before anything is read or measured."""
    from hwnas.evaluators import require_evaluator
    from hwnas.objectives import objectives
    from hwnas.study.one_shot import require_searcher
    from hwnas.training import TRAINING_DEVICES

    objectives(targets)
    require_policy(missing)
    require_searcher(algorithm, inner)
    require_evaluator(evaluator)
    require_one_of(train_on, TRAINING_DEVICES, option="--train-on")
    accuracy_of(accuracy)


def _require_energy(out: Path, table: str | None) -> None:
    """Refuses a cost that no table made in passing tells."""
    if table is None and not (out / "run.json").exists():
        message = "energy is known from a table alone: make one with `hwnas profile --energy` and name it with --table"
        raise typer.BadParameter(message, param_hint="--target energy")


def _require_places(out: Path, *, storage: str | None, warm_start: str | None) -> None:
    """Checks where trials are kept and where they begin; a run that is there has begun."""
    from hwnas.study.storage import require_url
    from hwnas.study.warming import require_source

    if storage is not None:
        require_url(storage)
    if warm_start is not None and not (out / "run.json").exists():
        require_source(warm_start)


def _found(run: Run, page: Path) -> dict[str, Any]:
    """What a search found, as JSON values."""
    found = {"run": str(run.folder), "front": front_rows(run), "winners": cards_of(run), "report": str(page)}
    if run.settings.other_devices:
        found["fronts"] = device_rows(run)
    if failed := failed_rows(run):
        found["failed"] = failed
    if run.settings.halving is not None:
        found["halving"] = halving_row(run)
    if run.warm is not None:
        found["warm_start"] = run.warm.to_json()
    return found


def _preview(found: Feasibility, *, hit: str | None, as_json: bool) -> None:
    """Shows how far a space reaches and what limits leave of it; impossible ones are refused, after that.

    Raises:
        InfeasibleError: No architecture satisfies them.
    """
    render(found.to_json(), lambda: feasibility_parts(found), as_json=as_json)
    require_possible(found, hit=hit)


def _said_before(look: Callable[..., Feasibility], *, hit: str | None) -> dict[str, Any]:
    """Shows what limits leave of a space, as the beginning of the result; refuses impossible ones.

    Raises:
        InfeasibleError: No architecture satisfies them.
    """
    found = look(also=())
    require_possible(found, hit=hit)
    told = found.to_json()
    if form.get() == "json":
        note({"stage": "feasibility", **told})
    else:
        for part in feasibility_parts(found):
            stderr().print(part)
    return {"feasibility": told}
