"""What a search trades: accuracy and costs, their units, and limits on them."""

from hwnas.objectives.bounds import Bound, band_about, bounds_of
from hwnas.objectives.catalog import (
    ACCURACY,
    COSTS,
    KnownCosts,
    device_of_cost,
    is_latency,
    latency_on,
    objectives,
    require_devices,
)
from hwnas.objectives.descent import lowest
from hwnas.objectives.feasibility import Feasibility
from hwnas.objectives.limits import Limits, require_accuracy
from hwnas.objectives.units import parse_quantity

__all__ = [
    "ACCURACY",
    "COSTS",
    "Bound",
    "Feasibility",
    "KnownCosts",
    "Limits",
    "band_about",
    "bounds_of",
    "device_of_cost",
    "is_latency",
    "latency_on",
    "lowest",
    "objectives",
    "parse_quantity",
    "require_accuracy",
    "require_devices",
]
