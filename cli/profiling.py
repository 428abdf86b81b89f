"""``hwnas profile``, ``hwnas table recover`` and ``hwnas doctor``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cli.measuring import default_table, measured_table
from hwnas.commands.options import (
    AsJson,
    Device,
    Force,
    InputShapes,
    OutFile,
    Space,
    batches_of,
    cpus_of,
    require_new,
    require_no_model_options,
    require_one_of,
    shapes_of,
    values_of,
    words_of,
)
from hwnas.commands.printing import many, render
from hwnas.commands.profile_words import diagnosis_parts, model_parts, space_parts
from hwnas.commands.progress import ProgressForm, profile_progress

if TYPE_CHECKING:
    from hwnas.networks import NetworkFamily
    from latency_tables import LatencyTable
    from profilers import Backend, CampaignSettings


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
    path = out or default_table(backend, family)
    table = measured_table(family, backend, path, settings=replace(settings, space=family.space.name), batches=batches)
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


_FRESH = 20  # networks drawn to see what a table covers


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


def recover(
    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="The .partial file that the campaign left.")],
    out: OutFile,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Make a table of what an unfinished campaign has measured, where its device is gone and it cannot go on."""
    from latency_tables import table_sha256, write_table
    from profilers import recover as recovered

    require_new(out, force=force)
    table = recovered(journal)
    write_table(table, out)
    counts = {kind: len(held) for kind, held in table.by_kind().items()}
    unmeasured = table.manifest.conditions["unmeasured"]
    lacking = len(unmeasured) if isinstance(unmeasured, dict) else 0
    noisy = sum(row.timing.noise == "noisy" for row in table.kernels.values())
    result = {"table": str(out), "rows": counts, "unmeasured": lacking, "noisy_kernels": noisy}
    told = f"{out}: {many(counts['kernel'], 'kernel')}, {noisy} of them noisy; {lacking} were not measured."
    render(result | {"sha256": table_sha256(table)}, told, as_json=as_json)


def doctor(as_json: AsJson = False) -> None:
    """Say what this machine has, which devices really work, and whether it is fit to measure."""
    from profilers import examine

    found = examine().to_json()
    render(found, lambda: diagnosis_parts(found), as_json=as_json)
