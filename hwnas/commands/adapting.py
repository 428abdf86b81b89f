"""``hwnas predictor choose`` and ``adapt``: latencies on a device without a table, from a few networks timed there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hwnas.commands.options import AsJson, Force, require_new
from hwnas.commands.printing import grid, many, ms, render

Measured = Annotated[Path, typer.Argument(metavar="MEASURED.csv", help="Columns architecture and latency_ms.")]
PoolSpaceName = Annotated[str, typer.Option("--space", help="nasbench201 or mobilenet:ofa: spaces with a pool.")]
_FASTEST = 5  # networks that people are shown


def choose(
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
        require_new(out / "measured.csv", force=force)
    pool = read_pool(space)
    chosen = pool.choose(n)
    files = [] if out is None else _write_models(space, chosen, out)
    text = template(chosen, pool.about, models=files)
    result: dict[str, Any] = {"space": space, "architectures": [pool.about.name(one) for one in chosen]}
    if out is None:
        render(result, text.rstrip("\n"), as_json=as_json)
        return
    file = write_atomically(out / "measured.csv", text)
    result.update(measured=str(file), models=[str(out / name) for name in files])
    render(
        result,
        f"{out}: {many(len(files), 'network')} as ONNX. Time each on the device by any means, write the latencies in "
        f"ms into {file}, then `hwnas predictor adapt {file} --space {space}`.",
        as_json=as_json,
    )


def adapt(
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
        require_new(out, force=force)
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
    render(result, lambda: _adapted_parts(result), as_json=as_json)


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
    lines = [(one["architecture"], ms(one["latency_ms"]), ms(one["spread_ms"])) for one in result["fastest"]]
    where = f", all of them in {predicted['file']}" if predicted["file"] else "; --out writes all of them"
    return [
        grid(f"Predicted to be fastest of {predicted['networks']}", ("architecture", "ms", "±"), lines),
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
