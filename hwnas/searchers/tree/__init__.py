"""Searchers that learn a partition of the space."""

from hwnas.searchers.tree.lamoo import LaMOO
from hwnas.searchers.tree.partition import PartitionTree, Region, TreeSettings, dominance_halves

__all__ = ["LaMOO", "PartitionTree", "Region", "TreeSettings", "dominance_halves"]
