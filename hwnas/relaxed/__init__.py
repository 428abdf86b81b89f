"""Gradient search: distributions over architectures, learned through expectations that can be differentiated.

One training gives an architecture for any preference and any device, or for a limit that has to be hit. What cannot be
differentiated is drawn, and gradients pass through the draws.
"""

from hwnas.relaxed.constrained import (
    ConstrainedPolicy,
    ConstrainedSettings,
    constrained_chances,
    fit_constrained,
    likeliest_first,
    log_chances,
)
from hwnas.relaxed.costs import RelaxedCost
from hwnas.relaxed.estimators import ESTIMATORS, Estimator, choices_of, gumbel, reinmax
from hwnas.relaxed.learned_latency import LatencyOn, LatencySettings, LearnedLatency, TimedDevice
from hwnas.relaxed.min_norm import min_norm_weights
from hwnas.relaxed.modnas import DeviceTask, Modnas, ModnasSettings, described_device
from hwnas.relaxed.policy import HyperPolicy
from hwnas.relaxed.preferences import drawn_preferences, rays, required_preference, widest_first
from hwnas.relaxed.supernet_error import SupernetError
from hwnas.relaxed.tables import MOST_ARCHITECTURES, CostTensor, architecture_at, expected, option_counts, positions

__all__ = [
    "ESTIMATORS",
    "MOST_ARCHITECTURES",
    "ConstrainedPolicy",
    "ConstrainedSettings",
    "CostTensor",
    "DeviceTask",
    "Estimator",
    "HyperPolicy",
    "LatencyOn",
    "LatencySettings",
    "LearnedLatency",
    "Modnas",
    "ModnasSettings",
    "RelaxedCost",
    "SupernetError",
    "TimedDevice",
    "architecture_at",
    "choices_of",
    "constrained_chances",
    "described_device",
    "drawn_preferences",
    "expected",
    "fit_constrained",
    "gumbel",
    "likeliest_first",
    "log_chances",
    "min_norm_weights",
    "option_counts",
    "positions",
    "rays",
    "reinmax",
    "required_preference",
    "widest_first",
]
