"""Linear maps as data: dense, and in the three forms that need fewer numbers.

A map from a long vector (the pixels of a frame) to a short one (the gates of a recurrent cell) has a large matrix. It
may be written as a product of two thin ones (low rank), as a chain of small cores along the modes of the vector
(tensor train: Oseledets, 2011; for recurrent networks Yang et al., 2017, https://arxiv.org/abs/1707.01786), or as a sum
of small Tucker terms (block term: De Lathauwer, 2008; for recurrent networks Ye et al., 2018,
https://arxiv.org/abs/1712.05134). None of them is ever multiplied out: the vector is contracted mode by mode.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from hwnas.core import UsageError


@dataclass(frozen=True, kw_only=True)
class _Map(ABC):
    """What all maps have.

    Attributes:
        in_features: Numbers read.
        out_features: Numbers written.
    """

    kind: ClassVar[str]

    in_features: int
    out_features: int

    def __post_init__(self) -> None:
        self._require_positive("number of inputs", self.in_features)
        self._require_positive("number of outputs", self.out_features)

    @property
    @abstractmethod
    def params(self) -> int:
        """Numbers that are learned; the bias belongs to the layer."""

    @property
    def deployed(self) -> int:
        """Numbers that a deployed network holds."""
        return self.params

    def _require_positive(self, name: str, value: int) -> None:
        if value < 1:
            raise UsageError(f"{self.kind} map: expected a {name} of at least 1, received {value}: give 1 or more")


@dataclass(frozen=True, kw_only=True)
class _ByModes(_Map):
    """What is contracted mode by mode.

    Attributes:
        in_modes: Factors of the numbers read, in the order in which they are contracted.
        out_modes: Factors of the numbers written, as many.
        rank: Of each joint of a tensor train, or of each axis of a block's core.
    """

    in_modes: tuple[int, ...]
    out_modes: tuple[int, ...]
    rank: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_modes(self)
        self._require_positive("rank", self.rank)

    @property
    @abstractmethod
    def _steps(self) -> Iterator[tuple[int, int, int]]:
        """Rows, inner and outer size of the matrix product of each mode."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one vector."""
        return sum(rows * inner * outer for rows, inner, outer in self._steps)

    @property
    def peak(self) -> int:
        """Most numbers alive at once for one vector."""
        return max(rows * (inner + outer) for rows, inner, outer in self._steps)

    @property
    def _modes(self) -> str:
        return f"read={_product(self.in_modes)},written={_product(self.out_modes)}"


@dataclass(frozen=True, kw_only=True)
class DenseMap(_Map):
    """A matrix.

    Attributes:
        in_features: Numbers read.
        out_features: Numbers written.
    """

    kind = "dense"

    @property
    def params(self) -> int:
        """Numbers of the matrix; the bias belongs to the layer."""
        return self.in_features * self.out_features

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one vector."""
        return self.params

    @property
    def peak(self) -> int:
        """Most numbers alive at once for one vector, read and written ones included."""
        return self.in_features + self.out_features

    def __str__(self) -> str:
        return "map=dense"


@dataclass(frozen=True, kw_only=True)
class LowRankMap(_Map):
    """Two thin matrices.

    Attributes:
        in_features: Numbers read.
        out_features: Numbers written.
        rank: Numbers between the two.
    """

    kind = "low-rank"

    rank: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_positive("rank", self.rank)
        if self.rank > (most := min(self.in_features, self.out_features)):
            raise UsageError(
                f"low-rank map: expected a rank of at most {most}, the smaller of its {self.in_features} inputs and "
                f"{self.out_features} outputs, received {self.rank}: take a dense map, or a smaller rank"
            )

    @property
    def params(self) -> int:
        """Numbers of both matrices."""
        return self.rank * (self.in_features + self.out_features)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one vector."""
        return self.params

    @property
    def peak(self) -> int:
        """Most numbers alive at once for one vector."""
        return self.rank + max(self.in_features, self.out_features)

    def __str__(self) -> str:
        return f"map=low-rank,rank={self.rank}"


