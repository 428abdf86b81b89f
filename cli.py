"""The command line: parse, call one function of a library, render.

This is the only place where ``hwnas`` and ``profilers`` meet. Heavy imports stand inside the commands, so that
``--help`` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

if TYPE_CHECKING:
    from hwnas.networks import NetworkFamily
    from hwnas.predictors import Evaluation
    from hwnas.study import EvaluationPlan, Run, SearchProgress
    from latency_tables import LatencyTable
    from profilers import Backend, CampaignSettings, DeviceMeter, Diagnosis, Progress

EXIT_FAULT, EXIT_USAGE, EXIT_ENVIRONMENT = 1, 2, 3
INTERRUPTED = 130  # what newer versions of typer turn Ctrl-C into; here it is a fault like any other end before the end
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

Device = Annotated[str, typer.Option(help="auto, cpu or gpu; auto takes the GPU where one is usable.")]
Space = Annotated[
    str,
    typer.Option(help="Search space: mobilenet (the same as mobilenet:small), mobilenet:tiny, :ofa, or nasbench201."),
]
Data = Annotated[str, typer.Option(help="digits, fashion-mnist, cifar10, PATH.npz or a folder of images by class.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
OtherDevice = Annotated[
    bool,
    typer.Option("--allow-other-device", help="Accept a table of another machine; nothing is measured here then."),
]

MissingRows = Annotated[
    str,
    typer.Option(
        "--missing",
        help="Where the table lacks a row: error, step (take the end of its step of channels), regress (learn it from "
        "rows of its kind), or measure, which adds it to the table.",
    ),
]


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
    shape: Annotated[
        list[str] | None, typer.Option(help="NAME=1x3x224x224 for a model's input of open size. May be repeated.")
    ] = None,
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
    as_json: AsJson = False,
) -> None:
    """Time the kernels that a space needs, or those of one ONNX model, and write a latency table."""
    import profilers
    from profilers.device import require_threads
    from profilers.devices import locked_clocks

    precisions, batches = (
        profilers.require_precisions(["fp32"] if precision is None else _words(precision)),
        _batches(batch),
    )
    if method is not None:
        _require_one_of(method, profilers.METHODS, option="--method")
    require_threads(threads)
    settings = profilers.BackendSettings(
        threads=threads, affinity=_cpus(affinity), cuda_graph=cuda_graph, include_io=include_io
    )
    runtime = profilers.open_device(device, backend=backend, settings=settings)
    with ExitStack() as held:
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
                inputs={"shapes": _shapes(shape), "values": _values(value)},
                batches=batches if batch else [],
                out=out,
                as_json=as_json,
            )
        else:
            _require_no_model_options(shape, value)
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
    data: Data = "digits",
    algorithm: Annotated[str, typer.Option(help="lamoo, mutation or random.")] = "lamoo",
    trials: Annotated[int, typer.Option(min=1, help="Architectures to train.")] = 24,
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over the data for each; the winners get twice as many.")
    ] = 6,
    max_latency: Annotated[str | None, typer.Option(help="Limit, for example 5ms or 300us.")] = None,
    max_params: Annotated[str | None, typer.Option(help="Limit, for example 1M or 300k.")] = None,
    max_flops: Annotated[str | None, typer.Option(help="Limit, for example 20M; one MAC is two FLOPs.")] = None,
    max_macs: Annotated[str | None, typer.Option(help="Limit, for example 10M.")] = None,
    max_memory: Annotated[str | None, typer.Option(help="Limit on weights and activations, for example 2MiB.")] = None,
    max_energy: Annotated[str | None, typer.Option(help="Limit on a run's energy, for example 20mJ.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same trials.")] = 0,
    device: Device = "auto",
    table: Annotated[
        str | None, typer.Option(help="Latency table: a file or a shipped one's name; made first where none is given.")
    ] = None,
    allow_other_device: OtherDevice = False,
    missing: MissingRows = "error",
    measure: Annotated[
        bool,
        typer.Option(help="Measure candidates of which a limit or the front hangs on the error of the prediction."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Search for the networks that are best on a device, export the winners and write the report."""
    import optuna

    import hwnas
    from hwnas.objectives import COSTS, objectives, parse_quantity
    from hwnas.searchers import require_algorithm
    from hwnas.training import Recipe

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # its remarks on opening a study would break the display
    targets = target or ["latency"]
    objectives(targets)
    _require_one_of(missing, (*_missing_policies(), MEASURE), option="--missing")
    require_algorithm(algorithm)
    given = {
        "latency": max_latency,
        "params": max_params,
        "flops": max_flops,
        "macs": max_macs,
        "memory": max_memory,
        "energy": max_energy,
    }
    limits = {
        COSTS[name].name: parse_quantity(text, unit=COSTS[name].unit)
        for name, text in given.items()
        if text is not None
    }
    if table is None and not (out / "run.json").exists() and ("energy" in targets or max_energy):
        message = "energy is known from a table alone: make one with `hwnas profile --energy` and name it with --table"
        raise typer.BadParameter(message, param_hint="--target energy")
    images = hwnas.load_data(data)
    family = hwnas.network_family(space, channels=images.channels, classes=images.classes)
    rows, backend = _table_for(
        out, family, device=device, table=table, other=allow_other_device, grow=missing == MEASURE
    )
    try:
        with _search_progress() as on_progress:
            run = hwnas.search(
                table=rows,
                out=out,
                space=space,
                data=data,
                targets=targets,
                algorithm=algorithm,
                trials=trials,
                limits=limits,
                seed=seed,
                recipe=Recipe(epochs=epochs),
                missing=cast("Any", "error" if missing == MEASURE else missing),
                meter=_meter(family, rows, backend) if measure else None,
                on_progress=on_progress,
            )
    except KeyboardInterrupt:
        _say(f"Stopped. Every finished trial is kept in {out}, the front so far in {out / 'front.csv'}.")
        raise
    failures = _export_winners(run, backend)
    page = hwnas.report(run)
    result = {"run": str(out), "front": _front_rows(run), "winners": _cards(run), "report": str(page)}
    _render(result, lambda: _front_table(run, page), as_json=as_json)
    if failures:
        raise failures[0]


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
    precision: Annotated[str, typer.Option(help="fp32, fp16, bf16 or int8.")] = "fp32",
    shape: Annotated[
        list[str] | None, typer.Option(help="NAME=1x3x224x224 for a model's input of open size. May be repeated.")
    ] = None,
    missing: MissingRows = "error",
    allow_other_device: OtherDevice = False,
    as_json: AsJson = False,
) -> None:
    """Predict the latency of a network from a table, with its breakdown; nothing is measured unless asked for."""
    from profilers import require_precisions

    require_precisions([precision])
    _require_one_of(missing, (*_missing_policies(), MEASURE), option="--missing")
    if run is None and table is None:
        raise typer.BadParameter("expected a latency table: a file, or a shipped one's name", param_hint="--table")
    asked = _Asked(network, table, run, space, data, batch, precision, missing, other=allow_other_device)
    if network.endswith(".onnx"):
        found = _predict_model(asked, _shapes(shape))
    elif shape:
        raise typer.BadParameter("shapes are for the inputs of an ONNX model", param_hint="--shape")
    else:
        found = _predict_architecture(asked)
    _render(found, lambda: _prediction_parts(found), as_json=as_json)


