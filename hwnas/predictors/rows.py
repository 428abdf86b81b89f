"""Rows of a table as figures, and what to do where a row is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from hwnas.core import unknown
from hwnas.predictors.calibration import FIGURES
from hwnas.predictors.regression import ShapeRegressions
from hwnas.predictors.shapes import block_shape, kernel_shape
from latency_tables import LatencyTable, MissingRowError, Tensor, convolution, read_kernel

Missing = Literal["error", "step", "regress"]
MISSING: tuple[Missing, ...] = get_args(Missing)
How = Literal["exact", "step", "regressed"]

MIB = 2**20
_PARTS = tuple(name for name in FIGURES if name not in ("sum_ms", "variance_ms2"))  # which add up over kernels
_BYTES = {"double": 8, "int64": 8, "float": 4, "int32": 4, "uint32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, kw_only=True)
class PartCost:
    """What one kernel or block costs, and how that is known.

    Attributes:
        key: Its key.
        latency_ms: Of one execution.
        spread: Relative standard deviation of an estimate; 0 for a row of the table.
        how: ``"exact"`` for a row of its own, ``"step"`` for the row at the upper end of its step of channels,
            ``"regressed"`` for what rows of the same kind teach.
        kernels: Kernels it stands for.
        weights_mib: Weights it reads.
        once_ms: What of the latency are kernels that use each weight once, as in a gate or a classifier; in a
            network, weights come from further away than where a kernel alone finds them.
        dense_ms: What of it are other dense convolutions and matrix products.
        depthwise_ms: What of it are depthwise convolutions.
        written_mib: Activations it writes.
    """

    key: str
    latency_ms: float
    spread: float = 0.0
    how: How = "exact"
    kernels: float = 1.0
    once_ms: float = 0.0
    weights_mib: float = 0.0
    dense_ms: float = 0.0
    depthwise_ms: float = 0.0
    written_mib: float = 0.0

    @property
    def figures(self) -> NDArray[np.float64]:
        """In the order of ``calibration.FIGURES``, shape ``(8,)``."""
        values = {
            "sum_ms": self.latency_ms,
            "variance_ms2": (self.spread * self.latency_ms) ** 2,
            **{name: getattr(self, name) for name in _PARTS},
        }
        return np.array([values[name] for name in FIGURES])


def require_policy(missing: str) -> Missing:
    """Checks the name of a policy for missing rows.

    Raises:
        UsageError: There is no such policy.
    """
    for name in MISSING:
        if name == missing:
            return name
    raise unknown("policy for missing rows", missing, MISSING)


class RowEstimates:
    """The rows of a table, and under a policy estimates of what it lacks.

    Args:
        table: The measured rows.
        missing: ``"error"`` takes rows of the table alone; ``"step"`` also the row at the upper end of a kernel's
            measured step of channels; ``"regress"`` also regressions on rows of the same kind.
    """

    def __init__(self, table: LatencyTable, *, missing: Missing = "error") -> None:
        self._table, self._missing = table, missing
        self._kernels: dict[str, PartCost] = {}
        self._blocks: dict[str, PartCost] = {}

    def kernel(self, key: str) -> PartCost:
        """One kernel.

        Raises:
            MissingRowError: It has no row, and the policy finds no estimate.
        """
        if key not in self._kernels:
            self._kernels[key] = self._of_kernel(key)
        return self._kernels[key]

    def block(self, key: str) -> PartCost:
        """One block: the sum of its kernels.

        Raises:
            MissingRowError: The block or one of its kernels has no row, and the policy finds no estimate.
        """
        if key not in self._blocks:
            self._blocks[key] = self._of_block(key)
        return self._blocks[key]

    def _of_kernel(self, key: str) -> PartCost:
        if key in self._table.kernels:
            return _described(key, self._table.kernels[key].timing.latency_ms)
        if self._missing != "error":
            try:
                return _described(key, self._table.kernel(key, snap=True).timing.latency_ms, how="step")
            except MissingRowError:
                pass
        found = self._kernel_regressions.estimate(key) if self._missing == "regress" else None
        if found is None:
            raise self._table.missing("kernel", [key])
        return _described(key, found.latency_ms, how="regressed", spread=found.spread)

    def _of_block(self, key: str) -> PartCost:
        row = self._table.blocks.get(key)
        if row is not None:
            absent = [kernel for kernel in row.kernels if kernel not in self._table.kernels]
            if absent and self._missing == "error":
                raise self._table.missing("kernel", absent)
            return _together(key, {self.kernel(kernel): count for kernel, count in row.kernels.items()})
        found = self._block_regressions.estimate(key) if self._missing == "regress" else None
        if found is None:
            raise self._table.missing("block", [key])
        # what it is made of is that of the blocks of its kind, as far as they go
        share = self._usual_parts
        return PartCost(
            key=key,
            latency_ms=found.latency_ms,
            spread=found.spread,
            how="regressed",
            **{name: share[name] * found.latency_ms for name in _PARTS},
        )

    @cached_property
    def _measured_blocks(self) -> Mapping[str, PartCost]:
        """Blocks of the table whose kernels all have rows."""
        kernels = self._table.kernels
        return {key: self.block(key) for key, row in self._table.blocks.items() if kernels.keys() >= row.kernels.keys()}

    @cached_property
    def _usual_parts(self) -> Mapping[str, float]:
        total = sum((one.figures for one in self._measured_blocks.values()), np.zeros(len(FIGURES)))
        return dict(zip(FIGURES, (total / max(total[0], np.finfo(float).tiny)).tolist(), strict=True))

    @cached_property
    def _kernel_regressions(self) -> ShapeRegressions:
        return ShapeRegressions({k: row.timing.latency_ms for k, row in self._table.kernels.items()}, kernel_shape)

    @cached_property
    def _block_regressions(self) -> ShapeRegressions:
        return ShapeRegressions({k: one.latency_ms for k, one in self._measured_blocks.items()}, block_shape)


def _together(key: str, kernels: Mapping[PartCost, int]) -> PartCost:
    """A block of kernels; errors of estimates are taken to go the same way."""
    latency_ms = sum(one.latency_ms * n for one, n in kernels.items())
    error_ms = sum(one.spread * one.latency_ms * n for one, n in kernels.items())
    ways: tuple[How, ...] = ("regressed", "step", "exact")
    return PartCost(
        key=key,
        latency_ms=latency_ms,
        spread=error_ms / latency_ms if latency_ms else 0.0,
        how=next((way for way in ways if any(one.how == way for one in kernels)), "exact"),
        **{name: sum(getattr(one, name) * n for one, n in kernels.items()) for name in _PARTS},
    )


def _described(key: str, latency_ms: float, *, how: How = "exact", spread: float = 0.0) -> PartCost:
    nature = _nature(key)
    return PartCost(
        key=key,
        latency_ms=latency_ms,
        spread=spread,
        how=how,
        weights_mib=nature.weights_mib,
        once_ms=latency_ms if nature.work == "once" else 0.0,
        dense_ms=latency_ms if nature.work == "dense" else 0.0,
        depthwise_ms=latency_ms if nature.work == "depthwise" else 0.0,
        written_mib=nature.written_mib,
    )


class _Nature(NamedTuple):
    """What a key says of its kernel: ``work`` is ``""`` for what is neither a convolution nor a product."""

    weights_mib: float = 0.0
    written_mib: float = 0.0
    work: Literal["once", "dense", "depthwise", ""] = ""


@lru_cache(maxsize=65_536)
def _nature(key: str) -> _Nature:
    read = read_kernel(key)
    if read is None:
        return _Nature()
    written_mib = _mib(read.written)
    held = convolution(key)
    if held is None and read.op.rpartition(".")[2] not in _PRODUCTS:
        return _Nature(written_mib=written_mib)
    weights = [one for one in read.read[1:] if len(one.shape) > 1 and one not in (read.read[0], *read.written)]
    if math.prod(read.written[0].shape) == max(read.written[0].shape, default=0):  # one image of one pixel
        return _Nature(_mib(weights), written_mib, "once")
    return _Nature(_mib(weights), written_mib, "depthwise" if held is not None and held.depthwise else "dense")


def _mib(tensors: Iterable[Tensor]) -> float:
    return sum(math.prod(one.shape) * _BYTES.get(one.element, 1) for one in tensors) / MIB


_PRODUCTS = {"Gemm", "MatMul", "FusedGemm", "FusedMatMul", "QGemm", "MatMulInteger", "QLinearMatMul"}