@dataclass(frozen=True, kw_only=True)
class TensorTrainMap(_ByModes):
    """A core for each mode, joined to the next one along a rank.

    Attributes:
        in_features: Numbers read.
        out_features: Numbers written.
        in_modes: Factors of the first, in the order in which they are contracted.
        out_modes: Factors of the second, as many.
        rank: Of each joint.
    """

    kind = "tensor-train"

    @property
    def ranks(self) -> tuple[int, ...]:
        """Before the first core, between the cores, and after the last."""
        return (1, *(self.rank,) * (len(self.in_modes) - 1), 1)

    @property
    def cores(self) -> tuple[tuple[int, int], ...]:
        """Each core as a matrix: input mode and rank before, to output mode and rank after."""
        ends = zip(self.in_modes, self.out_modes, self.ranks, self.ranks[1:], strict=False)
        return tuple((j * before, i * after) for j, i, before, after in ends)

    @property
    def params(self) -> int:
        """Numbers of all cores."""
        return sum(rows * columns for rows, columns in self.cores)

    @property
    def _steps(self) -> Iterator[tuple[int, int, int]]:
        """Rows, inner and outer size of the matrix product of each core."""
        for k, (rows, columns) in enumerate(self.cores):
            yield math.prod(self.in_modes[k + 1 :]) * math.prod(self.out_modes[:k]), rows, columns

    def __str__(self) -> str:
        return f"map=tensor-train,{self._modes},rank={self.rank}"


@dataclass(frozen=True, kw_only=True)
class BlockTermMap(_ByModes):
    """A sum of Tucker terms: each a core and a factor for each mode.

    Contracted mode by mode; the last factor takes the core in, which costs nothing a vector, and the sum over the terms
    is part of the last product.

    Attributes:
        in_features: Numbers read.
        out_features: Numbers written.
        in_modes: Factors of the first, in the order in which they are contracted.
        out_modes: Factors of the second, as many.
        rank: Size of each axis of a core.
        blocks: Number of terms.
    """

    kind = "block-term"
    blocks: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_positive("number of blocks", self.blocks)

    @property
    def core(self) -> int:
        """Numbers of a core."""
        return math.prod([self.rank] * len(self.in_modes))

    @property
    def params(self) -> int:
        """Numbers of all cores and factors: Ye et al., 2018, equation 8."""
        factors = sum(j * i for j, i in zip(self.in_modes, self.out_modes, strict=True))
        return self.blocks * (factors * self.rank + self.core)

    @property
    def last(self) -> tuple[int, int]:
        """The last factors with the cores in them, as a matrix."""
        return self.blocks * self.core // self.rank * self.in_modes[-1], self.out_modes[-1]

    @property
    def deployed(self) -> int:
        """Numbers that a deployed network holds: those of the factors, the last with the cores in them."""
        factors = sum(j * i for j, i in zip(self.in_modes[:-1], self.out_modes[:-1], strict=True))
        return self.blocks * factors * self.rank + math.prod(self.last)

    @property
    def _steps(self) -> Iterator[tuple[int, int, int]]:
        """Rows, inner and outer size of the matrix product of each mode; of the first, for all blocks at once."""
        first = self.blocks * self.out_modes[0] * self.rank
        yield self.in_features // self.in_modes[0], self.in_modes[0], first
        done = first
        for k in range(1, len(self.in_modes) - 1):
            yield done * math.prod(self.in_modes[k + 1 :]), self.in_modes[k], self.out_modes[k] * self.rank
            done *= self.out_modes[k] * self.rank
        yield math.prod(self.out_modes[:-1]), *self.last

    def __str__(self) -> str:
        return f"map=block-term,{self._modes},rank={self.rank},blocks={self.blocks}"


LinearMap = DenseMap | LowRankMap | TensorTrainMap | BlockTermMap


@cache
def balanced(size: int, modes: int) -> tuple[int, ...]:
    """The factors of a size that lie closest together, from the smallest to the largest.

    Args:
        size: Their product, at least 1.
        modes: How many; some are 1 where the size has too few factors.
    """
    if modes == 1:
        return (size,)
    smallest = (factor for factor in range(1, int(size ** (1 / modes) + 1e-9) + 1) if size % factor == 0)
    found = (tuple(sorted((factor, *balanced(size // factor, modes - 1)))) for factor in smallest)
    return min(found, key=lambda factors: (sum(factors), factors))


def _product(modes: tuple[int, ...]) -> str:
    return "x".join(map(str, modes))


def _require_modes(mapped: _ByModes) -> None:
    """Refuses modes that do not make up the vectors that are read and written."""
    if len(mapped.in_modes) != len(mapped.out_modes) or len(mapped.in_modes) < 2:
        raise UsageError(
            f"{mapped.kind} map: expected as many input modes as output modes, two or more, received "
            f"{_product(mapped.in_modes) or 'none'} and {_product(mapped.out_modes) or 'none'}: "
            "fill the shorter up with modes of 1"
        )
    ends = (("input", mapped.in_modes, mapped.in_features), ("output", mapped.out_modes, mapped.out_features))
    for end, modes, size in ends:
        if min(modes) < 1 or math.prod(modes) != size:
            fitting = _product(balanced(size, len(modes)))
            raise UsageError(
                f"{mapped.kind} map: expected {end} modes of at least 1 whose product is {size}, received "
                f"{_product(modes)}, whose product is {math.prod(modes)}: {fitting} would fit"
            )