@dataclass(frozen=True)
class _Asked:
    """The options of a prediction."""

    network: str
    table: str | None
    run: Path | None
    space: str | None
    data: str | None
    batch: int | None
    precision: str
    missing: str
    other: bool

    @property
    def policy(self) -> Any:
        """What the predictor is to do; what is to be measured has been by then."""
        return "error" if self.missing == MEASURE else self.missing


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    pick: Annotated[str, typer.Option(help="knee, fastest, best, an architecture's id or a trial's number.")] = "knee",
    latency_tolerance: Annotated[
        float, typer.Option(min=0.01, help="How far measured and predicted latency may be apart, relative.")
    ] = 0.25,
    allow_other_device: OtherDevice = False,
    as_json: AsJson = False,
) -> None:
    """Train a candidate fully and hand it over as verified ONNX, its latency measured again."""
    import hwnas

    opened = hwnas.open_run(run)
    opened.pick(pick)
    meter = _meter(opened.family, opened.table, None if allow_other_device else _backend_of(opened.table))
    with _spinner(f"exporting {pick}") as on_step:
        done = _export_one(opened, pick, meter, on_step, tolerance=latency_tolerance)
    _render({"model": str(done.model), **done.card}, lambda: _card_text(done.model, done.card), as_json=as_json)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="The run folder.")], as_json: AsJson = False) -> None:
    """Write the report of a run: one page that works offline."""
    import hwnas

    page = hwnas.report(hwnas.open_run(run))
    _render({"report": str(page)}, f"{page}", as_json=as_json)


