"""The ``gpunet`` space: stages of convolutions, fused and depthwise inverted residuals, alike within a stage.

After Wang et al., "Searching the Deployable Convolution Neural Networks for GPUs", CVPR 2022,
https://arxiv.org/abs/2205.00841. What a stage computes is chosen once and holds for all of its layers. The preset
``paper`` has the paper's own numbers; ``small`` has about a quarter of its filters, as multiples of 8, fewer layers and
smaller images, for CPUs; ``tiny`` has less of everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hwnas.core import Value, unknown
from hwnas.spaces.space import Choice, SearchSpace

StageKind = Literal["conv", "fused", "depthwise"]


@dataclass(frozen=True, kw_only=True)
class StageDesign:
    """What may vary in a stage.

    Attributes:
        kind: What its layers are: convolutions, or inverted residuals with a dense (``"fused"``) or a depthwise filter.
        stride: Of its first layer.
        depths: How many layers it has; without any, the stage is left out.
        filters: Channels that every layer writes.
        expansions: Ratios of inner to input channels; a convolution has none.
    """

    kind: StageKind
    stride: int
    depths: tuple[int, ...] = (1,)
    filters: tuple[int, ...]
    expansions: tuple[int, ...] = ()

    @property
    def optional(self) -> bool:
        """Whether the stage may be left out."""
        return min(self.depths) == 0


@dataclass(frozen=True, kw_only=True)
class GpuNetDesign:
    """What is fixed and what may vary.

    Attributes:
        preset: Name of this design.
        resolutions: Input heights and widths in pixels.
        stages: From the image to the head.
        head_width: Channels before the classifier.
        kernels: Sizes of filters, of each stage.
        activations: Activation functions, of each stage.
        head_activation: That of the head.
    """

    preset: str
    resolutions: tuple[int, ...]
    stages: tuple[StageDesign, ...]
    head_width: int
    kernels: tuple[int, ...] = (3, 5)
    activations: tuple[str, ...] = ("relu", "swish")
    head_activation: str = "relu"

    def choices_of(self, stage: int) -> dict[str, tuple[Value, ...]]:
        """What is chosen for a stage that is there, beside its depth: name to options."""
        held = self.stages[stage]
        named: dict[str, tuple[Value, ...]] = {"kernel": self.kernels}
        if held.expansions:
            named["expansion"] = held.expansions
        named |= {"filters": held.filters, "activation": self.activations}
        if held.expansions:
            named["se"] = (False, True)
        return {f"s{stage}.{name}": options for name, options in named.items()}


def _stage(
    kind: StageKind,
    stride: int,
    depths: tuple[int, int],
    filters: tuple[int, ...],
    expansions: tuple[int, ...] = (),
) -> StageDesign:
    """A stage by the fewest and the most of its layers."""
    least, most = depths
    return StageDesign(
        kind=kind, stride=stride, depths=tuple(range(least, most + 1)), filters=filters, expansions=expansions
    )


def _through(first: int, last: int, step: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1, step))


_PAPER = (2, 3, 4, 5, 6)
_SMALL = (3, 6)
_TINY = (2, 4)

GPUNET_PRESETS = {
    design.preset: design
    for design in (
        GpuNetDesign(
            preset="small",
            resolutions=(32, 48, 64),
            stages=(
                _stage("conv", 2, (1, 1), (8, 16)),
                _stage("conv", 1, (1, 2), (8, 16)),
                _stage("fused", 2, (1, 2), (8, 16), _SMALL),
                _stage("fused", 2, (1, 2), (16, 24), _SMALL),
                _stage("depthwise", 2, (1, 3), (24, 48), _SMALL),
                _stage("depthwise", 1, (0, 3), (32, 56), _SMALL),
                _stage("depthwise", 2, (1, 3), (48, 104), _SMALL),
                _stage("depthwise", 1, (0, 3), (96, 208), _SMALL),
            ),
            head_width=448,
        ),
        GpuNetDesign(
            preset="tiny",
            resolutions=(16, 32),
            stages=(
                _stage("conv", 2, (1, 1), (8, 16)),
                _stage("conv", 1, (1, 2), (8, 16)),
                _stage("fused", 2, (1, 2), (8, 16), _TINY),
                _stage("depthwise", 2, (1, 2), (16, 24), _TINY),
                _stage("depthwise", 1, (0, 2), (16, 24), _TINY),
            ),
            head_width=32,
        ),
        GpuNetDesign(
            preset="paper",
            resolutions=(224, 256, 288, 320, 352, 384, 416, 448, 480, 512),
            stages=(
                _stage("conv", 2, (1, 1), _through(24, 32, 8)),
                _stage("conv", 1, (1, 4), _through(24, 32, 8)),
                _stage("fused", 2, (1, 8), _through(32, 80, 16), _PAPER),
                _stage("fused", 2, (1, 8), _through(48, 112, 16), _PAPER),
                _stage("depthwise", 2, (1, 10), _through(96, 192, 16), _PAPER),
                _stage("depthwise", 1, (0, 15), _through(112, 224, 16), _PAPER),
                _stage("depthwise", 2, (1, 15), _through(128, 416, 32), _PAPER),
                _stage("depthwise", 1, (0, 15), _through(256, 832, 64), _PAPER),
            ),
            head_width=1792,
        ),
    )
}


def gpunet_space(preset: str = "small") -> SearchSpace:
    """The search space of a preset.

    Args:
        preset: ``"small"`` for images of 32 to 64 pixels, ``"tiny"`` to try things out in seconds, ``"paper"`` for
            ImageNet.

    Raises:
        UsageError: No such preset.
    """
    if preset not in GPUNET_PRESETS:
        raise unknown("gpunet preset", preset, GPUNET_PRESETS)
    design = GPUNET_PRESETS[preset]
    choices = [Choice(name="resolution", options=design.resolutions)]
    for number, stage in enumerate(design.stages):
        depth = f"s{number}.depth"
        if len(stage.depths) > 1:
            choices.append(Choice(name=depth, options=stage.depths))
        parent = depth if stage.optional else None
        when = frozenset[Value](option for option in stage.depths if option) if stage.optional else frozenset[Value]()
        for name, options in design.choices_of(number).items():
            ordinal = not name.endswith((".activation", ".se"))
            choices.append(Choice(name=name, options=options, ordinal=ordinal, parent=parent, when=when))
    return SearchSpace(f"gpunet:{preset}", tuple(choices))
