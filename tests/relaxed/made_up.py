"""A small space with made-up errors and latencies, for tests of gradient search."""

from __future__ import annotations

import numpy as np

from hwnas.relaxed import CostTensor, DeviceTask, described_device
from hwnas.spaces import Choice, SearchSpace

SPACE = SearchSpace(
    "made-up",
    (
        Choice(name="kernel", options=(3, 5, 7)),
        Choice(name="width", options=(8, 16, 32, 64)),
        Choice(name="depth", options=(1, 2)),
    ),
)
ARCHITECTURES = list(SPACE.enumerate())
SIZES = np.array([one["kernel"] ** 2 * one["width"] * one["depth"] for one in ARCHITECTURES], dtype=float)


def error() -> CostTensor:
    """Falls with size, with something of its own for each architecture."""
    own = np.random.default_rng(0).uniform(0, 2, len(SIZES))
    return CostTensor.of(SPACE, ARCHITECTURES, 40 - 4 * np.log(SIZES) + own)


def latencies(slope: float) -> np.ndarray:
    """On a device that minds width more or less."""
    widths = np.array([float(one["width"]) for one in ARCHITECTURES])
    return 0.1 + SIZES / 1000 + slope * widths / 100


def task(name: str, slope: float) -> DeviceTask:
    found = latencies(slope)
    cost = CostTensor.of(SPACE, ARCHITECTURES, found)
    return DeviceTask(name=name, costs=(cost,), description=described_device(found[::4]))
