"""Gradient search: distributions over architectures, learned through expectations that can be differentiated.

One training gives an architecture for any preference and any device, or for a limit that has to be hit.
"""

from hwnas.relaxed.constrained import ConstrainedPolicy, ConstrainedSettings, fit_constrained
from hwnas.relaxed.min_norm import min_norm_weights
from hwnas.relaxed.modnas import DeviceTask, Modnas, ModnasSettings, described_device
from hwnas.relaxed.policy import HyperPolicy
from hwnas.relaxed.preferences import drawn_preferences, rays, required_preference
from hwnas.relaxed.tables import MOST_ARCHITECTURES, CostTensor, architecture_at, expected, positions

__all__ = [
    "MOST_ARCHITECTURES",
    "ConstrainedPolicy",
    "ConstrainedSettings",
    "CostTensor",
    "DeviceTask",
    "HyperPolicy",
    "Modnas",
    "ModnasSettings",
    "architecture_at",
    "described_device",
    "drawn_preferences",
    "expected",
    "fit_constrained",
    "min_norm_weights",
    "positions",
    "rays",
    "required_preference",
]
