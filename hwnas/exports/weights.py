"""Trained weights of a candidate: from the run folder where they are there, else by training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from hwnas.core import Trial
from hwnas.evaluators import training_seed
from hwnas.spaces import without_precision
from hwnas.study import Run
from hwnas.training import Course, ImageData, Recipe, course_in, train, without_course


@dataclass(frozen=True, kw_only=True)
class ExportStep:
    """What an export is doing.

    Attributes:
        name: ``"training"``, ``"exporting"``, ``"converting"`` or ``"measuring"``.
        epoch: Epochs of the training that are behind it.
        epochs: Epochs in all.
    """

    name: str
    epoch: int
    epochs: int

    def __str__(self) -> str:
        return f"training, epoch {self.epoch} of {self.epochs}" if self.name == "training" else self.name


def trained_module(
    run: Run, trial: Trial, data: ImageData, recipe: Recipe, on_step: Callable[[ExportStep], None]
) -> tuple[nn.Sequential, Course]:
    """The fully trained network and how its training went, from the run folder when it was trained before.

    Raises:
        TrainingDivergedError: The loss became NaN or infinite.
        CheckpointError: What a training that was cut off left behind is damaged.
    """
    network = without_precision(trial.architecture)
    seed = training_seed(run.settings.seed, network)
    module = run.family.module(network, seed=seed)
    wanted = weights_id(run, trial, recipe)
    for file in sorted((run.folder / "models").glob("*.safetensors")):
        stored = stored_metadata(file) or {}
        if without_course(stored) == wanted:
            module.load_state_dict(load_file(file))
            return module.eval(), course_in(stored)
    size = run.family.resolution(network)
    on_step(ExportStep(name="training", epoch=0, epochs=recipe.epochs))
    course = train(
        module,
        data,
        recipe,
        size=size,
        seed=seed,
        checkpoint=run.trainings / f"{network.id}-full.safetensors",
        on_epoch=lambda epoch: on_step(ExportStep(name="training", epoch=epoch, epochs=recipe.epochs)),
    )
    return module, course


def save_weights(module: nn.Module, file: Path, about: Mapping[str, str]) -> None:
    """Writes the weights of a module.

    Args:
        module: The module.
        file: Where.
        about: What they are, from ``weights_id``, and the course of their training.

    Raises:
        OSError: The file cannot be written.
    """
    weights: dict[str, torch.Tensor] = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    save_file(weights, file, metadata=dict(about))
    file.chmod(0o644)  # like the other files; the library writes it for the owner alone


def weights_id(run: Run, trial: Trial, recipe: Recipe) -> dict[str, str]:
    """What has to be equal for stored weights to be the wanted ones, whatever precision they are written in."""
    return {
        "architecture": json.dumps(dict(without_precision(trial.architecture)), sort_keys=True),
        "recipe": json.dumps(recipe.to_json(), sort_keys=True),
        "seed": str(run.settings.seed),
        "data_sha256": run.settings.data_sha256,
    }


def stored_metadata(file: Path) -> dict[str, str] | None:
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
