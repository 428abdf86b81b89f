"""Network families by the name they have on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from hwnas.core import unknown
from hwnas.networks.family import ImageShape, NetworkFamily
from hwnas.networks.gpunet import GpuNet
from hwnas.networks.mixed import MixedFamily
from hwnas.networks.mobilenet import MobileNet
from hwnas.networks.nasbench201 import NasBench201
from hwnas.networks.recurrent import Recurrent
from hwnas.spaces import (
    GPUNET_PRESETS,
    MOBILENET_PRESETS,
    RECURRENT_PRESETS,
    gpunet_space,
    mobilenet_space,
    nasbench201_space,
    recurrent_space,
)


def _gpunet(preset: str, shape: ImageShape) -> NetworkFamily:
    space = gpunet_space(preset)
    return NetworkFamily(space, shape, GpuNet(GPUNET_PRESETS[preset], space))


def _mobilenet(preset: str, shape: ImageShape) -> NetworkFamily:
    space = mobilenet_space(preset)
    return NetworkFamily(space, shape, MobileNet(MOBILENET_PRESETS[preset], space))


def _nasbench201(shape: ImageShape) -> NetworkFamily:
    space = nasbench201_space()
    return NetworkFamily(space, shape, NasBench201(space))


def _recurrent(preset: str, shape: ImageShape) -> NetworkFamily:
    space = recurrent_space(preset)
    return NetworkFamily(space, shape, Recurrent(RECURRENT_PRESETS[preset], space))


_FAMILIES: Mapping[str, Callable[[ImageShape], NetworkFamily]] = {
    **{f"mobilenet:{preset}": partial(_mobilenet, preset) for preset in MOBILENET_PRESETS},
    "nasbench201": _nasbench201,
    **{f"gpunet:{preset}": partial(_gpunet, preset) for preset in GPUNET_PRESETS},
    **{f"recurrent:{preset}": partial(_recurrent, preset) for preset in RECURRENT_PRESETS},
}
_ALIASES = {"mobilenet": "mobilenet:small", "gpunet": "gpunet:small", "recurrent": "recurrent:small"}
_SHAPES = {  # where the space was made for certain data
    **dict.fromkeys(("mobilenet:ofa", "gpunet:paper"), ImageShape(channels=3, classes=1000)),
    "nasbench201": ImageShape(channels=3, classes=10),
    **dict.fromkeys((f"recurrent:{preset}" for preset in RECURRENT_PRESETS), ImageShape(channels=8, classes=8)),
}

SPACES = tuple(_FAMILIES)


def network_family(
    name: str = "mobilenet",
    *,
    channels: int | None = None,
    classes: int | None = None,
    precisions: Sequence[str] = (),
) -> NetworkFamily:
    """The family of a space.

    Args:
        name: ``"mobilenet"``, ``"gpunet"``, ``"recurrent"``, each also with ``":PRESET"``, or ``"nasbench201"``.
        channels: Image channels of the data, or frames of its clips; by default those of the data that the space was
            made for, else 1.
        classes: Classes of the data; by default likewise, else 10.
        precisions: What each network may be computed in, as a choice of the space; without it, or with fp32 alone,
            there is no such choice.

    Raises:
        UsageError: No such space, or one that cannot read such data.
    """
    full = _ALIASES.get(name, name)
    if full not in _FAMILIES:
        raise unknown("space", name, (*_ALIASES, *SPACES))
    usual = _SHAPES.get(full, ImageShape(channels=1, classes=10))
    shape = ImageShape(
        channels=usual.channels if channels is None else channels,
        classes=usual.classes if classes is None else classes,
    )
    plain = _FAMILIES[full](shape)
    _ = plain.shares  # refuses data that the space cannot read
    return plain if set(precisions) <= {plain.precision} else MixedFamily.choosing(plain, precisions)
