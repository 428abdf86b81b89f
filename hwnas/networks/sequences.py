"""The layers of recurrent networks, as data: what every frame is turned into, and the steps from frame to frame.

A clip is an image whose channels are its frames. Only the map from a frame to the gates of the cell is factorised: that
is where the numbers are (Ye et al., 2018, https://arxiv.org/abs/1712.05134, equation 12); the map from state to gates
stays dense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwnas.core import UsageError, unknown
from hwnas.networks.factorised import DenseMap, LinearMap, LowRankMap

GATES: Mapping[str, int] = {"rnn": 1, "gru": 3, "lstm": 4}
"""Cell to the vectors as long as its state that it makes of a frame."""

FUSED = ("gru", "lstm")
"""Cells that runtimes have an operator for, and torch's exporter writes as one."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A linear map and a bias for every frame, the same for all.

    Attributes:
        frames: Frames of a clip, read as the channels of an image.
        mapped: From the pixels of a frame to the gates of a cell.
    """

    frames: int
    mapped: LinearMap

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise UsageError(f"expected clips of at least 1 frame, received {self.frames}")

    @property
    def params(self) -> int:
        """Numbers of the map, and biases."""
        return self.mapped.params + self.mapped.out_features

    @property
    def working(self) -> int:
        """Numbers that are needed beside the frames, most at once."""
        return self.frames * (self.mapped.peak - self.mapped.in_features)

    @property
    def in_channels(self) -> int:
        """Frames."""
        return self.frames

    @property
    def out_channels(self) -> int:
        """Numbers written, for all frames."""
        return self.frames * self.mapped.out_features

    def macs(self, size: int) -> int:
        """Multiply-accumulates of a clip, whose frames are as large as the map says."""
        return self.frames * self.mapped.macs

    def out_size(self, size: int) -> int:
        """No pixels are left."""
        return 1


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A recurrent cell that goes over what was made of the frames, and leaves its last state.

    The first state is zero, so the first step has no map from it.

    Attributes:
        cell: ``"lstm"`` (Hochreiter and Schmidhuber, 1997), ``"gru"`` (Cho et al., 2014, arXiv:1406.1078; the reset
            gate acts on the mapped state) or ``"rnn"`` (Elman, 1990).
        frames: Steps.
        hidden: Numbers of the state.
    """

    cell: str
    frames: int
    hidden: int

    def __post_init__(self) -> None:
        if self.cell not in GATES:
            raise unknown("recurrent cell", self.cell, GATES)
        if self.hidden < 1:
            raise UsageError(f"expected a state of at least 1 number, received {self.hidden}")

    @classmethod
    def of(cls, mapped: LinearMap, *, cell: str, frames: int) -> Steps:
        """The steps that read what a map writes.

        Raises:
            UsageError: No such cell, or the map writes no multiple of its gates.
        """
        if cell not in GATES:
            raise unknown("recurrent cell", cell, GATES)
        hidden, left = divmod(mapped.out_features, GATES[cell])
        if left:
            raise UsageError(
                f"cell {cell}: expected a map to a multiple of its {GATES[cell]} gates, received "
                f"{mapped.out_features} outputs: give it {GATES[cell]} times the numbers of its state"
            )
        return cls(cell=cell, frames=frames, hidden=hidden)

    @property
    def gates(self) -> int:
        """Numbers that all gates together read from a frame."""
        return GATES[self.cell] * self.hidden

    @property
    def params(self) -> int:
        """Numbers of the map from the state; biases stand with the frames."""
        return self.hidden * self.gates

    @property
    def working(self) -> int:
        """Numbers that are needed beside those read, most at once: the gates of a step, twice, and the states."""
        return 2 * self.gates + 2 * self.hidden

    @property
    def in_channels(self) -> int:
        """Numbers read, of all frames."""
        return self.frames * self.gates

    @property
    def out_channels(self) -> int:
        """Numbers of the state."""
        return self.hidden

    def macs(self, size: int) -> int:
        """Multiply-accumulates of a clip."""
        return (self.frames - 1) * self.params

    def out_size(self, size: int) -> int:
        """No pixels, as before."""
        return 1


@dataclass(frozen=True, kw_only=True)
class FusedSteps:
    """Map and steps in the operator that runtimes have for a cell, which takes nothing but a matrix.

    Of a map of two matrices it takes the second. It multiplies the first state, too, and has two biases for each gate.

    Attributes:
        cell: ``"lstm"`` or ``"gru"``.
        frames: Frames of a clip, read as the channels of an image.
        mapped: From the pixels of a frame to the gates of the cell.
    """

    cell: str
    frames: int
    mapped: DenseMap | LowRankMap

    def __post_init__(self) -> None:
        if self.cell not in FUSED:
            raise unknown("cell with an operator", self.cell, FUSED)
        Steps.of(self.mapped, cell=self.cell, frames=self.frames)  # refuses outputs that are no multiple of the gates

    @property
    def read(self) -> int:
        """Numbers of a frame that the operator reads."""
        return self.mapped.rank if isinstance(self.mapped, LowRankMap) else self.mapped.in_features

    @property
    def hidden(self) -> int:
        """Numbers of the state."""
        return self.mapped.out_features // GATES[self.cell]

    @property
    def weights(self) -> int:
        """Numbers of all matrices."""
        return self.mapped.params + self.hidden * self.mapped.out_features

    @property
    def biases(self) -> int:
        """Two for each gate."""
        return 2 * self.mapped.out_features

    @property
    def params(self) -> int:
        """Matrices and biases."""
        return self.weights + self.biases

    @property
    def working(self) -> int:
        """Numbers that are needed beside the frames, most at once: what the operator reads, its gates and states."""
        narrow = self.frames * self.read if isinstance(self.mapped, LowRankMap) else 0
        return narrow + 2 * self.mapped.out_features + (self.frames + 2) * self.hidden

    @property
    def in_channels(self) -> int:
        """Frames."""
        return self.frames

    @property
    def out_channels(self) -> int:
        """Numbers of the state."""
        return self.hidden

    def macs(self, size: int) -> int:
        """Multiply-accumulates of a clip."""
        return self.frames * self.weights

    def out_size(self, size: int) -> int:
        """No pixels are left."""
        return 1
