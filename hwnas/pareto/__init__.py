"""Dominance, hypervolume and knees of sets of cost vectors, all minimised."""

from hwnas.pareto.dominance import dominance_counts, dominates, knee, non_dominated
from hwnas.pareto.hypervolume import hypervolume

__all__ = ["dominance_counts", "dominates", "hypervolume", "knee", "non_dominated"]
