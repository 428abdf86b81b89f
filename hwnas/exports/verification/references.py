"""What a model is compared with: another ONNX model, or a plain PyTorch module with its weights."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from hwnas.conversion.onnx_model import EXPORTERS, to_onnx
from hwnas.conversion.runtime import session
from hwnas.core import UsageError
from hwnas.exports.verification.localising import fed
from hwnas.exports.verification.outputs import compare
from hwnas.exports.verification.samples import Samples
from hwnas.exports.verification.soundness import read_model, require_tensors, said
from hwnas.training import logits


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What is right.

    Attributes:
        name: The file.
        outputs: Gives its outputs for samples.
        graph: The same as a graph, for bisection; ``None`` where there is none that computes the same.
    """

    name: str
    outputs: Callable[[Samples], list[NDArray[Any]]]
    graph: onnx.ModelProto | None


def open_reference(path: str | Path, samples: Samples) -> Reference:
    """What a model is compared with.

    Args:
        path: An ``.onnx`` file; or a ``.py`` file with a function ``load``, which is called with the ``.safetensors``
            file beside it and returns a module, as ``hwnas export`` writes both. The file is run.
        samples: What the model reads.

    Raises:
        UsageError: It is neither, or reads something else.
    """
    file = Path(path)
    if file.suffix == ".onnx":
        model = read_model(file)
        require_tensors(model, file=str(file))
        names = [value.name for value in model.graph.output]

        def outputs(given: Samples) -> list[NDArray[Any]]:
            renamed = _renamed(given, model)
            try:
                return fed(session(model.SerializeToString(), optimised=False), renamed, names)
            except Exception as error:  # whatever the runtime raises
                raise UsageError(f"{file} does not read what the model reads: {said(error)}") from error

        return Reference(name=str(file), outputs=outputs, graph=model)
    if file.suffix == ".py":
        return _torch_reference(file, samples)
    raise UsageError(f"cannot compare with {file}: expected an .onnx file, or the .py file of an export")


def _renamed(samples: Samples, model: onnx.ModelProto) -> Samples:
    """The samples under the names by which another model reads them."""
    weights = {weight.name for weight in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in weights]
    if len(names) != len(samples.inputs):
        raise UsageError(f"the reference reads {', '.join(names)}, the model {', '.join(samples.inputs)}")
    if set(names) == set(samples.inputs):
        return samples
    return Samples(inputs=dict(zip(names, samples.inputs.values(), strict=True)), origin=samples.origin)


def renamed_for(run: Any, model: onnx.ModelProto) -> Any:
    """A way to run a model, fed under the names by which another model reads samples."""
    return lambda samples, tensors: run(_renamed(samples, model), tensors)


def _torch_reference(file: Path, samples: Samples) -> Reference:
    module = _loaded(file)
    images = torch.from_numpy(np.ascontiguousarray(next(iter(samples.inputs.values())), dtype=np.float32))

    def outputs(given: Samples) -> list[NDArray[Any]]:
        values = next(iter(given.inputs.values()))
        return [logits(module, torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))).numpy()]

    try:
        expected = outputs(samples)
    except Exception as error:  # whatever the user's module raises
        raise UsageError(f"{file} does not read what the model reads: {type(error).__name__}: {error}") from error
    for exporter in EXPORTERS:
        try:
            graph = onnx.load_model_from_string(to_onnx(module, images[:1], exporter=exporter))
        except Exception:  # noqa: S112  (exporters raise anything; without a graph there is no bisection, no more)
            continue
        held = session(graph.SerializeToString(), optimised=False)
        found = fed(held, _renamed(samples, graph), [value.name for value in graph.graph.output])
        if compare(found, expected, tolerance_rel=1e-3, least_agreement=0.0).passed:
            return Reference(name=str(file), outputs=outputs, graph=graph)
    return Reference(name=str(file), outputs=outputs, graph=None)


def _loaded(file: Path) -> nn.Module:
    weights = file.with_suffix(".safetensors")
    for needed in (file, weights):
        if not needed.is_file():
            raise UsageError(f"there is no file {needed}: expected a module as `hwnas export` writes it, with weights")
    try:
        module = runpy.run_path(str(file))["load"](str(weights))
    except Exception as error:  # whatever the file does
        raise UsageError(f"cannot load {file} with {weights.name}: {type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise UsageError(f"{file}: expected load() to return a torch module, received {type(module).__name__}")
    return module.eval()
