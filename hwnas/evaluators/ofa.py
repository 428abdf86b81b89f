"""The once-for-all space: a published predictor of accuracy and a table of latencies, both evaluated in numpy.

Cai et al., Once-for-all: train one network and specialize it for efficient deployment, ICLR 2020,
https://arxiv.org/abs/1908.09791. The accuracy is a model's, made by the authors from 10,000 images held out of
ImageNet's training set: good for ranking, some points higher than real accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, DataError, in_data_folder
from hwnas.evaluators.tabular import read_columns
from hwnas.spaces import ArchitectureCodes, Codes, SearchSpace, mobilenet_space

Array = NDArray[np.float64]
PREDICTOR_FILE = "ofa_mbv3_accuracy_predictor.npz"
LATENCY_FILE = "ofa_note10_op_latency.parquet"
_WIDTH = 1.2  # of the networks that predictor and table are of
_CHANNELS = (24, 32, 48, 96, 136, 192)  # after the stem and after each stage, at that width
_STRIDES = (2, 2, 2, 1, 2)
_STAGES, _BLOCKS, _LAYERS = 5, 4, 4
_KERNELS, _EXPANSIONS = (3, 5, 7), (3, 4, 6)
_ENDS = ("Conv", "Conv_1", "AvgPool2D", "Conv_2", "Logits")  # what every network has once at its resolution
_SLOTS, _RESOLUTIONS = 3 * _STAGES * _BLOCKS, 8  # inputs for kernels, as many for expansions; then those for pixels
_FIRST_RESOLUTION, _RESOLUTION_STEP = 112, 16


def ofa_space() -> SearchSpace:
    """The networks of width 1.2: 2.2e19 at each of five resolutions."""
    return mobilenet_space("ofa").restrict({"width": (_WIDTH,)})


@dataclass(frozen=True, kw_only=True, eq=False)
class OfaEvaluator:
    """Predicted top-1 and summed latency of once-for-all networks.

    Attributes:
        space: The space, that of ``ofa_space``.
        layers: Weights ``(out, in)`` and biases ``(out,)`` of the predictor.
        ends_ms: Latency of stem, first block and head at each resolution, shape ``(5,)``.
        blocks_ms: Latency of every block, shape ``(5, 20, 3, 3)``: resolution, block, kernel, expansion.
    """

    space: SearchSpace
    layers: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
    ends_ms: Array
    blocks_ms: Array

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy`` (predicted top-1, percent) and ``latency_ms`` (milliseconds on a Samsung Note10).

        Raises:
            UsageError: The architecture is none of the space.
        """
        codes = ArchitectureCodes(self.space).encode([architecture])
        return {"accuracy": float(self.accuracy(codes)[0]), "latency_ms": float(self.latency_ms(codes)[0])}

    def accuracy(self, codes: Codes) -> Array:
        """Predicted top-1 in percent, shape ``(n,)``, of codes of shape ``(n, c)``."""
        resolution, kernel, expansion = _parts(codes)
        inputs = np.zeros((len(codes), 2 * _SLOTS + _RESOLUTIONS), dtype=np.float32)
        row, block = np.nonzero(kernel >= 0)
        inputs[row, 3 * block + kernel[row, block]] = 1
        inputs[row, _SLOTS + 3 * block + expansion[row, block]] = 1
        pixels = np.array(self.space.by_name["resolution"].options, dtype=np.intp)[resolution]
        inputs[np.arange(len(codes)), 2 * _SLOTS + (pixels - _FIRST_RESOLUTION) // _RESOLUTION_STEP] = 1
        hidden = inputs
        for weight, bias in self.layers[:-1]:
            hidden = np.maximum(hidden @ weight.T + bias, 0)
        weight, bias = self.layers[-1]
        percent: Array = 100 * (hidden @ weight.T + bias)[:, 0].astype(np.float64)
        return percent

    def latency_ms(self, codes: Codes) -> Array:
        """Sum of the table's rows in milliseconds, shape ``(n,)``, of codes of shape ``(n, c)``."""
        resolution, kernel, expansion = _parts(codes)
        block = np.arange(_STAGES * _BLOCKS)
        each = self.blocks_ms[resolution[:, None], block, kernel, expansion]  # (n, 20)
        blocks_ms: Array = np.where(kernel >= 0, each, 0.0).sum(axis=1)
        return np.asarray(self.ends_ms[resolution] + blocks_ms)


def _parts(codes: Codes) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Resolution ``(n,)``, kernel and expansion of every block ``(n, 20)``; -1 for blocks that are not there."""
    stages = codes[:, 2:].astype(np.intp).reshape(len(codes), _STAGES, 1 + 2 * _BLOCKS)[:, :, 1:]
    kernel = stages[:, :, 0::2].reshape(len(codes), _STAGES * _BLOCKS)
    expansion = stages[:, :, 1::2].reshape(len(codes), _STAGES * _BLOCKS)
    return codes[:, 0].astype(np.intp), kernel, expansion


def ofa_evaluator() -> OfaEvaluator:
    """Predictor and table from the folder that ``HWNAS_DATA`` names.

    Raises:
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks a file.
        MissingExtraError: pyarrow is not installed.
        DataError: A file cannot be read, or is not what it should be.
    """
    space = ofa_space()
    ends_ms, blocks_ms = _latencies(space)
    return OfaEvaluator(space=space, layers=_layers(), ends_ms=ends_ms, blocks_ms=blocks_ms)


def _layers() -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    path = in_data_folder(PREDICTOR_FILE, purpose="this benchmark", about="see docs/benchmarks.md")
    try:
        with np.load(path, allow_pickle=False) as held:
            found = [(held[f"w{i}"].astype(np.float32), held[f"b{i}"].astype(np.float32)) for i in range(_LAYERS)]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot read the layers w0, b0 to w3, b3 from {path}: {error}") from error
    if found[0][0].shape[1:] != (2 * _SLOTS + _RESOLUTIONS,) or found[-1][0].shape[:1] != (1,):
        raise DataError(
            f"{path}: expected layers from {2 * _SLOTS + _RESOLUTIONS} inputs to 1 output, received weights of shapes "
            f"{', '.join(str(weight.shape) for weight, _ in found)}"
        )
    return found


def _latencies(space: SearchSpace) -> tuple[Array, Array]:
    block = ("image_size", "input_channels", "output_channels", "mid_channels", "kernel", "stride")
    read = read_columns(LATENCY_FILE, ["op", "latency_ms", *block])
    rows: dict[tuple[Any, ...], float] = {}
    for op, latency_ms, *shape in zip(*read.values(), strict=True):
        rows[(op, *shape) if op == "expanded_conv" else (op, shape[0])] = float(latency_ms)
    resolutions = space.by_name["resolution"].options
    ends = np.zeros(len(resolutions))
    blocks = np.zeros((len(resolutions), _STAGES * _BLOCKS, len(_KERNELS), len(_EXPANSIONS)))
    try:
        for i, pixels in enumerate(resolutions):
            stem = _CHANNELS[0]
            ends[i] = rows["expanded_conv", pixels, stem, stem, stem, 3, 1] + sum(rows[op, pixels] for op in _ENDS)
            for n, k, e in product(range(_STAGES * _BLOCKS), range(len(_KERNELS)), range(len(_EXPANSIONS))):
                stage, later = divmod(n, _BLOCKS)
                source = _CHANNELS[stage + bool(later)]
                inner = source * _EXPANSIONS[e]
                sizes = (source, _CHANNELS[stage + 1], inner, _KERNELS[k], 1 if later else _STRIDES[stage])
                blocks[i, n, k, e] = rows[("expanded_conv", pixels, *sizes)]
    except KeyError as error:
        raise DataError(f"{LATENCY_FILE} lacks a row of the space: {error}") from error
    return ends, blocks
