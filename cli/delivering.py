"""``hwnas export`` and ``hwnas verify``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.measuring import backend_of, engines_of, meter_of, require_arithmetic
from cli.predicting import Asked, predict_model
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
from hwnas.commands.options import AsJson, OtherDevice
from hwnas.commands.printing import render
from hwnas.commands.progress import ProgressForm
from hwnas.commands.verifying import (
    Against,
    OutputTolerance,
    SampleData,
    SampleFile,
    require_verified,
    samples_of,
    verification_text,
)

if TYPE_CHECKING:
    from hwnas.exports.verification import Samples
    from hwnas.exports.verification.verifying import LatencyPromise


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
    backend = None if allow_other_device else backend_of(opened.table)
    if backend is not None:
        for network in plan.networks.values():
            require_arithmetic(backend, opened.family, network, precision or precision_of(network))
        settings = replace(settings, symmetric=symmetric_int8(backend))
    meter = meter_of(opened.family, opened.table, backend)
    plan = settled(plan, meter, settings)
    result, text, failures = carry_out(
        plan, meter=meter, engines=engines_of(backend), tolerance=latency_tolerance, settings=settings
    )
    render(result, text, as_json=as_json)
    if failures:
        raise failures[0]


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

    given = samples_of(model, data, samples)
    found = verified(
        model,
        against=against,
        samples=given,
        tolerance=tolerance,
        promise=_promise(model, device, table, latency_tolerance, samples=given),
    )
    render(found.to_json(), lambda: verification_text(found), as_json=as_json)
    require_verified(found)


def _promise(
    model: Path, device: str | None, table: str | None, tolerance: float, *, samples: Samples | None
) -> LatencyPromise | None:
    """How the latency of a model is to be judged; ``None`` where neither a device nor a table was named."""
    from hwnas.exports.verification import open_shapes
    from hwnas.exports.verification.soundness import read_model
    from hwnas.exports.verification.verifying import LatencyPromise
    from latency_tables import MissingRowError, read_table, resolve
    from profilers import DeviceMeter, open_device

    if table is None:
        return None if device is None else LatencyPromise(meter=DeviceMeter(backend=open_device(device)))
    backend = backend_of(read_table(resolve(table)), device=device or "auto", override=None)
    asked = Asked(str(model), table, None, None, None, None, "fp32", "error", other=False)
    meter = DeviceMeter(backend=backend)
    shapes = {} if samples is None else open_shapes(read_model(model), samples)
    try:
        predicted_ms = float(predict_model(asked, shapes)["latency_ms"])
    except MissingRowError as error:
        return LatencyPromise(meter=meter, why_not=f"the table holds no {error.kind} {error.missing[0]}")
    return LatencyPromise(meter=meter, predicted_ms=predicted_ms, tolerance=tolerance)
