"""What the user takes home: the winner, trained fully, as ONNX that was checked."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hwnas.conversion import EXPORTERS, Parity, verified_onnx, with_metadata
from hwnas.core import LatencyMeter, RunMismatchError, Trial, VerificationError
from hwnas.exports.converting import Conversion, converted
from hwnas.exports.facts import costs_of, form_of, metadata_of, predicted_ms, preprocessing_of
from hwnas.exports.plain_module import plain_module
from hwnas.exports.promises import LATENCY_TOLERANCE, LatencyCheck, check_latency, measurement
from hwnas.exports.settings import PLAIN, ExportSettings
from hwnas.exports.verification import Culprit, Samples, verify
from hwnas.exports.weights import ExportStep, save_weights, trained_module, weights_id
from hwnas.spaces import precision_of
from hwnas.study import PICKS, Run
from hwnas.training import ImageData, accuracy, load_data, prepared
from latency_tables import write_atomically

FULL_TRAINING = 2  # times the epochs of a search trial
_PARITY_SAMPLES = 64
_ARCHITECTURES = "architectures"  # folder; the files of models/ that end in .json are cards


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An exported network that passed every check.

    Attributes:
        pick: The name it was asked for by; of another precision than the search chose for it, with that.
        trial: The trial it came from.
        model: The ONNX file.
        card: Everything known of it, as in the JSON file beside it.
    """

    pick: str
    trial: Trial
    model: Path
    card: Mapping[str, Any]


