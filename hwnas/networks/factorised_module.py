"""Linear maps as torch modules, with a bias each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from hwnas.networks.factorised import BlockTermMap, DenseMap, LinearMap, LowRankMap, TensorTrainMap


class Drawn(nn.Module):
    """A module that knows how to draw its own initial weights."""

    def draw(self, generator: torch.Generator) -> None:
        """Gives every weight an initial value."""
        raise NotImplementedError


class DenseLinear(Drawn):
    """A matrix."""

    def __init__(self, mapped: DenseMap) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(mapped.in_features, mapped.out_features))
        self.bias = nn.Parameter(torch.empty(mapped.out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``(..., in_features)`` to ``(n, out_features)``."""
        return torch.addmm(self.bias, x.reshape(-1, self.weight.shape[0]), self.weight)

    def draw(self, generator: torch.Generator) -> None:
        """Normal weights that keep the variance of what is read, and no bias."""
        _normal(self.weight, self.weight.shape[0], generator)
        nn.init.zeros_(self.bias)


class LowRankLinear(Drawn):
    """Two thin matrices."""

    def __init__(self, mapped: LowRankMap) -> None:
        super().__init__()
        self.narrow = nn.Parameter(torch.empty(mapped.in_features, mapped.rank))
        self.wide = nn.Parameter(torch.empty(mapped.rank, mapped.out_features))
        self.bias = nn.Parameter(torch.empty(mapped.out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``(..., in_features)`` to ``(n, out_features)``."""
        return torch.addmm(self.bias, x.reshape(-1, self.narrow.shape[0]) @ self.narrow, self.wide)

    def draw(self, generator: torch.Generator) -> None:
        """As of ``DenseLinear``, for both."""
        for matrix in (self.narrow, self.wide):
            _normal(matrix, matrix.shape[0], generator)
        nn.init.zeros_(self.bias)


class TensorTrainLinear(Drawn):
    """A core for each mode, contracted from the first to the last."""

    def __init__(self, mapped: TensorTrainMap) -> None:
        super().__init__()
        self.mapped = mapped
        self.cores = nn.ParameterList(nn.Parameter(torch.empty(shape)) for shape in mapped.cores)
        self.bias = nn.Parameter(torch.empty(mapped.out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``(..., in_features)`` to ``(n, out_features)``."""
        mapped, rest = self.mapped, self.mapped.in_features
        for k, (mode, before) in enumerate(zip(mapped.in_modes, mapped.ranks, strict=False)):
            rest //= mode
            others = rest * math.prod(mapped.out_modes[:k])  # numbers along the modes that this core leaves alone
            rows = x.reshape(-1, mode, others, before).transpose(1, 2).reshape(-1, mode * before)
            x = rows @ self.cores[k]
        return x.reshape(-1, mapped.out_features) + self.bias

    def draw(self, generator: torch.Generator) -> None:
        """Normal cores whose product keeps the variance of what is read, and no bias."""
        for core in self.cores:
            _normal(core, core.shape[0], generator)
        nn.init.zeros_(self.bias)


class BlockTermLinear(Drawn):
    """A sum of Tucker terms, contracted from the first mode to the last.

    ``factors[0]`` is ``(J1, blocks * I1 * rank)``, those after it ``(blocks, J, I * rank)``, and the last
    ``(blocks, rank, J * I)``; cores are ``(blocks, rank ** (modes - 1), rank)``.
    """

    def __init__(self, mapped: BlockTermMap) -> None:
        super().__init__()
        self.mapped = mapped
        blocks, rank = mapped.blocks, mapped.rank
        pairs = list(zip(mapped.in_modes, mapped.out_modes, strict=True))
        shapes: list[tuple[int, ...]] = [(pairs[0][0], blocks * pairs[0][1] * rank)]
        shapes += [(blocks, j, i * rank) for j, i in pairs[1:-1]]
        shapes += [(blocks, rank, math.prod(pairs[-1]))]
        self.factors = nn.ParameterList(nn.Parameter(torch.empty(shape)) for shape in shapes)
        self.core = nn.Parameter(torch.empty(blocks, mapped.core // rank, rank))
        self.bias = nn.Parameter(torch.empty(mapped.out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``(..., in_features)`` to ``(n, out_features)``."""
        mapped = self.mapped
        blocks, rest = mapped.blocks, mapped.in_features // mapped.in_modes[0]
        rows = x.reshape(-1, mapped.in_modes[0], rest).transpose(1, 2).reshape(-1, mapped.in_modes[0])
        first = mapped.out_modes[0] * mapped.rank
        rest //= mapped.in_modes[1]
        # the blocks come to the front and the next mode to the end
        x = (rows @ self.factors[0]).reshape(-1, mapped.in_modes[1], rest, blocks, first).permute(3, 0, 2, 4, 1)
        for k in range(1, len(mapped.in_modes) - 1):
            x = torch.bmm(x.reshape(blocks, -1, mapped.in_modes[k]), self.factors[k])
            following = mapped.in_modes[k + 1]
            rest //= following
            done = math.prod(mapped.out_modes[: k + 1]) * mapped.rank ** (k + 1)
            x = x.reshape(-1, following, rest * done).transpose(1, 2)
        return self._summed(x) + self.bias

    def _summed(self, x: torch.Tensor) -> torch.Tensor:
        """The last mode and the cores, for all blocks in one product."""
        mapped, written = self.mapped, self.mapped.out_modes[:-1]
        pairs = [size for mode in written for size in (mode, mapped.rank)]
        x = x.reshape(mapped.blocks, -1, *pairs, mapped.in_modes[-1])
        modes, ranks = range(2, 2 + len(pairs), 2), range(3, 2 + len(pairs), 2)
        x = x.permute(1, *modes, 0, *ranks, 2 + len(pairs))
        last = torch.bmm(self.core, self.factors[-1]).reshape(mapped.last)
        return (x.reshape(-1, mapped.last[0]) @ last).reshape(-1, mapped.out_features)

    def draw(self, generator: torch.Generator) -> None:
        """Normal factors and cores whose product keeps the variance of what is read, and no bias."""
        for factor, mode in zip(self.factors, self.mapped.in_modes, strict=True):
            _normal(factor, mode, generator)
        _normal(self.core, self.mapped.blocks * self.mapped.core, generator)
        nn.init.zeros_(self.bias)


_MODULES: Mapping[type[LinearMap], Callable[[Any], Drawn]] = {
    BlockTermMap: BlockTermLinear,
    DenseMap: DenseLinear,
    LowRankMap: LowRankLinear,
    TensorTrainMap: TensorTrainLinear,
}


def linear_module(mapped: LinearMap) -> Drawn:
    """The module of a linear map and a bias, without values.

    It maps ``(..., in_features)``, the last axis in several where that suits the caller, to ``(n, out_features)``.
    """
    return _MODULES[type(mapped)](mapped)


def _normal(weights: torch.Tensor, inverse_variance: int, generator: torch.Generator) -> None:
    with torch.no_grad():
        weights.normal_(0.0, math.sqrt(1 / inverse_variance), generator=generator)
