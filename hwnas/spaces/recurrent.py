"""The ``recurrent`` space: which cell goes over a clip, how long its state is, and in which form it reads a frame."""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.core import unknown
from hwnas.spaces.space import Choice, SearchSpace

_FORMS = ("dense", "low-rank", "tensor-train", "block-term")
_RANKED = frozenset({"low-rank", "tensor-train", "block-term"})


@dataclass(frozen=True, kw_only=True)
class RecurrentDesign:
    """What is fixed and what may vary.

    Attributes:
        preset: What it is called on the command line.
        resolutions: Heights and widths of a frame in pixels.
        states: Numbers of the state.
        ranks: Of the forms that have one.
        blocks: Terms of a block-term map.
        modes: Into how many factors frames and states are taken apart.
        cells: The recurrent cells.
        forms: Of the map from a frame to the gates.
    """

    preset: str
    resolutions: tuple[int, ...]
    states: tuple[int, ...]
    ranks: tuple[int, ...]
    blocks: tuple[int, ...]
    modes: int = 3
    cells: tuple[str, ...] = ("rnn", "gru", "lstm")
    forms: tuple[str, ...] = _FORMS


RECURRENT_PRESETS = {
    design.preset: design
    for design in (
        RecurrentDesign(preset="small", resolutions=(16, 32), states=(32, 64, 128), ranks=(2, 4, 8), blocks=(1, 2)),
        RecurrentDesign(preset="tiny", resolutions=(8,), states=(8, 16), ranks=(1, 2), blocks=(1, 2), modes=2),
    )
}


def recurrent_space(preset: str = "small") -> SearchSpace:
    """The search space of a preset.

    Args:
        preset: ``"small"`` for frames of 16 and 32 pixels a side, ``"tiny"`` to try things out in seconds.

    Raises:
        UsageError: No such preset.
    """
    if preset not in RECURRENT_PRESETS:
        raise unknown("recurrent preset", preset, RECURRENT_PRESETS)
    design = RECURRENT_PRESETS[preset]
    choices = (
        Choice(name="resolution", options=design.resolutions),
        Choice(name="cell", options=design.cells, ordinal=False),
        Choice(name="hidden", options=design.states),
        Choice(name="map", options=design.forms, ordinal=False),
        Choice(name="rank", options=design.ranks, parent="map", when=_RANKED),
        Choice(name="blocks", options=design.blocks, parent="map", when=frozenset({"block-term"})),
    )
    return SearchSpace(f"recurrent:{preset}", choices)
