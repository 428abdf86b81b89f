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
from safetensors.torch import load_file, save_file
from torch import nn

from hwnas.core import LatencyMeter, RunMismatchError, Trial, VerificationError
from hwnas.evaluators import training_seed
from hwnas.exports.onnx_model import EXPORTERS, OPSET, to_onnx, with_metadata
from hwnas.exports.verify import LATENCY_TOLERANCE, LatencyCheck, Parity, check_latency, check_parity
from hwnas.study import PICKS, Run
from hwnas.training import ImageData, Recipe, accuracy, load_data, prepared, train
from latency_tables import write_atomically

FULL_TRAINING = 2  # times the epochs of a search trial
_PARITY_SAMPLES = 64


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An exported network that passed every check.

    Attributes:
        pick: The name it was asked for by.
        trial: The trial it came from.
        model: The ONNX file.
        card: Everything known of it, as in the JSON file beside it.
    """

    pick: str
    trial: Trial
    model: Path
    card: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ExportStep:
    """What an export is doing.

    Attributes:
        name: ``"training"``, ``"exporting"`` or ``"measuring"``.
        epoch: Epochs of the training that are behind it.
        epochs: Epochs in all.
    """

    name: str
    epoch: int
    epochs: int

    def __str__(self) -> str:
        return f"training, epoch {self.epoch} of {self.epochs}" if self.name == "training" else self.name


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
    on_step: Callable[[ExportStep], None] = lambda _: None,
) -> Exported:
    """Trains a candidate fully, writes it as ONNX, and checks it.

    Writes ``RUN/models/PICK.onnx``, ``.safetensors`` (weights) and ``.json`` (the card). A candidate that was trained
    fully before is not trained again.

    Args:
        run: The run.
        pick: ``knee``, ``fastest``, ``best``, an architecture's id or a trial's number.
        meter: Measures the exported model on the device of the table.
        no_meter: Why there is none, for the card.
        latency_tolerance: How far measured and predicted latency may be apart, relative.
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
    name = pick if pick in PICKS else trial.architecture.id
    folder = run.folder / "models"
    folder.mkdir(parents=True, exist_ok=True)
    data = _data_of(run)
    recipe = replace(run.settings.recipe, epochs=FULL_TRAINING * run.settings.recipe.epochs)
    module = _trained(run, trial, data, recipe, on_step)
    size = run.family.resolution(trial.architecture)
    images = prepared(data.test.images[:_PARITY_SAMPLES], data, size=size)
    on_step(ExportStep(name="exporting", epoch=recipe.epochs, epochs=recipe.epochs))
    model, parity, exporter = _verified_onnx(module, images)
    found = {
        "search_validation": trial.values["accuracy"],
        "validation": accuracy(module, data.validation, data, size=size),
        "test": accuracy(module, data.test, data, size=size),
    }
    model = with_metadata(model, _metadata(run, trial, data, found))
    on_step(ExportStep(name="measuring", epoch=recipe.epochs, epochs=recipe.epochs))
    predicted, _ = run.predictor.predict([trial.architecture])
    latency = check_latency(float(predicted[0]), meter(model), tolerance=latency_tolerance) if meter else None
    (folder / f"{name}.onnx").write_bytes(model)
    save_file(_weights(module), folder / f"{name}.safetensors", metadata=_card_id(run, trial, recipe))
    (folder / f"{name}.safetensors").chmod(0o644)  # like the other files; the library writes it for the owner alone
    card = {
        "pick": name,
        "trial": trial.number,
        "id": trial.architecture.id,
        "architecture": dict(trial.architecture),
        "exporter": exporter,
        "opset": OPSET,
        "accuracy": found,
        "recipe": recipe.to_json(),
        "costs": {
            **{name: float(values[0]) for name, values in run.costs.values([trial.architecture]).items()},
            "latency_spread_ms": float(run.latency.predict([trial.architecture])[1][0]),
        },
        "parity": parity.to_json(),
        "latency": latency.to_json() if latency else {"skipped": no_meter},
        "preprocessing": _preprocessing(data, size),
        "passed": parity.passed and (latency is None or latency.passed),
        "files": {f"{name}.{kind}": _sha256(folder / f"{name}.{kind}") for kind in ("onnx", "safetensors")},
    }
    write_atomically(folder / f"{name}.json", json.dumps(card, indent=2) + "\n")
    _require_passed(folder / f"{name}.onnx", parity, latency)
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
    for kind in ("onnx", "safetensors"):
        shutil.copy(folder / f"{exported.pick}.{kind}", folder / f"{pick}.{kind}")
        files[f"{pick}.{kind}"] = _sha256(folder / f"{pick}.{kind}")
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


