"""The command line: parse, call one function of a library, render.

This is the only place where ``hwnas`` and ``profilers`` meet. Heavy imports stand inside the commands, so that
``--help`` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hwnas.networks import NetworkFamily
    from hwnas.study import Run, SearchProgress
    from latency_tables import LatencyTable
    from profilers import DeviceMeter, Diagnosis, OnnxRuntimeBackend, Progress

EXIT_FAULT, EXIT_USAGE, EXIT_ENVIRONMENT = 1, 2, 3
INTERRUPTED = 130  # what newer versions of typer turn Ctrl-C into; here it is a fault like any other end before the end
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
        "this machine, 4 an exported network failed its checks. Add --debug to any command for the traceback of an "
        "error."
    ),
)

Device = Annotated[str, typer.Option(help="auto, cpu or gpu; auto takes the GPU where one is usable.")]
Space = Annotated[str, typer.Option(help="Search space: mobilenet, or mobilenet:PRESET (small, tiny).")]
Data = Annotated[str, typer.Option(help="digits, fashion-mnist, cifar10, PATH.npz or a folder of images by class.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
OtherDevice = Annotated[
    bool,
    typer.Option("--allow-other-device", help="Accept a table of another machine; nothing is measured here then."),
]


@app.command()
def profile(
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(help="The table's file; by default one under hwnas-tables/.")] = None,
    space: Space = "mobilenet",
    data: Annotated[str, typer.Option(help="Data the networks are for: fixes channels and classes.")] = "digits",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the runtime.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Time the kernels that a space needs on a device, and write a latency table."""
    from hwnas import load_data, network_family
    from hwnas.predictors import LatencyPredictor
    from latency_tables import table_sha256
    from profilers import open_device

    backend = open_device(device, threads=threads)
    images = load_data(data)
    family = network_family(space, channels=images.channels, classes=images.classes)
    path = out or _default_table(backend, family)
    table = _profile(family, backend, path)
    noisy = sum(row.timing.noise == "noisy" for row in table.kernels.values())
    fit = LatencyPredictor(table, family.block_keys).calibration
    result = {
        "table": str(path),
        "device": table.manifest.device,
        "device_name": table.manifest.device_name,
        "provider": table.manifest.provider,
        "kernels": len(table.kernels),
        "noisy_kernels": noisy,
        "networks": len(table.networks),
        "prediction_error": fit.spread,
        "sha256": table_sha256(table),
    }
    _render(
        result,
        f"{path}: {len(table.kernels)} kernels on {table.manifest.device_name} ({table.manifest.provider}), "
        f"{noisy} of them noisy.\nPredictions for whole networks are off by {fit.spread:.1%} (standard deviation, "
        f"leave-one-out over {fit.networks} networks).\n"
        f"Next: hwnas search --target latency --space {space} --data {data} --table {path}",
        as_json=as_json,
    )


@app.command()
def search(  # noqa: PLR0913, PLR0917  (each parameter is an option of the command)
    target: Annotated[
        list[str] | None, typer.Option(help="Cost to trade against accuracy: latency, flops, params. May be repeated.")
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
    max_flops: Annotated[str | None, typer.Option(help="Limit, for example 20M.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same trials.")] = 0,
    device: Device = "auto",
    table: Annotated[Path | None, typer.Option(help="Latency table; made first where none is given.")] = None,
    allow_other_device: OtherDevice = False,
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
    require_algorithm(algorithm)
    given = {"latency": max_latency, "params": max_params, "flops": max_flops}
    limits = {
        COSTS[name].name: parse_quantity(text, unit=COSTS[name].unit)
        for name, text in given.items()
        if text is not None
    }
    images = hwnas.load_data(data)
    family = hwnas.network_family(space, channels=images.channels, classes=images.classes)
    rows, backend = _table_for(out, family, device=device, table=table, other=allow_other_device)
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
    meter = _meter(opened, None if allow_other_device else _backend_of(opened.table))
    with _spinner(f"exporting {pick}") as on_step:
        done = _export_one(opened, pick, meter, on_step, tolerance=latency_tolerance)
    _render({"model": str(done.model), **done.card}, lambda: _card_text(done.model, done.card), as_json=as_json)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="The run folder.")], as_json: AsJson = False) -> None:
    """Write the report of a run: one page that works offline."""
    import hwnas

    page = hwnas.report(hwnas.open_run(run))
    _render({"report": str(page)}, f"{page}", as_json=as_json)


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
    out: Path, family: NetworkFamily, *, device: str, table: Path | None, other: bool
) -> tuple[LatencyTable, OnnxRuntimeBackend | None]:
    """The table to search with: the run's own, the one given, or one made now; and what measures on its device."""
    from latency_tables import read_table
    from profilers import open_device

    recorded = out / "latency_table.jsonl" if (out / "run.json").exists() else None
    source = table or recorded
    if source is None:
        backend = open_device(device)
        return _profile(family, backend, _default_table(backend, family)), backend
    rows = read_table(source)
    if other:
        return rows, None
    return rows, _backend_of(rows, device=device)


def _backend_of(table: LatencyTable, *, device: str = "auto") -> OnnxRuntimeBackend:
    """What measures on the device of a table; refuses when that device is not here."""
    from profilers import open_device

    backend = open_device(table.manifest.device if device == "auto" else device, threads=table.manifest.threads)
    table.require_fingerprint(backend.fingerprint(), override="--allow-other-device")
    return backend


def _default_table(backend: OnnxRuntimeBackend, family: NetworkFamily) -> Path:
    """One file for each device setting and space, so that a table is made once and found again."""
    from latency_tables import fingerprint_sha256

    setting = fingerprint_sha256(backend.fingerprint())[:8]
    return TABLES / f"{backend.device}-{family.space.name.replace(':', '-')}-{setting}.jsonl"


def _profile(family: NetworkFamily, backend: OnnxRuntimeBackend, path: Path) -> LatencyTable:
    import profilers

    with _profile_progress(path) as on_progress:
        return profilers.profile(
            family.workloads(),
            family.references(),
            backend=backend,
            out=path,
            space=family.space.name,
            on_progress=on_progress,
        )


def _meter(run: Run, backend: OnnxRuntimeBackend | None) -> DeviceMeter | None:
    """Measures beside a few of the networks that are in the run's table, spread over their latencies."""
    from profilers import DeviceMeter, Reference

    if backend is None:
        return None
    rows = run.table.networks
    held = sorted((w for w in run.family.references() if w.name in rows), key=lambda w: rows[w.name].timing.latency_ms)
    chosen = held[1::6]
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


def _export_winners(run: Run, backend: OnnxRuntimeBackend | None) -> list[Exception]:
    """Exports the three winners that are not exported yet; returns the checks that failed."""
    from hwnas.core import VerificationError
    from hwnas.exports import LATENCY_TOLERANCE

    failures: list[Exception] = []
    meter = _meter(run, backend)
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


if __name__ == "__main__":
    main()
