"""What a model is fed with to be verified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hwnas.core import DataError, UsageError
from hwnas.training import ImageData, prepared

Inputs = Mapping[str, NDArray[Any]]
MOST = 64
_MADE_UP = 8
_SEED = 0
_INDICES = 2  # whole numbers below this one are indices into most things


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Inputs of a model.

    Attributes:
        inputs: Input name to values, shape ``(n, ...)``: the first axis counts samples.
        origin: Where they are from.
    """

    inputs: Inputs
    origin: str

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def first(self, count: int) -> Samples:
        """The first few."""
        return Samples(inputs={name: values[:count] for name, values in self.inputs.items()}, origin=self.origin)


def data_samples(model: onnx.ModelProto, data: ImageData) -> Samples:
    """Test images as the model reads them: by the preprocessing in its metadata, else normalised by the data.

    Args:
        model: A model with one input ``(batch, c, h, w)``.
        data: The data set.

    Raises:
        DataError: The model reads no such images.
    """
    entries = model_inputs(model)
    sizes = [size.dim_value for size in entries[0].type.tensor_type.shape.dim] if len(entries) == 1 else []
    if len(sizes) != 4 or sizes[1] != data.channels or sizes[2] != sizes[3] or not sizes[2]:
        read = ", ".join(f"{entry.name}{_shape(entry)}" for entry in entries)
        raise DataError(
            f"the model reads {read}, and data {data.name} are square images of {data.channels} channels: give its "
            "inputs with --samples FILE.npz"
        )
    images = prepared(data.test.images[:MOST], data, size=sizes[2]).numpy()
    told = {entry.key: entry.value for entry in model.metadata_props}.get("hwnas.preprocessing")
    if told is not None:
        reading = json.loads(told)
        own_mean, own_std, mean, std = (
            np.array(values, np.float32).reshape(1, -1, 1, 1)
            for values in (*data.mean_std, reading["mean"], reading["std"])
        )
        if not (np.array_equal(own_mean, mean) and np.array_equal(own_std, std)):
            images = (images * own_std + own_mean - mean) / std
    return Samples(inputs={entries[0].name: images}, origin=f"{len(images)} test images of {data.name}")


def file_samples(model: onnx.ModelProto, file: str | Path) -> Samples:
    """Inputs from an ``.npz`` file with an array for each input, by its name.

    Args:
        model: The model.
        file: The arrays; their first axis counts samples.

    Raises:
        UsageError: The file is none, or lacks an input, or the arrays have different numbers of samples.
    """
    try:
        with np.load(file, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"cannot read samples from {file}: {error}. Expected an .npz file of np.savez") from error
    entries = model_inputs(model)
    lacking = [entry.name for entry in entries if entry.name not in arrays]
    if lacking:
        raise UsageError(
            f"{file} has the arrays {', '.join(arrays) or 'none'}: expected {', '.join(e.name for e in entries)}"
        )
    found = {entry.name: arrays[entry.name][:MOST] for entry in entries}
    counts = {name: len(values) if values.ndim else 0 for name, values in found.items()}
    if len(set(counts.values())) != 1 or not min(counts.values()):
        raise UsageError(f"{file}: expected as many samples of each input and one at least, received {counts}")
    return Samples(inputs=found, origin=f"{min(counts.values())} samples of {Path(file).name}")


def made_up_samples(model: onnx.ModelProto, *, count: int = _MADE_UP) -> Samples:
    """Random numbers, the same ones every time, and whole numbers 0 and 1.

    Args:
        model: A model whose sizes are known but for the first one of each input.
        count: How many.

    Raises:
        UsageError: Another size is open.
    """
    rng = np.random.default_rng(_SEED)
    found: dict[str, NDArray[Any]] = {}
    for entry in model_inputs(model):
        tensor = entry.type.tensor_type
        sizes = [size.dim_value for size in tensor.shape.dim]
        if not all(sizes[1:]) or not sizes:
            raise UsageError(f"input {entry.name}{_shape(entry)} has open sizes: give it with --samples FILE.npz")
        shape = (count, *sizes[1:])
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        values = rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(0, _INDICES, shape)
        found[entry.name] = values.astype(dtype)
    return Samples(inputs=found, origin=f"{count} made-up samples")


def model_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """What a model is fed: its inputs without the weights that older exporters list among them."""
    weights = {weight.name for weight in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _shape(entry: onnx.ValueInfoProto) -> str:
    sizes = [size.dim_param or str(size.dim_value or "?") for size in entry.type.tensor_type.shape.dim]
    return f"[{', '.join(sizes)}]"
