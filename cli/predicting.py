"""``hwnas predict``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cli.measuring import MEASURE, backend_of, grown, require_policy
from hwnas.commands.options import AsJson, InputShapes, MissingRows, OtherDevice, shapes_of, text_of
from hwnas.commands.predictions import about_place, cure_for_rows, family_of, prediction_parts
from hwnas.commands.printing import render
from hwnas.commands.progress import ProgressForm

if TYPE_CHECKING:
    from hwnas.study import Run


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
    require_policy(missing)
    if run is None and table is None:
        raise typer.BadParameter("expected a latency table: a file, or a shipped one's name", param_hint="--table")
    asked = Asked(network, table, run, space, data, batch, precision, missing, other=allow_other_device)
    if network.endswith(".onnx"):
        found = predict_model(asked, shapes_of(shape))
    elif shape:
        raise typer.BadParameter("shapes are for the inputs of an ONNX model", param_hint="--shape")
    else:
        found = _predict_architecture(asked)
    render(found, lambda: prediction_parts(found), as_json=as_json)


@dataclass(frozen=True)
class Asked:
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


def predict_model(asked: Asked, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
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
        table = grown(path, [opened.workload], backend, precision=asked.precision, other=asked.other)
    table.require_coordinates(place)
    predictor = LatencyPredictor(table, lambda _: (), coordinates=place, missing=asked.policy)
    with cure_for_rows():
        found = explain(predictor, [predictor.rows.kernel(key) for key in kernels])
    return {"network": asked.network, **about_place(table, place), **found.to_json(), "notes": list(opened.notes)}


def _predict_architecture(asked: Asked) -> dict[str, Any]:
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
        table = grown(path, [plain], backend_of(table), precision=precision, other=asked.other)
    predictor = LatencyPredictor.of(table, family, missing=asked.policy)
    with cure_for_rows():
        found = explain(predictor, [predictor.rows.block(key) for key in keys])
    costs = KnownCosts(family, predictor, energy=predictor.energy).values([architecture])
    known = {name: float(values[0]) for name, values in costs.items() if name != "latency_ms"}
    about = {"network": named.id, "architecture": dict(named), **about_place(table, family.coordinates)}
    return {**about, **found.to_json(), "costs": known, "notes": []}