def _trained(
    run: Run, trial: Trial, data: ImageData, recipe: Recipe, on_step: Callable[[ExportStep], None]
) -> nn.Sequential:
    """The fully trained network, from the run folder when it was trained before."""
    seed = training_seed(run.settings.seed, trial.architecture)
    module = run.family.module(trial.architecture, seed=seed)
    wanted = _card_id(run, trial, recipe)
    for file in sorted((run.folder / "models").glob("*.safetensors")):
        if _stored_metadata(file) == wanted:
            module.load_state_dict(load_file(file))
            return module.eval()
    size = run.family.resolution(trial.architecture)
    on_step(ExportStep(name="training", epoch=0, epochs=recipe.epochs))
    train(
        module,
        data,
        recipe,
        size=size,
        seed=seed,
        checkpoint=run.trainings / f"{trial.architecture.id}-full.safetensors",
        on_epoch=lambda epoch: on_step(ExportStep(name="training", epoch=epoch, epochs=recipe.epochs)),
    )
    return module


def _card_id(run: Run, trial: Trial, recipe: Recipe) -> dict[str, str]:
    """What has to be equal for stored weights to be the wanted ones."""
    return {
        "architecture": json.dumps(dict(trial.architecture), sort_keys=True),
        "recipe": json.dumps(recipe.to_json(), sort_keys=True),
        "seed": str(run.settings.seed),
        "data_sha256": run.settings.data_sha256,
    }


def _stored_metadata(file: Path) -> dict[str, str] | None:
    """The metadata of a safetensors file; ``None`` for a damaged one, which is then written anew."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415  (used nowhere else)

    try:
        with safe_open(file, framework="pt") as stored:
            found = stored.metadata()
    except (SafetensorError, OSError):
        return None
    return _with_present_fields(found) if found else None


def _with_present_fields(stored: Mapping[str, str]) -> dict[str, str]:
    """The recipe as it is written today, where the file is of before a field was added."""
    try:
        recipe = Recipe.from_json(json.loads(stored["recipe"]))
    except (KeyError, ValueError, TypeError):
        return dict(stored)
    return {**stored, "recipe": json.dumps(recipe.to_json(), sort_keys=True)}


def _verified_onnx(module: nn.Module, images: torch.Tensor) -> tuple[bytes, Parity, str]:
    """The first exporter whose model computes what torch does; else the last one's, with its failed parity."""
    result: tuple[bytes, Parity, str] | None = None
    problems = []
    for exporter in EXPORTERS:
        try:
            model = to_onnx(module, images[:1], exporter=exporter)
        except Exception as error:  # exporters raise anything; the other one may still do
            problems.append(f"{exporter}: {type(error).__name__}: {error}".splitlines()[0])
            continue
        result = (model, check_parity(module, model, images), exporter)
        if result[1].passed:
            break
    if result is None:
        raise VerificationError(f"no exporter could write the network as ONNX ({'; '.join(problems)})")
    return result


def _require_passed(model: Path, parity: Parity, latency: LatencyCheck | None) -> None:
    problems = []
    if not parity.passed:
        problems.append(
            f"it differs from torch by up to {parity.max_abs:.3g} (tolerance {parity.tolerance_abs:g}) and agrees on "
            f"{parity.top1_agreement:.1%} of the classes"
        )
    if latency is not None and not latency.passed:
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


def _preprocessing(data: ImageData, size: int) -> dict[str, Any]:
    mean, std = data.mean_std
    return {
        "resize": [size, size],
        "interpolation": "bilinear, antialiased",
        "scale": 1 / 255,
        "mean": list(mean),
        "std": list(std),
        "layout": "NCHW",
    }


def _metadata(run: Run, trial: Trial, data: ImageData, found: Mapping[str, float]) -> dict[str, str]:
    values = {
        "architecture": dict(trial.architecture),
        "space": run.settings.space,
        "table_sha256": run.settings.table_sha256,
        "accuracy": dict(found),
        "latency_ms_predicted": trial.values["latency_ms"],
        "preprocessing": _preprocessing(data, run.family.resolution(trial.architecture)),
        "labels": list(data.class_names),
        "versions": run.begun["versions"],
    }
    return {f"hwnas.{name}": json.dumps(value) for name, value in values.items()}


def _weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in module.state_dict().items()}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
