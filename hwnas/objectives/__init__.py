"""What a search trades: accuracy and costs, their units, and limits on them."""

from hwnas.objectives.catalog import ACCURACY, COSTS, KnownCosts, objectives
from hwnas.objectives.limits import Limits, lowest
from hwnas.objectives.units import parse_quantity

__all__ = ["ACCURACY", "COSTS", "KnownCosts", "Limits", "lowest", "objectives", "parse_quantity"]
