"""The ``mobilenet`` space: inverted residuals with elastic depth, kernel, expansion, width, activation and so on.

The design follows MobileNetV3 (Howard et al., 2019, https://arxiv.org/abs/1905.02244) with the elastic dimensions of
once-for-all (Cai et al., 2020, https://arxiv.org/abs/1908.09791). The presets ``small`` and ``tiny`` are sized for
small images; ``ofa`` is once-for-all's own space at the size of ImageNet.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.core import Value, unknown
from hwnas.spaces.space import Choice, SearchSpace


def quarter(channels: int) -> int:
    """A quarter of some channels, rounded down to a multiple of 8; at least 8."""
    return max(8, channels // 32 * 8)


@dataclass(frozen=True, kw_only=True)
class FixedStages:
    """What MobileNetV3-Large fixes stage by stage, where there is no choice of it.

    With it come an unexpanded block after the stem, and in the head a second 1x1 convolution, after the mean over
    pixels.

    Attributes:
        activations: Activation function of each stage.
        squeeze_excite: Whether each stage has squeeze-and-excitation.
        ends: Activation function of stem and head.
        first: Activation function of the unexpanded block.
        mixed_width: Channels of the head's second convolution, before the width multiplier.
    """

    activations: tuple[str, ...]
    squeeze_excite: tuple[bool, ...]
    ends: str
    first: str
    mixed_width: int


@dataclass(frozen=True, kw_only=True)
class MobileNetDesign:
    """What is fixed and what may vary.

    Attributes:
        preset: Name of this design.
        stem_width: Channels after the first convolution, before the width multiplier.
        stage_widths: Output channels of each stage, before the width multiplier.
        stage_strides: Stride of each stage's first block.
        head_width: Channels before the classifier, before the width multiplier.
        resolutions: Input heights and widths in pixels.
        widths: Width multipliers.
        depths: Blocks a stage.
        kernels: Kernel sizes of the depthwise convolution.
        expansions: Ratio of inner to input channels.
        activations: Activation functions, one for the whole network.
        squeeze_excite: Whether a stage has squeeze-and-excitation.
        fixed: What takes the place of these last two choices; ``None`` leaves them open.
    """

    preset: str
    stem_width: int
    stage_widths: tuple[int, ...]
    stage_strides: tuple[int, ...]
    head_width: int
    resolutions: tuple[int, ...]
    widths: tuple[float, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...] = (3, 5, 7)
    expansions: tuple[int, ...] = (3, 6)
    activations: tuple[str, ...] = ("relu", "hswish")
    squeeze_excite: tuple[bool, ...] = (False, True)
    fixed: FixedStages | None = None

    def channels(self, base: int, width: float) -> int:
        """Channels after the width multiplier.

        They are the nearest multiple of 8, halves up, at least 8; the next one where more than a tenth would be lost.
        """
        near = max(8, int(base * width / 8 + 0.5) * 8)
        return near if near >= 0.9 * base * width else near + 8

    def squeezed(self, inner: int) -> int:
        """A quarter of the channels that squeeze-and-excitation gates, as a multiple of 8.

        Where stages are fixed it is rounded as all channels are, after once-for-all; else down.
        """
        return self.channels(inner, 0.25) if self.fixed else quarter(inner)


MOBILENET_PRESETS = {
    design.preset: design
    for design in (
        MobileNetDesign(
            preset="small",
            stem_width=16,
            stage_widths=(16, 32, 64),
            stage_strides=(1, 2, 2),
            head_width=128,
            resolutions=(16, 24, 32),
            widths=(0.5, 0.75, 1.0),
            depths=(1, 2, 3),
        ),
        MobileNetDesign(
            preset="tiny",
            stem_width=8,
            stage_widths=(8, 16),
            stage_strides=(1, 2),
            head_width=32,
            resolutions=(8, 16),
            widths=(1.0, 2.0),
            depths=(1, 2),
            kernels=(3, 5),
            expansions=(2, 4),
        ),
        MobileNetDesign(
            preset="ofa",
            stem_width=16,
            stage_widths=(24, 40, 80, 112, 160),
            stage_strides=(2, 2, 2, 1, 2),
            head_width=960,
            resolutions=(160, 176, 192, 208, 224),
            widths=(1.0, 1.2),
            depths=(2, 3, 4),
            expansions=(3, 4, 6),
            fixed=FixedStages(
                activations=("relu", "relu", "hswish", "hswish", "hswish"),
                squeeze_excite=(False, True, False, True, True),
                ends="hswish",
                first="relu",
                mixed_width=1280,
            ),
        ),
    )
}


def mobilenet_space(preset: str = "small") -> SearchSpace:
    """The search space of a preset.

    Args:
        preset: ``"small"`` for images of 16 to 32 pixels, ``"tiny"`` to try things out in seconds, ``"ofa"`` for
            ImageNet.

    Raises:
        UsageError: No such preset.
    """
    if preset not in MOBILENET_PRESETS:
        raise unknown("mobilenet preset", preset, MOBILENET_PRESETS)
    design = MOBILENET_PRESETS[preset]
    choices = [
        Choice(name="resolution", options=design.resolutions),
        Choice(name="width", options=design.widths),
    ]
    if design.fixed is None:
        choices.append(Choice(name="activation", options=design.activations, ordinal=False))
    for stage in range(1, len(design.stage_widths) + 1):
        choices += _stage_choices(design, f"s{stage}")
    return SearchSpace(f"mobilenet:{preset}", tuple(choices))


def _stage_choices(design: MobileNetDesign, stage: str) -> list[Choice]:
    depth = f"{stage}.depth"
    choices = [Choice(name=depth, options=design.depths)]
    if design.fixed is None:
        choices.append(Choice(name=f"{stage}.se", options=design.squeeze_excite, ordinal=False))
    for block in range(1, max(design.depths) + 1):
        alive: frozenset[Value] = frozenset(option for option in design.depths if option >= block)
        parent = depth if len(alive) < len(design.depths) else None
        when = alive if parent else frozenset[Value]()
        name = f"{stage}.b{block}"
        choices.append(Choice(name=f"{name}.kernel", options=design.kernels, parent=parent, when=when))
        choices.append(Choice(name=f"{name}.expansion", options=design.expansions, parent=parent, when=when))
    return choices
