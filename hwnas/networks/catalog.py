"""Network families by the name they have on the command line."""

from __future__ import annotations

from hwnas.core import unknown
from hwnas.networks.family import ImageShape, NetworkFamily
from hwnas.networks.mobilenet import MobileNet
from hwnas.spaces import MOBILENET_PRESETS, mobilenet_space

SPACES = tuple(f"mobilenet:{preset}" for preset in MOBILENET_PRESETS)


def network_family(name: str = "mobilenet", *, channels: int = 1, classes: int = 10) -> NetworkFamily:
    """The family of a space.

    Args:
        name: ``"mobilenet"``, or ``"mobilenet:PRESET"``.
        channels: Image channels of the data.
        classes: Classes of the data.

    Raises:
        UsageError: No such space.
    """
    base, _, preset = name.partition(":")
    if base != "mobilenet" or f"{base}:{preset or 'small'}" not in SPACES:
        raise unknown("space", name, ("mobilenet", *SPACES))
    space = mobilenet_space(preset or "small")
    design = MobileNet(MOBILENET_PRESETS[preset or "small"], space)
    return NetworkFamily(space, ImageShape(channels=channels, classes=classes), design)
