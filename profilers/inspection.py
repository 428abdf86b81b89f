"""What an ONNX model is and becomes on a device, before anything of it is measured."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from latency_tables import Coordinates, keyed
from profilers.backends.contract import Backend, InPlace, Method, symmetric_int8
from profilers.batches import batch_of
from profilers.coverage import inspect
from profilers.deciding import value_notes, with_values
from profilers.errors import CampaignError
from profilers.guards import checked_backend
from profilers.models import load_model, parse_model, prepared
from profilers.precision import arithmetic, precision_of
from profilers.tasks import OnnxWorkload, Workload, converted


@dataclass(frozen=True, kw_only=True)
class OpenedModel:
    """A model ready to be run.

    Attributes:
        workload: The model with its shapes settled, not yet converted.
        notes: What the user should know of it.
    """

    workload: OnnxWorkload
    notes: tuple[str, ...]


def open_model(
    path: str | Path,
    *,
    precision: str = "fp32",
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Sequence[float]] | None = None,
    batch: int | None = None,
) -> OpenedModel:
    """Reads an ONNX model and settles its shapes.

    Args:
        path: The model.
        precision: What it will be converted to; a model that is not in fp32 stays as it is.
        shapes: As for ``profile_model``.
        values: As for ``profile_model``.
        batch: As for ``profile_model``.

    Raises:
        CampaignError: A shape, a value or the batch does not fit the model.
        ModelError: The model does not load, or lacks a shape or a value.
        OSError: The file cannot be read.
    """
    title, loaded = title_of(path), load_model(path)
    content = prepared(with_values(loaded, values or {}), shapes=shapes, batch=batch or 1)
    held = _batch(loaded, content, title, batch)
    name = keyed(Path(title).stem, batch=held, precision=precision_of(content) if precision == "fp32" else "fp32")
    return OpenedModel(
        workload=OnnxWorkload(name, content, {"model": name}), notes=tuple(value_notes(loaded, values or {}))
    )


def model_kernels(
    model: OpenedModel, *, backend: Backend, precision: str = "fp32", method: Method | None = None
) -> tuple[Coordinates, tuple[str, ...]]:
    """The kernels that a model becomes on a device, without measuring any of them.

    Args:
        model: From ``open_model``.
        backend: Where it runs.
        precision: What it is converted to first.
        method: How the kernels of the table were measured that they are to be looked up in.

    Returns:
        The coordinates of the model, and the key of each kernel as often as it occurs.

    Raises:
        CampaignError: The backend does not tell what a model becomes.
        ModelError: The model does not run, or cannot be converted.
        DeviceError: The runtime ran it elsewhere.
        PluginError: A third party's backend failed.
    """
    checked_backend(backend)
    measured = converted(model.workload, precision, symmetric=symmetric_int8(backend))
    uses = inspect(backend, measured, method or finest(backend)).uses
    if not uses:
        raise CampaignError(
            f"the backend {backend.name!r} times blocks and does not tell what a model becomes: measure the model with "
            "`hwnas profile MODEL.onnx`"
        )
    return Coordinates.of(measured.name), tuple(use.key for use in uses)


def computes_in(backend: Backend, workload: Workload, precision: str) -> bool:
    """Whether a device computes anything of a network in a precision; yes where the backend does not tell.

    Args:
        backend: Where it runs.
        workload: The network in fp32.
        precision: What it is converted to first.

    Raises:
        ModelError: The network does not run in that precision at all.
        DeviceError: The runtime ran it elsewhere.
        PluginError: A third party's backend failed.
    """
    checked_backend(backend)
    measured = converted(workload, precision, symmetric=symmetric_int8(backend))
    done = {arithmetic(use.op_type, use.elements) for use in inspect(backend, measured, finest(backend)).uses}
    return not done or precision in done


def title_of(path: str | Path) -> str:
    """The name of a model's file; a table is Unicode, the name of a file need not be."""
    return os.fsencode(Path(path).name).decode(errors="replace")


def _batch(model: onnx.ModelProto, content: bytes, title: str, wanted: int | None) -> int:
    """Images a run: what the model tells, and 1 where it tells nothing; refuses what was asked for in vain."""
    held = batch_of(model, parse_model(content), told=wanted)
    if wanted is not None and held != wanted:
        found = "no batch that its inputs tell" if held is None else f"a fixed batch of {held}"
        raise CampaignError(f"{title} has {found}: --batch {wanted} needs a model with an open one")
    return held or 1


def finest(backend: Backend) -> Method:
    """A model has no blocks: where a backend would time them, it is timed layer by layer if it can be."""
    return "in-place" if backend.method == "blocks" and isinstance(backend, InPlace) else backend.method
