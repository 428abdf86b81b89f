"""The command line: parse, call one function of a library, render.

This is the only place where ``hwnas`` and ``profilers`` meet: the commands that need a device stand here, the others,
and what all of them share, in ``hwnas.commands``. Heavy imports stand inside the commands, so that ``--help`` answers
at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from hwnas.commands.adapting import adapt, choose
from hwnas.commands.benching import bench
from hwnas.commands.comparing import compare
from hwnas.commands.devices import DeviceNames, UnseenNames, device_rows, devices_of
from hwnas.commands.endings import ended
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
from hwnas.commands.export_options import (
    Bundle,
    BundleFolder,
    DynamicBatch,
    ExportPrecision,
    ForceFolder,
    MaxDrop,
    Opset,
    Pick,
    Tiers,
    Tolerance,
)
from hwnas.commands.exporting import carry_out, plan_export, settled
from hwnas.commands.options import (
    AsJson,
    Data,
    Device,
    Force,
    InputShapes,
    MissingRows,
    OtherDevice,
    OutFile,
    SearchPrecision,
    Space,
    Trackers,
    batches_of,
    cpus_of,
    images_of,
    require_new,
    require_no_model_options,
    require_one_of,
    shapes_of,
    text_of,
    values_of,
    words_of,
)
from hwnas.commands.predictions import about_place, cure_for_rows, evaluation_parts, family_of, prediction_parts
from hwnas.commands.previews import feasibility_parts, limits_of
from hwnas.commands.printing import form, many, note, render, say, stderr
from hwnas.commands.profile_words import diagnosis_parts, model_parts, space_parts
from hwnas.commands.progress import ProgressForm, profile_progress
from hwnas.commands.reporting import report
from hwnas.commands.search_progress import search_progress
from hwnas.commands.systems import systems
from hwnas.commands.tables import table_app
from hwnas.commands.verifying import (
    Against,
    OutputTolerance,
    SampleData,
    SampleFile,
    require_verified,
    samples_of,
    verification_text,
)
from hwnas.commands.winners import cards_of, export_winners, front_parts, front_rows, halving_row

if TYPE_CHECKING:
    from hwnas.core import Architecture
    from hwnas.exports.verification.verifying import LatencyPromise
    from hwnas.networks import NetworkFamily
    from hwnas.predictors import Evaluation
    from hwnas.study import EvaluationPlan, Run
    from latency_tables import LatencyTable
    from profilers import Backend, CampaignSettings, DeviceEngines, DeviceMeter

MEASURE = "measure"  # the policy for missing rows that no predictor can follow: it needs the device
TABLES = Path("hwnas-tables")  # where tables go that nobody gave a name

app = typer.Typer(
    name="hwnas",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=(
        "Hardware-aware neural architecture search: profile a device, search on it, take home verified ONNX.\n\n"
        "Exit status: 0 done, 1 a fault or stopped, 2 wrong usage or an infeasible limit, 3 something is missing on "
        "this machine, 4 an exported network or a prediction failed its checks. Add --debug to any command for the "
        "traceback of an error."
    ),
)
predictor_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Predict latencies on a device without a table, or say how good predictions are.",
)
app.add_typer(table_app, name="table")
app.add_typer(predictor_app, name="predictor")


@app.command()
def profile(  # noqa: PLR0913, PLR0917  (each parameter is an option of the command)
    model: Annotated[Path | None, typer.Argument(help="An ONNX model; without one, what the space needs.")] = None,
    device: Device = "auto",
    backend: Annotated[str | None, typer.Option(help="Runtime to measure with; `hwnas doctor` lists them.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The table's file; for a space, by default under hwnas-tables/.")
    ] = None,
    space: Space = "mobilenet",
    data: Annotated[
        str | None, typer.Option(help="Data the networks are for: fixes channels and classes; else the space's usual.")
    ] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="fp32, fp16, bf16 or int8; several with commas. The model is converted.")
    ] = None,
    batch: Annotated[list[str] | None, typer.Option(help="Images a run; several with commas: 1,8.")] = None,
    shape: InputShapes = None,
    value: Annotated[
        list[str] | None, typer.Option(help="NAME=10 for an input that says how much is computed. May be repeated.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the runtime.")] = 1,
    affinity: Annotated[str | None, typer.Option(help="Logical CPUs to stay on, for example 0,1.")] = None,
    method: Annotated[
        str | None, typer.Option(help="isolated, in-place or blocks; by default what suits the backend.")
    ] = None,
    steps: Annotated[bool, typer.Option(help="Probe the steps in which kernels grow with their channels.")] = True,
    energy: Annotated[
        bool, typer.Option("--energy", help="Measure the energy of whole networks, where the device can.")
    ] = False,
    lock_clocks: Annotated[
        bool, typer.Option("--lock-clocks", help="Hold the GPU's clock while measuring; given back in any case.")
    ] = False,
    cuda_graph: Annotated[bool, typer.Option("--cuda-graph", help="Replay runs on a GPU from a CUDA graph.")] = False,
    include_io: Annotated[bool, typer.Option("--include-io", help="Count copies to and from the GPU.")] = False,
    progress: ProgressForm = "auto",
    as_json: AsJson = False,
) -> None:
    """Time the kernels that a space needs, or those of one ONNX model, and write a latency table."""
    import profilers
    from profilers.device import require_threads
    from profilers.devices import locked_clocks

    precisions, batches = (
        profilers.require_precisions(["fp32"] if precision is None else words_of(precision)),
        batches_of(batch),
    )
    if method is not None:
        require_one_of(method, profilers.METHODS, option="--method")
    require_threads(threads)
    settings = profilers.BackendSettings(
        threads=threads, affinity=cpus_of(affinity), cuda_graph=cuda_graph, include_io=include_io
    )
    runtime = profilers.open_device(device, backend=backend, settings=settings)
    with ExitStack() as held:
        if lock_clocks:  # a clock is not changed while another process measures
            held.enter_context(profilers.device_lease(runtime))
        lock = held.enter_context(locked_clocks(runtime.device)) if lock_clocks else None
        campaign = profilers.CampaignSettings(
            space=space,
            precisions=precisions,
            method=cast("Any", method),
            steps=steps,
            energy=energy,
            clock_lock=lock,
        )
        if model is not None:
            _profile_one(
                model,
                runtime,
                campaign,
                inputs={"shapes": shapes_of(shape), "values": values_of(value)},
                batches=batches if batch else [],
                out=out,
                as_json=as_json,
            )
        else:
            require_no_model_options(shape, value)
            _profile_space(space, data, runtime, campaign, batches=batches, out=out, as_json=as_json)


@app.command()
def search(  # noqa: PLR0913, PLR0917  (each parameter is an option of the command)
    target: Annotated[
        list[str] | None,
        typer.Option(help="Cost to trade: latency, flops, macs, params, memory, energy. May be repeated."),
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
    max_latency: Annotated[str | None, typer.Option(help="Limit, for example 5ms or 300us.")] = None,
    min_latency: Annotated[
        str | None, typer.Option(help="What it has to be at least: with --max-latency the band of a tier.")
    ] = None,
    hit_latency: Annotated[
        str | None, typer.Option(help="What it has to be within 2 %, for example 8ms, in place of the two.")
    ] = None,
    max_params: Annotated[str | None, typer.Option(help="Limit, for example 1M or 300k.")] = None,
    max_flops: Annotated[str | None, typer.Option(help="Limit, for example 20M; one MAC is two FLOPs.")] = None,
    max_macs: Annotated[str | None, typer.Option(help="Limit, for example 10M.")] = None,
    max_memory: Annotated[str | None, typer.Option(help="Limit on weights and activations, for example 2MiB.")] = None,
    max_energy: Annotated[str | None, typer.Option(help="Limit on a run's energy, for example 20mJ.")] = None,
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
    from hwnas.evaluators import require_table
    from hwnas.study.halving import require_halving
    from hwnas.study.lessons import lessons, require_lessons
    from hwnas.study.precisions import require_precisions
    from hwnas.trackers import Tracking, require_trackers
    from hwnas.training import device_of, preset
    from profilers.backends.contract import symmetric_int8

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # its remarks on opening a study would break the display
    targets = target or ["latency"]
    _require_names(targets, algorithm=algorithm, inner=inner, evaluator=evaluator, missing=missing, train_on=train_on)
    trackers = require_trackers(words_of(tracker or []))
    given = {"epochs": epochs, "channels_last": channels_last}
    training = preset(recipe, device=train_on, **{name: value for name, value in given.items() if value is not None})
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
    require_table(evaluator, space=family.space.name, data=images.name)  # refused now, and not after a table is made
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
    rows, backend = _table_for(
        out, family, device=device, table=table, other=allow_other_device, grow=missing == MEASURE
    )
    if preview:
        _preview(family, rows, limits, missing=policy, as_json=as_json)
        return
    offered = _said_before(family, rows, limits, missing=policy)
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
                seed=seed,
                recipe=training,
                missing=policy,
                meter=_meter(family, rows, backend) if measure else None,
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
    failures = export_winners(run, _meter(run.family, run.table, backend))
    page = hwnas.report(run)
    tracking.winners(run, cards_of(run), [page, run.folder / "front.csv"])
    render({**_found(run, page), **offered}, lambda: front_parts(run, page), as_json=as_json)
    if failures:
        raise failures[0]


def _require_names(
    targets: Sequence[str], *, algorithm: str, inner: str | None, evaluator: str, missing: str, train_on: str
) -> None:
    """Refuses names that nobody knows, before anything is read or measured."""
    from hwnas.evaluators import require_evaluator
    from hwnas.objectives import objectives
    from hwnas.study.one_shot import require_searcher
    from hwnas.training import TRAINING_DEVICES

    objectives(targets)
    require_one_of(missing, (*_missing_policies(), MEASURE), option="--missing")
    require_searcher(algorithm, inner)
    require_evaluator(evaluator)
    require_one_of(train_on, TRAINING_DEVICES, option="--train-on")


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
    if run.settings.halving is not None:
        found["halving"] = halving_row(run)
    if run.warm is not None:
        found["warm_start"] = run.warm.to_json()
    return found


def _preview(
    family: NetworkFamily, table: LatencyTable, limits: Mapping[str, float], *, missing: Any, as_json: bool
) -> None:
    """Shows how far a space reaches and what limits leave of it; impossible ones are refused, after that.

    Raises:
        InfeasibleError: No architecture satisfies them.
    """
    from hwnas.study import preview as preview_of

    found = preview_of(family, table=table, limits=limits, missing=missing)
    render(found.to_json(), lambda: feasibility_parts(found), as_json=as_json)
    found.require()


def _said_before(
    family: NetworkFamily, table: LatencyTable, limits: Mapping[str, float], *, missing: Any
) -> dict[str, Any]:
    """Shows what limits leave of a space where there are any, as the beginning of the result; refuses impossible ones.

    Raises:
        InfeasibleError: No architecture satisfies them.
    """
    from hwnas.study import preview as preview_of

    if not limits:
        return {}
    found = preview_of(family, table=table, limits=limits, also=(), missing=missing)
    found.require()
    told = found.to_json()
    if form.get() == "json":
        note({"stage": "feasibility", **told})
    else:
        for part in feasibility_parts(found):
            stderr().print(part)
    return {"feasibility": told}


@app.command()
def predict(  # noqa: PLR0913, PLR0917  (each parameter is an option of the command)
    network: Annotated[
        str, typer.Argument(help="A .onnx file, an architecture as JSON or of nasbench201, or with --run a trial.")
    ],
    table: Annotated[
        str | None, typer.Option(help="Latency table: a file or a shipped one's name; by default the run's.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="A run folder: NETWORK is knee, fastest, best, an id or a number.")
    ] = None,
    space: Annotated[str | None, typer.Option(help="Search space of the architecture; by default the table's.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Data the network is for: fixes channels and classes; else the space's usual.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, max=4096, help="Images a run; by default 1.")] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="fp32, fp16, bf16 or int8; by default what a search chose for a trial, or fp32."),
    ] = None,
    shape: InputShapes = None,
    missing: MissingRows = "error",
    allow_other_device: OtherDevice = False,
    progress: ProgressForm = "auto",
    as_json: AsJson = False,
) -> None:
    """Predict the latency of a network from a table, with its breakdown; nothing is measured unless asked for."""
    from profilers import require_precisions

    require_precisions(["fp32" if precision is None else precision])
    require_one_of(missing, (*_missing_policies(), MEASURE), option="--missing")
    if run is None and table is None:
        raise typer.BadParameter("expected a latency table: a file, or a shipped one's name", param_hint="--table")
    asked = _Asked(network, table, run, space, data, batch, precision, missing, other=allow_other_device)
    if network.endswith(".onnx"):
        found = _predict_model(asked, shapes_of(shape))
    elif shape:
        raise typer.BadParameter("shapes are for the inputs of an ONNX model", param_hint="--shape")
    else:
        found = _predict_architecture(asked)
    render(found, lambda: prediction_parts(found), as_json=as_json)


@dataclass(frozen=True)
class _Asked:
    """The options of a prediction."""

    network: str
    table: str | None
    run: Path | None
    space: str | None
    data: str | None
    batch: int | None
    chosen: str | None
    missing: str
    other: bool

    @property
    def precision(self) -> str:
        """The one asked for, or fp32."""
        return self.chosen or "fp32"

    @property
    def policy(self) -> Any:
        """What the predictor is to do; what is to be measured has been by then."""
        return "error" if self.missing == MEASURE else self.missing


@app.command()
def export(  # noqa: PLR0913, PLR0917  (each parameter is an option of the command)
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    pick: Pick = "knee",
    latency_tolerance: Tolerance = 0.25,
    precision: ExportPrecision = None,
    max_drop: MaxDrop = None,
    dynamic_batch: DynamicBatch = False,
    opset: Opset = None,
    bundle: Bundle = False,
    tiers: Tiers = None,
    out: BundleFolder = None,
    force: ForceFolder = False,
    allow_other_device: OtherDevice = False,
    progress: ProgressForm = "auto",
    as_json: AsJson = False,
) -> None:
    """Train a candidate fully and hand it over as verified ONNX, its latency measured again."""
    import hwnas
    from hwnas.exports import ExportSettings
    from hwnas.spaces import precision_of
    from profilers.backends.contract import symmetric_int8

    settings = ExportSettings(precision=precision, max_drop=max_drop, dynamic_batch=dynamic_batch, opset=opset)
    opened = hwnas.open_run(run)
    plan = plan_export(opened, pick, tiers=tiers, bundle=bundle, out=out, force=force, settings=settings)
    backend = None if allow_other_device else _backend_of(opened.table)
    if backend is not None:
        for network in plan.networks.values():
            _require_arithmetic(backend, opened.family, network, precision or precision_of(network))
        settings = replace(settings, symmetric=symmetric_int8(backend))
    meter = _meter(opened.family, opened.table, backend)
    plan = settled(plan, meter, settings)
    result, text, failures = carry_out(
        plan, meter=meter, engines=_engines(backend), tolerance=latency_tolerance, settings=settings
    )
    render(result, text, as_json=as_json)
    if failures:
        raise failures[0]


def _require_arithmetic(backend: Backend, family: NetworkFamily, architecture: Architecture, precision: str) -> None:
    """Refuses, before anything is trained, a precision that the device computes nothing in.

    Raises:
        MachineError: It does not.
    """
    from hwnas.core import MachineError
    from hwnas.spaces import without_precision
    from profilers.inspection import computes_in

    if precision == "fp32":
        return
    plain = family.at(batch=1, precision="fp32").workload(without_precision(architecture))
    if not computes_in(backend, plain, precision):
        raise MachineError(
            f"{backend.name} on this {backend.device} computes nothing of the network in {precision}: choose another "
            "--precision, or, for another device, give --allow-other-device; nothing is measured then"
        )


@app.command()
def verify(  # noqa: PLR0913, PLR0917  (each parameter is an option of the command)
    model: Annotated[Path, typer.Argument(help="The .onnx file, wherever it is from.")],
    against: Against = None,
    data: SampleData = None,
    samples: SampleFile = None,
    tolerance: OutputTolerance = None,
    device: Annotated[str | None, typer.Option(help="Measure its latency on auto, cpu or gpu.")] = None,
    table: Annotated[
        str | None, typer.Option(help="Latency table: measure on its device, against what it predicts.")
    ] = None,
    latency_tolerance: Tolerance = 0.25,
    as_json: AsJson = False,
) -> None:
    """Check an ONNX model: soundness, outputs against a reference, every provider, batches, latency."""
    from hwnas.exports import verify as verified

    found = verified(
        model,
        against=against,
        samples=samples_of(model, data, samples),
        tolerance=tolerance,
        promise=_promise(model, device, table, latency_tolerance),
    )
    render(found.to_json(), lambda: verification_text(found), as_json=as_json)
    require_verified(found)


def _promise(model: Path, device: str | None, table: str | None, tolerance: float) -> LatencyPromise | None:
    """How the latency of a model is to be judged; ``None`` where neither a device nor a table was named."""
    from hwnas.exports.verification.verifying import LatencyPromise
    from latency_tables import MissingRowError, read_table, resolve
    from profilers import DeviceMeter, open_device

    if table is None:
        return None if device is None else LatencyPromise(meter=DeviceMeter(backend=open_device(device)))
    backend = _backend_of(read_table(resolve(table)), device=device or "auto", override=None)
    asked = _Asked(str(model), table, None, None, None, None, "fp32", "error", other=False)
    meter = DeviceMeter(backend=backend)
    try:
        predicted_ms = float(_predict_model(asked, {})["latency_ms"])
    except MissingRowError as error:
        return LatencyPromise(meter=meter, why_not=f"the table holds no {error.kind} {error.missing[0]}")
    return LatencyPromise(meter=meter, predicted_ms=predicted_ms, tolerance=tolerance)


app.command("report")(report)
app.command("compare")(compare)
app.command("bench")(bench)
app.command("systems")(systems)


@table_app.command("recover")
def table_recover(
    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="The .partial file that the campaign left.")],
    out: OutFile,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Make a table of what an unfinished campaign has measured, where its device is gone and it cannot go on."""
    from latency_tables import table_sha256, write_table
    from profilers import recover

    require_new(out, force=force)
    table = recover(journal)
    write_table(table, out)
    counts = {kind: len(held) for kind, held in table.by_kind().items()}
    unmeasured = table.manifest.conditions["unmeasured"]
    lacking = len(unmeasured) if isinstance(unmeasured, dict) else 0
    noisy = sum(row.timing.noise == "noisy" for row in table.kernels.values())
    result = {"table": str(out), "rows": counts, "unmeasured": lacking, "noisy_kernels": noisy}
    told = f"{out}: {many(counts['kernel'], 'kernel')}, {noisy} of them noisy; {lacking} were not measured."
    render(result | {"sha256": table_sha256(table)}, told, as_json=as_json)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine has, which devices really work, and whether it is fit to measure."""
    from profilers import examine

    found = examine().to_json()
    render(found, lambda: diagnosis_parts(found), as_json=as_json)


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        import hwnas

        typer.echo(hwnas.__version__)
        raise typer.Exit


def _table_for(
    out: Path, family: NetworkFamily, *, device: str, table: str | None, other: bool, grow: bool
) -> tuple[LatencyTable, Backend | None]:
    """The table to search with: the run's own, the one given, or one made now; and what measures on its device.

    With ``grow``, what a given table lacks of the space is measured into it first.
    """
    from latency_tables import read_table, resolve
    from profilers import CampaignSettings, open_device

    recorded = out / "latency_table.jsonl" if (out / "run.json").exists() else None
    source = resolve(table) if table else recorded
    precisions = tuple(family.members) or (family.precision,)
    if source is None:
        backend = open_device(device)
        for precision in precisions:
            _require_arithmetic(backend, family, family.covering()[0], precision)
        settings = CampaignSettings(space=family.space.name, precisions=precisions)
        return _profile(family, backend, _default_table(backend, family), settings=settings), backend
    rows = read_table(source)
    if other and not grow:
        return rows, None
    backend = _backend_of(rows, device=device)
    for precision in precisions if grow and table else ():
        needed, wanted = family.workloads(), family.at(batch=1, precision=precision)
        known = [rows.blocks.keys() >= set(wanted.block_keys(one.architecture)) for one in needed]
        lacking = [one for one, there in zip(needed, known, strict=True) if not there]
        rows = _grown(Path(source), lacking, backend, precision=precision, other=other) if lacking else rows
    return rows, backend


def _backend_of(table: LatencyTable, *, device: str = "auto", override: str | None = "--allow-other-device") -> Backend:
    """What measures on the device of a table; refuses when that device is not here."""
    from profilers import open_device_of

    backend = open_device_of(table.manifest, device=device)
    table.require_fingerprint(backend.fingerprint(), override=override)
    return backend


def _default_table(backend: Backend, family: NetworkFamily) -> Path:
    """One file for each device setting and space, so that a table is made once and found again."""
    from latency_tables import fingerprint_sha256

    setting = fingerprint_sha256(backend.fingerprint())[:8]
    return TABLES / f"{backend.device}-{family.space.name.replace(':', '-')}-{setting}.jsonl"


def _profile(
    family: NetworkFamily,
    backend: Backend,
    path: Path,
    *,
    settings: CampaignSettings | None = None,
    batches: Sequence[int] = (1,),
) -> LatencyTable:
    """Measures what a space needs into a table, at every batch and precision."""
    import profilers

    at = [family.at(batch=batch, precision="fp32") for batch in batches]
    with profile_progress(path) as on_progress:
        return profilers.profile(
            [workload for one in at for workload in one.workloads()],
            [workload for one in at for workload in one.references()],
            backend=backend,
            out=path,
            settings=settings or profilers.CampaignSettings(space=family.space.name),
            on_progress=on_progress,
        )


def _profile_space(
    space: str,
    data: str | None,
    backend: Backend,
    settings: CampaignSettings,
    *,
    batches: Sequence[int],
    out: Path | None,
    as_json: bool,
) -> None:

    from hwnas.networks import network_family
    from latency_tables import alignment, table_sha256

    channels = classes = None
    if data:
        from hwnas.training import load_data  # with torch, which a device that only measures can do without

        images = load_data(data)
        channels, classes = images.channels, images.classes
    family = network_family(space, channels=channels, classes=classes)
    path = out or _default_table(backend, family)
    table = _profile(family, backend, path, settings=replace(settings, space=family.space.name), batches=batches)
    noisy = sum(row.timing.noise == "noisy" for row in table.kernels.values())
    result = {
        "table": str(path),
        "device": table.manifest.device,
        "device_name": table.manifest.device_name,
        "provider": table.manifest.provider,
        "kernels": len(table.kernels),
        "noisy_kernels": noisy,
        "networks": len(table.networks),
        "settings": [
            _judge_setting(table, family, backend, batch=batch, precision=precision)
            for batch in batches
            for precision in settings.precisions
        ],
        "steps": {row.key: row.step for row in table.steps.values()},
        "favoured_multiples": {row.key: alignment(row.widths, row.latency_ms) for row in table.steps.values()},
        "floor_ms": {row.key: row.timing.latency_ms for row in table.floors.values()},
        "unknown": dict(table.manifest.unknown),
        "sha256": table_sha256(table),
    }
    options = f"--space {space}" + (f" --data {data}" if data else "")
    render(result, lambda: space_parts(result, table, path, options), as_json=as_json)


def _judge_setting(
    table: LatencyTable, family: NetworkFamily, backend: Backend, *, batch: int, precision: str
) -> dict[str, Any]:
    """What a table is worth at one batch and precision: its prediction error, what it covers, what fell back."""
    import numpy as np

    from hwnas.predictors import LatencyPredictor
    from profilers import converted, coverage
    from profilers.backends.contract import symmetric_int8
    from profilers.precision import fallbacks

    at = family.at(batch=batch, precision=precision)
    fit = LatencyPredictor.of(table, at).calibration
    rng = np.random.default_rng(1)
    plain = family.at(batch=batch, precision="fp32")
    drawn = [plain.workload(family.space.sample(rng)) for _ in range(_FRESH)]
    fresh = [converted(one, precision, symmetric=symmetric_int8(backend)) for one in drawn]
    operators = dict(_operators_of(table).get(precision, {}))
    nodes = [
        (name.partition(":")[0], name.partition(":")[2]) for name, count in operators.items() for _ in range(count)
    ]
    return {
        "batch": batch,
        "precision": precision,
        "prediction_error": fit.spread if fit.networks else None,
        "coverage": coverage(table, fresh, backend=backend).to_json(),
        "fallbacks": fallbacks(nodes, precision),
    }


_FRESH = 20  # networks drawn to see what a table covers


def _operators_of(table: LatencyTable) -> Mapping[str, Any]:
    """Executed operators by precision, those of later campaigns included."""
    from collections import Counter

    found: dict[str, Counter[str]] = {}
    conditions: Any = table.manifest.conditions
    for one in (conditions, *(entry["conditions"] for entry in conditions.get("extensions", []))):
        for precision, operators in (one.get("operators") or {}).items():
            found.setdefault(precision, Counter()).update(operators)
    return found


def _profile_one(
    model: Path,
    backend: Backend,
    settings: CampaignSettings,
    *,
    inputs: Mapping[str, Any],
    batches: Sequence[int],
    out: Path | None,
    as_json: bool,
) -> None:
    from latency_tables import write_table
    from profilers import CampaignError, profile_model

    if len(batches) > 1 or len(settings.precisions) > 1:
        raise CampaignError("a model is profiled at one batch and one precision: run the command once for each")
    with _new_table(out), profile_progress(model) as on_progress:
        found, table = profile_model(
            model,
            backend=backend,
            settings=settings,
            batch=batches[0] if batches else None,
            on_progress=on_progress,
            **inputs,
        )
        if out is not None:
            write_table(table, out)
    where = {"device_name": table.manifest.device_name, "runtime": f"{backend.name} {backend.version}"}
    result = {**found.to_json(), **where}
    result["unknown"] = dict(table.manifest.unknown)
    render(result, lambda: model_parts(result), as_json=as_json)


@contextmanager
def _new_table(out: Path | None) -> Iterator[None]:
    """Holds the file of a model's table while it is made; refuses one that is there, or cannot be written."""
    from latency_tables import require_writable
    from profilers import CampaignError
    from profilers.journal import exclusive

    if out is None:
        yield
        return
    refusal = CampaignError(f"{out} exists already: name another file for the model's table")
    if out.exists():
        raise refusal
    require_writable(out)
    with exclusive(out):
        if out.exists():  # another process was faster
            raise refusal
        yield