def read_card(run: Run, name: str) -> dict[str, Any] | None:
    """What is known of an exported candidate; ``None`` when it was never exported, or not to the end.

    Args:
        run: The run.
        name: The role or id it was exported under.
    """
    try:
        card = json.loads((run.folder / "models" / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) else None


def export(
    run: Run,
    pick: str = "knee",
    *,
    meter: LatencyMeter | None = None,
    no_meter: str = "no device was given to measure on",
    latency_tolerance: float = LATENCY_TOLERANCE,
    settings: ExportSettings | None = None,
    on_step: Callable[[ExportStep], None] = lambda _: None,
) -> Exported:
    """Trains a candidate fully, writes it as ONNX, and checks it.

    Writes ``RUN/models/PICK.onnx``, ``.safetensors`` (weights), ``.py`` (the same as a plain PyTorch module), ``.json``
    (the card) and ``architectures/PICK.json``. A candidate that was trained fully before is not trained again.

    Args:
        run: The run.
        pick: ``knee``, ``fastest``, ``best``, an architecture's id or a trial's number.
        meter: Measures the exported model on the device of the table.
        no_meter: Why there is none, for the card.
        latency_tolerance: How far measured and predicted latency may be apart, relative.
        settings: Precision, open batch, operators; by default what the search chose, one image, opset 18.
        on_step: Told what is being done.

    Raises:
        UsageError: No such candidate.
        RunMismatchError: The data have changed since the run.
        TrainingDivergedError: The loss became NaN or infinite.
        CheckpointError: What a training that was cut off left behind is damaged.
        VerificationError: A check failed; the files are written all the same, and the card says what failed.
        MachineError: ONNX Runtime is not installed.
        OSError: The files cannot be written.
    """
    trial = run.pick(pick)
    asked = (settings or ExportSettings()).for_(trial.architecture)
    asked = replace(asked, symmetric=asked.symmetric or run.settings.symmetric_int8)
    precision = asked.precision or PLAIN
    name = asked.name(pick if pick in PICKS else trial.architecture.id, own=precision_of(trial.architecture))
    folder = run.folder / "models"
    (folder / _ARCHITECTURES).mkdir(parents=True, exist_ok=True)
    data = _data_of(run)
    recipe = replace(run.settings.recipe, epochs=FULL_TRAINING * run.settings.recipe.epochs)
    module, course = trained_module(run, trial, data, recipe, on_step)
    size = run.family.resolution(trial.architecture)
    images = prepared(data.test.images[:_PARITY_SAMPLES], data, size=size)
    on_step(ExportStep(name="exporting", epoch=recipe.epochs, epochs=recipe.epochs))
    model, parity, exporter = verified_onnx(
        module, images, opset=asked.written_opset, dynamic_batch=asked.dynamic_batch, exporters=EXPORTERS
    )
    found = {
        "search_validation": trial.values["accuracy"],
        "validation": accuracy(module, data.validation, data, size=size),
        "test": accuracy(module, data.test, data, size=size),
    }
    course = course.judged(recipe.epochs, found["validation"])
    conversion: Conversion | None = None
    if precision != PLAIN:
        on_step(ExportStep(name="converting", epoch=recipe.epochs, epochs=recipe.epochs))
        model, conversion = converted(module, model, exporter, data=data, size=size, accuracy=found, settings=asked)
        found |= conversion.accuracy
    costs = costs_of(run, trial, precision)
    model = with_metadata(model, metadata_of(run, trial, data, {"accuracy": found, "costs": costs, **form_of(asked)}))
    on_step(ExportStep(name="measuring", epoch=recipe.epochs, epochs=recipe.epochs))
    latency = _latency(predicted_ms(run, trial, precision), meter, model, latency_tolerance, no_meter)
    (folder / f"{name}.onnx").write_bytes(model)
    save_weights(module, folder / f"{name}.safetensors", weights_id(run, trial, recipe) | course.metadata())
    preprocessing = preprocessing_of(data, size)
    _write_sources(run, trial, name, data, preprocessing)
    culprit = None if parity.passed else _culprit(folder / name, images)
    card = {
        "pick": name,
        "trial": trial.number,
        "id": trial.architecture.id,
        "architecture": dict(trial.architecture),
        "exporter": exporter,
        "opset": asked.written_opset,
        **form_of(asked),
        "accuracy": found,
        "recipe": recipe.to_json(),
        "course": course.brief().to_json(),
        "costs": costs,
        "parity": parity.to_json(),
        "culprit": culprit.to_json() if culprit else None,
        "conversion": conversion.to_json() if conversion else None,
        "latency": latency.to_json() if isinstance(latency, LatencyCheck) else latency,
        "preprocessing": preprocessing,
        "passed": parity.passed
        and (conversion is None or conversion.passed)
        and (not isinstance(latency, LatencyCheck) or latency.passed),
        "files": {file: file_sha256(folder / file) for file in _files(name)},
    }
    write_atomically(folder / f"{name}.json", json.dumps(card, indent=2) + "\n")
    _require_passed(folder / f"{name}.onnx", parity, conversion, latency, culprit)
    return Exported(pick=name, trial=trial, model=folder / f"{name}.onnx", card=card)


def export_as(run: Run, exported: Exported, pick: str) -> Exported:
    """Hands over what was exported a moment ago in another role as well: one architecture may have several.

    Args:
        run: The run.
        exported: What ``export`` gave.
        pick: The other role, of the same trial.

    Raises:
        OSError: The files cannot be written.
    """
    folder = run.folder / "models"
    files = {}
    for held in exported.card["files"]:
        copy = held.replace(exported.pick, pick)
        shutil.copy(folder / held, folder / copy)
        files[copy] = file_sha256(folder / copy)
    card = {**exported.card, "pick": pick, "files": files}
    write_atomically(folder / f"{pick}.json", json.dumps(card, indent=2) + "\n")
    return Exported(pick=pick, trial=exported.trial, model=folder / f"{pick}.onnx", card=card)


def _data_of(run: Run) -> ImageData:
    data = load_data(run.settings.data)
    if data.fingerprint != run.settings.data_sha256:
        raise RunMismatchError(
            f"the data {run.settings.data} are not the ones the run was made with: put those back, or begin a new run",
            differences={"data_sha256": (run.settings.data_sha256, data.fingerprint)},
        )
    return data


def _culprit(files: Path, images: torch.Tensor) -> Culprit | None:
    """The first tensor of an exported model that is not what its plain PyTorch file computes."""
    samples = Samples(inputs={"image": images.numpy()}, origin=f"{len(images)} test images")
    return verify(files.with_suffix(".onnx"), against=files.with_suffix(".py"), samples=samples).culprit


def _latency(
    expected_ms: float | None, meter: LatencyMeter | None, model: bytes, tolerance: float, no_meter: str
) -> LatencyCheck | dict[str, Any]:
    """The promise and the truth; why they could not be compared, with the truth if that was measured."""
    if meter is None:
        return {"skipped": no_meter}
    measured = meter(model)
    if expected_ms is not None:
        return check_latency(expected_ms, measured, tolerance=tolerance)
    return {"skipped": "the run's table has no rows of this precision to predict from", **measurement(measured)}


def _write_sources(run: Run, trial: Trial, name: str, data: ImageData, preprocessing: Mapping[str, Any]) -> None:
    """The architecture as JSON, and the network as a file that needs PyTorch alone."""
    folder = run.folder / "models"
    about = {"space": run.settings.space, "id": trial.architecture.id, "architecture": dict(trial.architecture)}
    shape = {"channels": data.channels, "classes": data.classes, "size": preprocessing["resize"][0]}
    write_atomically(folder / _ARCHITECTURES / f"{name}.json", json.dumps({**about, **shape}, indent=2) + "\n")
    source = plain_module(
        run.family.blocks(trial.architecture),
        name=name,
        title=f"Network {trial.architecture.id} of the space {run.settings.space}: {data.classes} classes.",
        in_channels=data.channels,
        preprocessing=preprocessing,
    )
    write_atomically(folder / f"{name}.py", source)


def _files(name: str) -> list[str]:
    return [*(f"{name}.{kind}" for kind in ("onnx", "safetensors", "py")), f"{_ARCHITECTURES}/{name}.json"]


def _require_passed(
    model: Path,
    parity: Parity,
    conversion: Conversion | None,
    latency: LatencyCheck | Mapping[str, Any],
    culprit: Culprit | None,
) -> None:
    problems = []
    if not parity.passed:
        problems.append(
            f"it differs from torch by up to {parity.max_abs:.3g} (tolerance {parity.tolerance_abs:g}) and agrees on "
            f"{parity.top1_agreement:.1%} of the classes" + (f"; {culprit}" if culprit else "")
        )
    if conversion is not None and not conversion.passed:
        fell = " and ".join(f"{drop:.2%} on {part} images" for part, drop in conversion.drops.items())
        problems.append(
            f"{conversion.precision} costs {fell} of accuracy, where {conversion.max_drop:.2%} were allowed with "
            f"{len(conversion.kept)} of {conversion.nodes} nodes in floating point. Allow more with --max-drop, or "
            "take another precision"
        )
    if isinstance(latency, LatencyCheck) and not latency.passed:
        speed = (
            f", with the device at {latency.device_speed:.2f}x its time in the table" if latency.device_speed else ""
        )
        problems.append(
            f"it takes {latency.measured_ms:.4g} ms where {latency.predicted_ms:.4g} ms were predicted "
            f"({latency.ratio:.2f}x, tolerance {latency.tolerance:.0%}{speed}). Measure again on a quiet machine, or "
            "make the table anew with `hwnas profile`"
        )
    if problems:
        raise VerificationError(f"{model} failed its checks: {'; '.join(problems)}")


def file_sha256(path: Path) -> str:
    """Hash of a file, as cards name it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
