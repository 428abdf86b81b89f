"""Dominance, fronts, hypervolume, box decompositions and knees of sets of cost vectors, all minimised."""

from hwnas.pareto.boxes import Boxes, non_dominated_boxes
from hwnas.pareto.dominance import dominance_counts, dominates, knee, levels, non_dominated
from hwnas.pareto.front import Front
from hwnas.pareto.hypervolume import hypervolume, hypervolume_contributions

__all__ = [
    "Boxes",
    "Front",
    "dominance_counts",
    "dominates",
    "hypervolume",
    "hypervolume_contributions",
    "knee",
    "levels",
    "non_dominated",
    "non_dominated_boxes",
]
