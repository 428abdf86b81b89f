"""Trainings on disk: one safetensors file, its tensors beside a header of JSON, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from hwnas.core import HwnasError
from latency_tables import write_atomically

_ENTRY = "hwnas.training"
_VERSION = 1


class CheckpointError(HwnasError, RuntimeError):
    """A checkpoint that cannot be read, or that is of another network."""


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """A training between two epochs: all that decides how it goes on.

    Attributes:
        tensors: By name, on the CPU; independent of the training they were taken from.
        values: The rest, as JSON can hold it.
    """

    tensors: Mapping[str, torch.Tensor]
    values: Mapping[str, Any]

    def part(self, name: str) -> dict[str, torch.Tensor]:
        """The tensors whose names begin with ``name`` and a slash, without these."""
        return {
            key.removeprefix(f"{name}/"): value for key, value in self.tensors.items() if key.startswith(f"{name}/")
        }


def write_checkpoint(state: TrainingState, path: Path) -> Path:
    """Writes a state so that the file is either the old one or the whole new one.

    Raises:
        OSError: It cannot be written; an older one is untouched.
    """
    header = json.dumps({"version": _VERSION, **state.values}, allow_nan=False)
    return write_atomically(path, save(dict(state.tensors), metadata={_ENTRY: header}))


def read_checkpoint(path: Path) -> TrainingState:
    """Reads a state.

    Raises:
        CheckpointError: There is none, or it is damaged, or of another version.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            header = json.loads((stored.metadata() or {})[_ENTRY])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  (no mapping)
        version = header.pop("version")
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"cannot read {path} as the checkpoint of a training ({error}): remove it to begin anew"
        ) from error
    if version != _VERSION:
        raise CheckpointError(
            f"{path}: expected a checkpoint of version {_VERSION}, received {version!r}: remove it to begin anew"
        )
    return TrainingState(tensors=tensors, values=header)
