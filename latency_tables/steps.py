"""Steps: within a step of channels all widths cost the same, so a lookup goes up to the step, never between.

Runtimes compute convolutions in blocks of channels; 57 to 64 output channels are one kernel with padding. Interpolating
between measured widths would therefore invent latencies that no network has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from latency_tables.keys import KERNEL, Tensor, tensor

_GROUP = re.compile(r"(?<=[{,]group=)[0-9]+(?=[,}])")


@dataclass(frozen=True)
class _Inputs:
    """Which inputs of an operator are as long as its output is wide, by position; the image is always the first.

    Attributes:
        weights: The filter, whose first axis is the output.
        vectors: Biases, and scales and zero points where there is one for each channel.
        summand: An image of the output's shape that is added to it; ``None`` for an operator that adds none.
    """

    weights: int
    vectors: tuple[int, ...]
    summand: int | None


# QLinearConv reads x, its scale and zero point, w, its scale and zero point, the output's scale and zero point, bias
_OPERATORS = {
    "Conv": _Inputs(weights=1, vectors=(2,), summand=3),
    "FusedConv": _Inputs(weights=1, vectors=(2,), summand=3),
    "QLinearConv": _Inputs(weights=3, vectors=(4, 5, 8), summand=None),
}


@dataclass(frozen=True)
class Convolution:
    """A convolution as its kernel key describes it.

    Attributes:
        key: The kernel's key.
        element: Element type of the weights.
        out_channels: Channels written.
        group_channels: Input channels of one group; 1 for a depthwise convolution.
        window: Height and width of the filter, as ``"3x3"``.
        depthwise: Whether every channel has its own filter; otherwise every filter reads all channels.
    """

    key: str
    element: str
    out_channels: int
    group_channels: int
    window: str
    depthwise: bool

    @property
    def family(self) -> str:
        """What shares a step: window, kind and element type."""
        kind = "depthwise" if self.depthwise else "dense"
        return f"Conv {self.window} {kind} {self.element}: output channels"


def convolution(key: str) -> Convolution | None:
    """Reads a kernel key; ``None`` when it is no two-dimensional convolution, dense or depthwise.

    Convolutions in a few groups are left out: nobody probes their steps, and those of a dense one need not be theirs.
    """
    found = KERNEL.fullmatch(key)
    inputs = _OPERATORS.get(found["op"].rpartition(".")[2]) if found else None
    if found is None or inputs is None:
        return None
    read = found["read"].split(",")
    weights = tensor(read[inputs.weights]) if inputs.weights < len(read) else Tensor("", ())
    if len(weights.shape) != 4:
        return None
    out_channels, group_channels, height, width = weights.shape
    group = _GROUP.search(found["attributes"] or "")
    groups = int(group[0]) if group else 1
    depthwise = groups == out_channels and group_channels == 1 and out_channels > 1
    if groups > 1 and not depthwise:
        return None
    return Convolution(key, weights.element, out_channels, group_channels, f"{height}x{width}", depthwise)


def widened(kernel: Convolution, out_channels: int) -> str:
    """The key of the same convolution with another number of output channels.

    One scale for all weights stays one; a scale for each of them becomes as many as there are channels.

    Args:
        kernel: The convolution.
        out_channels: Channels written; a depthwise convolution then reads as many, too.

    Raises:
        ValueError: The kernel's key is none, or ``out_channels`` is below 1.
    """
    found = KERNEL.fullmatch(kernel.key)
    inputs = _OPERATORS.get(found["op"].rpartition(".")[2]) if found else None
    if found is None or inputs is None:
        raise ValueError(f"expected the key of a convolution, received {kernel.key!r}")
    if out_channels < 1:
        raise ValueError(f"expected at least 1 output channel, received {out_channels}")
    attributes = found["attributes"] or ""
    image_axis = _channel_axis(found["op"], attributes)
    axes = {inputs.weights: 0, **dict.fromkeys(inputs.vectors, 0)}
    if kernel.depthwise:
        axes[0] = image_axis
        attributes = _GROUP.sub(str(out_channels), attributes)
    if inputs.summand is not None:
        axes[inputs.summand] = image_axis
    sizes = (kernel.out_channels, out_channels)
    read = [_resized(text, axes.get(position), sizes) for position, text in enumerate(found["read"].split(","))]
    written = [_resized(text, image_axis, sizes) for text in found["written"].split(",")]
    return f"{found['op']}({','.join(read)})->{','.join(written)}{attributes}"


def snapped(kernel: Convolution, step: int) -> Convolution:
    """The convolution at the upper end of its step.

    Args:
        kernel: The convolution.
        step: Channels a step.

    Raises:
        ValueError: ``step`` is below 1.
    """
    if step < 1:
        raise ValueError(f"expected a step of at least 1 channel, received {step}")
    width = -(-kernel.out_channels // step) * step
    return replace(kernel, key=widened(kernel, width), out_channels=width)


def _channel_axis(op: str, attributes: str) -> int:
    """Which axis of an image holds its channels; integer convolutions on a CPU keep them last."""
    domain = op.rpartition(".")[0]
    return -1 if "channels_last=1" in attributes or domain.endswith(".nhwc") else 1


def _resized(text: str, axis: int | None, sizes: tuple[int, int]) -> str:
    """A tensor whose axis has the second size where it had the first; anything else as it is."""
    held = tensor(text)
    shape = list(held.shape)
    if axis is None or not shape or (len(shape) == 1 and axis != 0) or shape[axis] != sizes[0]:
        return text
    shape[axis] = sizes[1]
    return f"{held.element}[{'x'.join(map(str, shape))}]"


def alignment(widths: Sequence[int], latency_ms: Sequence[float]) -> int:
    """Of which number the cheap widths are multiples: 4 where every fourth width costs clearly less than the one below.

    Runtimes have fast paths for some widths only; a depthwise convolution of 63 channels can cost four times one of 64.

    Args:
        widths: Channels probed, consecutive.
        latency_ms: Latency at each, in milliseconds.

    Returns:
        The smallest such number; 1 where no widths are favoured.
    """
    time_ms = dict(zip(widths, latency_ms, strict=True))
    for step in (2, 4, 8, 16, 32):
        pairs = [(time_ms[width], time_ms[width - 1]) for width in widths if width % step == 0 and width - 1 in time_ms]
        if len(pairs) > 1 and all(own < _CHEAPER * below for own, below in pairs):
            return step
    return 1


_CHEAPER = 0.9  # of the latency one channel below: clearly less than noise would make it
