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
_PREPROCESSING = "hwnas.preprocessing"  # key of a model's metadata
# By numpy's kind of an input, the kinds of arrays that it reads: "V" is bfloat16, "O" a text.
_FITTING = {"f": "fiub", "i": "iub", "u": "iub", "V": "fiub", "O": "OSU"}
_INDICES = 2  # whole numbers below this one are indices into most things


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Inputs of a model.

    Attributes:
        inputs: Input name to values, shape ``(n, ...)``: the first axis counts samples. Of an input without axes the
            same number for each of them, shape ``(n,)``.
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
        DataError: The model reads no such images, or its metadata say in no known way how it reads them.
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
    told = {entry.key: entry.value for entry in model.metadata_props}.get(_PREPROCESSING)
    if told is not None:
        own_mean, own_std, mean, std = (
            np.array(values, np.float32).reshape(1, -1, 1, 1)
            for values in (*data.mean_std, *_mean_and_std(told, channels=data.channels))
        )
        if not (np.array_equal(own_mean, mean) and np.array_equal(own_std, std)):
            images = (images * own_std + own_mean - mean) / std
    of_all = _of_all(len(images), len(data.test.labels))
    return Samples(inputs={entries[0].name: images}, origin=f"{of_all} test images of {data.name}")


def file_samples(model: onnx.ModelProto, file: str | Path) -> Samples:
    """Inputs from an ``.npz`` file with an array for each input, by its name.

    Args:
        model: The model.
        file: The arrays; their first axis counts samples. For an input without axes one number.

    Raises:
        UsageError: The file is none, or lacks an input, or the arrays are not what the model reads, or have different
            numbers of samples.
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
    wrong = [told for entry in entries if (told := misfit(entry, arrays[entry.name])) is not None]
    if wrong:
        raise UsageError(f"{file}: {wrong[0]}")
    counts = {entry.name: len(arrays[entry.name]) for entry in entries if not _is_scalar(entry)}
    if len(set(counts.values())) > 1 or not min(counts.values(), default=1):
        raise UsageError(f"{file}: expected as many samples of each input and one at least, received {counts}")
    every = min(counts.values(), default=1)
    count = min(every, MOST)
    found = {
        entry.name: _typed(
            entry, np.repeat(arrays[entry.name], count) if _is_scalar(entry) else arrays[entry.name][:MOST]
        )
        for entry in entries
    }
    return Samples(inputs=found, origin=f"{_of_all(count, every)} samples of {Path(file).name}")


def misfit(entry: onnx.ValueInfoProto, values: NDArray[Any]) -> str | None:
    """What makes an input refuse some samples, in words; ``None`` where nothing does.

    Args:
        entry: The input.
        values: Of all samples, or one number for an input without axes.
    """
    tensor = entry.type.tensor_type
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).kind
    if values.dtype.kind not in _FITTING.get(kind, kind):
        wanted = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        return f"input {entry.name} reads {wanted}, received an array of {values.dtype}"
    if not tensor.HasField("shape"):
        return None
    sizes = [size.dim_value for size in tensor.shape.dim]
    inner = zip(sizes[1:], values.shape[1:], strict=False)
    if len(sizes) != values.ndim or any(size and size != there for size, there in inner):
        return f"input {entry.name} reads {_shape(entry)}, received an array of shape {values.shape}"
    if sizes and len(values) < sizes[0]:
        return f"input {entry.name} reads {sizes[0]} samples at once, received {len(values)}"
    return None


def with_sizes(model: onnx.ModelProto, samples: Samples) -> onnx.ModelProto:
    """The model with the sizes that samples have in place of open ones; how many it reads at once stays open."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    wanted = open_shapes(model, samples)
    for entry in model_inputs(fixed):
        for size, there in list(zip(entry.type.tensor_type.shape.dim, wanted.get(entry.name, ()), strict=False))[1:]:
            size.dim_value = there
    return fixed


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
        if not all(sizes[1:]) or not tensor.HasField("shape"):
            raise UsageError(f"input {entry.name}{_shape(entry)} has open sizes: give it with --samples FILE.npz")
        scalar = _is_scalar(entry)
        shape = () if scalar else (count, *sizes[1:])
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        values = rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(0, _INDICES, shape)
        typed = np.asarray(values).astype(dtype)
        found[entry.name] = np.repeat(typed, count) if scalar else typed
    return Samples(inputs=found, origin=f"{count} made-up samples")


def model_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """What a model is fed: its inputs without the weights that older exporters list among them."""
    weights = {weight.name for weight in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def open_shapes(model: onnx.ModelProto, samples: Samples) -> dict[str, list[int]]:
    """Of inputs whose sizes are open those that samples have, by name; one at a time where their number is open."""
    found = {}
    for entry in model_inputs(model):
        sizes = [size.dim_value for size in entry.type.tensor_type.shape.dim]
        if not all(sizes[1:]):
            found[entry.name] = [sizes[0] or 1, *samples.inputs[entry.name].shape[1:]]
    return found


def _is_scalar(entry: onnx.ValueInfoProto) -> bool:
    """Whether an input is one number for all samples."""
    tensor = entry.type.tensor_type
    return tensor.HasField("shape") and not tensor.shape.dim


def _typed(entry: onnx.ValueInfoProto, values: NDArray[Any]) -> NDArray[Any]:
    """Numbers as an input reads them."""
    return values.astype(onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type), copy=False)


def _of_all(count: int, every: int) -> str:
    return str(count) if count == every else f"the first {count} of {every}"


def _mean_and_std(told: str, *, channels: int) -> list[list[float]]:
    """What a model's metadata say of how it reads images."""
    try:
        reading = json.loads(told)
        found = [[float(value) for value in reading[name]] for name in ("mean", "std")]
    except (ValueError, TypeError, KeyError) as error:
        found, cause = [], f"{type(error).__name__}: {error}"
    else:
        cause = f"they have {' and '.join(str(len(values)) for values in found)} values"
    if [len(values) for values in found] != [channels, channels]:
        raise DataError(
            f"the model's metadata {_PREPROCESSING!r} cannot be used ({cause}): expected JSON with mean and std, "
            f"{channels} numbers each. Give its inputs with --samples FILE.npz"
        )
    return found


def _shape(entry: onnx.ValueInfoProto) -> str:
    sizes = [size.dim_param or str(size.dim_value or "?") for size in entry.type.tensor_type.shape.dim]
    return f"[{', '.join(sizes)}]"
