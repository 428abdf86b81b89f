"""The networks of the ``recurrent`` space: a map of every frame, a recurrent cell, and a classifier of its last state.

After Ye et al., 2018, https://arxiv.org/abs/1712.05134: the map from a frame to the gates of the cell, where nearly all
numbers of such a network are, may have the block-term form, or one of those it is held against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from hwnas.core import Architecture, UsageError, Value
from hwnas.networks.blocks import Block
from hwnas.networks.factorised import BlockTermMap, DenseMap, LinearMap, LowRankMap, TensorTrainMap, balanced
from hwnas.networks.family import ImageShape
from hwnas.networks.layers import Classifier
from hwnas.networks.sequences import FUSED, GATES, FusedSteps, Project, Steps
from hwnas.spaces import RecurrentDesign, SearchSpace, Share

_FEWEST_FRAMES = 2


@dataclass(frozen=True)
class Recurrent:
    """A recurrent layer over the frames of a clip, and a classifier.

    Attributes:
        design: What is fixed.
        space: What may vary; made from the same design.
    """

    design: RecurrentDesign
    space: SearchSpace

    def shares(self, shape: ImageShape) -> tuple[Share[tuple[Block, ...]], ...]:
        """The map of the frames, with the steps where the runtime has an operator for both, and what follows.

        Raises:
            UsageError: A clip of a single frame.
        """
        if shape.channels < _FEWEST_FRAMES:
            raise UsageError(
                f"space {self.space.name} reads clips, a channel for each frame: expected at least {_FEWEST_FRAMES}, "
                f"received images of {shape.channels} channel. Take data of clips, such as `clips`, or another space"
            )
        every = tuple(choice.name for choice in self.space.choices)
        return (
            Share(every, partial(self._projection, shape.channels)),
            Share(("cell", "hidden", "map"), partial(_ending, shape)),
        )

    def _projection(self, frames: int, values: Mapping[str, Value]) -> tuple[Block, ...]:
        size, mapped = int(values["resolution"]), self.mapped(values)
        at = f"frames={frames},px={size},out={mapped.out_features},{mapped}"
        if isinstance(mapped, DenseMap | LowRankMap) and _is_fused(values):
            fused = FusedSteps(cell=str(values["cell"]), frames=frames, mapped=mapped)
            return (Block(key=f"fused(cell={fused.cell},{at})", layers=(fused,), size=size),)
        return (Block(key=f"project({at})", layers=(Project(frames=frames, mapped=mapped),), size=size),)

    def mapped(self, values: Mapping[str, Value]) -> LinearMap:
        """From the pixels of a frame to the gates of the cell.

        Args:
            values: Options of all active choices.
        """
        size, hidden, gates = int(values["resolution"]) ** 2, int(values["hidden"]), GATES[str(values["cell"])]
        ends = {"in_features": size, "out_features": gates * hidden}
        form, rank = values["map"], int(values.get("rank", 0))
        if form == "dense":
            return DenseMap(**ends)
        if form == "low-rank":
            return LowRankMap(**ends, rank=rank)
        # large modes are read first, which leaves the least for the modes after them; all of one gate stays together
        read, (first, *others) = balanced(size, self.design.modes)[::-1], balanced(hidden, self.design.modes)
        written = (gates * first, *others)
        if form == "tensor-train":
            return TensorTrainMap(**ends, in_modes=read, out_modes=written, rank=rank)
        return BlockTermMap(**ends, in_modes=read, out_modes=written, rank=rank, blocks=int(values["blocks"]))

    def covering(self) -> list[Architecture]:
        """Every architecture that has a block that none before it has."""
        seen: set[str] = set()
        found = []
        shares = self.shares(ImageShape(channels=_FEWEST_FRAMES, classes=2))
        for architecture in self.space.enumerate():
            keys = {block.key for share in shares for block in share.in_(architecture)}
            if not keys <= seen:
                seen |= keys
                found.append(architecture)
        return found


def _ending(shape: ImageShape, values: Mapping[str, Value]) -> tuple[Block, ...]:
    cell, hidden = str(values["cell"]), int(values["hidden"])
    layer = Classifier(in_features=hidden, classes=shape.classes, pooled=False)
    head = Block(key=f"readout(in={hidden},classes={shape.classes})", layers=(layer,), size=1)
    if _is_fused(values):
        return (head,)
    steps = Steps(cell=cell, frames=shape.channels, hidden=hidden)
    return Block(key=f"steps(cell={cell},frames={shape.channels},hidden={hidden})", layers=(steps,), size=1), head


def _is_fused(values: Mapping[str, Value]) -> bool:
    """Whether the runtime has an operator for map and steps together."""
    return values["cell"] in FUSED and values["map"] in {"dense", "low-rank"}
