"""What the key of a kernel or block says of its cost, as numbers that a regression can learn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from latency_tables import KernelKey, Tensor, attribute_numbers, read_block, read_kernel

_TIMED_AS_ONE = "block:"  # what keys of blocks begin with that were timed as one kernel


@dataclass(frozen=True)
class Shape:
    """A key, as a regression sees it.

    Attributes:
        kind: What may be compared: operator, types of numbers, and whatever else is no size.
        logs: Natural logarithms of its sizes by name, the same names for all keys of a kind.
    """

    kind: str
    logs: Mapping[str, float]


def kernel_shape(key: str) -> Shape | None:
    """The shape of a kernel; ``None`` when its key holds no sizes."""
    read = read_kernel(key)
    if read is None:
        return block_shape(key.removeprefix(_TIMED_AS_ONE))
    if not read.read[0].shape or not read.written[0].shape:
        return None
    words, sizes = [read.op, "+".join(tensor.element or "-" for tensor in read.read)], _images(read)
    window = attribute_numbers(read.attributes.get("kernel_shape", ""))
    if window:
        strides = attribute_numbers(read.attributes.get("strides", ""))
        sizes |= {"window": math.prod(window), "stride": math.prod(strides)}
    weights = _weights(read)
    if weights is not None:
        depthwise = int(read.attributes.get("group", "1")) > 1
        words.append("depthwise" if depthwise else "dense")
        sizes |= {"weights": _count(weights), "channels": max(weights.shape), "work": _work(read, weights)}
    words.append(read.attributes.get("activation", ""))
    return Shape(" ".join(words), {name: math.log(max(size, 1)) for name, size in sizes.items()})


def block_shape(key: str) -> Shape | None:
    """The shape of a block; ``None`` when its key holds no numbers."""
    found = read_block(key)
    if found is None or not found[1]:
        return None
    kind, numbers = found
    return Shape(kind, {name: math.log1p(max(value, 0.0)) for name, value in numbers.items()})


def _images(key: KernelKey) -> dict[str, int]:
    """Numbers read and written, and pixels where there are any."""
    first, last = key.read[0], key.written[0]
    pixels = math.prod(last.shape[2:]) if len(last.shape) == 4 else 1
    return {"read": _count(first), "written": _count(last), "pixels": pixels}


def _weights(key: KernelKey) -> Tensor | None:
    """The filter or matrix: the first input after the image with several axes and another shape."""
    return next((one for one in key.read[1:] if len(one.shape) > 1 and one != key.read[0]), None)


def _work(key: KernelKey, weights: Tensor) -> int:
    """Multiply-accumulates, up to a factor that is the same for all keys of a kind."""
    each = math.prod(weights.shape[1:]) if len(weights.shape) == 4 else weights.shape[0]
    return _count(key.written[0]) * each


def _count(tensor: Tensor) -> int:
    return math.prod(tensor.shape)