@app.command("bench")
def bench_command(  # noqa: PLR0913, PLR0917  (each parameter is an option of the command)
    problem: Annotated[str, typer.Argument(help="nasbench201, ofa, macro, accel, branin-currin, …: see --list.")] = "",
    algorithms: Annotated[
        list[str] | None, typer.Option(help="Names with commas: lamoo,mutation,lamoo+random. By default lamoo.")
    ] = None,
    inner: Annotated[
        list[str] | None,
        typer.Option(help="Inner searchers: algorithms named without one are run with each of these."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of every algorithm, with the seeds 0, 1, ….")] = 20,
    evaluations: Annotated[int, typer.Option(help="Architectures evaluated in a run.")] = 200,
    batch: Annotated[int, typer.Option(help="Architectures proposed at a time.")] = 5,
    initial: Annotated[int, typer.Option(help="Random first designs, the same for all algorithms.")] = 10,
    black_box: Annotated[
        bool, typer.Option("--black-box", help="Hide the costs that are known exactly from the searchers.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="The folder; the same command goes on with it. By default under runs/bench.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes, each with one thread.")] = 1,
    list_problems: Annotated[bool, typer.Option("--list", help="List the problems and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare search algorithms on a published benchmark: curves, evaluations to a level, sign tests, times."""
    from hwnas.bench import PROBLEMS, BenchSettings, bench, summarize, to_json, write_figures
    from hwnas.reports import bench_page

    if list_problems:
        _render({"problems": list(PROBLEMS)}, "\n".join(PROBLEMS), as_json=as_json)
        return
    if not problem:
        raise typer.BadParameter("expected a problem; `hwnas bench --list` names them", param_hint="PROBLEM")
    settings = BenchSettings(
        problem=problem, evaluations=evaluations, batch=batch, initial=initial, black_box=black_box
    )
    names = _with_inner(_words(algorithms) or ["lamoo"], _words(inner))
    folder = out or Path("runs", "bench", problem.replace(":", "-") + ("-black-box" if black_box else ""))
    with _bench_progress(problem) as on_progress:
        done = bench(settings, algorithms=names, seeds=seeds, out=folder, jobs=jobs, on_progress=on_progress)
    summary = summarize(done)
    write_figures(summary, folder)
    page = bench_page(summary, folder / "bench.html")
    _render({**to_json(summary), "page": str(page)}, lambda: _bench_parts(summary, page), as_json=as_json)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine has, which devices really work, and whether it is fit to measure."""
    from profilers import examine

    diagnosis = examine()
    _render(diagnosis.to_json(), lambda: _diagnosis_table(diagnosis), as_json=as_json)


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        import hwnas

        typer.echo(hwnas.__version__)
        raise typer.Exit


def main() -> None:
    """Runs the command line; an error is one message and an exit status, its traceback only with ``--debug``."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments or bool(os.environ.get("HWNAS_DEBUG"))
    status = EXIT_FAULT
    try:
        status = _parse_and_run([word for word in arguments if word != "--debug"])
    except KeyboardInterrupt:
        status = EXIT_FAULT
        _say("Stopped; the same command goes on where it was.")
    except Exception as error:  # the last line of defence: whatever it is, a user's terminal sees one message
        if debug:
            raise
        status = _explain(error)
    sys.exit(status)


def _parse_and_run(arguments: list[str]) -> int:
    status = int(app(arguments, standalone_mode=False) or 0)
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    return status


def _explain(error: Exception) -> int:
    """Prints what went wrong; returns the exit status."""
    if isinstance(error, typer.Abort):
        _say("Stopped; the same command goes on where it was.")
        return EXIT_FAULT
    if hasattr(error, "format_message"):  # wrong usage: click's own class in older versions of typer, a copy in newer
        _say(f"Error: {_usage(error)}. `hwnas --help` and `hwnas COMMAND --help` say what there is.")
        return EXIT_USAGE
    status = getattr(type(error), "exit_code", None)
    if status is not None:
        _say(f"Error: {error}")
        return int(status)
    if isinstance(error, OSError):
        cause = error.strerror or error
        _say(f"Error: cannot use {error.filename or 'a file'}: {cause}. Mend it or choose another path.")
        return EXIT_ENVIRONMENT
    _say(f"Error: an unforeseen {type(error).__name__}: {error}. Run again with --debug and report what it prints.")
    return EXIT_FAULT


def _usage(error: Any) -> str:
    """The message of a usage error, beginning with the option it is about."""
    message = str(error.format_message()).rstrip(".")
    names = getattr(getattr(error, "param", None), "opts", None)
    return f"{names[0]}: {message}" if names and names[0] not in message else message


def _table_for(
    out: Path, family: NetworkFamily, *, device: str, table: str | None, other: bool, grow: bool
) -> tuple[LatencyTable, Backend | None]:
    """The table to search with: the run's own, the one given, or one made now; and what measures on its device.

    With ``grow``, what a given table lacks of the space is measured into it first.
    """
    from latency_tables import read_table, resolve
    from profilers import open_device

    recorded = out / "latency_table.jsonl" if (out / "run.json").exists() else None
    source = resolve(table) if table else recorded
    if source is None:
        backend = open_device(device)
        return _profile(family, backend, _default_table(backend, family)), backend
    rows = read_table(source)
    if other and not grow:
        return rows, None
    backend = _backend_of(rows, device=device)
    if grow and table:
        needed = family.workloads()
        lacking = [one for one in needed if not rows.blocks.keys() >= set(one.parts.values())]
        rows = _grown(Path(source), lacking, backend, precision="fp32", other=other) if lacking else rows
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
    with _profile_progress(path) as on_progress:
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
    from dataclasses import replace

    from hwnas import load_data, network_family
    from latency_tables import alignment, table_sha256

    images = load_data(data) if data else None
    channels, classes = (images.channels, images.classes) if images else (None, None)
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
    _render(result, lambda: _space_parts(result, table, path, options), as_json=as_json)


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
    with _new_table(out), _profile_progress(model) as on_progress:
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
    _render(result, lambda: _model_parts(result), as_json=as_json)


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


def _export_one(
    run: Run, pick: str, meter: DeviceMeter | None, on_step: Callable[[str], None], *, tolerance: float
) -> Any:
    import hwnas

    return hwnas.export(
        run,
        pick,
        meter=meter,
        no_meter="the table is of another device",
        latency_tolerance=tolerance,
        on_step=on_step,
    )


def _export_winners(run: Run, backend: Backend | None) -> list[Exception]:
    """Exports the three winners that are not exported yet; returns the checks that failed."""
    from hwnas.core import VerificationError
    from hwnas.exports import LATENCY_TOLERANCE

    failures: list[Exception] = []
    meter = _meter(run.family, run.table, backend)
    for pick in run.picks():
        if _is_exported(run, pick):
            continue
        try:
            with _spinner(f"exporting {pick}") as on_step:
                _export_one(run, pick, meter, on_step, tolerance=LATENCY_TOLERANCE)
        except VerificationError as error:
            failures.append(error)
    return failures


def _is_exported(run: Run, pick: str) -> bool:
    from hwnas.exports import read_card

    card = read_card(run, pick)
    return card is not None and card["trial"] == run.pick(pick).number and bool(card["passed"])


def _cards(run: Run) -> dict[str, Any]:
    from hwnas.exports import read_card

    return {pick: read_card(run, pick) for pick in run.picks()}


def _front_rows(run: Run) -> list[dict[str, Any]]:
    columns = ("accuracy", "latency_ms", "flops_m", "params_m")
    return [
        {"trial": trial.number, "id": trial.architecture.id, **{name: trial.values[name] for name in columns}}
        for trial in run.front()
    ]


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
    with _cure_for_rows():
        found = explain(predictor, [predictor.rows.kernel(key) for key in kernels])
    return {"network": asked.network, **_about(table, place), **found.to_json(), "notes": list(opened.notes)}


def _predict_architecture(asked: _Asked) -> dict[str, Any]:
    """An architecture: the space says what blocks it has, the table what these cost."""
    import hwnas
    from hwnas.objectives import KnownCosts
    from hwnas.predictors import LatencyPredictor, explain
    from hwnas.spaces import read_architecture
    from latency_tables import read_table, resolve

    run = hwnas.open_run(asked.run) if asked.run else None
    path = resolve(asked.table) if asked.table else None
    table = read_table(path) if path else cast("Run", run).table
    space = asked.space or (None if run else table.manifest.space)
    family = _family_to_judge(run, space, asked.data).at(batch=asked.batch or 1, precision=asked.precision)
    if run:
        architecture = run.pick(asked.network).architecture
    else:
        architecture = read_architecture(family.space, _text(asked.network))
    keys = family.block_keys(architecture)
    if asked.missing == MEASURE and any(key not in table.blocks for key in keys):
        plain = family.at(batch=family.batch, precision="fp32").workload(architecture)
        table = _grown(path, [plain], _backend_of(table), precision=asked.precision, other=asked.other)
    predictor = LatencyPredictor.of(table, family, missing=asked.policy)
    with _cure_for_rows():
        found = explain(predictor, [predictor.rows.block(key) for key in keys])
    costs = KnownCosts(family, predictor, energy=predictor.energy).values([architecture])
    known = {name: float(values[0]) for name, values in costs.items() if name != "latency_ms"}
    about = {"network": architecture.id, "architecture": dict(architecture), **_about(table, family.coordinates)}
    return {**about, **found.to_json(), "costs": known, "notes": []}


def _text(network: str) -> str:
    """An architecture as it was typed, or from a file."""
    path = Path(network)
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else network
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(
            f"cannot read an architecture from {network}: {error}", param_hint="NETWORK"
        ) from error


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
    with _profile_progress(path) as on_progress:
        return profilers.profile(workloads, [], backend=backend, out=path, settings=settings, on_progress=on_progress)


@contextmanager
def _cure_for_rows() -> Iterator[None]:
    """Adds to the error of a missing row what would estimate or measure it."""
    from latency_tables import MissingRowError

    try:
        yield
    except MissingRowError as error:
        raise error.with_cure(
            "--missing measure measures it into the table, on its device; --missing regress estimates it from rows of "
            "its kind, if there are enough"
        ) from error


def _about(table: LatencyTable, place: Any) -> dict[str, Any]:
    return {
        "device_name": table.manifest.device_name,
        "provider": table.manifest.provider,
        "batch": place.batch,
        "precision": place.precision,
    }


def _prediction_parts(found: Mapping[str, Any], *, most: int = 30) -> list[Any]:
    from rich.markup import escape

    ways = {"exact": "", "step": "end of its step", "regressed": "estimated"}
    lines = [
        (
            str(part["count"]),
            f"{part['latency_ms']:.4g}",
            f"{part['share']:.1%}",
            ways[part["how"]] + (f" ± {part['spread']:.0%}" if part["spread"] else ""),
            part["key"],
        )
        for part in found["parts"][:most]
    ]
    more = len(found["parts"]) - most
    law = (
        f"fitted on {found['networks']} networks" if found["networks"] else "the plain sum: too few networks to fit on"
    )
    verdict = (
        f"{found['network']} on {found['device_name']} ({found['provider']}), batch {found['batch']}, "
        f"{found['precision']}: {found['latency_ms']:.4g} ms ± {found['spread_ms']:.2g} ms (standard deviation)."
    )
    made = (
        f"Parts {found['parts_ms']:.4g} ms, calls {found['calls_ms']:+.3g} ms, correction "
        f"{found['correction_ms']:+.3g} ms; {law}."
    )
    costs = ", ".join(f"{name} {value:.4g}" for name, value in found.get("costs", {}).items())
    return [
        _grid("", ("times", "ms", "share", "row", "part"), lines),
        *([f"… and {more} more; --json lists them all."] if more > 0 else []),
        escape(verdict),
        escape(made),
        *([escape(f"By definition: {costs}.")] if costs else []),
        *(escape(f"Note: {note}") for note in found["notes"]),
    ]


def _with_inner(algorithms: Sequence[str], inner: Sequence[str]) -> list[str]:
    """Names of algorithms, those without an inner searcher with each of some."""
    return [f"{name}+{one}" if one and "+" not in name else name for name in algorithms for one in (inner or [""])]


@contextmanager
def _bench_progress(problem: str) -> Iterator[Callable[[Any], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_stderr(), transient=True) as shown:
        task = shown.add_task(problem, total=None)

        def on_progress(progress: Any) -> None:
            told = f"{problem}: {progress.algorithm}, seed {progress.seed}"
            shown.update(task, completed=progress.done, total=progress.total, description=told)

        yield on_progress


def _bench_parts(summary: Any, page: Path) -> list[Any]:
    problem, budget = summary.bench.problem, summary.bench.settings.evaluations
    lines = []
    for one in sorted(summary.algorithms, key=lambda one: -float(one.mean[-1])):
        medians = [one.median_to(i) for i in range(len(problem.levels))]
        lines.append(
            [
                one.name,
                f"{100 * one.mean[-1]:.2f} ± {100 * one.standard_error[-1]:.2f} %",
                *(f">{budget}" if median == float("inf") else f"{median:.0f}" for median in medians),
                _ms(one.ask_ms()),
            ]
        )
    title = f"{problem.name}: share of the {problem.best_is} hypervolume, and median evaluations to a level"
    columns = ["algorithm", f"at {budget}", *(f"{100 * level:g} %" for level in problem.levels), "request, ms"]
    tests = [
        f"{test.better} over {test.worse} {test.measure}: {test.wins} to {test.losses}, p = {test.p:.2g}"
        for test in summary.tests
    ]
    return [_grid(title, columns, lines), *tests, f"{page}"]


def _words(given: Sequence[str] | None) -> list[str]:
    """The values of an option that may be repeated, or hold several with commas."""
    return [word.strip() for text in given or [] for word in text.split(",") if word.strip()]


def _batches(given: Sequence[str] | None) -> list[int]:
    words = ["1"] if given is None else _words(given)
    if not words or not all(word.isdecimal() and 1 <= int(word) <= 4096 for word in words):
        raise typer.BadParameter(
            f"expected whole numbers from 1 to 4096, received {', '.join(words)}", param_hint="--batch"
        )
    return sorted({int(word) for word in words})


def _cpus(given: str | None) -> tuple[int, ...] | None:
    words = _words([given] if given else None)
    if not all(word.isdecimal() for word in words):
        raise typer.BadParameter(f"expected numbers of CPUs such as 0,1, received {given}", param_hint="--affinity")
    return tuple(int(word) for word in words) or None


def _shapes(given: Sequence[str] | None) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for text in given or []:
        name, _, sizes = text.rpartition("=")
        if not name or not all(size.isdecimal() and int(size) > 0 for size in sizes.split("x")):
            raise typer.BadParameter(f"expected NAME=1x3x224x224, received {text}", param_hint="--shape")
        shapes[name] = tuple(int(size) for size in sizes.split("x"))
    return shapes


def _values(given: Sequence[str] | None) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for text in given or []:
        name, _, numbers = text.rpartition("=")
        found = [_number(word) for word in numbers.split(",")]
        if not name or None in found:
            raise typer.BadParameter(f"expected NAME=10 or NAME=1,2, received {text}", param_hint="--value")
        values[name] = [number for number in found if number is not None]
    return values


def _number(word: str) -> float | None:
    """A number as it was written, whole or not; ``None`` where it is none."""
    try:
        number = int(word) if word.strip().lstrip("+-").isdecimal() else float(word)
    except ValueError:
        return None
    return number if isinstance(number, int) or abs(number) < float("inf") else None


def _require_no_model_options(shape: Sequence[str] | None, value: Sequence[str] | None) -> None:
    for option, given, what in (("--shape", shape, "shapes"), ("--value", value, "values")):
        if given:
            raise typer.BadParameter(f"{what} are for a model's inputs: give the model, too", param_hint=option)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _render(result: Mapping[str, Any], text: str | Callable[[], Any], *, as_json: bool) -> None:
    """Prints a result: JSON for programs, text or a table for people."""
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    shown = text if isinstance(text, str) else text()
    if isinstance(shown, str):
        typer.echo(shown)
        return
    from rich.console import Console

    console = Console()
    for part in shown if isinstance(shown, Sequence) else [shown]:
        console.print(part, soft_wrap=isinstance(part, str))


def _front_table(run: Run, page: Path) -> list[Any]:
    from rich.table import Table

    table = Table(title=f"{len(run.front())} networks on the front, of {len(run.trials())} trained")
    for name in ("id", "trial", "accuracy", "latency\nms", "measured\nms", "FLOPs\nM", "params\nM", "role"):
        table.add_column(name, justify="left" if name in {"id", "role"} else "right", no_wrap=name == "id")
    roles: dict[int, list[str]] = {}
    measured: dict[int, str] = {}
    for pick, card in _cards(run).items():
        number = run.pick(pick).number
        roles.setdefault(number, []).append(pick)
        if card is not None and "measured_ms" in card["latency"]:
            measured[number] = f"{card['latency']['measured_ms']:.4f}"
    for row in _front_rows(run):
        table.add_row(
            row["id"],
            str(row["trial"]),
            f"{row['accuracy']:.1%}",
            f"{row['latency_ms']:.4f}",
            measured.get(row["trial"], ""),
            f"{row['flops_m']:.2f}",
            f"{row['params_m']:.3f}",
            ", ".join(roles.get(row["trial"], [])),
        )
    return [table, f"Accuracy is on validation images. Models: {run.folder / 'models'}. Report: {page}"]


def _space_parts(result: Mapping[str, Any], table: LatencyTable, path: Path, options: str) -> list[Any]:
    from rich.markup import escape

    where = f"{result['device_name']} ({result['provider']})"
    parts: list[Any] = [f"{path}: {result['kernels']} kernels on {where}, {result['noisy_kernels']} of them noisy."]
    for setting in result["settings"]:
        seen, error = setting["coverage"], setting["prediction_error"]
        covered = f"{seen['complete_networks']} of {seen['networks']} fresh networks are covered"
        sure = "" if error is None else f"; predictions for whole networks are off by {error:.1%} (standard deviation)"
        parts.append(f"batch {setting['batch']}, {setting['precision']}: {covered}{sure}.")
        if setting["fallbacks"]:
            listed = ", ".join(f"{count} {name}" for name, count in setting["fallbacks"].items())
            parts.append(f"Note: not everything ran in {setting['precision']} here; in another type: {listed}.")
    for name, found in (("Steps in", result["steps"]), ("Cheaper multiples of", result["favoured_multiples"])):
        listed = "; ".join(f"{key.partition(':')[0]}: {number}" for key, number in found.items() if number > 1)
        if listed:
            parts.append(f"{name} output channels: {listed}.")
    drift = table.manifest.conditions.get("restless_share")
    if isinstance(drift, float) and drift > 0.2:
        parts.append(f"The machine was restless in {drift:.0%} of the measurements; these were repeated or left out.")
    if any((setting["batch"], setting["precision"]) == (1, "fp32") for setting in result["settings"]):
        parts.append(f"Next: hwnas search --target latency {options} --table {path}")
    return [escape(part) for part in parts]


def _model_parts(result: Mapping[str, Any], *, most: int = 30) -> list[Any]:
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    table = Table("latency", "share", "memory", "type", title=Text(str(result["model"])))
    table.add_column("kernel", overflow="fold")  # a key cut short is no key
    for kernel in result["kernels"][:most]:
        cost = "unmeasured" if kernel["latency_ms"] is None else f"{kernel['latency_ms']:.4g} ms"
        flag = "" if kernel["noise"] != "noisy" else " (noisy)"
        share = "" if kernel["share"] is None else f"{kernel['share']:.1%}"
        memory = "" if kernel["memory_mib"] is None else f"{kernel['memory_mib']:.3g} MiB"
        table.add_row(cost + flag, share, memory, kernel["arithmetic"], Text(kernel["key"]))
    more = len(result["kernels"]) - most
    sure = "" if result.get("uncertainty") is None else f" ± {result['uncertainty']:.1%}"
    verdict = (
        f"{result['model']} on {result['device_name']} ({result['runtime']}, {result['provider']}): "
        f"{result['latency_ms']:.4g} ms{sure}; kernels {result['kernels_sum_ms']:.4g} ms and call "
        f"{result['floor_ms']:.4g} ms make {result['sum_over_whole']:.1%} of it."
    )
    notes = [escape(f"Note: {note}.") for note in result["notes"]]
    return [table, *([f"… and {more} more; --json lists them all."] if more > 0 else []), escape(verdict), *notes]


def _card_text(model: Path, card: Mapping[str, Any]) -> str:
    accuracy, latency, parity = card["accuracy"], card["latency"], card["parity"]
    lines = [
        f"{model}: trial {card['trial']}, architecture {card['id']}",
        f"  accuracy  {accuracy['test']:.1%} on test images, {accuracy['validation']:.1%} on validation images",
        (
            f"  parity    {parity['samples']} images, largest difference {parity['max_abs']:.2g}, "
            f"same class for {parity['top1_agreement']:.1%}"
        ),
    ]
    if "measured_ms" in latency:
        lines.append(
            f"  latency   {latency['measured_ms']:.4f} ms measured, {latency['predicted_ms']:.4f} ms predicted "
            f"({latency['ratio']:.2f}x, tolerance {latency['tolerance']:.0%})"
        )
    else:
        lines.append(f"  latency   not measured: {latency['skipped']}")
    return "\n".join(lines)


def _diagnosis_table(diagnosis: Diagnosis) -> list[Any]:
    from rich.table import Table

    table = Table(title="hwnas doctor")
    for name in ("check", "status", "found", "cure"):
        table.add_column(name, overflow="fold")
    for check in diagnosis.checks:
        table.add_row(check.name, check.status, check.found, check.cure or "")
    verdict = "fit to measure" if diagnosis.fit_to_measure else "not fit to measure: " + "; ".join(diagnosis.reasons)
    return [table, f"--device auto takes the {diagnosis.device.upper()}. This machine is {verdict}."]


@contextmanager
def _profile_progress(path: Path) -> Iterator[Callable[[Progress], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, TextColumn("{task.fields[left]}"), console=_stderr()) as bar:
        task = bar.add_task(f"profiling {path.name}", total=None, left="", visible=False)

        def show(progress: Progress) -> None:
            left = f"{progress.eta_s:.0f} s left" if progress.eta_s is not None else ""
            bar.update(task, completed=progress.done, total=progress.total, left=left, visible=True)
            if not bar.console.is_terminal and progress.done % max(1, progress.total // 20) == 0:
                _say(f"profiling {path.name}: {progress.done}/{progress.total}, {left}")

        yield show


@contextmanager
def _search_progress() -> Iterator[Callable[[SearchProgress], None]]:
    from rich.live import Live
    from rich.table import Table

    with Live(console=_stderr(), refresh_per_second=4) as live:

        def show(progress: SearchProgress) -> None:
            if progress.trial is None and progress.done == progress.total:
                _say(f"This search is finished: {progress.done} of {progress.total} trials; nothing is left to train.")
                return
            best = ", ".join(f"{name} {value:.4g}" for name, value in progress.best.items())
            left = f"{progress.eta_s:.0f} s left" if progress.eta_s is not None else ""
            line = {
                "trials": f"{progress.done}/{progress.total}",
                "front": str(progress.front_size),
                "hypervolume": f"{progress.hypervolume:.5g}",
                "best": best,
                "time": left,
            }
            if not live.console.is_terminal:
                _say("search: " + ", ".join(f"{name} {text}" for name, text in line.items() if text))
                return
            table = Table(*line)
            table.add_row(*line.values())
            live.update(table)

        yield show


@contextmanager
def _spinner(what: str) -> Iterator[Callable[[str], None]]:
    console = _stderr()
    if not console.is_terminal:
        _say(what)
        yield lambda step: None
        return
    with console.status(what) as status:
        yield lambda step: status.update(f"{what}: {step}")


def _stderr() -> Any:
    from rich.console import Console

    return Console(stderr=True)


# --- hwnas table: what to do with latency tables

table_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Show, compare, merge, check and export latency tables. TABLE is a file, or the name of a shipped table.",
)
app.add_typer(table_app, name="table")

TableName = Annotated[str, typer.Argument(metavar="TABLE", help="A table's file, or the name of a shipped table.")]
OutFile = Annotated[Path, typer.Option(help="The file to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file that --out names.")]
_SHOWN = 20  # lines of a listing that people read; --json has them all


@table_app.command("show")
def table_show(
    table: TableName,
    kind: Annotated[str | None, typer.Option(help="List these rows: kernel, block, network, floor or step.")] = None,
    sort: Annotated[str, typer.Option(help="latency, the longest first, or key.")] = "latency",
    limit: Annotated[int | None, typer.Option(min=1, help=f"Rows to list; by default {_SHOWN}, as JSON all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say where the figures of a table come from and how many there are, or list them."""
    from latency_tables import overview, ranked, row_to_json

    _require_one_of(kind or "kernel", ("kernel", "block", "network", "floor", "step"), option="--kind")
    _require_one_of(sort, ("latency", "key"), option="--sort")
    rows = _read(table)
    about, listed = overview(rows), ranked(rows, kind=kind, by=sort)
    result = {"table": table, **about, "listed": [row_to_json(row) for row, _ in listed[:limit]]}
    shown = listed[: limit or _SHOWN]
    _render(
        result,
        lambda: _overview_parts(table, about) if kind is None else _row_parts(kind, shown, total=len(listed)),
        as_json=as_json,
    )


@table_app.command("diff")
def table_diff(
    a: TableName,
    b: TableName,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1000, help="Latencies no further apart than this, relative, count as the same.")
    ] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Compare two tables: where their figures come from, which rows they hold, and how far the figures are apart."""
    from latency_tables import diff_tables

    diff = diff_tables(_read(a), _read(b), tolerance=tolerance)
    _render({"a": a, "b": b, **diff.to_json()}, lambda: _diff_parts(diff.to_json()), as_json=as_json)


@table_app.command("merge")
def table_merge(
    tables: Annotated[list[str], typer.Argument(metavar="TABLE TABLE...", help="Two or more, of one device.")],
    out: OutFile,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Unite tables made under the same conditions; of rows measured more than once the most trustworthy stays."""
    from latency_tables import merge_tables, table_sha256, write_table

    if len(tables) < 2:
        raise typer.BadParameter(f"expected two tables or more, received only {tables[0]}", param_hint="TABLE")
    _require_new(out, force=force)
    merged = merge_tables([_read(name) for name in tables])
    write_table(merged, out)
    rows = {kind: len(held) for kind, held in merged.by_kind().items()}
    counts = ", ".join(_many(count, f"{kind} row") for kind, count in rows.items() if count)
    result = {"table": str(out), "rows": rows, "sha256": table_sha256(merged)}
    _render(result, f"{out}: {counts or 'no rows'}, from {len(tables)} tables.", as_json=as_json)


@table_app.command("validate")
def table_validate(table: TableName, as_json: AsJson = False) -> None:
    """Check whether a table makes sense beyond its checksum; status 2 when it does not, warnings aside."""
    from dataclasses import asdict

    from latency_tables import validate

    rows = _read(table)
    findings = validate(rows)
    sound = all(finding.severity != "error" for finding in findings)
    result = {"table": table, "sound": sound, "findings": [asdict(finding) for finding in findings]}
    _render(result, lambda: _finding_parts(table, findings), as_json=as_json)
    if not sound:
        raise typer.Exit(EXIT_USAGE)


@table_app.command("export")
def table_export(
    table: TableName,
    out: OutFile,
    format: Annotated[str, typer.Option(help="csv or parquet.")] = "csv",  # noqa: A002  (the name of the option)
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a table as one flat line a row, for spreadsheets and data frames."""
    from latency_tables import write_csv, write_parquet

    _require_one_of(format, ("csv", "parquet"), option="--format")
    _require_new(out, force=force)
    rows = _read(table)
    path = (write_csv if format == "csv" else write_parquet)(rows, out)
    count = len(rows.rows())
    _render({"file": str(path), "format": format, "rows": count}, f"{path}: {_many(count, 'row')}.", as_json=as_json)


@table_app.command("list")
def table_list(as_json: AsJson = False) -> None:
    """List the tables that come with hwnas."""
    from latency_tables import shipped

    tables = shipped()
    result = {
        "tables": [
            {
                "name": one.name,
                "path": str(one.path),
                "card": None if one.card is None else str(one.card),
                "manifest": one.manifest.to_json(),
            }
            for one in tables
        ]
    }
    empty = "No tables come with this version of hwnas. Make one with `hwnas profile`."
    _render(result, (lambda: _shipped_parts(result["tables"])) if tables else empty, as_json=as_json)


@table_app.command("card")
def table_card(
    table: TableName,
    command: Annotated[str, typer.Option(help="The command that made the table, for the card to quote.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write the card of a table: its device, protocol, conditions and known limits, as Markdown."""
    from latency_tables import card

    text = card(_read(table), command=command)
    _render({"table": table, "card": text}, text.rstrip("\n"), as_json=as_json)


def _read(name: str) -> LatencyTable:
    from latency_tables import read_table, resolve

    return read_table(resolve(name))


def _require_one_of(value: str, known: Sequence[str], *, option: str) -> None:
    if value not in known:
        raise typer.BadParameter(f"expected one of {', '.join(known)}, received {value!r}", param_hint=option)


def _require_new(out: Path, *, force: bool) -> None:
    from latency_tables import require_writable

    if out.exists() and not force:
        message = f"expected a new file, but {out} exists: name another one, or replace it with --force"
        raise typer.BadParameter(message, param_hint="--out")
    require_writable(out)


def _grid(title: str, columns: Sequence[str], lines: Sequence[Sequence[object]]) -> Any:
    """A table of texts as they are; what is long is folded, never cut."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=Text(title), title_justify="left")
    for name in columns:
        whole = name in {"name", "ms", "±", "rows", "ratio", "noise"}  # to be read, or copied, in one piece
        grid.add_column(name, overflow="fold", no_wrap=whole)
    for line in lines:
        grid.add_row(*(Text("" if cell is None else str(cell)) for cell in line))
    return grid


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _overview_parts(name: str, about: Mapping[str, Any]) -> list[Any]:
    from rich.markup import escape

    manifest = about["manifest"]
    places = (
        "; ".join(f"batch {one['batch']}, {one['precision']}" for one in about["coordinates"])
        or "no coordinates: it holds no blocks or networks"
    )
    lines = [
        (
            f"{name}: {manifest['device_name']} ({manifest['device']}), {manifest['runtime']} "
            f"{manifest['runtime_version']}, {manifest['provider']}, threads {manifest['threads']}"
        ),
        f"Space {manifest['space']} at {places}. Made {manifest['created']}, sha256 {about['sha256']}.",
        *(f"Unknown: {quantity}, {reason}." for quantity, reason in manifest["unknown"].items()),
        "Rows are listed with --kind, everything with --json.",
    ]
    counts = [(kind, count, about["noisy"][kind] or "") for kind, count in about["rows"].items()]
    return [escape(lines[0]), _grid("", ("kind", "rows", "noisy"), counts), *map(escape, lines[1:])]


def _row_parts(kind: str, listed: Sequence[tuple[Any, float | None]], *, total: int) -> list[Any]:
    lines = []
    for row, latency_ms in listed:
        timing = getattr(row, "timing", None)
        wide = "" if timing is None or timing.uncertainty is None else f"{timing.uncertainty:.1%}"
        lines.append((row.key, _ms(latency_ms), wide, "" if timing is None else timing.noise, _about_row(kind, row)))
    more = f"{len(listed)} of {total} {kind} rows" + ("; --limit and --json show more." if len(listed) < total else ".")
    return [_grid("", ("key", "ms", "±", "noise", "about"), lines), more]


def _about_row(kind: str, row: Any) -> str:
    if kind in {"block", "network"}:
        members = row.kernels if kind == "block" else row.blocks
        return f"{sum(members.values())} {'kernels' if kind == 'block' else 'blocks'}"
    if kind == "step":
        return f"step {row.step}"
    return str(row.arithmetic if kind == "kernel" else row.provider)


def _diff_parts(diff: Mapping[str, Any]) -> list[Any]:
    fields = [(one["name"], *_both_sides(one)) for one in diff["manifest"]]
    only = [(side.upper(), kind, key) for side in "ab" for kind, keys in diff[f"only_{side}"].items() for key in keys]
    apart = [
        (
            f"{one['kind']} {one['key']}",
            *(_ms(one[f"{side}_ms"]) + ("*" if one[f"{side}_noise"] == "noisy" else "") for side in "ab"),
            "" if one["ratio"] is None else f"{one['ratio']:.3f}",
        )
        for one in diff["latencies"]
    ]
    otherwise = [(f"{one['kind']} {one['key']}", one["field"], *_both_sides(one)) for one in diff["rows"]]
    title = f"Latencies more than {diff['tolerance']:.3g} apart, relative; * flagged noisy"
    return [
        *_listing("Fields of the manifest that differ", ("field", "A", "B"), fields, most=len(fields)),
        *_listing("Rows that only one table holds", ("only in", "kind", "key"), only),
        *_listing(title, ("row", "A ms", "B ms", "ratio"), apart),
        *_listing("Rows that differ otherwise", ("row", "field", "A", "B"), otherwise),
        *(_spread_text(kind, spread) for kind, spread in diff["summary"].items()),
    ]


def _both_sides(change: Mapping[str, Any]) -> list[str]:
    return [json.dumps(change[side], ensure_ascii=False) for side in "ab"]


def _spread_text(kind: str, spread: Mapping[str, Any]) -> str:
    if spread["median"] is None:
        return f"{spread['common']} {kind} rows are in both."
    return (
        f"{spread['common']} {kind} rows are in both: apart by {spread['median']:.1%} (median) and {spread['p95']:.1%} "
        f"(95th percentile); B takes {spread['median_ratio']:.3f} times as long as A (median)."
    )


def _listing(title: str, columns: Sequence[str], lines: Sequence[Sequence[object]], *, most: int = _SHOWN) -> list[Any]:
    """The beginning of a listing, and how much more there is; nothing where there is nothing to list."""
    if not lines:
        return []
    grid = _grid(f"{title} ({len(lines)})", columns, lines[:most])
    return [grid, f"… and {len(lines) - most} more; --json has them all."] if len(lines) > most else [grid]


def _finding_parts(name: str, findings: Sequence[Any]) -> list[Any]:
    from rich.markup import escape

    from latency_tables.validate import grouped

    lines = [
        (found.severity, found.row + (f" (and {count - 1} more like it)" if count > 1 else ""), found.message)
        for found, count in grouped(findings)
    ]
    errors = sum(finding.severity == "error" for finding in findings)
    totals = f"{_many(errors, 'error')}, {_many(len(findings) - errors, 'warning')}"
    verdict = f"{name}: {'unsound' if errors else 'sound'}, {totals}."
    return [*([_grid("", ("severity", "row", "message"), lines)] if lines else []), escape(verdict)]


def _shipped_parts(tables: Sequence[Mapping[str, Any]]) -> list[Any]:
    lines = []
    for one in tables:
        manifest = one["manifest"]
        runtime = f"{manifest['runtime']} {manifest['runtime_version']}, {manifest['provider']}"
        precisions = ", ".join(manifest["precisions"])
        lines.append((one["name"], manifest["device_name"], runtime, manifest["space"], precisions))
    return [_grid("", ("name", "device", "runtime", "space", "precisions"), lines)]


# --- end of hwnas table


# --- hwnas predictor: how good the predictions are

predictor_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Predict latencies on a device without a table, or say how good predictions are.",
)
app.add_typer(predictor_app, name="predictor")


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
    as_json: AsJson = False,
) -> None:
    """Measure networks the table has never seen, and say how far off their predictions are."""
    from dataclasses import replace

    import hwnas
    from hwnas.core import VerificationError
    from hwnas.predictors import gates, write_evaluation
    from hwnas.reports import evaluation_page
    from hwnas.study import plan_evaluation
    from profilers import require_precisions

    _require_one_of(gate_on, ("table", "session"), option="--gate-on")
    gates({}, estimate=gate_on, max_mape=max_mape, min_kendall=min_kendall)  # senseless bounds are refused at once
    require_precisions([precision])
    opened = hwnas.open_run(run) if run else None
    family = _family_to_judge(opened, space, data).at(batch=batch, precision=precision)
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
    _render(result, lambda: _evaluation_parts(found, page), as_json=as_json)
    missed = [str(gate) for gate in bounds if not gate.passed]
    if missed:
        raise VerificationError(f"{'; '.join(missed)}. All figures are in {file}")


def _family_to_judge(run: Run | None, space: str | None, data: str | None) -> NetworkFamily:
    """The networks of a run, or of a space for some data."""
    from hwnas import load_data, network_family
    from hwnas.core import UsageError

    images = load_data(data) if data else None
    if run is None:
        channels, classes = (images.channels, images.classes) if images else (None, None)
        return network_family(space or "mobilenet", channels=channels, classes=classes)
    own = run.family
    like = images or own.shape
    wanted = network_family(space or own.space.name, channels=like.channels, classes=like.classes)
    if (wanted.space.name, wanted.shape) != (own.space.name, own.shape):
        raise UsageError(
            f"{run.folder} is a run of {own.space.name} ({own.shape}), asked for was {wanted.space.name} "
            f"({wanted.shape}): leave --space and --data out, or name another run"
        )
    return own


def _table_to_judge(
    run: Run | None, family: NetworkFamily, *, device: str, table: str | None
) -> tuple[str, LatencyTable, Backend]:
    """The table given, the run's own, or one made now, with its name; and what measures on its very device."""
    from dataclasses import replace

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
    from dataclasses import replace
    from datetime import UTC, datetime

    from profilers import CampaignSettings, time_networks

    settings = CampaignSettings(space=plan.family.space.name, precisions=(plan.family.precision,))
    protocol = replace(settings.protocol, rounds=rounds, most_rounds=max(rounds, settings.protocol.most_rounds))
    when = datetime.now(UTC).isoformat(timespec="seconds")
    with _profile_progress(out) as on_progress:
        timed = time_networks(
            plan.workloads(),
            backend=backend,
            out=out,
            settings=replace(settings, protocol=protocol),
            on_progress=on_progress,
        )
    return plan.judge(timed, when=when, protocol=protocol.to_json())


def _evaluation_parts(found: Evaluation, page: Path) -> list[Any]:
    from rich.markup import escape

    from hwnas.reports.evaluations import FIGURES, GROUPS, accuracy_columns, session_words

    about = found.about
    parts: list[Any] = []
    for name, group in found.groups.items():
        columns = dict(accuracy_columns(group))
        lines = [(figure.words, *(figure.text(one) for one in columns.values())) for figure in FIGURES]
        parts.append(_grid(f"{GROUPS[name]} ({group.networks})", ("figure", *columns), lines))
    return [
        *parts,
        "table: as it stands; session: calibrated anew. Errors are relative; below the noise, nothing can be claimed.",
        escape(f"{about.device_name} ({about.provider}), table {about.table}. {session_words(found)}"),
        escape(f"Report: {page}"),
    ]


Measured = Annotated[Path, typer.Argument(metavar="MEASURED.csv", help="Columns architecture and latency_ms.")]
PoolSpaceName = Annotated[str, typer.Option("--space", help="nasbench201 or mobilenet:ofa: spaces with a pool.")]
_FASTEST = 5  # networks that people are shown


@predictor_app.command("choose")
def predictor_choose(
    space: PoolSpaceName = "nasbench201",
    n: Annotated[int, typer.Option("-n", min=1, help="How many; 10 are few, 20 are enough.")] = 10,
    out: Annotated[Path | None, typer.Option(help="Folder for measured.csv and the networks as ONNX.")] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Choose the networks worth measuring on a new device, as a CSV file to fill in."""
    from hwnas.predictors import read_pool, template
    from latency_tables import write_atomically

    if out is not None:
        _require_new(out / "measured.csv", force=force)
    pool = read_pool(space)
    chosen = pool.choose(n)
    files = [] if out is None else _write_models(space, chosen, out)
    text = template(chosen, pool.about, models=files)
    result: dict[str, Any] = {"space": space, "architectures": [pool.about.name(one) for one in chosen]}
    if out is None:
        _render(result, text.rstrip("\n"), as_json=as_json)
        return
    file = write_atomically(out / "measured.csv", text)
    result.update(measured=str(file), models=[str(out / name) for name in files])
    _render(
        result,
        f"{out}: {_many(len(files), 'network')} as ONNX. Time each on the device by any means, write the latencies in "
        f"ms into {file}, then `hwnas predictor adapt {file} --space {space}`.",
        as_json=as_json,
    )


@predictor_app.command("adapt")
def predictor_adapt(
    measured: Measured,
    space: PoolSpaceName = "nasbench201",
    architectures: Annotated[
        Path | None, typer.Option(help="CSV file with a column architecture: what to predict; else the pool's.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file for latency and spread of each network.")] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Predict latencies on a device that has no table, from a few networks measured there and other devices."""
    from hwnas.predictors import AdaptedPredictor, read_architectures, read_measured, read_pool, write_predicted

    if out is not None:
        _require_new(out, force=force)
    pool = read_pool(space)
    known = read_measured(measured, pool.about)
    adapted = AdaptedPredictor(pool, known)
    networks = read_architectures(architectures, pool.about) if architectures else adapted.candidates()
    predicted_ms = adapted.predict(networks)
    names = [pool.about.name(one) for one in networks]
    if out is not None:
        write_predicted(out, networks, predicted_ms, about=pool.about)
    ranked = sorted(zip(names, *(values.tolist() for values in predicted_ms), strict=True), key=lambda row: row[1])
    result = {
        "space": space,
        "devices": list(pool.devices),
        "measured": len(known),
        "left_out": {"spearman": adapted.left_out_spearman, "median_error": adapted.left_out_error},
        "suspects": [pool.about.name(list(known)[row]) for row in adapted.suspects],
        "predicted": {"networks": len(networks), "file": None if out is None else str(out)},
        "fastest": [
            dict(zip(("architecture", "latency_ms", "spread_ms"), row, strict=True)) for row in ranked[:_FASTEST]
        ],
    }
    _render(result, lambda: _adapted_parts(result), as_json=as_json)


def _write_models(space: str, chosen: Sequence[Any], out: Path) -> list[str]:
    """Writes networks as ONNX, batch 1 and fp32; returns the names of the files."""
    from hwnas.networks import network_family

    family = network_family(space)
    out.mkdir(parents=True, exist_ok=True)
    names = [f"{number:02d}-{one.id}.onnx" for number, one in enumerate(chosen, start=1)]
    for name, one in zip(names, chosen, strict=True):
        (out / name).write_bytes(family.workload(one).model)
    return names


def _adapted_parts(result: Mapping[str, Any]) -> list[Any]:
    from rich.markup import escape

    left, predicted = result["left_out"], result["predicted"]
    order = "no order" if left["spearman"] is None else f"Spearman {left['spearman']:.3f}"
    lines = [(one["architecture"], _ms(one["latency_ms"]), _ms(one["spread_ms"])) for one in result["fastest"]]
    where = f", all of them in {predicted['file']}" if predicted["file"] else "; --out writes all of them"
    return [
        _grid(f"Predicted to be fastest of {predicted['networks']}", ("architecture", "ms", "±"), lines),
        escape(f"From {result['measured']} networks and {len(result['devices'])} other devices{where}."),
        (
            f"Each measured network, predicted from the others: {order}, median error {left['median_error']:.1%}. "
            "± is one standard deviation."
        ),
        *(
            escape(f"Measure again, it fits neither the others nor what devices are like: {name}")
            for name in result["suspects"]
        ),
    ]


# --- end of hwnas predictor


if __name__ == "__main__":
    main()
