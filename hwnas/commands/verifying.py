"""``hwnas verify``: what it needs no device for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.commands.options import images_of

if TYPE_CHECKING:
    from hwnas.exports import Verification
    from hwnas.exports.verification import Samples

Against = Annotated[
    Path | None,
    typer.Option(help="What it should compute: an .onnx file, or the .py file of an export, which is run."),
]
SampleData = Annotated[
    str | None, typer.Option("--data", help="Data whose test images it is fed with, as `hwnas search` names them.")
]
SampleFile = Annotated[
    Path | None, typer.Option("--samples", help="An .npz file with an array for each input, by its name.")
]
OutputTolerance = Annotated[
    float | None,
    typer.Option("--tolerance", help="Largest difference relative to the largest output, such as 0.001."),
]


def samples_of(model: Path, data: str | None, file: Path | None) -> Samples | None:
    """What the options say a model is to be fed with; ``None`` where they say nothing.

    Raises:
        typer.BadParameter: Both were given.
        HwnasError: They cannot be read, or the model reads something else.
    """
    from hwnas.exports.verification import data_samples, file_samples
    from hwnas.exports.verification.soundness import read_model

    if data is not None and file is not None:
        raise typer.BadParameter("expected --data or --samples, received both", param_hint="--samples")
    if data is not None:
        return data_samples(read_model(model), images_of(data))
    return None if file is None else file_samples(read_model(model), file)


def require_verified(found: Verification) -> None:
    """Ends with status 4 where a check failed.

    Raises:
        VerificationError: One did.
    """
    from hwnas.core import VerificationError

    if not found.passed:
        raise VerificationError(f"{found.model} failed its checks: {'; '.join(found.problems)}")


def verification_text(found: Verification) -> str:
    """What was found out about a model, line by line."""
    facts = found.facts
    lines = [f"{found.model}: {facts['precision']}, opset {facts['opset']}, {'passed' if found.passed else 'FAILED'}"]
    if found.unsound is not None:
        return "\n".join([*lines, f"  checker    {found.unsound}"])
    lines += [
        "  checker    sound, its shapes fit together",
        f"  samples    {found.samples}",
        f"  against    {_parity_words(found)}",
        *(f"  provider   {name}: {held}" for name, held in found.providers.items()),
        f"  batch      {found.batch}",
        f"  latency    {_latency_words(found)}",
    ]
    return "\n".join(lines + ([f"  culprit    {found.culprit}"] if found.culprit is not None else []))


def _parity_words(found: Verification) -> str:
    if found.against is None:
        return "nothing but itself: name what it should compute with --against"
    return f"{found.against}: {found.parity or 'not compared'}"


def _latency_words(found: Verification) -> str:
    latency: Any = found.latency if isinstance(found.latency, dict) else found.latency.to_json()  # type: ignore[union-attr]
    if "measured_ms" not in latency:
        return f"not measured: {latency['skipped']}"
    interval = "" if latency["uncertainty"] is None else f" ± {latency['uncertainty']:.1%}"
    measured = f"{latency['measured_ms']:.4f} ms{interval} measured on {latency['provider']}"
    if "predicted_ms" not in latency:
        return f"{measured}; {latency['skipped']}"
    return f"{measured}, {latency['predicted_ms']:.4f} ms predicted ({latency['ratio']:.2f}x)"
