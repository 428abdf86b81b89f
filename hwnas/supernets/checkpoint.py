"""A supernet on disk: weights and the state of the optimiser in one safetensors file, replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hwnas import training
from hwnas.core import RunMismatchError, StudyError, differing
from hwnas.supernets.supernet import Supernet
from hwnas.training import CheckpointError, TrainingState

_WEIGHT, _STATE = "weight:", "optimizer:"


def write_checkpoint(
    path: Path, supernet: Supernet, optimizer: torch.optim.Optimizer, *, step: int, about: Mapping[str, Any]
) -> None:
    """Writes everything that training needs to go on.

    Args:
        path: The file.
        supernet: What is trained.
        optimizer: Of its parameters.
        step: Finished steps.
        about: What is trained on what, in JSON's terms.

    Raises:
        OSError: It cannot be written; what was there is untouched.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in supernet.named_parameters():
        tensors[_WEIGHT + name] = parameter.detach().contiguous()
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{_STATE}{key}:{name}"] = value.contiguous()
    training.write_checkpoint(TrainingState(tensors=tensors, values={"about": dict(about), "step": step}), path)


def read_checkpoint(
    path: Path, supernet: Supernet, optimizer: torch.optim.Optimizer | None, *, about: Mapping[str, Any]
) -> int:
    """Puts a supernet, and its optimiser if one is given, into the state they were written in.

    Returns:
        Finished steps; 0 where there is no file, and then nothing is changed.

    Raises:
        RunMismatchError: The file is about something else.
        StudyError: The file is damaged, or cannot be read.
    """
    if not path.exists():
        return 0
    try:
        state = training.read_checkpoint(path)
        tensors, step = state.tensors, int(state.values["step"])
        _require_same(path, state.values["about"], json.loads(json.dumps(dict(about))))
        parameters = dict(supernet.named_parameters())
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(tensors[_WEIGHT + name])
    except RunMismatchError:
        raise
    except (CheckpointError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StudyError(f"{path} is damaged ({error}): remove it, and the supernet is trained anew") from error
    if optimizer is not None:
        for name, tensor in tensors.items():
            if name.startswith(_STATE):
                key, _, parameter_name = name.removeprefix(_STATE).partition(":")
                optimizer.state[parameters[parameter_name]][key] = tensor
    return step


def _require_same(path: Path, recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    differences = differing(recorded, asked)
    if differences:
        shown = "; ".join(f"{name}: {was!r} there, {now!r} asked for" for name, (was, now) in differences.items())
        raise RunMismatchError(
            f"{path} holds a supernet of other settings ({shown}): give these, or another folder",
            differences=differences,
        )
