"""Accel-NASBench as a model: fitted here to the table of trained networks, since that holds one of 10^7 in the space.

The benchmark's authors publish models too (Ahmad et al., 2024, Accel-NASBench: sustainable benchmarking for
accelerator-aware NAS, https://arxiv.org/abs/2404.08005). These are smaller: ridge regressions with a closed form, so
that the same table gives the same benchmark everywhere. Accuracy has a term for every option but the first of a choice,
and for every pair of them; a latency has a term for every kind of block at every place, which is how networks add up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, DataError, UsageError, unknown
from hwnas.evaluators.tabular import numbers, read_columns
from hwnas.spaces import ArchitectureCodes, Codes, SearchSpace, accel_space

Array = NDArray[np.float64]
ACCEL_FILE = "accel_nasbench_imagenet.parquet"
ACCEL_DEVICES: Mapping[str, str] = {
    "zcu102": "zcu102_latency_ms",
    "vck190": "vck190_latency_ms",
    "a100": "a100_throughput_ips",
    "rtx3090": "rtx3090_throughput_ips",
    "tpuv2": "tpuv2_throughput_ips",
    "tpuv3": "tpuv3_throughput_ips",
}
_PER_BLOCK = 4  # choices
_PAIR_PENALTY, _BLOCK_PENALTY = 1.0, 0.1  # chosen on held-out networks: R2 0.983 of accuracy, 0.999 of latency


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearModel:
    """A ridge regression on indicators.

    Attributes:
        pairs: Whether the indicators are those of options and pairs of them, or those of whole blocks.
        centre: Means of the indicators, shape ``(p,)``.
        weights: Shape ``(p,)``.
        mean: Of what is predicted.
    """

    pairs: bool
    centre: Array
    weights: Array
    mean: float

    @classmethod
    def fitted(cls, codes: Codes, values: Array, *, pairs: bool) -> LinearModel:
        """The regression that some rows make; those with NaN are left out.

        Args:
            codes: Shape ``(n, c)``.
            values: Shape ``(n,)``.
            pairs: What to fit with.
        """
        known = np.isfinite(values)
        indicators = _indicators(codes[known], pairs=pairs)
        centre, mean = indicators.mean(axis=0), float(values[known].mean())
        centred = indicators - centre
        penalty = _PAIR_PENALTY if pairs else _BLOCK_PENALTY
        normal = centred.T @ centred + penalty * np.eye(len(centre))
        weights = np.linalg.solve(normal, centred.T @ (values[known] - mean))
        return cls(pairs=pairs, centre=centre, weights=weights, mean=mean)

    def predict(self, codes: Codes) -> Array:
        """Shape ``(n,)``, of codes of shape ``(n, c)``."""
        return np.asarray((_indicators(codes, pairs=self.pairs) - self.centre) @ self.weights + self.mean)


@dataclass(frozen=True, kw_only=True, eq=False)
class AccelEvaluator:
    """Modelled accuracy and latency.

    Attributes:
        space: The space, that of ``accel_space``.
        accuracy: Model of the ImageNet validation accuracy in percent, under the benchmark's short training.
        latency: Model of the latency in milliseconds; on devices of which the table has throughput, of the
            milliseconds an image takes.
        trained: Codes of the networks in the table, shape ``(n, c)``.
    """

    space: SearchSpace
    accuracy: LinearModel
    latency: LinearModel
    trained: Codes

    def evaluate(self, architecture: Architecture) -> Mapping[str, float]:
        """``accuracy`` (percent) and ``latency_ms`` (milliseconds).

        Raises:
            UsageError: The architecture is none of the space.
        """
        codes = ArchitectureCodes(self.space).encode([architecture])
        return {
            "accuracy": float(self.accuracy.predict(codes)[0]),
            "latency_ms": float(self.latency.predict(codes)[0]),
        }


def accel_evaluator(device: str) -> AccelEvaluator:
    """Models fitted to the table in the folder that ``HWNAS_DATA`` names.

    Args:
        device: One of ``ACCEL_DEVICES``.

    Raises:
        UsageError: No such device.
        MachineError: ``HWNAS_DATA`` is not set, or its folder lacks the file.
        MissingExtraError: pyarrow is not installed.
        DataError: The file cannot be read, lacks columns, or has networks that are none of the space.
    """
    if device not in ACCEL_DEVICES:
        raise unknown("device of accel", device, ACCEL_DEVICES)
    space, column = accel_space(), ACCEL_DEVICES[device]
    blocks = [f"block{i}_{part}" for i, part in product(range(len(space.choices) // _PER_BLOCK), ("e", "k", "l", "se"))]
    read = read_columns(ACCEL_FILE, [*blocks, "val_top1", column])
    values = numbers(ACCEL_FILE, read, ["val_top1", column])
    latency = 1000 / values[column] if column.endswith("_ips") else values[column]
    codes = _codes(space, [read[name] for name in blocks])
    return AccelEvaluator(
        space=space,
        accuracy=LinearModel.fitted(codes, values["val_top1"], pairs=True),
        latency=LinearModel.fitted(codes, latency, pairs=False),
        trained=codes,
    )


def _codes(space: SearchSpace, columns: Sequence[Sequence[int | bool]]) -> Codes:
    names = [choice.name for choice in space.choices]
    try:
        rows = [space.architecture(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
    except UsageError as error:
        raise DataError(f"{ACCEL_FILE} has a network that cannot be read: {error}") from error
    return ArchitectureCodes(space).encode(rows)


def _indicators(codes: Codes, *, pairs: bool) -> Array:
    space = accel_space()
    sizes = [len(choice.options) for choice in space.choices]
    if not pairs:
        most = [max(sizes[column::_PER_BLOCK]) for column in range(_PER_BLOCK)]
        blocks = codes.reshape(len(codes), -1, _PER_BLOCK)
        kind = np.zeros(blocks.shape[:2], dtype=np.intp)
        for column, size in enumerate(most):
            kind = kind * size + blocks[:, :, column]
        return np.asarray(kind[:, :, None] == np.arange(math.prod(most)), dtype=np.float64).reshape(len(codes), -1)
    single = np.hstack([codes[:, [i]] == np.arange(1, size) for i, size in enumerate(sizes)]).astype(np.float64)
    first, second = np.triu_indices(single.shape[1], k=1)
    return np.hstack([single, single[:, first] * single[:, second]])
