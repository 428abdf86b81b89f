"""Options of ``hwnas export`` and ``hwnas verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Pick = Annotated[
    str, typer.Option(help="knee, fastest, best, an architecture's id, a trial's number, or all of the front.")
]
Tiers = Annotated[
    str | None, typer.Option(help="Latency limits such as 1ms,2ms: the most accurate network of each, as a hub.")
]
Bundle = Annotated[
    bool,
    typer.Option(
        "--bundle", help="Write a folder to deploy from: runners, preprocessing, model card; on TensorRT the engine."
    ),
]
BundleFolder = Annotated[
    Path | None, typer.Option("--out", help="The folder of --bundle or --tiers; by default in the run's.")
]
ForceFolder = Annotated[bool, typer.Option("--force", help="Replace a bundle or hub that --out names.")]
Tolerance = Annotated[
    float, typer.Option(min=0.01, help="How far measured and predicted latency may be apart, relative.")
]
ExportPrecision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="fp32, fp16, or int8 with ranges from the run's training images; by default as the search chose, or fp32.",
    ),
]
MaxDrop = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Accuracy that the conversion may cost, as a share of the images; by default 0.01, and no bound where the "
        "search chose the precision.",
    ),
]
DynamicBatch = Annotated[
    bool, typer.Option("--dynamic-batch", help="Leave the number of images open; latency is measured with one.")
]
Opset = Annotated[int | None, typer.Option(help="Version of the ONNX operators, 15 to 22; by default 18, for fp16 19.")]