def _meter(family: NetworkFamily, table: LatencyTable, backend: Backend | None) -> DeviceMeter | None:
    """Measures beside a few of the networks that are in a table, spread over their latencies."""
    from profilers import DeviceMeter, Reference

    if backend is None:
        return None
    rows = table.networks
    held = sorted((w for w in family.references() if w.name in rows), key=lambda w: rows[w.name].timing.latency_ms)
    chosen = held[1::4]
    references = {w.name: Reference(model=w.model, latency_ms=rows[w.name].timing.latency_ms) for w in chosen}
    return DeviceMeter(backend=backend, references=references)


def _engines(backend: Backend | None) -> DeviceEngines | None:
    """What hands over the engines that were measured, where the backend compiles any."""
    from profilers import DeviceEngines
    from profilers.backends import Compiling

    return DeviceEngines(backend=backend) if isinstance(backend, Compiling) else None


def _missing_policies() -> tuple[str, ...]:
    from hwnas.predictors import MISSING

    return MISSING


def _predict_model(asked: _Asked, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """An ONNX model: the runtime of the table says what it becomes, the table what that costs."""
    import profilers
    from hwnas.predictors import LatencyPredictor, explain
    from latency_tables import read_table, resolve

    if asked.table is None:
        raise typer.BadParameter("an ONNX model is predicted from a table: leave --run out", param_hint="--table")
    path = resolve(asked.table)
    table = read_table(path)
    backend = profilers.open_device_of(table.manifest)
    if not asked.other:
        table.require_fingerprint(backend.fingerprint(), override="--allow-other-device")
    opened = profilers.open_model(Path(asked.network), precision=asked.precision, shapes=shapes, batch=asked.batch)
    place, kernels = profilers.model_kernels(
        opened, backend=backend, precision=asked.precision, method=profilers.method_of(table.manifest)
    )
    if asked.missing == MEASURE and any(key not in table.kernels for key in kernels):
        table = _grown(path, [opened.workload], backend, precision=asked.precision, other=asked.other)
    table.require_coordinates(place)
    predictor = LatencyPredictor(table, lambda _: (), coordinates=place, missing=asked.policy)
    with cure_for_rows():
        found = explain(predictor, [predictor.rows.kernel(key) for key in kernels])
    return {"network": asked.network, **about_place(table, place), **found.to_json(), "notes": list(opened.notes)}


def _predict_architecture(asked: _Asked) -> dict[str, Any]:
    """An architecture: the space says what blocks it has, the table what these cost."""
    import hwnas
    from hwnas.objectives import KnownCosts
    from hwnas.predictors import LatencyPredictor, explain
    from hwnas.spaces import precision_of, read_architecture, without_precision
    from latency_tables import read_table, resolve

    run = hwnas.open_run(asked.run) if asked.run else None
    path = resolve(asked.table) if asked.table else None
    table = read_table(path) if path else cast("Run", run).table
    space = asked.space or (None if run else table.manifest.space)
    held = family_of(run, space, asked.data)
    named = run.pick(asked.network).architecture if run else read_architecture(held.space, text_of(asked.network))
    architecture, precision = without_precision(named), asked.chosen or precision_of(named)
    family = held.at(batch=asked.batch or 1, precision=precision)
    keys = family.block_keys(architecture)
    if asked.missing == MEASURE and any(key not in table.blocks for key in keys):
        plain = family.at(batch=family.batch, precision="fp32").workload(architecture)
        table = _grown(path, [plain], _backend_of(table), precision=precision, other=asked.other)
    predictor = LatencyPredictor.of(table, family, missing=asked.policy)
    with cure_for_rows():
        found = explain(predictor, [predictor.rows.block(key) for key in keys])
    costs = KnownCosts(family, predictor, energy=predictor.energy).values([architecture])
    known = {name: float(values[0]) for name, values in costs.items() if name != "latency_ms"}
    about = {"network": named.id, "architecture": dict(named), **about_place(table, family.coordinates)}
    return {**about, **found.to_json(), "costs": known, "notes": []}


def _grown(
    path: Path | None, workloads: Sequence[Any], backend: Backend, *, precision: str, other: bool
) -> LatencyTable:
    """The table with what it lacks of some networks, measured now."""
    import profilers
    from latency_tables import read_manifest, shipped

    if path is None or any(one.path == path for one in shipped()):
        raise typer.BadParameter(
            "a run's table and those that come with hwnas are never changed: name a copy with --table",
            param_hint="--missing measure",
        )
    if other:
        raise typer.BadParameter(
            "rows of another device cannot be measured here: leave --allow-other-device out",
            param_hint="--missing measure",
        )
    manifest = read_manifest(path)
    settings = profilers.CampaignSettings(
        space=manifest.space, precisions=(precision,), method=profilers.method_of(manifest), steps=False
    )
    with profile_progress(path) as on_progress:
        return profilers.profile(workloads, [], backend=backend, out=path, settings=settings, on_progress=on_progress)


@predictor_app.command("evaluate")
def predictor_evaluate(  # noqa: PLR0913, PLR0917  (each parameter is an option of the command)
    device: Device = "auto",
    table: Annotated[
        str | None,
        typer.Option(help="Latency table: a file or a shipped one's name; by default the run's, else made first."),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="A run folder: its front is measured, and its space taken.")] = None,
    space: Annotated[str | None, typer.Option(help="Search space; by default the run's, else mobilenet.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Data the networks are for: fixes channels and classes; by default as usual.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="Images a run.")] = 1,
    precision: Annotated[str, typer.Option(help="fp32, fp16, bf16 or int8.")] = "fp32",
    networks: Annotated[int, typer.Option(min=3, help="Random networks to measure.")] = 100,
    rounds: Annotated[int, typer.Option(min=2, help="Passes over everything; more make a better truth.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same networks.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for evaluation.json and .html; by default the run's, or runs/evaluation."),
    ] = None,
    max_mape: Annotated[
        float | None, typer.Option(help="Status 4 where the mean error in a group is larger, for example 0.05.")
    ] = None,
    min_kendall: Annotated[
        float | None, typer.Option(help="Status 4 where Kendall's tau in a group is lower, for example 0.9.")
    ] = None,
    gate_on: Annotated[
        str, typer.Option(help="What these bounds hold for: table, as it stands, or session, calibrated anew.")
    ] = "table",
    progress: ProgressForm = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure networks the table has never seen, and say how far off their predictions are."""
    import hwnas
    from hwnas.core import VerificationError
    from hwnas.predictors import gates, write_evaluation
    from hwnas.reports import evaluation_page
    from hwnas.study import plan_evaluation
    from profilers import require_precisions

    require_one_of(gate_on, ("table", "session"), option="--gate-on")
    gates({}, estimate=gate_on, max_mape=max_mape, min_kendall=min_kendall)  # senseless bounds are refused at once
    require_precisions([precision])
    opened = hwnas.open_run(run) if run else None
    family = family_of(opened, space, data).at(batch=batch, precision=precision)
    folder = out or run or Path("runs/evaluation")
    folder.mkdir(parents=True, exist_ok=True)  # before anything is measured
    name, rows, backend = _table_to_judge(opened, family, device=device, table=table)
    plan = plan_evaluation(rows, family, table_name=name, run=opened, networks=networks, seed=seed)
    found = _measured(plan, backend, folder / "evaluation.json", rounds=rounds)
    bounds = gates(found.groups, estimate=gate_on, max_mape=max_mape, min_kendall=min_kendall)
    found = replace(found, gates=bounds)
    file = write_evaluation(found, folder / "evaluation.json")
    page = evaluation_page(found, folder / "evaluation.html")
    result = {**found.to_json(), "files": [str(file), str(page)]}
    render(result, lambda: evaluation_parts(found, page), as_json=as_json)
    missed = [str(gate) for gate in bounds if not gate.passed]
    if missed:
        raise VerificationError(f"{'; '.join(missed)}. All figures are in {file}")


def _table_to_judge(
    run: Run | None, family: NetworkFamily, *, device: str, table: str | None
) -> tuple[str, LatencyTable, Backend]:
    """The table given, the run's own, or one made now, with its name; and what measures on its very device."""
    from latency_tables import read_table, resolve
    from profilers import CampaignSettings, open_device

    if run is None and table is None:
        backend = open_device(device)
        path = _default_table(backend, family)
        settings = CampaignSettings(space=family.space.name, precisions=(family.precision,))
        plain = replace(family, precision="fp32")
        return str(path), _profile(plain, backend, path, settings=settings, batches=[family.batch]), backend
    if table is None and run is not None:
        name, rows = str(run.folder / "latency_table.jsonl"), run.table
    else:
        name, rows = str(table), read_table(resolve(str(table)))
    return name, rows, _backend_of(rows, device=device, override=None)


def _measured(plan: EvaluationPlan, backend: Backend, out: Path, *, rounds: int) -> Evaluation:
    """Measures what an evaluation needs, all in the same rounds, and judges the predictor by it."""
    from datetime import datetime, timezone

    from profilers import CampaignSettings, time_networks

    settings = CampaignSettings(space=plan.family.space.name, precisions=(plan.family.precision,))
    protocol = replace(settings.protocol, rounds=rounds, most_rounds=max(rounds, settings.protocol.most_rounds))
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with profile_progress(out) as on_progress:
        timed = time_networks(
            plan.workloads(),
            backend=backend,
            out=out,
            settings=replace(settings, protocol=protocol),
            on_progress=on_progress,
        )
    return plan.judge(timed, when=when, protocol=protocol.to_json())


predictor_app.command("choose")(choose)  # after evaluate: help lists commands in this order
predictor_app.command("adapt")(adapt)


def main() -> None:
    """Runs the command line; an error is one message and an exit status, its traceback only with ``--debug``."""
    sys.exit(ended(app, sys.argv[1:]))


if __name__ == "__main__":
    main()
